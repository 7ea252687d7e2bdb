"""Saved conversations: what is kept, for whom, and what a crash leaves."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from kb_assistant.errors import StoreError
from kb_assistant.messages import _, translate
from kb_assistant.store.local_home import LocalHome
from kb_assistant.types import Hit, Locator
from kb_assistant.workspace.answer_queue import AnswerQueue
from kb_assistant.workspace.chat_export import to_json, to_markdown
from kb_assistant.workspace.chats import ChatStore
from tests.stores import home_of
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.usefixtures("either_store")

HIT = Hit("id", "The pump is red.", "/docs/pump.md", Locator(None, (3, 4), "Pump > Colour"), 1.5, 0.8, ("/b.md",))
REPLY = {
    "hits": [HIT.to_json()],
    "citations": [{"n": 1, "source": HIT.source, "locator": HIT.locator.to_json(), "supported": True}],
    "refused": False,
}


@pytest.fixture
def store(tmp_path: Path) -> ChatStore:
    return ChatStore(home_of(tmp_path / "home"))


def test_nothing_is_written_before_the_first_conversation(store: ChatStore, tmp_path: Path) -> None:
    assert store.of("ann") == []
    assert store.get("ann", "x") is None
    assert not (tmp_path / "home").exists()


def test_a_turn_comes_back_with_its_passages(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    turn = store.begin(chat.id, "What colour is the pump?")
    store.save(turn, "Red. [1]", "done", REPLY)
    (saved,) = store.turns(chat.id)
    assert (saved.question, saved.answer, saved.state) == ("What colour is the pump?", "Red. [1]", "done")
    assert saved.hits == (HIT,)
    assert saved.turn.hits == (HIT,)


def test_why_an_answer_failed_stays_a_message(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    error = _("{name} can't be read: {reason}.", name="x", reason=_("The PDF is damaged."))
    store.save(store.begin(chat.id, "Why?"), "", "failed", {"error": error, "hint": "plain"})
    (saved,) = store.turns(chat.id)
    assert saved.reply == {"error": "x can't be read: The PDF is damaged..", "hint": "plain"}
    assert translate(saved.reply["error"], "zh") == "无法读取 x：PDF 已损坏。。"


def test_the_first_question_names_it_and_a_name_given_stays(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    store.begin(chat.id, "word " * 40)
    title = store.of("ann")[0].title
    assert title.startswith("word word")
    assert len(title) <= 60
    store.rename(chat.id, "  Pumps\n ")
    store.begin(chat.id, "another")
    assert store.of("ann")[0].title == "Pumps"


def test_owners_see_only_their_own(store: ChatStore) -> None:
    mine, theirs = store.create("ann", "default"), store.create("bob", "default")
    assert [chat.id for chat in store.of("ann")] == [mine.id]
    assert store.get("ann", theirs.id) is None


@pytest.mark.parametrize(
    ("search", "found"),
    [("pump", True), ("PUMP red", True), ("pump blue", False), ("水泵", True), ("100%", True), ("1_0%", False)],
)
def test_search_finds_all_words_anywhere(store: ChatStore, search: str, found: bool) -> None:
    chat = store.create("ann", "default")
    store.save(store.begin(chat.id, "Which Pump? 水泵呢？"), "The red one, 100% sure.", "done", {})
    assert bool(store.of("ann", search)) is found


def test_a_replaced_turn_is_neither_shown_nor_found(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    first = store.begin(chat.id, "kept")
    second = store.begin(chat.id, "mistyped")
    store.replace(chat.id, second)
    assert [turn.id for turn in store.turns(chat.id)] == [first]
    assert store.of("ann", "mistyped") == []


def test_deleting_takes_the_turns_along(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    store.begin(chat.id, "gone")
    store.delete(chat.id)
    assert store.of("ann") == []
    assert store.turns(chat.id) == []


def test_a_rating_needs_the_right_conversation(store: ChatStore) -> None:
    chat, other = store.create("ann", "default"), store.create("bob", "default")
    turn = store.begin(chat.id, "?")
    store.rate(other.id, turn, -1)
    assert store.turns(chat.id)[0].rating == 0
    store.rate(chat.id, turn, 1)
    assert store.turns(chat.id)[0].rating == 1


def test_an_answer_whose_process_was_killed_is_interrupted_with_what_was_said(
    store: ChatStore, tmp_path: Path
) -> None:
    chat = store.create("ann", "default")
    code = (
        "import os, pathlib, sys; from kb_assistant.workspace.chats import ChatStore;"
        "from tests.stores import home_of;"
        "store = ChatStore(home_of(pathlib.Path(sys.argv[1]))); turn = store.begin(sys.argv[2], 'why?');"
        "store.save(turn, 'Because', 'answering', {}); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "home"), chat.id], check=False)
    until(lambda: store.turns(chat.id)[0].state != "answering")
    (turn,) = store.turns(chat.id)
    assert (turn.state, turn.answer) == ("interrupted", "Because")
    assert store.turns(store.create("ann", "default").id) == []


def test_an_answer_of_this_process_is_on_its_way(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    store.begin(chat.id, "why?")
    assert store.turns(chat.id)[0].state == "answering"


def test_threads_write_at_once(store: ChatStore) -> None:
    chats = [store.create("ann", "default") for _ in range(8)]

    def talk(chat: str) -> None:
        for number in range(10):
            store.save(store.begin(chat, f"q{number}"), f"a{number}", "done", {})

    threads = [threading.Thread(target=talk, args=(chat.id,)) for chat in chats]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for chat in chats:
        assert [turn.answer for turn in store.turns(chat.id)] == [f"a{number}" for number in range(10)]


@pytest.mark.sqlite
def test_a_damaged_file_says_so(store: ChatStore, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(parents=True)
    (tmp_path / "home" / "chats.sqlite").write_bytes(b"no database at all, but long enough to be looked at" * 50)
    with pytest.raises(StoreError, match="can't be used"):
        store.of("ann")


def test_exports_hold_everything(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    store.save(store.begin(chat.id, "What colour?"), "Red. [1]", "done", REPLY)
    chat = store.of("ann")[0]
    markdown = to_markdown(chat, store.turns(chat.id))
    assert "## What colour?\n\nRed. [1]\n\n- [1] /docs/pump.md, lines 3–4, Pump > Colour" in markdown
    value = json.loads(to_json(chat, store.turns(chat.id)))
    assert value["turns"][0]["hits"][0]["text"] == "The pump is red."


@pytest.mark.sqlite
def test_a_question_is_on_disk_before_its_answer_begins(store: ChatStore) -> None:
    """In WAL mode only synchronous = FULL (2) syncs every commit; NORMAL leaves it to the next checkpoint."""
    store.create("ann", "default")
    with store._home.write() as db:
        assert next(db.rows("PRAGMA journal_mode"))[0] == "wal"
        assert next(db.rows("PRAGMA synchronous"))[0] == 2


@pytest.mark.sqlite
def test_calls_share_a_connection(store: ChatStore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **named: opened.append(1) or connect(*given, **named))
    chat = store.create("ann", "default")
    store.begin(chat.id, "why?")
    with pytest.raises(StoreError), store._home.write() as db:
        db.run("SELECT no_such_column")
    assert len(store.of("ann")) == len(store.turns(chat.id)) == 1
    assert store.get("ann", chat.id)
    assert len(opened) == 2  # the one that failed is not used again


@pytest.mark.sqlite
def test_a_file_that_was_replaced_is_opened_anew(store: ChatStore, tmp_path: Path) -> None:
    store.create("ann", "default")
    for file in (tmp_path / "home").iterdir():
        file.rename(tmp_path / file.name)
    assert store.of("ann") == []
    store.create("bob", "default")
    assert store.of("ann") == []
    assert len(store.of("bob")) == 1


def test_a_closed_store_opens_again(store: ChatStore) -> None:
    store.create("ann", "default")
    store.close()
    assert len(store.of("ann")) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_opens_its_own_connection(store: ChatStore) -> None:
    store.create("ann", "default")
    child = os.fork()
    if not child:
        store.create("bob", "default")
        os._exit(0 if len(store.of("ann")) == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(store.of("bob")) == 1
    if isinstance(store._home, LocalHome):
        assert sorted(store._home._idle) == [os.getpid()]


def test_a_hidden_conversation_comes_back_until_it_is_deleted(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    store.hide(chat.id)
    assert (store.of("ann"), store.get("ann", chat.id)) == ([], None)
    assert store.hidden_before("9999") == [chat.id]
    assert store.hidden_before("1999") == []
    store.hide(chat.id, False)
    assert [one.id for one in store.of("ann")] == [chat.id]
    assert store.hidden_before("9999") == []


def test_a_thumb_down_keeps_its_reason_and_is_listed_for_its_owner(store: ChatStore) -> None:
    chat = store.create("ann", "default")
    turn, other = store.begin(chat.id, "Which pump?"), store.begin(chat.id, "Which tide?")
    store.rate(chat.id, turn, -1, "The page is wrong.")
    store.rate(chat.id, other, 1)
    (bad,) = store.rated_bad(chat.kb)
    assert (bad.owner, bad.question, bad.reason) == ("ann", "Which pump?", "The page is wrong.")
    assert store.rated_bad("another") == []
    store.rate(chat.id, turn, 0)
    assert store.rated_bad(chat.kb) == []


@pytest.mark.sqlite
def test_a_file_of_before_is_read_and_gets_what_it_lacks(store: ChatStore, tmp_path: Path) -> None:
    chat = store.create("ann", "default")
    turn = store.begin(chat.id, "Which pump?")
    store.close()
    file = tmp_path / "home" / "chats.sqlite"
    with closing(sqlite3.connect(file)) as db:
        db.execute("ALTER TABLE turns DROP COLUMN reason")
        db.execute("ALTER TABLE turns DROP COLUMN stopping")
        db.execute("ALTER TABLE chats DROP COLUMN deleted_at")
    again = ChatStore(file)
    assert [one.question for one in again.turns(chat.id)] == ["Which pump?"]
    again.rate(chat.id, turn, -1, "Wrong.")
    assert again.rated_bad("default")[0].reason == "Wrong."


def test_an_answer_of_another_process_is_seen_and_told_to_stop(store: ChatStore, tmp_path: Path) -> None:
    chat = store.create("ann", "default")
    code = (
        "import pathlib, sys, time; from kb_assistant.workspace.chats import ChatStore;"
        "from tests.stores import home_of;"
        "store = ChatStore(home_of(pathlib.Path(sys.argv[1]))); turn = store.begin(sys.argv[2], 'why?')\n"
        "while not store.save(turn, 'Because', 'answering', {}): time.sleep(0.05)\n"
        "store.save(turn, 'Because', 'stopped', {})"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "home"), chat.id])
    own = store.begin(chat.id, "Which tide?")
    queue = AnswerQueue(store)
    until(lambda: bool(queue.everywhere(chat.id)) or other.poll() is not None)
    [seen] = queue.everywhere(chat.id)
    assert (seen.question, seen.turn != own) == ("why?", True)
    seen.stop()
    assert other.wait(PATIENCE) == 0
    assert queue.everywhere(chat.id) == ()
    assert sorted((turn.question, turn.state) for turn in store.turns(chat.id)) == [
        ("Which tide?", "answering"), ("why?", "stopped"),
    ]  # fmt: skip
