"""The one door: who sees which knowledge base, and what may be done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import ForbiddenError, KBError, NotFoundError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.workspace import bases
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.desk import Desk, View
from kb_assistant.workspace.rights import EVERY_BASE, LOCAL_USER, Principal
from kb_assistant.workspace.workspace import Workspace
from tests.fakes import HashEmbeddings
from tests.stores import settings_of
from tests.waiting import PATIENCE

MARKER = "xylograph"
"""A word that only the knowledge base `board` holds."""

pytestmark = pytest.mark.usefixtures("either_store")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """`station` and `board`, each with one document; ann reads `station`, wes writes it, mia manages it."""
    embedder: Any = HashEmbeddings()
    monkeypatch.setattr(workspaces, "KnowledgeBase", lambda settings: KnowledgeBase(settings, embedder=embedder))
    made = Workspace(settings_of(tmp_path / "home"))
    for name, text in (("station", "The pump is red."), ("board", f"The {MARKER} is sold.")):
        made.create_base(name)
        made.base(name).add([text])
    for name, right in (("ann", "read"), ("wes", "write"), ("mia", "manage")):
        made.access.put_user(name)
        made.access.grant("station", f"user:{name}", right)  # type: ignore[arg-type]
    yield made
    for name in bases.list_bases(made.settings):
        made.jobs.end(made.base(name), PATIENCE)
        made.close(name)


def principal(workspace: Workspace, name: str, **limits: Any) -> Principal:
    found = workspace.access.principal(workspace.access.new_token(name, **limits))
    assert found
    return found


def desk(workspace: Workspace, name: str, **limits: Any) -> Desk:
    return Desk(workspace, principal(workspace, name, **limits))


def told(do: Callable[[], object]) -> tuple[type, str, str]:
    with pytest.raises(KBError) as raised:
        do()
    return type(raised.value), raised.value.message, raised.value.hint


def test_what_may_not_be_read_is_told_as_what_is_not_there(workspace: Workspace) -> None:
    at = desk(workspace, "ann")
    assert at.bases() == ["station"]
    kind, hidden, hint = told(lambda: at.base("board"))
    other_kind, missing, other_hint = told(lambda: at.base("nothing"))
    assert (kind, hidden.replace("board", "X"), hint) == (other_kind, missing.replace("nothing", "X"), other_hint)
    assert kind is NotFoundError


@pytest.mark.parametrize("name", ["", ".", "..", "../station", "station/", "*", "chat.x", "station\0", "x" * 300])
@pytest.mark.parametrize("everything", [False, True])
def test_odd_names_are_not_there(workspace: Workspace, name: str, everything: bool) -> None:
    workspace.base("chat.x").add(["A file of a conversation."])
    at = Desk(workspace, LOCAL_USER) if everything else desk(workspace, "ann")
    assert told(lambda: at.base(name))[0] is NotFoundError
    assert not [one for one in at.bases() if one.startswith("chat.")]


READING: dict[str, Callable[[View], object]] = {
    "status": View.status,
    "search": lambda view: view.search("pump"),
    "ask": lambda view: view.ask("What is red?").answer,
    "sources": View.sources,
    "jobs": View.jobs,
}
WRITING: dict[str, Callable[[View], object]] = {
    "add": lambda view: view.add(["The gauge is blue."]),
    "remove": lambda view: view.remove(["document:x"]),
    "ingest": lambda view: view.ingest([]),
}
MANAGING: dict[str, Callable[[View], object]] = {
    "verify": View.verify,
    "rebuild": View.rebuild,
    "rename": lambda view: view.rename("renamed"),
    "delete": View.delete,
}


@pytest.mark.parametrize("who", ["ann", "wes", "mia"])
@pytest.mark.parametrize("done", [*READING, *WRITING, *MANAGING])
def test_each_right_includes_those_before_it(workspace: Workspace, who: str, done: str) -> None:
    view = desk(workspace, who).base("station")
    allowed = {"ann": READING, "wes": READING | WRITING, "mia": READING | WRITING | MANAGING}[who]
    act = (READING | WRITING | MANAGING)[done]
    if done in allowed:
        act(view)
    else:
        assert told(lambda: act(view))[0] is ForbiddenError
        assert view.status()["sources"] == 1


def test_rights_only_add_up(workspace: Workspace) -> None:
    access = workspace.access
    access.put_user("ann", ["auditors"])
    access.grant("board", "group:auditors", "read")
    assert desk(workspace, "ann").bases() == ["board", "station"]
    access.grant("station", "anyone", "read")
    assert desk(workspace, "wes").base("station").may("write"), "a smaller right takes nothing away"
    access.put_user("new")
    assert desk(workspace, "new").bases() == ["station"]
    access.withdraw("board", "group:auditors")
    assert desk(workspace, "ann").bases() == ["station"]


def test_a_token_is_never_wider_than_its_user(workspace: Workspace) -> None:
    workspace.access.grant(EVERY_BASE, "user:mia", "write")
    narrow = desk(workspace, "mia", label="a", bases=["board"], right="read")
    assert narrow.bases() == ["board"]
    assert not narrow.base("board").may("write")
    wide = desk(workspace, "ann", label="b", bases=["station", "board"], right="manage")
    assert wide.bases() == ["station"]
    assert not wide.base("station").may("write")


def test_who_manages_everything_creates_knowledge_bases(workspace: Workspace) -> None:
    assert told(lambda: desk(workspace, "mia").create_base("new"))[0] is ForbiddenError
    workspace.access.grant(EVERY_BASE, "user:mia", "manage")
    assert told(lambda: desk(workspace, "mia", bases=["station"]).create_base("new"))[0] is ForbiddenError
    assert desk(workspace, "mia").create_base("new").may("manage")


def test_rights_follow_a_new_name_and_end_with_the_knowledge_base(workspace: Workspace) -> None:
    limited = workspace.access.new_token("ann", "one", bases=["station"])
    desk(workspace, "mia").base("station").rename("weather")
    assert desk(workspace, "ann").bases() == ["weather"]
    found = workspace.access.principal(limited)
    assert found
    assert Desk(workspace, found).bases() == ["weather"]
    workspace.create_base("station")
    assert desk(workspace, "ann").bases() == ["weather"], "the old name's rights went with it"
    desk(workspace, "mia").base("weather").delete()
    workspace.create_base("weather")
    assert desk(workspace, "ann").bases() == []
    assert told(lambda: workspace.create_base("chat.x"))[0]


def test_a_passage_and_a_document_belong_to_their_knowledge_base(workspace: Workspace) -> None:
    secret = workspace.base("board").search(MARKER)[0]
    view = desk(workspace, "ann").base("station")
    assert told(lambda: view.chunk(secret.id))[0] is NotFoundError
    assert told(lambda: view.source(secret.source))[0] is NotFoundError
    assert told(lambda: view.page_image(secret.source, 1))[0] is NotFoundError
    assert told(lambda: view.page_image("/etc/passwd", 1))[0] is NotFoundError
    assert view.pieces(secret.source) == []
    assert view.surroundings(secret) is None
    writer = desk(workspace, "wes").base("station")
    assert writer.remove([secret.source]) == []
    assert workspace.base("board").search(MARKER)
    job = workspace.jobs.verify(workspace.base("board"))
    assert told(lambda: view.job(job.id))[0] is NotFoundError
    assert told(lambda: writer.stop_job(job.id))[0] is NotFoundError
    workspace.jobs.wait(job.id)
