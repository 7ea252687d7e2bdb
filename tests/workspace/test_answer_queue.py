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
from kb_assistant.workspace.answer_queue import AnswerQueue
from kb_assistant.workspace.chats import ChatStore
from kb_assistant.workspace.jobs import Reading
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
def answers(base: KnowledgeBase) -> AnswerQueue:
    return AnswerQueue(ChatStore(base.settings.home / "chats.sqlite"))


def test_an_answer_is_saved_as_it_grows_and_in_full(
    answers: AnswerQueue, base: KnowledgeBase, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb_assistant.workspace.answer_queue.SAVED_EVERY_S", 0)
    chat = answers.chats.create("ann", "default").id
    answers.ask(base, chat, "What colour is the pump?")
    until(lambda: answers.chats.turns(chat)[0].answer == "The pump is red")
    assert answers.chats.turns(chat)[0].state == "answering"
    gate.set()
    until(lambda: not answers.running(chat))
    (turn,) = answers.chats.turns(chat)
    assert turn.state == "done"
    assert turn.answer == "The pump is red and weighs nine kilograms. [1]"
    assert turn.hits[0].text.startswith("The pump of the station")
    assert turn.reply["seconds"]["total"] >= turn.reply["seconds"]["found"] >= 0
    assert turn.reply["prompted"]
    prompt = answers.chats.prompt(chat, turn.id)
    assert prompt.startswith("--- user\n")
    assert "The pump of the station" in prompt
    assert "What colour is the pump?" in prompt
    assert answers.chats.prompt("another", turn.id) == ""
    answers.chats.delete(chat)
    assert answers.chats.prompt(chat, turn.id) == ""


def test_a_stop_keeps_what_was_said_and_the_next_question_knows_it(
    answers: AnswerQueue, base: KnowledgeBase, gate: threading.Event
) -> None:
    chat = answers.chats.create("ann", "default").id
    answers.ask(base, chat, "What colour is the pump?")
    (running,) = answers.running(chat)
    until(lambda: running.text == "The pump is red")
    running.stop()
    gate.set()
    until(lambda: not answers.running(chat))
    (turn,) = answers.chats.turns(chat)
    assert turn.state == "stopped"
    assert turn.answer.startswith("The pump is red")
    assert "kilograms" not in turn.answer
    answers.ask(base, chat, "And its weight?")
    until(lambda: not answers.running(chat))
    model: Any = base.chat_model
    assert "The pump is red" in str(model.prompts[-1])


def test_questions_of_a_conversation_are_answered_one_after_another(
    answers: AnswerQueue, base: KnowledgeBase, gate: threading.Event
) -> None:
    one, other = (answers.chats.create("ann", "default").id for _ in range(2))
    answers.ask(base, one, "What colour is the pump?")
    answers.ask(base, one, "And its weight?")
    assert [running.stage for running in answers.running(one)][1:] == ["queued"]
    assert [turn.question for turn in answers.chats.turns(one)] == [
        "What colour is the pump?",
        "And its weight?",
    ]
    answers.ask(base, other, "What colour is the pump?")
    until(lambda: answers.running(other)[0].text == "The pump is red")
    assert answers.running(one)[1].text == ""
    gate.set()
    until(lambda: not answers.running(one) and not answers.running(other))
    assert [turn.state for turn in answers.chats.turns(one)] == ["done", "done"]
    model: Any = base.chat_model
    assert "weighs nine kilograms" in str(model.prompts[-1])
    assert len(model.prompts) == 3


def test_a_queued_question_can_be_taken_back_and_the_one_behind_it_is_answered(
    answers: AnswerQueue, base: KnowledgeBase, gate: threading.Event
) -> None:
    chat = answers.chats.create("ann", "default").id
    for question in ("What colour is the pump?", "And its weight?", "Where is the pump?"):
        answers.ask(base, chat, question)
    first, second, third = answers.running(chat)
    second.stop()
    until(lambda: answers.running(chat) == (first, third))
    assert third.stage == "queued"
    gate.set()
    until(lambda: not answers.running(chat))
    assert [turn.state for turn in answers.chats.turns(chat)] == ["done", "stopped", "done"]


def test_an_error_is_kept_in_words(tmp_path: Path, answers: AnswerQueue) -> None:
    missing = KnowledgeBase(Settings(home=tmp_path / "nowhere"))
    missing.__dict__["embedder"] = HashEmbeddings()
    chat = answers.chats.create("ann", "default").id
    answers.ask(missing, chat, "Anything?")
    until(lambda: not answers.running(chat))
    (turn,) = answers.chats.turns(chat)
    assert turn.state == "failed"
    assert "no knowledge base" in turn.reply["error"]


def test_it_waits_for_what_must_be_there_first(
    answers: AnswerQueue, base: KnowledgeBase, gate: threading.Event
) -> None:
    gate.set()
    ready = threading.Event()
    chat = answers.chats.create("ann", "default").id
    answers.ask(base, chat, "What colour is the pump?", after=lambda: ready.wait(PATIENCE))
    (running,) = answers.running(chat)
    assert running.stage == "waiting"
    ready.set()
    until(lambda: not answers.running(chat))
    assert answers.chats.turns(chat)[0].state == "done"


def test_a_stop_is_heard_while_it_waits_and_nothing_is_searched(
    answers: AnswerQueue, base: KnowledgeBase, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.set()
    ready, searched = threading.Event(), []
    ask = base.ask
    monkeypatch.setattr(base, "ask", lambda *given, **named: searched.append(given[0]) or ask(*given, **named))
    chat = answers.chats.create("ann", "default").id
    answers.ask(base, chat, "What colour is the pump?", after=lambda: ready.wait(PATIENCE))
    answers.ask(base, chat, "And its weight?")
    first, _ = answers.running(chat)
    until(lambda: first.stage == "waiting")
    first.stop()
    until(lambda: not answers.running(chat))
    assert not ready.is_set()
    ready.set()
    assert [turn.state for turn in answers.chats.turns(chat)] == ["stopped", "done"]
    assert searched == ["And its weight?"]


def test_an_answer_keeps_what_was_not_read_when_it_was_searched(
    answers: AnswerQueue, base: KnowledgeBase, gate: threading.Event
) -> None:
    gate.set()
    chat = answers.chats.create("ann", "default").id
    answers.ask(base, chat, "What colour is the pump?", reading=lambda: Reading(3, 13))
    answers.ask(base, chat, "What colour is the pump?", reading=lambda: None)
    until(lambda: not answers.running(chat))
    first, second = answers.chats.turns(chat)
    assert first.reply["reading"] == {"files": 3, "all_files": 13}
    assert "reading" not in second.reply


def test_what_goes_wrong_while_it_waits_is_kept_in_words(answers: AnswerQueue, base: KnowledgeBase) -> None:
    def fail() -> None:
        raise StoreError("The disk is full.", "Free some space.")

    chat = answers.chats.create("ann", "default").id
    answers.ask(base, chat, "What colour is the pump?", after=fail)
    until(lambda: not answers.running(chat))
    (turn,) = answers.chats.turns(chat)
    assert (turn.state, turn.reply["error"]) == ("failed", "The disk is full.")


def test_the_name_of_before_still_works() -> None:
    import kb_assistant

    with pytest.warns(DeprecationWarning, match="AnswerQueue"):
        assert kb_assistant.Answering is AnswerQueue
