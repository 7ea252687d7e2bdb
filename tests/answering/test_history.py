"""When a turn asks for the rest of an answer, and what that answer is."""

from __future__ import annotations

import pytest

from kb_assistant.answering.history import Unfinished, asks_to_go_on, history_from, unfinished
from kb_assistant.types import Turn

GO_ON = (
    "continue|Continue.|please go on|keep going please|Continue where you stopped|继续|请继续！"
    "|接着说|繼續|好的，继续写吧|往下说"
)


@pytest.mark.parametrize("turn", GO_ON.split("|"))
def test_these_ask_for_the_rest(turn: str) -> None:
    assert asks_to_go_on(turn)


@pytest.mark.parametrize(
    "turn",
    [
        "",
        "Should I continue the treatment?",
        "continue to the lighthouse",
        "继续教育是什么？",
        "why?",
        "接着是谁？",
    ],
)
def test_these_do_not(turn: str) -> None:
    assert not asks_to_go_on(turn)


def test_an_answer_over_several_turns_is_one() -> None:
    first, cut, again = Turn("Who?", "Ada."), Turn("Why?", "Because", cut=True), Turn("go on", "it is", cut=True)
    assert unfinished("continue", [first, cut, again]) == Unfinished("Why?", "Because it is", (first,))
    chinese = [Turn("为什么？", "因为水", cut=True), Turn("继续", "位低", cut=True)]
    assert unfinished("继续", chinese) == Unfinished("为什么？", "因为水位低", ())


def test_only_a_cut_answer_has_a_rest() -> None:
    assert unfinished("continue", []) is None
    assert unfinished("continue", [Turn("Why?", "Because.")]) is None
    assert unfinished("and when?", [Turn("Why?", "Because", cut=True)]) is None


def test_messages_may_say_that_an_answer_was_cut() -> None:
    question = {"role": "user", "text": "Why?"}
    turns = history_from([question, {"role": "assistant", "text": "Because", "cut": True}])
    assert unfinished("continue", turns) == Unfinished("Why?", "Because", ())
