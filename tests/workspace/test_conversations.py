"""What can be done with one's own conversations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import ForbiddenError, NotFoundError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.workspace import Workspace
from tests.fakes import HashEmbeddings
from tests.stores import settings_of
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.usefixtures("either_store")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """ann reads `station`, wes writes it."""
    embedder: Any = HashEmbeddings()
    monkeypatch.setattr(workspaces, "KnowledgeBase", lambda settings: KnowledgeBase(settings, embedder=embedder))
    made = Workspace(settings_of(tmp_path / "home"))
    made.create_base("station")
    (tmp_path / "pump.md").write_text("# Pump\n\nThe pump is red.\n")
    made.base("station").ingest(tmp_path / "pump.md")
    for name, right in (("ann", "read"), ("wes", "write")):
        made.access.put_user(name)
        made.access.grant("station", f"user:{name}", right)  # type: ignore[arg-type]
    yield made
    made.jobs.end(made.base("station"), PATIENCE)
    made.close("station")


def talked(workspace: Workspace, name: str, *questions: str) -> tuple[Desk, str]:
    desk = Desk(workspace, lambda: workspace.access.register().user(name))
    chat = desk.conversations.create("station").id
    for question in questions:
        desk.conversations.ask(chat, question, where=["path=*pump*"])
        until(lambda: not workspace.answers.running(chat))
    return desk, chat


def test_notes_of_equal_questions_are_two_documents(workspace: Workspace) -> None:
    desk, chat = talked(workspace, "wes", "What is red?", "What is red?")
    for turn in desk.conversations.turns(chat):
        job = desk.conversations.keep_note(chat, turn.id, "notes")
        assert job
        workspace.jobs.wait(job.id)
    notes = [Path(source.path) for source in workspace.base("station").sources("notes/")]
    assert len(notes) == 2
    assert all("The pump is red." in note.read_text() for note in notes)
    assert desk.conversations.keep_note(chat, 10**6, "notes") is None


def test_who_may_only_read_keeps_no_notes_and_saves_no_folders(workspace: Workspace, tmp_path: Path) -> None:
    desk, chat = talked(workspace, "ann", "What is red?")
    with pytest.raises(ForbiddenError):
        desk.conversations.keep_note(chat, desk.conversations.turns(chat)[0].id, "notes")
    for form in ("md", "json"):
        assert str(tmp_path) not in desk.conversations.export(chat, form)  # type: ignore[arg-type]
        assert "pump.md" in desk.conversations.export(chat, form)  # type: ignore[arg-type]
    workspace.access.grant("station", "user:ann", "write")
    assert str(tmp_path) in json.loads(desk.conversations.export(chat, "json"))["turns"][0]["hits"][0]["source"]


def test_a_hidden_one_comes_back_to_its_owner_alone(workspace: Workspace) -> None:
    ann, chat = talked(workspace, "ann", "What is red?")
    wes, _other = talked(workspace, "wes")
    with pytest.raises(NotFoundError):
        wes.conversations.hide(chat)
    ann.conversations.hide(chat)
    assert ann.conversations.all() == []
    wes.conversations.bring_back(chat)
    assert ann.conversations.all() == []
    ann.conversations.bring_back(chat)
    assert [one.id for one in ann.conversations.all()] == [chat]


def test_where_is_searched_is_kept_with_the_answer(workspace: Workspace) -> None:
    desk, chat = talked(workspace, "ann", "What is red?")
    (turn,) = desk.conversations.turns(chat)
    assert turn.reply["where"] == ["path=*pump*"]
    assert "red" in turn.answer
