"""Two servers with homes of their own, as on two machines, and one PostgreSQL server: both show the same."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_assistant.base_settings import own_settings
from kb_assistant.errors import NotFoundError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.workspace import Workspace
from tests import stores
from tests.fakes import HashEmbeddings
from tests.postgres_server import PostgresServer
from tests.processes import Command
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.engine  # the ingest's reader processes


@pytest.fixture
def shared(postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder under the same path on both machines; settings say the rest."""
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    monkeypatch.setenv("KB_STORE", stores.store_of(tmp_path))
    monkeypatch.setenv("KB_UPLOADS", str(tmp_path / "shared" / "uploads"))
    (tmp_path / "shared").mkdir()
    yield tmp_path / "shared"
    stores.drop_databases()


class Machine(Command):
    """A home of its own, with a server."""

    @contextmanager
    def serving(self, folder: Path) -> Iterator[str]:
        """Gives its address; it may be killed meanwhile."""
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
        url = f"http://127.0.0.1:{port}"
        self.server = self.start("serve", "--login", "--port", port, "--model", "extract", "--folder", folder)
        try:
            until(lambda: _answers(url) or self.server.poll() is not None)
            yield url
        finally:
            if self.server.poll() is None:
                self.kill(self.server)


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthz").status_code == 200
    return False


def _ask(url: str, headers: dict[str, str]) -> threading.Thread:
    """Ask a streamed question in a thread, whatever comes of it."""
    asked = {"model": "kb/default", "messages": [{"role": "user", "content": "valve 0"}], "stream": True}

    def work() -> None:
        with suppress(httpx.TransportError):
            httpx.post(f"{url}/v1/chat/completions", json=asked, headers=headers, timeout=PATIENCE)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_tokens_and_jobs_are_the_same_on_both_and_each_may_be_killed(shared: Path, tmp_path: Path) -> None:
    docs = shared / "docs"
    docs.mkdir()
    for number in range(40):
        text = "\n\n".join(f"Note {number} has line {line} on valve {number}." for line in range(20))
        (docs / f"note-{number:02}.txt").write_text(text)
    one = Machine(tmp_path / "one", tmp_path / "scratch-one", delay=0.4)
    two = Machine(tmp_path / "two", tmp_path / "scratch-two")
    assert one.run("ingest", docs / "note-00.txt").returncode == 0
    token = one.run("token", "add", "ann").stdout.strip()
    headers = {"authorization": f"Bearer {token}"}
    with one.serving(shared) as first, two.serving(shared) as second:
        ask = {"json": {"folder": str(docs)}, "headers": headers}
        begun = httpx.post(f"{first}/api/v1/bases/default/ingest", **ask)  # type: ignore[arg-type]
        assert begun.status_code == 202, begun.text

        def job() -> dict[str, Any]:
            """The job as the other machine tells of it."""
            path = f"/api/v1/jobs/{begun.json()['job']['id']}"
            return dict(httpx.get(f"{second}{path}", headers=headers, timeout=PATIENCE).json()["job"])

        until(lambda: job()["state"] != "waiting" and job()["note"].get("files", 0) > 0)
        assert job()["state"] == "running"
        asking = _ask(first, headers)
        one.kill(one.server)
        asking.join()
        until(lambda: job()["state"] == "interrupted")
        verdict = two.run("verify", "--json")
        assert json.loads(verdict.stdout)["faults"] == [], verdict.stdout
        again = json.loads(two.run("ingest", docs, "--json").stdout)
        assert (again["failed"], again["unchanged"] > 0) == (0, True)
        assert two.run("token", "rm", token[:11]).returncode == 0
        assert httpx.get(f"{second}/api/v1/bases", headers=headers).status_code == 401
        fresh = {"authorization": f"Bearer {two.run('token', 'add', 'ann').stdout.strip()}"}
        asking = _ask(second, fresh)
        two.kill(two.server)
        asking.join()
    with one.serving(shared) as first:
        assert httpx.get(f"{first}/api/v1/bases", headers=headers).status_code == 401
        assert httpx.get(f"{first}/api/v1/bases", headers=fresh).status_code == 200
    verdict = one.run("verify", "--json")
    assert json.loads(verdict.stdout)["faults"] == [], verdict.stdout
    assert len(json.loads(one.run("sources", "--json").stdout)) == 40


