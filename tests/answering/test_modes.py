"""Who answers where the documents hold nothing: nobody, or the model by itself, and that it says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import ModelError, QuestionError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.text.wording import CHINESE, ENGLISH
from kb_assistant.types import Turn
from tests.fakes import HashEmbeddings, ScriptedChat

HELD = "Who founded the cooperative in 1962?"
NOT_HELD = "Whereabouts unknown zebra?"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modes")
    (folder / "tower.md").write_text("# Tower\n\nThe tower is 34 metres high. Its lamp flashes white.\n")
    (folder / "founder.md").write_text("# Founder\n\nThe cooperative was founded by Alasdair Munn in 1962.\n")
    (folder / "鸟.md").write_text("# 参观\n\n观鸟塔周三至周日6:30至11:30开放。\n", encoding="utf-8")
    with KnowledgeBase(Settings(home=folder / "home", readers=1), embedder=HashEmbeddings()) as base:  # type: ignore[arg-type]
        base.ingest([folder / name for name in ("tower.md", "founder.md", "鸟.md")])
    return folder / "home"


def opened(home: Path, chat: Any, **settings: Any) -> KnowledgeBase:
    embedder: Any = HashEmbeddings()
    options: dict[str, Any] = {"refuse_below": 0.5, "uncertain_below": 0.5, **settings}
    return KnowledgeBase(Settings(home=home, **options), embedder=embedder, chat_model=chat)


def said(*pieces: str, **more: Any) -> ScriptedChat:
    return ScriptedChat(pieces=list(pieces), full_answers=True, native_history=True, **more)


def test_by_default_the_documents_alone_answer(home: Path) -> None:
    model = said("never")
    with opened(home, model) as base:
        reply = base.ask(NOT_HELD)
        assert (reply.answer, reply.refused, reply.origin) == (ENGLISH.refusal, True, "none")
    assert model.prompts == []


def test_documents_first_lets_the_model_answer_what_they_do_not_hold_and_marks_it(home: Path) -> None:
    model = said("Zebras live in Africa [1].")
    with opened(home, model, answers="documents-first") as base:
        reply = base.ask(NOT_HELD)
        assert (reply.answer, reply.refused, reply.origin) == ("Zebras live in Africa [1].", False, "model")
        assert "the model answers by itself" in reply.note
        assert (reply.citations, reply.hits) == ((), ()), "a number that points nowhere is text"
        told = reply.to_json()
    assert (told["origin"], told["refused"], told["citations"], told["hits"]) == ("model", False, [], [])
    assert [message.text for message in model.prompts[0]] == [NOT_HELD]


def test_documents_first_answers_from_the_documents_what_they_hold(home: Path) -> None:
    with opened(home, said("Alasdair Munn founded it [1]."), answers="documents-first") as base:
        reply = base.ask(HELD)
        assert (reply.answer, reply.origin, reply.note) == ("Alasdair Munn founded it [1].", "documents", "")
        assert [citation.n for citation in reply.citations] == [1]


def test_a_plain_chat_searches_nothing_and_keeps_the_thread(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = said("Hello.")
    with opened(home, model, answers="model") as base:
        chain = base.as_chain()
        monkeypatch.setattr(chain, "_searcher", None)
        whole = chain.invoke({"question": HELD, "history": [Turn("Hi", "Good day.")]})
    assert (whole["answer"], whole["origin"], whole["hits"]) == ("Hello.", "model", ())
    assert [message.text for message in model.prompts[0]] == ["Hi", "Good day.", HELD]


def test_a_question_may_ask_for_another_mode_than_the_setting(home: Path) -> None:
    with opened(home, said("By myself.")) as base:
        assert base.ask(HELD, answers="model").origin == "model"
        assert base.ask(HELD).origin == "documents"
        with pytest.raises(QuestionError, match="answers = 'me' is not possible") as caught:
            base.ask(HELD, answers="me")
    assert "documents-first or model" in caught.value.hint


def test_quotes_can_not_answer_without_documents_and_say_what_to_do(home: Path) -> None:
    with opened(home, None, model="extract", answers="documents-first") as base:
        assert "Alasdair Munn" in base.ask(HELD).answer
        reply = base.ask(NOT_HELD)
        assert (reply.answer, reply.refused, reply.origin) == (ENGLISH.refusal, True, "none")
        assert "No chat model is in use" in reply.note
        assert "kb models list" in reply.note
        with pytest.raises(ModelError, match="No chat model is in use") as caught:
            base.ask(HELD, answers="model")
    assert "answers = documents" in caught.value.hint


def test_a_model_is_not_asked_for_a_language_that_it_does_not_speak(home: Path) -> None:
    model = said("never", languages=("en",))
    with opened(home, model, answers="documents-first") as base:
        reply = base.ask("斑马怎么样啊？")
        assert reply.answer == CHINESE.refusal
        assert "can't answer in Chinese" in reply.note
        with pytest.raises(ModelError, match="can't answer in Chinese"):
            base.ask("斑马怎么样啊？", answers="model")
    assert model.prompts == []


def test_the_prompt_can_be_seen_and_nothing_is_asked(home: Path) -> None:
    model = said("never")
    role = "You keep the lighthouse."
    with opened(home, model, role=role, answer_length="long", answer_language="de") as base:
        (message,) = base.ask(HELD).prompt
        assert message.text.startswith(role)
        for part in ("Munn", ENGLISH.lengths["long"], "Answer in German.", HELD):
            assert part in message.text
        assert base.ask(NOT_HELD).prompt == ()
        (alone,) = base.ask(NOT_HELD, answers="documents-first").prompt
        assert "Munn" not in alone.text
    with opened(home, None, model="extract") as base:
        assert base.ask(HELD).prompt == ()
    assert model.prompts == []


def test_a_cut_answer_says_so_and_goes_on(home: Path) -> None:
    first, second, third = (
        said("The cooperative was founded", finish="length"),
        said("by Alasdair Munn [1]. That", finish="MAX_TOKENS"),
        said(" was in 1962 [1].", finish="stop"),
    )
    with opened(home, first, refuse_below=0.0) as base:
        reply = base.ask(HELD)
        assert (reply.cut, reply.turn.cut, reply.to_json()["cut"]) == (True, True, True)
        history = [Turn("Hi", "Good day."), reply.turn]
    with opened(home, second, refuse_below=0.0) as base:
        reply = base.ask("Continue", history)
        assert reply.cut
        assert [citation.n for citation in reply.citations] == [1], "it cites what the question found"
        history.append(reply.turn)
    with opened(home, third, refuse_below=0.0) as base:
        reply = base.ask("go on, please", history)
        assert (reply.answer, reply.cut) == ("was in 1962 [1].", False)
    *_, question, begun, go_on = third.prompts[0]
    assert question.text.endswith(HELD)
    assert "Alasdair Munn" in question.text
    assert begun.text.startswith("The cooperative was founded")
    assert begun.text.endswith("by Alasdair Munn [1]. That")
    assert go_on.text == ENGLISH.go_on


def test_a_stopped_answer_goes_on_in_the_same_mode(home: Path) -> None:
    model = said("斑马", "生活在非洲")
    with opened(home, model, answers="documents-first") as base:
        reply = base.ask("斑马怎么样啊？")
        reply.stop()
        assert (reply.answer, reply.turn.cut) == ("斑马", True)
        rest = base.ask("继续", [reply.turn])
        assert (rest.origin, rest.cut) == ("model", False)
    assert [message.text for message in model.prompts[1]] == ["斑马怎么样啊？", "斑马", CHINESE.go_on]


def test_without_a_cut_answer_continue_is_a_question(home: Path) -> None:
    model = said("Well.")
    with opened(home, model, refuse_below=0.0) as base:
        _ = base.ask("continue", [Turn(HELD, "34 metres.")]).answer
    assert ENGLISH.go_on not in model.prompts[0][-1].text


def test_a_sentence_of_the_prompt_does_not_come_back(home: Path) -> None:
    echo = f"{ENGLISH.foreign} {ENGLISH.short_task}"
    small = ScriptedChat(pieces=[*echo, " Munn ", "founded it", " [1]."])
    with opened(home, small) as base:
        reply = base.ask(HELD)
        assert any("观鸟塔" in hit.text for hit in reply.hits), "documents in both languages"
        pieces = list(reply)
        assert len(pieces) > 1
        assert "".join(pieces).strip() == reply.answer == "Munn founded it [1]."


@pytest.mark.parametrize("cut", [0, 10])
def test_where_nothing_else_is_said_it_is_quoted(home: Path, cut: int) -> None:
    small = ScriptedChat(pieces=[ENGLISH.short_task[: len(ENGLISH.short_task) - cut]])
    with opened(home, small) as base:
        reply = base.ask(HELD)
        assert "founded by Alasdair Munn in 1962. [1]" in reply.answer
        assert ENGLISH.short_task[:30] not in reply.answer
        assert [citation.supported for citation in reply.citations] == [True]


def test_without_passages_it_is_said_that_nothing_was_answered(home: Path) -> None:
    small = ScriptedChat(pieces=[ENGLISH.short_alone])
    with opened(home, small, answers="model") as base:
        assert base.ask(HELD).answer == ENGLISH.unsaid
