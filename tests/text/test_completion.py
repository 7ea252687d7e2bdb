"""Parts of questions, completed from the turns before: corrections, choices, names alone, comparisons."""

from __future__ import annotations

import pytest

from kb_assistant.text.completion import completed
from kb_assistant.text.wording import ENGLISH
from kb_assistant.types import Turn

BOATS = "1. Grey Heron: 12 seats [1]\n2. Kittiwake, 8 seats [1]\n3. Old Tern [2]"


def after(*asked: str, answer: str = "It is so. [1]") -> list[Turn]:
    return [Turn(question, answer) for question in asked]


@pytest.mark.parametrize(
    ("before", "turn", "question", "focus"),
    [
        (
            "When was the Corran Lighthouse built?",
            "no, I meant the harbour",
            "When was the harbour built?",
            "the harbour",
        ),
        (
            "How much is a ticket?",
            "Sorry, I was asking about the ferry.",
            "How much is a ticket? the ferry",
            "the ferry",
        ),
        ("What does it cost?", "I meant the pump", "What does the pump cost?", "the pump"),
        ("What does it cost?", "No, I meant for children", "What does it cost? for children", "children"),
        ("How far is the pump?", "no sorry, the roller", "How far is the pump? the roller", "the roller"),
        ("What does E4 mean?", "I meant E7", "What does E7 mean?", "E7"),
        ("How old is he?", "No, I mean when was the station founded?", "when was the station founded", ""),
        ("图书室几点开门？", "我问的是茶室", "茶室图书室几点开门？", "茶室"),
        ("青松的保修期多长？", "不是，我说的是白杨", "白杨的保修期多长？", "白杨"),
        ("白鹭洲观测站是谁建立的？", "我问的是茶园", "茶园是谁建立的？", "茶园"),
        ("圖書室幾點開門？", "不對，我問的是茶室", "茶室圖書室幾點開門？", "茶室"),
        ("图书室几点开门？", "我想问的是园长是谁", "园长是谁", ""),
    ],
)
def test_a_correction_asks_the_same_of_what_was_meant(before: str, turn: str, question: str, focus: str) -> None:
    done = completed(turn, after(before))
    assert (done.question, done.focus, done.history) == (question, focus, ())


@pytest.mark.parametrize(
    ("turn", "question"),
    [
        ("How fast is the second one?", "How fast is Kittiwake?"),
        ("Who owns the last one?", "Who owns Old Tern?"),
        ("第一个有多少座位？", "Grey Heron有多少座位?"),
        ("最後一個呢？", "Old Tern有哪些船？"),
    ],
)
def test_a_choice_stands_for_the_item_of_the_list(turn: str, question: str) -> None:
    assert completed(turn, [Turn("有哪些船？", BOATS)]).question == question


def test_choices_follow_one_another() -> None:
    turns = [Turn("Which boats are there?", BOATS), Turn("How fast is the first?", "9 knots. [1]")]
    assert completed("and the last?", turns).question == "How fast is Old Tern?"
    assert completed("the seventh one", turns).question == "the seventh one"


def test_a_name_alone_stands_for_the_name_before() -> None:
    assert (
        completed("What about Stockpile?", after("Where does Ledger run?")).question == "Where does Stockpile run?"
    )
    owner = completed("And Stockpile's?", after("What does Ledger hold?", "What is its port?"))
    assert (owner.question, owner.focus) == ("What is Stockpile's port?", "Stockpile")
    for turn, focus in (("and for members?", "members"), ("白杨呢？", "白杨"), ("那门票呢", "门票")):
        done = completed(turn, after("How much is it on Sundays?"))
        assert (done.question, done.focus, len(done.history)) == (turn, focus, 1), "any other part stays as it is"


@pytest.mark.parametrize(
    ("before", "turn", "question"),
    [
        ("when is the pool open on tuesday", "and saturday?", "when is the pool open on saturday"),
        ("what is new in 2.10.1", "and in 2.9?", "what is new in 2.9"),
        ("how much is it for 2 people", "and for 4 people?", "how much is it for 4 people"),
        ("周二第二节上什么课", "那周五呢", "周五第二节上什么课"),
        ("H3是什么故障", "那H12呢", "H12是什么故障"),
        ("三月份几号发工资", "五月份呢", "五月份几号发工资"),
        ("when is the pool open on tuesday", "and in 2.9?", "and in 2.9?"),  # nothing of its kind
        ("is the pool open from 8 to 12", "and at 14?", "and at 14?"),  # two of its kind
        ("how much is a day for 2 people", "and for 4 dogs?", "and for 4 dogs?"),
    ],
)
def test_a_day_a_code_or_a_number_alone_stands_for_the_one_before(before: str, turn: str, question: str) -> None:
    assert completed(turn, after(before)).question == question


def test_she_is_whom_the_answer_named() -> None:
    told = Turn("who keeps the boat?", "It is kept by Anselm Roe, a widower. [1]")
    assert completed("how can i reach him", [told]).question == "how can i reach Anselm Roe"
    assert completed("whats his number", [told]).focus == "Anselm Roe"
    both = Turn("who keeps the boat?", "It is kept by Anselm Roe and Una Falk. [1]")
    assert completed("how can i reach him", [both]).question == "how can i reach him"


def test_it_is_what_was_named() -> None:
    assert completed("What is its port?", after("What does Ledger hold?")).focus == "Ledger"
    assert completed("它多重？", after("青松的保修期多长？")).focus == "青松"


@pytest.mark.parametrize(
    ("before", "turn", "others"),
    [
        (
            "",
            "Which is heavier, the pump or the roller?",
            ("the pump Which is heavier", "the roller Which is heavier"),
        ),
        ("", "what's the difference between Ledger and Stockpile", ("Ledger", "Stockpile")),
        ("", "茶园和湿地哪个大？", ("茶园 哪个大", "湿地 哪个大")),
        ("电机功率是多少？", "和水泵比哪个大？", ("电机功率是多少？", "水泵电机功率是多少？")),
        (
            "How heavy is the pump?",
            "compared to the roller?",
            ("How heavy is the pump?", "How heavy is the pump? the roller"),
        ),
    ],
)
def test_both_sides_of_a_comparison_are_asked_for(before: str, turn: str, others: tuple[str, ...]) -> None:
    assert completed(turn, after(before) if before else []).others == others


def test_a_refused_question_can_be_corrected_but_weighs_nothing() -> None:
    refused = Turn("How deep is the harbour?", ENGLISH.refusal)
    done = completed("I meant the pool", [*after("Who swims?"), refused])
    assert (done.question, [turn.question for turn in done.history]) == (
        "How deep is the harbour? the pool",
        ["Who swims?"],
    )
    assert completed("Who cooks?", [refused]).history == ()


@pytest.mark.parametrize(
    "turn",
    [
        "What's the capital of France?", "and who runs it now?", "Where can I meet the director?",
        "门票和餐饮多少钱？", "为什么呢？", "谁和谁结婚了？", "我想去看看", "有多少鸟呢？", "Is it better?",
    ],
)  # fmt: skip
def test_any_other_turn_stays_as_it_is(turn: str) -> None:
    done = completed(turn, after("Who keeps the boat?"))
    assert (done.question, done.others) == (turn, ())


def test_a_choice_without_a_list_stays_as_it_is() -> None:
    before = [Turn("How high is the tower?", "It is 34 metres high.")]
    assert completed("What happened in the last one?", before).question == "What happened in the last one?"
