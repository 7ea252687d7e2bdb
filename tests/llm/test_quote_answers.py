"""Quotes of what the reader marked."""

from __future__ import annotations

import time

import pytest
from langchain_core.messages import HumanMessage

from kb_assistant.llm.extract import ExtractChat
from kb_assistant.llm.extract.marked import (
    naming_fully,
    naming_what_is_asked,
    quote_answers,
    with_the_list,
    with_what_is_announced,
    with_what_it_is_about,
)
from kb_assistant.llm.extract.narrowed import on_focus
from kb_assistant.llm.extract.question_forms import is_open, name_asked, two_questions
from kb_assistant.llm.extract.ranked import quote
from kb_assistant.llm.extract.sentence import Sentence

FAQ = "Q: How do I reset the thermostat?\nA: Hold the left button for ten seconds.\n\nQ: Who repairs it?\nA: Ann."
PORT = "Its port is 6411. It was built in 2019."
TEA = "茶园面积八百亩，海拔六百米。园长是李国华。"


def marked(passage: str, answer: str, score: float = 0.9) -> tuple[int, int, float]:
    start = passage.index(answer)
    return start, start + len(answer), score


@pytest.mark.parametrize(
    ("passage", "answer", "quote"),
    [
        (FAQ, "the left button for ten seconds", "A: Hold the left button for ten seconds."),
        (FAQ, "Ann", "A: Ann."),
        (PORT, "6411. It was built", "Its port is 6411."),
        (PORT, "port is 6411. It was built in 2019.", "Its port is 6411."),
        (PORT, "6411", "Its port is 6411."),
        (TEA, "李国华", "园长是李国华。"),
        (TEA, "八百亩", "茶园面积八百亩，海拔六百米。"),
        (
            "It costs 5 euros. The boat costs 5 euros, too.",
            "The boat costs 5 euros",
            "The boat costs 5 euros, too.",
        ),
        ("See the list [3]. The code is 17 [4].", "17 [4]", "The code is 17."),
    ],
)
def test_the_sentence_round_the_answer_is_quoted(passage: str, answer: str, quote: str) -> None:
    (found,) = quote_answers([passage], [marked(passage, answer)])
    assert (found.text, found.passage) == (quote, 1)


def test_what_a_pronoun_stands_for_is_quoted_where_the_question_names_it() -> None:
    passage = "Flu shots are given in October. They cost 25 euros.\nIt is cold."
    cost, cold = Sentence("They cost 25 euros.", 1), Sentence("It is cold.", 1)
    about = [one.text for one in with_what_it_is_about("price of a flu shot?", [cost], [passage])]
    assert about == ["Flu shots are given in October.", "They cost 25 euros."]
    assert with_what_it_is_about("what does it cost?", [cost], [passage]) == [cost]
    assert with_what_it_is_about("price of a flu shot?", [cold], [passage]) == [cold]
    assert with_what_it_is_about("price of a flu shot?", [cost], [passage], characters=40) == [cost]


def test_the_other_answer_of_the_best_passage_is_quoted_where_there_is_room() -> None:
    first, second = marked(PORT, "6411"), marked(PORT, "2019")[:2]

    def found(**limits: int) -> list[str]:
        return [one.text for one in quote_answers([PORT], [first], [second], **limits)]

    assert found() == ["Its port is 6411.", "It was built in 2019."]
    assert found(most=1) == found(characters=20) == ["Its port is 6411."]
    assert [one.text for one in quote_answers([PORT], [first], [None])] == ["Its port is 6411."]


def test_an_open_question_is_answered_at_twice_the_length() -> None:
    passage = " ".join(f"Then turn valve number {number} by one quarter." for number in range(1, 9))
    start = passage.index("turn valve number 1")
    passages = {"question": "", "passages": [passage], "answers": [(start, start + 19, 0.9)]}

    def lines(question: str) -> int:
        values = passages | {"question": question}
        return len(ExtractChat().invoke([HumanMessage("", additional_kwargs=values)]).text.splitlines())

    assert lines("How does one start the pump?") == 6
    assert lines("Which valve is turned first?") == 1


def test_whether_something_is_so_is_said_by_what_names_it() -> None:
    tickets, tower = Sentence("Tickets are 15 yuan.", 1), Sentence("The tower is open from 6:30.", 1)
    passage = f"{tickets.text} {tower.text}"
    question = "Is there a tower?"
    assert naming_what_is_asked(question, [tickets, tower], [passage], []) == [tower]
    assert naming_what_is_asked(question, [tickets], [passage], []) == []
    assert naming_what_is_asked("Is there a boat?", [tickets], [passage], []) == [tickets]
    refund = Sentence("七天内可以全额退款。", 1)
    assert naming_what_is_asked("可以退吗", [refund], [refund.text + "退场请走南门。"], []) == [refund]


