"""Whose page shows what: nothing that somebody may not read reaches their browser, in whatever form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.testing.v1 import AppTest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.workspace import workspace as workspaces
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import LOCAL_USER, Principal
from tests.fakes import HashEmbeddings
from tests.ui.pages import APP, Table, answered, one_page, texts
from tests.waiting import PATIENCE, until
from ui.app_state import app_state
from ui.options import Options, options, set_options

MARKER = "xylograph"
QUESTION = "What is sold in March?"

Opened = Callable[..., AppTest]


class Sent:
    """All that the server sends to browsers."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []

    def add(self, message: bytes) -> None:
        self._messages.append(message)

    def __contains__(self, text: str) -> bool:
        return any(text.encode() in message for message in self._messages)

    def clear(self) -> None:
        self._messages.clear()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    kept, enqueue = Sent(), ForwardMsgQueue.enqueue

    def enqueued(queue: ForwardMsgQueue, message: Any) -> None:
        kept.add(message.SerializeToString())
        enqueue(queue, message)

    monkeypatch.setattr(ForwardMsgQueue, "enqueue", enqueued)
    return kept


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """Opens the page, or one of its parts, as somebody. ann reads and wes writes `default`, where the folder
    `closed` is the board's; mia manages it, bea reads it and is of the board. The other one only bea reads."""
    embedder: Any = HashEmbeddings()
    monkeypatch.setattr(workspaces, "KnowledgeBase", lambda settings: KnowledgeBase(settings, embedder=embedder))
    streamlit.cache_resource.clear()
    before = options()
    flags = {"home": tmp_path / "home", "model": "extract", "embedder": "hash/hash", "lock_seconds": 0.5}
    set_options(Options(flags, login=True, folders=()))
    here = app_state()
    _fill(tmp_path / "docs")
    base = here.base("default")
    base.set_readers([tmp_path / "docs" / "closed"], ["group:board"])
    base.ingest(tmp_path / "docs")
    here.create_base(f"{MARKER}s")
    here.base(f"{MARKER}s").add([f"The {MARKER} is sold in March."])
    for name, right in (("ann", "read"), ("wes", "write"), ("mia", "manage"), ("bea", "read")):
        here.access.put_user(name, ["board"] if name == "bea" else [])
        here.access.grant("default", f"user:{name}", right)  # type: ignore[arg-type]
    here.access.grant(f"{MARKER}s", "user:bea", "read")
    user: list[str] = []
    monkeypatch.setattr("ui.app_state.user_of", lambda _: _principal(user[0]))

    def opened(name: str, part: str = "", **params: str) -> AppTest:
        user[:] = [name]
        if part:
            return one_page(part)
        app = AppTest.from_file(str(APP), default_timeout=PATIENCE)
        for key, value in params.items():
            app.query_params[key] = value
        return app.run()

    yield opened
    for name in ("default", f"{MARKER}s"):
        here.jobs.end(here.base(name), PATIENCE)
        here.close(name)
    set_options(before)
    streamlit.cache_resource.clear()


def _fill(docs: Path) -> None:
    for folder, said in (("open", "The pump is red."), ("closed", f"The {MARKER} is sold in March.")):
        (docs / folder).mkdir(parents=True)
        (docs / folder / f"{'pump' if folder == 'open' else MARKER}.md").write_text(f"# Of {folder}\n\n{said}\n")


def _principal(name: str) -> Principal:
    register = app_state().access.register()
    return register.user(name)


def everything(page: Opened, name: str) -> AppTest:
    """Go through all that the page offers. Returns the conversation."""
    app = page(name)
    app = answered(app.chat_input[0].set_value(QUESTION).run())
    app = answered(app.chat_input[0].set_value("What documents do you have?").run())
    app = answered(app.chat_input[0].set_value("Where is the pump?").run())
    for number, turn in enumerate(app_state().chats.turns(app.session_state["chat"])):
        if turn.hits:
            app.session_state["passage"] = {"turn": turn.id, "n": 1 + number % len(turn.hits)}
            app.run()
    page(name, kb=f"{MARKER}s")
    page(name, "system")
    page(name, "people")
    shown = page(name, "library")
    for source in app_state().base("default").sources():  # also such as the page doesn't offer
        shown.session_state["document"] = {"path": source.path, "chunk": "", "part": None}
        shown.run()
    assert not app.exception
    return app