@pytest.fixture
def machines(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Workspace, ...]]:
    embedder: Any = HashEmbeddings()
    monkeypatch.setattr(workspaces, "KnowledgeBase", lambda settings: KnowledgeBase(settings, embedder=embedder))
    options: dict[str, Any] = {"store": stores.store_of(tmp_path), "uploads": str(shared / "uploads")}
    made = tuple(
        Workspace(Settings(home=tmp_path / name, readers=1, model="extract", **options)) for name in ("one", "two")
    )
    made[0].create_base("station")
    made[0].access.put_user("ann")
    made[0].access.grant("station", "user:ann", "manage")
    yield made
    for one in made:
        one.change(lambda one=one: one.settings)  # type: ignore[misc]


def test_a_conversation_goes_on_at_another_machine(machines: tuple[Workspace, ...]) -> None:
    one, two = (Desk(each, lambda each=each: each.access.register().user("ann")) for each in machines)  # type: ignore[misc]
    view = one.base("station")
    view.wait(view.upload([("pump.md", b"# Pump\n\nThe pump is red.\n")]).id)
    chat = one.conversations.create("station").id
    for desk, question in ((one, "Which colour is the pump?"), (two, "Is the pump red?")):
        desk.conversations.ask(chat, question)
        until(lambda: not machines[0].answers.everywhere(chat) and not machines[1].answers.everywhere(chat))
    turns = one.conversations.turns(chat)
    assert [turn.question for turn in turns] == ["Which colour is the pump?", "Is the pump red?"]
    assert [turn.state for turn in turns] == ["done", "done"]
    assert two.base("station").original(turns[0].hits[0].source) == b"# Pump\n\nThe pump is red.\n"
    two.conversations.rate(chat, turns[0].id, -1, "Too short.")
    assert [bad.reason for bad in one.base("station").rated_bad()] == ["Too short."]
    key = one.conversations.share(chat).key
    assert len(two.shared(key)[1]) == 2
    two.conversations.end_share(chat)
    with pytest.raises(NotFoundError):
        one.shared(key)
    one.conversations.attach(chat, [("own.md", b"The tide is high.")])
    until(lambda: not machines[0].jobs.busy(machines[0].attached(chat)))
    assert [base.name for base in two.conversations.beside(chat)] == [f"chat.{chat}"]
    two.conversations.delete(chat)
    assert one.conversations.all() == []


def test_what_a_knowledge_base_has_follows_its_name_and_goes_with_it(
    machines: tuple[Workspace, ...], shared: Path
) -> None:
    one, two = (Desk(each, lambda each=each: each.access.register().user("ann")) for each in machines)  # type: ignore[misc]
    view = one.base("station")
    view.wait(view.upload([("pump.md", b"The pump is red.")]).id)
    (shared / "docs").mkdir()
    view.watch_folder(str(shared / "docs"))
    view.change_own("role", "You are a sailor.")
    two.base("station").rename("port")
    assert one.bases() == ["port"]
    moved = one.base("port")
    assert moved.folders().watched == (shared / "docs",)
    assert own_settings(machines[0].named("port")) == {"role": "You are a sailor."}
    assert [job.state for job in moved.jobs()] == ["done"]
    uploads = moved.folders().uploads
    assert (uploads / "pump.md").exists()
    two.base("port").delete()
    assert one.bases() == []
    assert not uploads.exists()
    machines[1].create_base("port")
    machines[0].access.grant("port", "user:ann", "manage")
    fresh = one.base("port")
    assert (fresh.jobs(), fresh.folders().watched) == ([], ())