def test_of_two_alike_names_the_one_that_is_asked_about_is_quoted() -> None:
    passages = ["儿童班1580元，教练周海燕。成人班1280元，教练周海洋。", "游泳馆在河边。"]
    child, adult = Sentence("儿童班1580元，教练周海燕。", 1), Sentence("成人班1280元，教练周海洋。", 1)
    assert naming_fully("周海洋", [child], passages) == [adult]
    assert naming_fully("周海燕", [child], passages) == [child]
    assert naming_fully("李宁", [child], passages) == [child]


def test_what_is_announced_follows_as_far_as_there_is_room() -> None:
    passage = (
        "140 places. Decided:\n1. The rent rises to 180 yuan.\n2. Guests pay 5 yuan.\n\nAlso decided:\n3. Nothing."
    )
    announced = Sentence("Decided:", 1)
    told = with_what_is_announced([announced], [passage])
    assert [one.text for one in told] == ["Decided:", "1. The rent rises to 180 yuan.", "2. Guests pay 5 yuan."]
    assert len(with_what_is_announced([announced], [passage], characters=40)) == 2
    assert with_what_is_announced([Sentence("Decided:", 1), told[1]], [passage])[:2] == told[:2]
    assert with_what_is_announced([Sentence("Decided:", 1)], ["Decided:"]) == [Sentence("Decided:", 1)]
    places = Sentence("140 places.", 1)
    assert with_what_is_announced([places, Sentence("Decided:", 1)], ["140 places. Decided:"]) == [places]


def test_the_second_of_equal_sentences_counts_where_it_is_meant() -> None:
    passage = "The boat leaves at 8. The train waits. The bus leaves at 8, too."
    start = passage.rindex("at 8")
    (found,) = quote_answers([passage], [(start, start + 4, 0.9)])
    assert found.text == "The bus leaves at 8, too."


def test_the_surest_is_quoted_and_others_that_are_nearly_as_sure() -> None:
    other = "The clerk keeps the key."
    sure, unsure = marked(PORT, "6411", 0.95), marked(other, "The clerk", 0.5)
    assert [one.passage for one in quote_answers([other, PORT], [unsure, sure])] == [2]
    assert [one.passage for one in quote_answers([other, PORT], [(*unsure[:2], 0.94), sure])] == [1, 2]
    assert [one.passage for one in quote_answers([PORT, PORT], [sure, sure])] == [1]


HOW = (
    "# Pump\n\nOpen the valve. Turn the key twice. Wait for the green light. Then close it.\n\nCall Ann for help."
)


@pytest.mark.parametrize(
    ("question", "quotes"),
    [
        ("How do I start the pump?", ["Open the valve.", "Turn the key twice.", "Wait for the green light."]),
        ("Where is the valve?", ["Open the valve."]),
        ("怎样启动水泵？", ["Open the valve.", "Turn the key twice.", "Wait for the green light."]),
    ],
)
def test_an_open_question_is_quoted_on_within_the_paragraph(question: str, quotes: list[str]) -> None:
    answers = [marked(HOW, "Open the valve")]
    found = quote_answers([HOW], answers, on=is_open(question))
    assert [one.text for one in found] == quotes
    assert len(quote_answers([HOW], answers, on=True, most=4)) == 4
    assert len(quote_answers([HOW], answers, on=True, characters=40)) == 2
    assert len(quote_answers([HOW], [marked(HOW, "Then close it")], on=True)) == 1


def test_without_a_mark_nothing_is_quoted() -> None:
    assert quote_answers([PORT], [None]) == []
    assert quote_answers([PORT], [(len(PORT), len(PORT), 0.9)]) == []
    assert quote_answers([], []) == []


@pytest.mark.parametrize(
    ("question", "twice"),
    [
        ("When is the balloon launched, and how long does it fly?", True),
        ("园长是谁，茶园有多大？", True),
        ("Who founded the station and where is it", True),
        ("Who founded the station?", False),
        ("who are Ann and Bob", False),
        ("几点开门", False),
    ],
)
def test_a_question_for_two_things_is_noticed(question: str, twice: bool) -> None:
    assert bool(two_questions(question)) == twice


def test_both_answers_are_quoted() -> None:
    passage = "The balloon is launched at noon. It weighs 9 kilograms. It flies for two hours."
    values = {
        "question": "When is the balloon launched, and how long does it fly?",
        "passages": [passage],
        "answers": [marked(passage, "two hours")],
    }
    answer = ExtractChat().invoke([HumanMessage("", additional_kwargs=values)]).text
    assert "launched at noon" in answer
    assert "two hours" in answer


