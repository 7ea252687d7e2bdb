"""A prompt that goes on: what stood in the last one is repeated word for word, and only what is new follows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from kb_assistant.answering.continued import standing
from kb_assistant.answering.prompts import PromptForm
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.types import Hit, Locator, Turn
from kb_assistant.workspace.chats import SavedTurn
from tests.chatglm2_data import TINY_INT4
from tests.fakes import HashEmbeddings, ScriptedChat

ROUNDS = PromptForm(native_history=True, full_answers=True)
LIGHTS = ("The pier light shines red for {n} seconds, and then it rests. " * 6, "pier{n}.md")


def hit(name: str, text: str = "") -> Hit:
    return Hit(id=name, text=text or f"Text of {name}.", source=f"/docs/{name}.md", locator=Locator(), score=1.0)


FIVE = tuple(hit(name) for name in "abcde")
ASKED = Turn("Why?", "Because of b [2].", shown=FIVE)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    text, name = LIGHTS
    for n in range(1, 9):
        (tmp_path / name.format(n=n)).write_text(f"# Pier {n}\n\n{text.format(n=n)}\n", encoding="utf-8")
    with opened(tmp_path, ScriptedChat(pieces=[])) as base:
        base.ingest(sorted(tmp_path.glob("*.md")))
    return tmp_path


def opened(folder: Path, model: Any, **settings: Any) -> KnowledgeBase:
    embedder: Any = HashEmbeddings()
    options: dict[str, Any] = {"refuse_below": 0, "uncertain_below": 0, "k": 5, "readers": 1} | settings
    return KnowledgeBase(Settings(home=folder / "home", **options), embedder=embedder, chat_model=model)


def large(*answers: str) -> ScriptedChat:
    return ScriptedChat(pieces=[*answers], native_history=True, full_answers=True)


def told(messages: list[BaseMessage]) -> list[str]:
    return [str(message.text) for message in messages]


@pytest.mark.parametrize(
    ("found", "numbers"),
    [
        ("abcde", "abcde"),
        ("edcba", "abcde"),
        ("fabcd", "abcdef"),
        ("fagbc", "abcdefg"),
        ("fghab", ""),
        ("fghij", ""),
        ("ab", "" ),
    ],
)  # fmt: skip
def test_passages_found_again_keep_their_numbers_and_new_ones_follow(found: str, numbers: str) -> None:
    assert "".join(one.id for one in standing([hit(name) for name in found], [ASKED], ROUNDS)) == numbers


def test_a_prompt_begins_anew_for_small_models_templates_and_histories_of_text_alone() -> None:
    assert standing(FIVE, [ASKED], replace(ROUNDS, native_history=False)) == ()
    assert standing(FIVE, [ASKED], replace(ROUNDS, template="{passages}\n{question}")) == ()
    assert standing(FIVE, [replace(ASKED, shown=())], ROUNDS) == ()
    assert standing(FIVE, [], ROUNDS) == ()


def test_each_prompt_begins_with_the_last_one_and_its_answer(home: Path) -> None:
    model = large("It is red [1].")
    with opened(home, model) as base:
        turns: list[Turn] = []
        for question in (
            "How long does the light of pier 1 shine?",
            "And the light of pier 1 rests?",
            "And which light is at pier 2?",
        ):
            reply = base.ask(question, history=turns)
            assert reply.answer == "It is red [1]."
            assert [one.hit for one in reply.citations] == [reply.hits[0]]
            turns.append(reply.turn)
    first, second, third = map(told, model.prompts)
    assert second[: len(first)] == first
    assert third[: len(second)] == second
    assert second[1] == "It is red [1]."
    numbers = [f"[{n}] {Path(one.source).name}" for n, one in enumerate(turns[-1].shown, start=1)]
    assert all("\n".join(third).count(number) == 1 for number in numbers)
    assert len({one.id for one in turns[-1].shown}) == len(turns[-1].shown)


def test_what_is_no_longer_in_the_documents_or_not_wanted_is_not_repeated(home: Path) -> None:
    model = large("It is red [1].")
    with opened(home, model) as base:
        turn = base.ask("How long does the light of pier 1 shine?").turn
        gone = Path(turn.shown[-1].source)
        assert base.ask("And pier 1 rests?", history=[turn], where=[f"path={turn.shown[0].source}"]).answer
        assert len(model.prompts[-1]) == 3
        assert gone.name not in "\n".join(told(model.prompts[-1]))
        base.remove([gone])
        assert base.ask("And the light of pier 1 rests?", history=[turn]).answer
    assert gone.name not in "\n".join(told(model.prompts[-1]))


def test_a_conversation_that_was_kept_goes_on_as_well(home: Path) -> None:
    with opened(home, large("It is red [1].")) as base:
        reply = base.ask("How long does the light of pier 1 shine?")
        saved = SavedTurn(1, "chat", "", reply.question, reply.answer, "done", reply.to_json())
    assert [one.id for one in saved.turn.shown] == [one.id for one in reply.turn.shown] != []
    alone = {**reply.to_json(), "origin": "model"}
    assert replace(saved, reply=alone).turn.shown == ()


@pytest.mark.engine
def test_the_engine_reads_only_what_is_new(home: Path) -> None:
    from kb_assistant.llm.torch_chat import TorchChat

    chat = TorchChat(folder=TINY_INT4, temperature=0, max_tokens=16, context_tokens=8192, device="cpu")
    with opened(home, chat) as base:
        first = base.ask("How long does the light of pier 1 shine?")
        second = base.ask("And how long does the light of pier 2 shine?", history=[first.turn])
        read = [reply.usage.prompt_tokens - (reply.usage.reused_tokens or 0) for reply in (first, second)]
    assert len({one.id for one in first.hits} & {one.id for one in second.hits[:5]}) >= 4
    assert read[1] <= 0.35 * read[0], read
