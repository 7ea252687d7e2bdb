"""The page of two machines behind a balancer without sticky sessions, in a real browser, with either killed."""

from __future__ import annotations

import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError as NotSeen

from tests import stores
from tests.balancer import NGINX, Balancer, balancing
from tests.postgres_server import PostgresServer
from tests.processes import Command
from tests.ui.acts import answered, ask, put, upload
from tests.ui.browser import Visits
from tests.waiting import until

pytestmark = [
    pytest.mark.engine,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(NGINX is None, reason="needs nginx"),
]


class Machine(Command):
    """A home of its own, with a server for the page."""

    port: int
    server: subprocess.Popen[str]

    def serve(self, public: str) -> None:
        self.server = self.start(
            "serve", "--page", "--login", "--port", self.port, "--model", "extract", "--public-url", public
        )
        until(lambda: _answers(self.port) or self.server.poll() is not None)
        assert self.server.poll() is None, self.server.communicate()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
    except OSError:
        return False
    return True


def _ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    found = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return found


@pytest.fixture
def machines(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Machine, Machine]]:
    """Two homes with one store, and one folder of uploads."""
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    monkeypatch.setenv("KB_STORE", stores.store_of(tmp_path))
    monkeypatch.setenv("KB_UPLOADS", str(tmp_path / "uploads"))
    made = tuple(Machine(tmp_path / name, tmp_path / f"scratch {name}") for name in ("one", "two"))
    yield made  # type: ignore[misc]
    stores.drop_databases()


@contextmanager
def serving(machines: tuple[Machine, Machine], folder: Path) -> Iterator[Balancer]:
    port, *ports = _ports(3)
    with balancing(folder, port, ports) as balancer:
        try:
            for machine, machine.port in zip(machines, ports, strict=True):
                machine.serve(balancer.url)
            yield balancer
        finally:
            for machine in machines:
                if machine.server.poll() is None:
                    machine.kill(machine.server)


def valves(folder: Path, numbers: range) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"{number}.md").write_text(
            f"# Valve {number}\n\nValve {number} belongs to circuit {number * 7}."
        )
    return [folder / f"{number}.md" for number in numbers]


def test_it_is_used_wherever_requests_arrive_and_whichever_machine_is_killed(
    machines: tuple[Machine, Machine], visits: Visits, tmp_path: Path
) -> None:
    one, two = machines
    assert one.run("ingest", *valves(tmp_path / "docs", range(2))).returncode == 0
    token = one.run("token", "add", "ann").stdout.strip()
    with serving(machines, tmp_path / "nginx") as balancer:
        page = visits.open(f"{balancer.url}/library")
        page.get_by_label("Token · 令牌").fill(token)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Knowledge base").click()
        upload(page, *valves(tmp_path / "docs", range(2, 8)))
        assert len(balancer.reached("PUT", "/_stcore/upload_file/")) == 2
        assert list((tmp_path / "uploads" / ".arriving").iterdir()) == []
        page.get_by_role("link", name="Chat").click()
        ask(page, "To which circuit does valve 7 belong?")
        assert "49" in answered(page).inner_text()
        _attach(page, *valves(tmp_path / "docs", range(20, 23)))
        put(page, "To which circuit does valve 22 belong?")
        page.get_by_role("button", name="For this conversation only").click()
        assert "154" in answered(page, 2).inner_text()
        for turns, machine in enumerate((one, two)):
            machine.kill(machine.server)
            _to_library(page)
            new = range(8 + 2 * turns, 10 + 2 * turns)
            upload(page, *valves(tmp_path / "docs", new))
            page.get_by_role("link", name="Chat").click()
            ask(page, f"To which circuit does valve {new[1]} belong?")
            page.get_by_text(str(7 * new[1])).first.wait_for()
            machine.serve(balancer.url)
    verdict = two.run("verify")
    assert verdict.returncode == 0, verdict.stdout
    assert two.run("sources").stdout.count(".md") == 12


def _to_library(page: Any) -> None:
    """Until the browser has another machine, clicks are lost."""

    def there() -> bool:
        page.get_by_role("link", name="Knowledge base").click()
        with suppress(NotSeen):
            page.get_by_text("Add documents", exact=True).wait_for(timeout=3000)
            return True
        return False

    until(there)


def _attach(page: Any, *files: Path) -> None:
    """Give files along with the next question."""
    field = page.locator("[data-testid=stChatInput]")
    field.locator("input[type=file]").set_input_files([str(file) for file in files])
    for file in files:
        field.get_by_text(re.compile(re.escape(file.name))).wait_for()
