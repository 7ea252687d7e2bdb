"""Sentences of the prompt are left out of answers, however the text comes in, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.answering.instructions import EchoFilter, instructions_in

TOLD = "Some passages are in another language: answer in the language of the question.\n请用中文回答。"


def filtered(text: str, sizes: list[int], told: str = TOLD) -> str:
    echo = EchoFilter(instructions_in(told, ["What is it?"]))
    shown, place = "", 0
    for size in sizes:
        shown += echo.feed(text[place : place + size])
        place += size
    return shown + echo.feed(text[place:]) + echo.finish()


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Answer in the language of the question.", ""),
        ("  “answer  in the Language of the question”  [1]. It is white [2].", "It is white [2]."),
        (
            "It is white. Some passages are in another language. [1] [2] It flashes [1].",
            "It is white. It flashes [1].",
        ),
        ("Some passages are in another language: answer in the language of the question.\n\nYes.", "Yes."),
        ("请用中文回答。水泵在北厅[1]。", "水泵在北厅[1]。"),
        ("水泵在北厅[1]。请用中文回答[2]。", "水泵在北厅[1]。"),
        ("Some passages are in another language: answer in the la", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_echo_is_left_out(answer: str, shown: str, size: int) -> None:
    assert filtered(answer, [size] * 200).strip() == shown


@given(
    st.text(st.sampled_from("aA .!?。\n[1]:请用中文回答somepag"), max_size=60),
    st.lists(st.integers(1, 7), max_size=30),
)
def test_any_other_text_passes_unchanged(text: str, sizes: list[int]) -> None:
    told = "No answer has this sentence by chance."
    assert filtered(text, sizes, told) == text


@pytest.mark.parametrize(
    "answer",
    ["Some passages are in German.", "It is. Answer in writing.", "中文。", "Answer: 5 [1].", "3.5 e.g. x"],
)
def test_what_only_begins_like_an_instruction_stays(answer: str) -> None:
    assert filtered(answer, [2] * 50) == answer


def test_text_streams_once_it_can_be_no_instruction() -> None:
    echo = EchoFilter(instructions_in(TOLD, []))
    assert echo.feed("Some") == ""
    assert echo.feed(" people") == "Some people"
    assert echo.feed(" say so") == " say so"


def test_what_a_passage_or_the_question_says_is_no_echo() -> None:
    passage = "The sign said: Answer in the language of the question."
    assert "answerinthelanguageofthequestion" not in instructions_in(TOLD, [passage])