@pytest.mark.parametrize(
    ("faq", "question", "answer"),
    [
        ("**Q: Can I mount it outdoors?**\n\nA: In dry rooms only.\n", "outdoors?", "A: In dry rooms only."),
        ("问：可以带宠物入场吗？\n答：只有导盲犬可以。\n", "可以带宠物吗？", "答：只有导盲犬可以。"),
    ],
)  # fmt: skip
def test_of_questions_and_answers_the_answer_is_quoted(faq: str, question: str, answer: str) -> None:
    by_words = quote(question, [faq], most=1)
    (by_reader,) = quote_answers([faq], [marked(faq, question[:-1] if question in faq else "带宠物入场")])
    assert ([one.text for one in by_words], by_reader.text) == ([answer], answer)


def test_a_question_in_a_numbered_list_is_not_answered_by_the_next_item() -> None:
    asked = "1. 茶歇要不要热饮？\n2. 若起大风,合影改在门厅,可以吗？\n3. 席卡颜色:米白或浅灰。\n"
    (by_reader,) = quote_answers([asked], [marked(asked, "改在门厅")])
    assert by_reader.text == "2. 若起大风,合影改在门厅,可以吗？"


def test_a_single_character_names_a_longer_word_that_it_is_in() -> None:
    dishes = ["材料:香菇8朵,冰糖5克。", "材料:酸菜200克,糖10克。"]
    assert {one.passage for one in on_focus("糖", dishes)} == {1, 2}


def test_whose_name_is_asked_for_is_no_name() -> None:
    assert (name_asked("what is his name"), name_asked("what is Corran")) == ("", "Corran")


def test_of_several_rows_the_one_with_the_code_is_quoted() -> None:
    rows = ["Part: BAS16J | Stock: 1200", "Part: 00000001 | Stock: 1"]
    values = {
        "question": "do we still have some of BAS16J?",
        "passages": rows,
        "answers": [marked(rows[0], "1200"), marked(rows[1], "1")],
    }
    assert ExtractChat().invoke([HumanMessage("", additional_kwargs=values)]).text == f"{rows[0]} [1]"


def test_a_short_answer_is_not_passed_over_for_another_questions() -> None:
    faq = "May I smoke in the hall?\n\nNo smoking.\n\nThe old hall has no smoking room."
    assert [one.text for one in quote("may I smoke in the hall", [faq], most=1)] == ["No smoking."]


def test_a_very_long_question_takes_no_time() -> None:
    started = time.process_time()
    assert two_questions("who and " * 20_000) == []
    assert time.process_time() - started < 1


def test_a_mark_on_another_thing_than_is_meant_is_not_quoted() -> None:
    courses = "1. Pottery: Mondays, 95 euros.\n2. Weaving: Fridays, 140 euros."
    asked = HumanMessage(
        "How much is the second one?",
        additional_kwargs={
            "question": "How much is Weaving?",
            "passages": [courses],
            "focus": "Weaving",
            "answers": [marked(courses, "95 euros")],
        },
    )
    assert ExtractChat().invoke([asked]).text == "2. Weaving: Fridays, 140 euros. [1]"


NEWS = "New:\n- Boats may be hired by the hour.\n- The café opens at seven.\n\nGone:\n- The night ferry."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What is new in May?", "Boats may be hired by the hour. [1]\nThe café opens at seven. [1]"),
        ("Which changes are there?", "Boats may be hired by the hour. [1]\nThe café opens at seven. [1]"),
        ("五月有哪些变化？", "Boats may be hired by the hour. [1]\nThe café opens at seven. [1]"),
        ("When does the café open?", "The café opens at seven. [1]"),
    ],
)
def test_a_list_that_is_asked_for_is_quoted_whole(question: str, answer: str) -> None:
    values = {"question": question, "passages": [NEWS], "answers": [marked(NEWS, "at seven")], "language": "en"}
    assert ExtractChat().invoke([HumanMessage(question, additional_kwargs=values)]).text == answer


def test_a_list_that_is_too_long_is_answered_by_its_item() -> None:
    long = "\n".join(f"- Boat number {number} may be hired by the hour." for number in range(30))
    found = [Sentence("Boat number 7 may be hired by the hour.", 1)]
    assert with_the_list(found, [long], 600) == found


def test_words_of_the_headings_tell_no_sentence_from_another() -> None:
    passage = "Loom 44 of the yard\nWool and silk are woven on it, flax tears."
    question = "May flax be woven on the Loom 44?"
    found = quote(question, [passage], headings=["Loom 44 of the yard"], most=1)
    assert [one.text for one in found] == ["Wool and silk are woven on it, flax tears."]
