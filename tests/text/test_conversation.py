"""Which earlier turns weigh, and which first turns can't be understood."""
# ruff: noqa: E501 - many turns a line

from __future__ import annotations

import pytest

from kb_assistant.text.conversation import is_unclear, weighing
from kb_assistant.text.replies import CHINESE as ZH_REPLIES
from kb_assistant.text.replies import ENGLISH as REPLIES
from kb_assistant.text.wording import CHINESE, ENGLISH
from kb_assistant.types import Turn

ANSWERED = Turn("How high is the tower?", "It is 34 metres high. [1]")


@pytest.mark.parametrize(
    "turn",
    [
        Turn("What is the moon made of?", ENGLISH.refusal),
        Turn("月亮是什么做的？", CHINESE.refusal),
        Turn("thanks!", REPLIES.thanks),
        Turn("ok", "A model may say anything to that."),
        Turn("what documents do you have?", "This knowledge base holds 2 documents."),
        Turn("它多少钱？", ZH_REPLIES.unclear),
        Turn("summarize the report", f"{REPLIES.which}\n- a.md\n- b.md"),
    ],
)
def test_a_turn_that_says_nothing_of_the_subject_weighs_nothing(turn: Turn) -> None:
    assert weighing([ANSWERED, turn]) == (ANSWERED,)


def test_a_wish_about_an_answer_keeps_what_was_answered() -> None:
    more = Turn("tell me more", "Its lamp flashes white. [1]")
    assert weighing([ANSWERED, more]) == (ANSWERED, Turn("", more.answer))


@pytest.mark.parametrize(
    "question",
    [
        "When did he start?", "How much is it?", "and for members?", "Why?", "What about her?", "the second one", "Who is her husband?",
        "它多少钱？", "他什麼時候開始的？", "那个呢？", "为什么？", "最后一个", "那里几点关门", "Can I eat there?", "who works there?", "它的购买链接是什么",
    ],
)  # fmt: skip
def test_a_question_without_its_subject_is_unclear(question: str) -> None:
    assert is_unclear(question)


@pytest.mark.parametrize(
    "question",
    [
        "When did Raul start?", "Is it safe to swim at the pier?", "How does a pump work when it is cold?", "Do they sell tea?",
        "What does the manager do when he is ill?", "Who runs the station?", "opening hours", "How many boats are there?", "Is there a café?",
        "水泵多少钱？", "馆长是谁，他什么时候开始的？", "其他费用怎么算？", "这台机器多重？", "几点开门",
    ],
)  # fmt: skip
def test_a_question_that_names_its_subject_is_clear(question: str) -> None:
    assert not is_unclear(question)
