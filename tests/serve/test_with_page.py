"""`kb serve --page`: API, MCP and the page from one process, over the home that is asked for, with real models."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from kb_assistant import Access, KnowledgeBase
from kb_assistant.store.local_home import LocalHome
from kb_assistant.workspace.told_ids import ToldIds
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(models_home: Path, tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models_home / "models")
    (tmp_path / "pump.md").write_text("# Pump\n\nThe pump is serviced by Marta Keel every 400 hours.\n", "utf-8")
    with KnowledgeBase.open("notes", home=home, model="extract") as base:
        assert base.ingest(tmp_path / "pump.md").added == 1
    return home


@pytest.fixture
def url(home: Path) -> Iterator[str]:
    with serving(home) as address:
        yield address


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[str]:
    tmp_path = home.parent
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    elsewhere = {**os.environ, "HOME": str(tmp_path / "nobody"), "XDG_DATA_HOME": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "kb_assistant", "serve", "--page", "--home", str(home), "--kb", "notes"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--model", "extract", *arguments],
        cwd=ROOT,
        env=elsewhere,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        return False

    try:
        until(lambda: answers() or server.poll() is not None)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
    assert not (tmp_path / "nowhere").exists()


def test_page_and_api_answer_from_the_same_home(url: str) -> None:
    assert "kb/notes" in [row["id"] for row in httpx.get(f"{url}/v1/models").json()["data"]]
    asked = {"model": "kb/notes", "messages": [{"role": "user", "content": "Who services the pump?"}]}
    said = httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=PATIENCE).json()
    assert "Marta Keel" in said["choices"][0]["message"]["content"]
    page = httpx.get(url, follow_redirects=True)
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")


def test_a_browser_that_is_signed_in_opens_citations(home: Path) -> None:
    access = Access(home)
    for name in ("ann", "bob"):
        access.put_user(name)
    access.grant("notes", "user:ann", "read")
    access.grant("other", "user:bob", "read")
    tokens = {name: access.new_token(name) for name in ("ann", "bob")}
    with KnowledgeBase.open("notes", home=home, model="extract") as base:
        passage = ToldIds(LocalHome(home)).told(base.search("pump")[0].id)
    with serving(home, "--login") as url:
        link = f"{url}/kb/notes/passages/{passage}"
        browser = {"Accept": "text/html"}
        assert httpx.get(link, headers=browser, timeout=PATIENCE).status_code == 401
        behind_a_proxy = {"Host": "kb.example.org"}
        assert httpx.get(f"{url}/healthz", headers=behind_a_proxy, timeout=PATIENCE).status_code == 200
        assert httpx.get(f"{url}/v1/models", headers=behind_a_proxy, timeout=PATIENCE).status_code == 401
        page = httpx.get(url, headers=behind_a_proxy | browser, timeout=PATIENCE)
        assert (page.status_code, page.headers["location"]) == (303, "/login")
        for name, status in (("ann", 200), ("bob", 404)):
            with httpx.Client(timeout=PATIENCE) as visitor:
                assert visitor.post(f"{url}/login", data={"token": tokens[name]}).status_code == 303
                answer = visitor.get(link, headers=browser)
                assert (answer.status_code, "Marta Keel" in answer.text) == (status, status == 200)
                assert str(home.parent) not in answer.text
                visitor.post(f"{url}/logout")
                assert visitor.get(link, headers=browser).status_code == 401
