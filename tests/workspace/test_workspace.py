"""A home shared by sessions: what is open, and what deleting and renaming leave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.base_settings import write_own
from kb_assistant.errors import BusyError, StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.workspace import bases, folders
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import LOCAL_USER
from kb_assistant.workspace.workspace import Workspace
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.processes import Command, another_writer
from tests.stores import settings_of
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("either_store")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    embedder: Any = HashEmbeddings()
    monkeypatch.setattr(workspaces, "KnowledgeBase", lambda settings: KnowledgeBase(settings, embedder=embedder))
    made = Workspace(settings_of(tmp_path / "home"))
    bases.create_base(made.settings)
    yield made
    made.change(lambda: made.settings)


def conversation(workspace: Workspace) -> tuple[str, Path]:
    """One with a file of its own."""
    chat = workspace.chats.create("ann", "default").id
    own = workspace.attached(chat)
    bases.create_base(own.settings)
    file = folders.put_upload(own.settings, "pump.md", b"The pump is red.")
    workspace.jobs.wait(workspace.jobs.ingest(own, [file]).id)
    assert len(workspace.beside(chat)) == 1
    return chat, file


def everything(workspace: Workspace) -> set[Path]:
    found = {file for name in ("kbs", "uploads") for file in (workspace.settings.home / name).rglob("*")}
    return {
        file
        for file in found
        if file.is_file() and not file.name.endswith(("-wal", "-shm", ".lock", ".next", "writer.json"))
    }


def test_a_conversation_goes_with_its_own_files(workspace: Workspace) -> None:
    before = everything(workspace)
    chat, file = conversation(workspace)
    workspace.delete_chat(chat)
    assert workspace.chats.of("ann") == []
    assert not file.exists()
    assert workspace.beside(chat) == []
    assert everything(workspace) == before


def test_what_is_being_written_is_left_whole(workspace: Workspace) -> None:
    chat, file = conversation(workspace)
    kept = everything(workspace)
    with another_writer(workspace.attached(chat).settings.kb_dir), pytest.raises(BusyError):
        workspace.delete_chat(chat)
    assert everything(workspace) >= kept
    assert file.exists()
    assert [one.id for one in workspace.chats.of("ann")] == [chat]
    assert [hit.text for hit in workspace.attached(chat).search("pump", 1)] == ["The pump is red."]
    workspace.delete_chat(chat)
    assert workspace.chats.of("ann") == []
    assert not file.exists()


def test_its_jobs_and_answers_are_stopped_first(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that went on would make the knowledge base again."""
    chat, file = conversation(workspace)
    own, begun, go_on = workspace.attached(chat), threading.Event(), threading.Event()
    ingest = own.ingest

    def slow(*given: Any, **named: Any) -> Any:
        begun.set()
        go_on.wait(60)
        return ingest(*given, **named)

    monkeypatch.setattr(own, "ingest", slow)
    jobs = [workspace.jobs.ingest(own, [file]) for _ in range(2)]
    begun.wait(60)
    workspace.answers.ask(own, chat, "Which pump?", after=lambda: go_on.wait(60))
    with pytest.raises(BusyError):
        workspace.delete_chat(chat)
    assert workspace.chats.of("ann")
    until(lambda: not workspace.answers.running(chat))
    go_on.set()
    for job in jobs:
        workspace.jobs.wait(job.id)
    workspace.delete_chat(chat)
    assert {job.state for job in jobs} <= {"stopped", "done"}
    assert bases.list_attached(workspace.settings) == []


def test_a_knowledge_base_that_cannot_be_deleted_keeps_its_uploads(workspace: Workspace) -> None:
    file = folders.put_upload(workspace.settings, "pump.md", b"The pump is red.")
    with another_writer(workspace.settings.kb_dir), pytest.raises(BusyError):
        workspace.delete_base("default")
    assert file.exists()
    workspace.delete_base("default")
    assert not file.exists()


def test_files_of_conversations_that_are_gone_are_swept_up(workspace: Workspace) -> None:
    kept, kept_file = conversation(workspace)
    lost, lost_file = conversation(workspace)
    busy, busy_file = conversation(workspace)
    for chat in (lost, busy):
        workspace.chats.delete(chat)
    with another_writer(workspace.attached(busy).settings.kb_dir):
        workspace.sweep()
    assert [file.exists() for file in (kept_file, lost_file, busy_file)] == [True, False, True]
    workspace.sweep()
    assert bases.list_attached(workspace.settings) == [f"chat.{kept}"]


