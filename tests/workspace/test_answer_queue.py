"""Answers in threads: saved as they grow, stopped by whoever wants, in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.workspace.answer_queue import Answering
from kb_assistant.workspace.chats import ChatStore
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.waiting import PATIENCE, until

TEXT = "# Pump\n\nThe pump of the station is red and weighs nine kilograms.\n"


@pytest.fixture
def gate() -> threading.Event:
    """The model says its last words once this is set."""
    return threading.Event()


@pytest.fixture
def base(tmp_path: Path, gate: threading.Event) -> Iterator[KnowledgeBase]:
    def wait() -> None:
        gate.wait(PATIENCE)

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
    monkeypatch.setattr("kb_assistant.workspace.answer_queue.SAVED_EVERY_S", 0)
    chat = answering.chats.create("ann", "default").id
    answering.ask(base, chat, "What colour is the pump?")
    until(lambda: answering.chats.turns(chat)[0].answer == "The pump is red")
    assert answering.chats.turns(chat)[0].state == "answering"
    gate.set()
    until(lambda: not answering.running(chat))
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
    (running,) = answering.running(chat)
    until(lambda: running.text == "The pump is red")
    running.stop()
    gate.set()
    until(lambda: not answering.running(chat))
    (turn,) = answering.chats.turns(chat)
    assert turn.state == "stopped"
    assert turn.answer.startswith("The pump is red")
    assert "kilograms" not in turn.answer
    answering.ask(base, chat, "And its weight?")
    until(lambda: not answering.running(chat))
    model: Any = base.chat_model
    assert "The pump is red" in str(model.prompts[-1])


def test_questions_of_a_conversation_are_answered_one_after_another(
    answering: Answering, base: KnowledgeBase, gate: threading.Event
) -> None:
    one, other = (answering.chats.create("ann", "default").id for _ in range(2))
    answering.ask(base, one, "What colour is the pump?")
    answering.ask(base, one, "And its weight?")
    assert [running.stage for running in answering.running(one)][1:] == ["queued"]
    assert [turn.question for turn in answering.chats.turns(one)] == [
        "What colour is the pump?",
        "And its weight?",
    ]
    answering.ask(base, other, "What colour is the pump?")
    until(lambda: answering.running(other)[0].text == "The pump is red")
    assert answering.running(one)[1].text == ""
    gate.set()
    until(lambda: not answering.running(one) and not answering.running(other))
    assert [turn.state for turn in answering.chats.turns(one)] == ["done", "done"]
    model: Any = base.chat_model
    assert "weighs nine kilograms" in str(model.prompts[-1])
    assert len(model.prompts) == 3


def test_a_queued_question_can_be_taken_back_and_the_one_behind_it_is_answered(
    answering: Answering, base: KnowledgeBase, gate: threading.Event
) -> None:
    chat = answering.chats.create("ann", "default").id
    for question in ("What colour is the pump?", "And its weight?", "Where is the pump?"):
        answering.ask(base, chat, question)
    first, second, third = answering.running(chat)
    second.stop()
    until(lambda: answering.running(chat) == (first, third))
    assert third.stage == "queued"
    gate.set()
    until(lambda: not answering.running(chat))
    assert [turn.state for turn in answering.chats.turns(chat)] == ["done", "stopped", "done"]


def test_an_error_is_kept_in_words(tmp_path: Path, answering: Answering) -> None:
    missing = KnowledgeBase(Settings(home=tmp_path / "nowhere"))
    missing.__dict__["embedder"] = HashEmbeddings()
    chat = answering.chats.create("ann", "default").id
    answering.ask(missing, chat, "Anything?")
    until(lambda: not answering.running(chat))
    (turn,) = answering.chats.turns(chat)
    assert turn.state == "failed"
    assert "no knowledge base" in turn.reply["error"]


def test_it_waits_for_what_must_be_there_first(
    answering: Answering, base: KnowledgeBase, gate: threading.Event
) -> None:
    gate.set()
    ready = threading.Event()
    chat = answering.chats.create("ann", "default").id
    answering.ask(base, chat, "What colour is the pump?", after=lambda: ready.wait(PATIENCE))
    (running,) = answering.running(chat)
    assert running.stage == "waiting"
    ready.set()
    until(lambda: not answering.running(chat))
    assert answering.chats.turns(chat)[0].state == "done"


def test_a_stop_is_heard_while_it_waits_and_nothing_is_searched(
    answering: Answering, base: KnowledgeBase, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.set()
    ready, searched = threading.Event(), []
    ask = base.ask
    monkeypatch.setattr(base, "ask", lambda *given, **named: searched.append(given[0]) or ask(*given, **named))
    chat = answering.chats.create("ann", "default").id
    answering.ask(base, chat, "What colour is the pump?", after=lambda: ready.wait(PATIENCE))
    answering.ask(base, chat, "And its weight?")
    first, _ = answering.running(chat)
    until(lambda: first.stage == "waiting")
    first.stop()
    until(lambda: not answering.running(chat))
    assert not ready.is_set()
    ready.set()
    assert [turn.state for turn in answering.chats.turns(chat)] == ["stopped", "done"]
    assert searched == ["And its weight?"]


def test_what_goes_wrong_while_it_waits_is_kept_in_words(answering: Answering, base: KnowledgeBase) -> None:
    def fail() -> None:
        raise StoreError("The disk is full.", "Free some space.")

    chat = answering.chats.create("ann", "default").id
    answering.ask(base, chat, "What colour is the pump?", after=fail)
    until(lambda: not answering.running(chat))
    (turn,) = answering.chats.turns(chat)
    assert (turn.state, turn.reply["error"]) == ("failed", "The disk is full.")
