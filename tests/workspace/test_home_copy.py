"""A whole home is copied from its files to a server, and back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.base_settings import own_settings, write_own
from kb_assistant.errors import StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.workspace import home_copy
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.home_copy import HomeCopied, copy_home
from kb_assistant.workspace.workspace import Workspace
from tests import stores
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.law import contents
from tests.postgres_server import PostgresServer
from tests.shell import kb as command
from tests.waiting import until


@pytest.fixture(params=["to the server", "back to files"])
def places(
    request: pytest.FixtureRequest,
    postgres_server: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Settings, str]]:
    """A home's settings, and another store."""
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    embedder: Any = HashEmbeddings()
    model = ScriptedChat(pieces=["The pump is red [1]."])
    opening = partial(KnowledgeBase, embedder=embedder, chat_model=model)
    monkeypatch.setattr(workspaces, "KnowledgeBase", opening)
    here, there = "sqlite", stores.store_of(tmp_path)
    if request.param == "back to files":
        here, there = there, here
    yield Settings(home=tmp_path / "home", readers=1, model="extract", store=here), there
    stores.drop_databases()


@pytest.fixture
def token(places: tuple[Settings, str]) -> str:
    """Ann's, in a home with two knowledge bases, and a conversation with a file, a vote and a link."""
    made = Workspace(places[0])
    for name in ("station", "board"):
        made.create_base(name)
    made.access.put_user("ann")
    made.access.grant("station", "user:ann", "manage")
    desk = Desk(made, lambda: made.access.register().user("ann"))
    view = desk.base("station")
    view.wait(view.upload([("pump.md", b"The pump is red.")]).id)
    write_own(made.named("station"), "role", "You are a sailor.")
    chat = desk.conversations.create("station").id
    for question in ("Which colour is the pump?", "Is it red?"):
        desk.conversations.ask(chat, question)
        until(lambda: not made.answers.busy())
    desk.conversations.rate(chat, desk.conversations.turns(chat)[0].id, -1, "Too short.")
    desk.conversations.attach(chat, [("own.md", b"The tide is high.")])
    until(lambda: not made.jobs.busy(made.attached(chat)))
    desk.conversations.share(chat)
    made.chats.delete(made.chats.create("ann", "station").id)
    found = made.access.new_token("ann")
    made.access.principal(found)
    made.change(lambda: made.settings)
    return found


def seen(settings: Settings, token: str) -> dict[str, Any]:
    """What somebody finds there; the numbers of turns only count."""
    made = Workspace(settings)
    ann = made.access.principal(token)
    assert ann
    desk = Desk(made, lambda: ann)
    (chat,) = desk.conversations.all()
    link = made.links.of(chat.id)
    turns = desk.conversations.turns(chat.id)
    found = {
        "bases": desk.bases(),
        "contents": {name: contents(made.base(name)) for name in ("station", "board", f"chat.{chat.id}")},
        "own": own_settings(made.named("station")),
        "uploads": desk.base("station").folders().uploads,
        "register": made.access.register(),
        "uses": [*made.access.last_uses()],
        "chat": chat,
        "turns": [replace(turn, id=0) for turn in turns],
        "prompts": [made.chats.prompt(chat.id, turn.id) for turn in turns],
        "criticised": [one.reason for one in desk.base("station").rated_bad()],
        "link": link,
        "deleted": made.chats.deleted(),
        "ids": made.ids.source("/docs/pump.md"),
        "answer": str(desk.base("station").ask("Which colour is the pump?")),
    }
    made.change(lambda: made.settings)
    return found


def after(steps: int) -> Callable[[], bool]:
    """A stop that comes after so many looks."""
    looks = itertools.count()
    return lambda: next(looks) >= steps


def test_everything_is_there_as_it_was(places: tuple[Settings, str], token: str) -> None:
    settings, store = places
    before, shares = seen(settings, token), list[float]()
    done = copy_home(settings, store, progress=shares.append)
    assert (done.bases, done.copied, done.conversations, done.stopped) == (3, 2, 1, False)
    assert shares[-1] == 1
    assert seen(settings.but(store=store), token) == before
    assert all(before["prompts"])
    assert before["criticised"] == ["Too short."]


def test_a_stopped_copy_goes_on_and_a_whole_one_is_not_written_over(
    places: tuple[Settings, str], token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, store = places
    before, steps = seen(settings, token), 0
    while copy_home(settings, store, stop=after(steps)).stopped:
        steps += 1  # each time a little further
    assert steps == 3

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    there = settings.but(store=store)
    assert seen(there, token) == before
    Workspace(there).access.put_user("zoe")
    Workspace(there).chats.create("zoe", "station")
    with pytest.raises(StoreError, match="already") as refused:
        copy_home(settings, store)
    assert "--replace" in refused.value.hint
    with monkeypatch.context() as patch:
        patch.setattr(home_copy, "_copy_conversations", killed)
        with pytest.raises(KeyboardInterrupt):
            copy_home(settings, store, replacing=True)
    assert copy_home(settings, store) == HomeCopied(3)
    assert seen(there, token) == before
    assert Workspace(there).chats.of("zoe") == []


def test_another_home_with_users_is_left_alone(places: tuple[Settings, str], token: str) -> None:
    settings, store = places
    there = Workspace(settings.but(store=store))
    there.access.put_user("zoe")
    for _time in range(2):
        with pytest.raises(StoreError, match="already"):
            copy_home(settings, store)
    with pytest.raises(StoreError, match="is in"):
        copy_home(settings, settings.store)
    assert [*there.access.register().users] == ["zoe"]
    assert there.access.principal(token) is None


def test_on_the_command_line(places: tuple[Settings, str], token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, store = places
    monkeypatch.setenv("KB_STORE", settings.store)
    told = command("copy", "--all", "--to", store, home=settings.home)
    assert told.code == 0, told.stderr
    assert "3 knowledge bases: 2 sources copied" in told.stdout, told.stdout
    assert Workspace(settings.but(store=store)).access.principal(token)
    assert command("copy", "--all", "--to", store, home=settings.home).code == 2
    assert command("copy", "--all", "--to", store, "--kb", "station", home=settings.home).code == 2
