"""A link shows one conversation, as far as whoever opens it may read what answers rest on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import ForbiddenError, KBError, NotFoundError, StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import NOBODY, Principal
from kb_assistant.workspace.workspace import Workspace
from tests.fakes import HashEmbeddings
from tests.stores import settings_of
from tests.waiting import PATIENCE, until

MARKER = "xylograph"

pytestmark = pytest.mark.usefixtures("either_store")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """bea, of the board, and mia, who manages, see all of `station`; ann doesn't see what is the board's; eve
    reads nothing."""
    embedder: Any = HashEmbeddings()
    monkeypatch.setattr(workspaces, "KnowledgeBase", lambda settings: KnowledgeBase(settings, embedder=embedder))
    made = Workspace(settings_of(tmp_path / "home"))
    made.create_base("station")
    made.base("station").add([("pump.md", b"The pump is red.")])
    secret = f"The {MARKER} is sold in March.".encode()
    made.base("station").add([(f"{MARKER}.md", secret)], readers=["group:board"])
    for name in ("ann", "bea", "mia", "eve"):
        made.access.put_user(name, ["board"] if name == "bea" else [])
        if name != "eve":
            made.access.grant("station", f"user:{name}", "manage" if name == "mia" else "read")
    yield made
    made.jobs.end(made.base("station"), PATIENCE)
    made.close("station")


def who(workspace: Workspace, name: str) -> Principal:
    return workspace.access.register().user(name)


def talked(workspace: Workspace, name: str) -> tuple[Desk, str]:
    """A conversation about what everybody and what only the board may read."""
    desk = Desk(workspace, who(workspace, name))
    chat = desk.conversations.create("station").id
    for question, document in (("What is red?", "pump"), ("What is sold in March?", MARKER)):
        desk.conversations.ask(chat, question, where=[f"path=*{document}*"])
        until(lambda: not workspace.answers.running(chat))
    return desk, chat


def seen(workspace: Workspace, key: str, visitor: Principal) -> str:
    chat, turns = Desk(workspace, visitor).shared(key)
    return json.dumps([chat.title, *({**turn.to_json(), "question": ""} for turn in turns)], default=str)


def test_who_opens_a_link_sees_what_they_may_read(workspace: Workspace) -> None:
    owner, chat = talked(workspace, "bea")
    assert owner.conversations.shared(chat) is None
    key = owner.conversations.share(chat).key
    assert key.isascii()
    assert len(key) >= 32
    assert "is sold" in seen(workspace, key, who(workspace, "mia"))
    for name, pump in (("ann", True), ("eve", False)):
        said = seen(workspace, key, who(workspace, name))
        assert MARKER not in said
        assert ("pump" in said) is pump
    with pytest.raises(ForbiddenError):
        Desk(workspace, NOBODY).shared(key)
    for wrong in ("", key[:-1], f"{key}x", "ü", chat):
        with pytest.raises(NotFoundError):
            Desk(workspace, who(workspace, "mia")).shared(wrong)


def test_only_who_manages_the_knowledge_base_gives_it_to_everybody(workspace: Workspace) -> None:
    owner, chat = talked(workspace, "bea")
    with pytest.raises(ForbiddenError):
        owner.conversations.share(chat, without_token=True)
    owner, chat = talked(workspace, "mia")
    assert MARKER in seen(workspace, owner.conversations.share(chat).key, who(workspace, "mia"))
    key = owner.conversations.share(chat, without_token=True).key
    said = seen(workspace, key, NOBODY)
    assert "pump" in said
    assert MARKER not in said, "documents' readers hold"
    workspace.access.grant("station", "user:mia", "write")
    with pytest.raises(ForbiddenError):
        Desk(workspace, NOBODY).shared(key)


def test_a_link_ends(workspace: Workspace) -> None:
    owner, chat = talked(workspace, "bea")
    mia = Desk(workspace, who(workspace, "mia"))

    def gone(key: str) -> bool:
        try:
            return not mia.shared(key)
        except NotFoundError:
            return True

    first = owner.conversations.share(chat).key
    second = owner.conversations.share(chat).key
    assert [gone(first), gone(second)] == [True, False]
    owner.conversations.hide(chat)
    assert gone(second)
    owner.conversations.bring_back(chat)
    assert not gone(second)
    owner.conversations.end_share(chat)
    assert gone(second)
    third = owner.conversations.share(chat).key
    owner.conversations.delete(chat)
    assert gone(third)
    assert json.loads(workspace.home.text("shared-links.json").text) == []  # type: ignore[union-attr]


def test_the_link_of_a_user_who_is_gone_is_gone(workspace: Workspace) -> None:
    owner, chat = talked(workspace, "bea")
    key = owner.conversations.share(chat).key
    workspace.access.remove_user("bea")
    with pytest.raises(NotFoundError):
        Desk(workspace, who(workspace, "mia")).shared(key)


def test_nobody_shares_the_conversation_of_another(workspace: Workspace) -> None:
    _owner, chat = talked(workspace, "bea")
    other = Desk(workspace, who(workspace, "mia")).conversations
    for do in (other.share, other.shared, other.end_share):
        with pytest.raises(NotFoundError):
            do(chat)


@pytest.mark.parametrize("damage", ["", "{", "{}", "[3]", '[{"key": "x"}]'])
def test_a_damaged_list_opens_nothing(workspace: Workspace, damage: str) -> None:
    owner, chat = talked(workspace, "bea")
    key = owner.conversations.share(chat).key
    workspace.home.update("shared-links.json", lambda _: damage, what="")
    with pytest.raises(KBError):
        Desk(workspace, who(workspace, "mia")).shared(key)
    if damage != "{}":
        with pytest.raises(StoreError):
            owner.conversations.share(chat)