@pytest.mark.sqlite
def test_nothing_is_swept_where_no_conversations_are_known(workspace: Workspace) -> None:
    _, file = conversation(workspace)
    workspace.chats.close()
    for one in workspace.settings.home.glob("chats.sqlite*"):
        one.unlink()
    workspace.sweep()
    assert file.exists()
    workspace.chats.delete(workspace.chats.create("ann", "default").id)
    workspace.sweep()
    assert file.exists(), "the list that knew it was moved away, and a new one begun"


def test_few_conversations_stay_open(workspace: Workspace) -> None:
    first, _ = conversation(workspace)
    held = workspace.attached(first)
    for number in range(3 * workspaces.MOST_ATTACHED):
        workspace.attached(f"{number}")
    assert len(workspace._open) <= workspaces.MOST_ATTACHED + 1
    assert held._held._store is None
    assert [hit.text for hit in held.search("pump", 1)] == ["The pump is red."], "who holds it reads on"
    assert workspace.attached(first) is not held
    assert workspace.base("default") is workspace.base("default")


def test_conversations_without_files_open_nothing(workspace: Workspace) -> None:
    chat = workspace.chats.create("ann", "default").id
    assert workspace.beside(chat) == []
    assert list(workspace._open) == []


def test_a_name_goes_to_the_conversations_or_stays(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.chats.create("ann", "default")

    def fail(*_: str) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(workspace.chats, "move", fail)
        with pytest.raises(StoreError, match="disk"):
            workspace.rename_base("default", "notes")
    assert bases.list_bases(workspace.settings) == ["default"]
    workspace.rename_base("default", "notes")
    assert bases.list_bases(workspace.settings) == ["notes"]
    assert workspace.chats.of("ann")[0].kb == "notes"


@pytest.mark.sqlite
def test_odd_names_are_not_listed_but_said(workspace: Workspace) -> None:
    odd = workspace.settings.home / "kbs" / "my notes"
    odd.mkdir()
    (odd / "kb.sqlite").touch()
    assert bases.list_bases(workspace.settings) == ["default"]
    assert bases.odd_names(workspace.settings) == ["my notes"]


def test_what_a_knowledge_base_has_of_its_own_holds_for_it_alone(workspace: Workspace) -> None:
    workspace.create_base("tea")
    workspace.create_base("boats")
    write_own(workspace.named("tea"), "role", "You are a gardener.")
    assert [workspace.base(name).settings.role for name in ("tea", "boats")] == ["You are a gardener.", ""]
    workspace.rename_base("tea", "herbs")
    assert workspace.base("herbs").settings.role == "You are a gardener."
    write_own(workspace.named("herbs"), "role", None)
    assert workspace.answering("herbs").settings.role == ""


def test_what_another_process_changes_holds_for_the_next_answer(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer in progress ends as it began, and what is open stays open."""
    embedder: Any = HashEmbeddings()
    model = ScriptedChat(pieces=["The pump is red [1]."])
    opening = partial(KnowledgeBase, embedder=embedder, chat_model=model)
    monkeypatch.setattr(workspaces, "KnowledgeBase", opening)
    monkeypatch.setenv("KB_STORE", workspace.settings.store)
    other = Command(tmp_path / "home", tmp_path / "other")
    view = Desk(workspace, lambda: LOCAL_USER).base("default")
    opened = workspace.base("default")
    opened.add(["The pump is red."])
    begun = view.ask("Which colour is the pump?")
    done = other.run("settings", "role", "You are a gardener.", "--kb", "default")
    assert done.returncode == 0, done.stderr
    for reply in (begun, view.ask("Is the pump red?")):
        "".join(reply)
    before, after = map(str, model.prompts)
    assert "You are a gardener." not in before
    assert "You are a gardener." in after
    assert workspace.base("default") is opened
    assert other.run("settings", "role", "--unset", "--kb", "default").returncode == 0
    "".join(view.ask("Is the pump red?"))
    assert "You are a gardener." not in str(model.prompts[2])