@pytest.mark.parametrize("name", ["ann", "wes"])
def test_what_one_may_not_read_reaches_no_browser(page: Opened, sent: Sent, name: str) -> None:
    everything(page, name)
    assert MARKER not in sent
    assert "Of closed" not in sent
    assert "pump.md" in sent


def test_its_readers_see_it(page: Opened, sent: Sent) -> None:
    app = everything(page, "bea")
    assert f"The {MARKER} is sold" in sent
    assert f"{MARKER}s" in app.sidebar.selectbox[0].options


def test_who_may_only_read_sees_no_folders_and_no_settings(page: Opened, sent: Sent, tmp_path: Path) -> None:
    app = everything(page, "ann")
    assert str(tmp_path) not in sent
    assert "kb.toml" not in sent
    assert "chunk_tokens" not in sent
    assert "system" not in app.session_state["pages"]
    assert "manages all knowledge bases may do this" in texts(page("ann", "system"))
    everything(page, "wes")
    assert str(tmp_path) not in sent, "who may write isn't shown places of this machine either, but by name"
    assert "chunk_tokens" not in sent


def test_who_may_only_read_begins_no_work(page: Opened, table: Table) -> None:
    shown = page("ann", "library")
    assert [button.key for button in shown.button] == []
    assert not table.data["may_select"]
    assert not page("ann").chat_input[0].proto.accept_file


def test_who_writes_adds_documents_and_manages_nothing(page: Opened, table: Table) -> None:
    shown = page("wes", "library")
    table.select("pump.md")
    shown.run()
    keys = {str(button.key) for button in shown.button}
    assert not keys & {"keep", "rename-kb", "delete-kb", "create-kb"}
    assert not [box for box in shown.text_input if box.key == "folder"]
    shown.button(key="remove-sources").click().run()
    assert app_state().base("default").sources("pump") == []


def test_who_manages_one_knowledge_base_makes_no_others(page: Opened) -> None:
    keys = {str(button.key) for button in page("mia", "library").button}
    assert {"rename-kb", "delete-kb"} <= keys
    assert "create-kb" not in keys


def test_a_right_that_is_taken_away_is_gone_at_the_next_click(page: Opened, table: Table) -> None:
    shown = page("wes", "library")
    table.select("pump.md")
    shown.run()
    app_state().access.grant("default", "user:wes", "read")
    shown.button(key="remove-sources").click().run()
    assert app_state().base("default").sources("pump")
    assert "You may not do this" in texts(shown)
    app_state().access.withdraw("default", "user:wes")
    assert "pump" not in texts(page("wes"))
    assert "no knowledge base that you may read" in texts(page("wes"))


def test_stored_answers_are_withheld_once_a_right_is_gone(page: Opened, sent: Sent) -> None:
    app = page("bea")
    app = answered(app.chat_input[0].set_value(QUESTION).run())
    assert f"The {MARKER} is sold" in sent
    app_state().access.put_user("bea", [])
    app_state().access.withdraw(f"{MARKER}s", "user:bea")
    sent.clear()
    turn = app_state().chats.turns(app.session_state["chat"])[-1].id
    app.session_state["passage"] = {"turn": turn, "n": 1}
    app.run()
    again = page("bea", chat=app.session_state["chat"])
    assert QUESTION in texts(again)
    assert MARKER not in sent
    assert "documents that you may not read any more" in sent


def test_another_conversation_ends_the_scope_of_another_knowledge_base(page: Opened) -> None:
    app = page("bea")
    app = answered(app.chat_input[0].set_value(QUESTION).run())
    first = app.session_state["chat"]
    other = Desk(app_state(), _principal("bea")).conversations.create(f"{MARKER}s").id
    from kb_assistant.workspace.scope import Scope

    app.session_state["scope"] = Scope(name="pump")
    app.button(key=f"chat-{first}").click().run()
    assert app.session_state["scope"] == Scope(name="pump")
    app.button(key=f"chat-{other}").click().run()
    assert app.session_state["kb"] == f"{MARKER}s"
    assert "scope" not in app.session_state


def test_the_one_person_of_a_home_without_tokens_is_asked_nothing(page: Opened) -> None:
    del page
    set_options(Options(options().flags))
    desk = Desk(app_state(), LOCAL_USER)
    assert desk.bases() == ["default", f"{MARKER}s"]
    desk.expect_admin()
    job = desk.base("default").upload([("own.md", b"The gauge is green.")])
    until(lambda: desk.base("default").job(job.id).finished)
    assert desk.base("default").count_sources() == 3
