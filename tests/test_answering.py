"""Answers in threads: saved as they grow, stopped by whoever wants, one a conversation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.answering import Answering
from kb_assistant.chats import ChatStore
from kb_assistant.errors import KBError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings, ScriptedChat

TEXT = "# Pump\n\nThe pump of the station is red and weighs nine kilograms.\n"


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@pytest.fixture
def gate() -> threading.Event:
    """The model says its last words once this is set."""
    return threading.Event()


@pytest.fixture
def base(tmp_path: Path, gate: threading.Event) -> Iterator[KnowledgeBase]:
    def wait() -> None:
        gate.wait(20)

    model = ScriptedChat(pieces=["The pump is red", wait, " and", " weighs", " nine kilograms."])
    embedder: Any = HashEmbeddings()
    (tmp_path / "pump.md").write_text(TEXT)
    with KnowledgeBase(Settings(home=tmp_path / "home", readers=1), embedder=embedder, chat_model=model) as opened:
        opened.ingest(tmp_path / "pump.md")
        yield opened


@pytest.fixture
def answering(base: KnowledgeBase) -> Answering:
    return Answering(ChatStore(base.settings.home / "chats.sqlite"))


def test_an_answer_is_saved_as_it_grows_and_in_full(
    answering: Answering, base: KnowledgeBase, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb_assistant.answering.SAVED_EVERY_S", 0)
    chat = answering.chats.create("ann", "default").id
    answering.ask(base, chat, "What colour is the pump?")
    until(lambda: answering.chats.turns(chat)[0].answer == "The pump is red")
    assert answering.chats.turns(chat)[0].state == "answering"
    gate.set()
    until(lambda: answering.running(chat) is None)
    (turn,) = answering.chats.turns(chat)
    assert turn.state == "done"
    assert turn.answer == "The pump is red and weighs nine kilograms. [1]"
    assert turn.hits[0].text.startswith("The pump of the station")
    assert turn.reply["seconds"]["total"] >= turn.reply["seconds"]["found"] >= 0


def test_a_stop_keeps_what_was_said_and_the_next_question_knows_it(
    answering: Answering, base: KnowledgeBase, gate: threading.Event
) -> None:
    chat = answering.chats.create("ann", "default").id
    answering.ask(base, chat, "What colour is the pump?")
    running = answering.running(chat)
    assert running is not None
    until(lambda: running.text == "The pump is red")
    running.stop()
    gate.set()
    until(lambda: answering.running(chat) is None)
    (turn,) = answering.chats.turns(chat)
    assert turn.state == "stopped"
    assert turn.answer.startswith("The pump is red")
    assert "kilograms" not in turn.answer
    answering.ask(base, chat, "And its weight?")
    until(lambda: answering.running(chat) is None)
    model: Any = base.chat_model
    assert "The pump is red" in str(model.prompts[-1])


def test_one_question_at_a_time_in_a_conversation(
    answering: Answering, base: KnowledgeBase, gate: threading.Event
) -> None:
    one, other = (answering.chats.create("ann", "default").id for _ in range(2))
    answering.ask(base, one, "What colour is the pump?")
    with pytest.raises(KBError, match="waits"):
        answering.ask(base, one, "And its weight?")
    answering.ask(base, other, "What colour is the pump?")
    gate.set()
    until(lambda: answering.running(one) is None and answering.running(other) is None)


def test_an_error_is_kept_in_words(tmp_path: Path, answering: Answering) -> None:
    missing = KnowledgeBase(Settings(home=tmp_path / "nowhere"))
    missing.__dict__["embedder"] = HashEmbeddings()
    chat = answering.chats.create("ann", "default").id
    answering.ask(missing, chat, "Anything?")
    until(lambda: answering.running(chat) is None)
    (turn,) = answering.chats.turns(chat)
    assert turn.state == "failed"
    assert "no knowledge base" in turn.reply["error"]


def test_it_waits_for_what_must_be_there_first(
    answering: Answering, base: KnowledgeBase, gate: threading.Event
) -> None:
    gate.set()
    ready = threading.Event()
    chat = answering.chats.create("ann", "default").id
    answering.ask(base, chat, "What colour is the pump?", after=lambda: ready.wait(20))
    running = answering.running(chat)
    assert running is not None
    assert running.stage == "waiting"
    ready.set()
    until(lambda: answering.running(chat) is None)
    assert answering.chats.turns(chat)[0].state == "done"
