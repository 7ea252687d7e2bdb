"""The row of a table, or the item of a list, that a question names is marked, whichever the reader took."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.asked_rows import asked_row, asked_rows
from kb_assistant.settings import Settings
from tests.waiting import ProcessorTime

MEALS = """| Day | From | Dish |
| --- | --- | --- |
| Tuesday | 11:30 | Barley soup |
| Tuesday | 17:30 | Risotto |
| Friday | 17:30 | Goulash |"""
NAMED = """Day\tOpen\tDish
Monday\t11:30\tStew (Day: Monday | Open: 11:30 | Dish: Stew)
Tuesday\t11:00\tFish pie (Day: Tuesday | Open: 11:00 | Dish: Fish pie)
17:30\tBarley soup (Day: Tuesday | Open: 17:30 | Dish: Barley soup)"""
DOCTORS = "- Dr. Varga: children\n- Dr. Beck: skin and allergies\n- Dr. Haddad: heart"
BUILDINGS = "| 楼栋 | 开门 |\n| --- | --- |\n| 一号楼 | 8:00 |\n| 二号楼 | 9:30 |"


def marked(question: str, passage: str, answer: str) -> str:
    start = passage.index(answer)
    return passage[slice(*asked_row(question, passage, (start, start + len(answer))))]


@pytest.mark.parametrize(
    ("question", "passage", "read", "asked"),
    [
        ("What is served on Tuesday at 17:30?", MEALS, "Barley soup", "Risotto"),
        ("dish on friday", MEALS, "Dish", "Goulash"),  # the reader took the name of the column
        ("What is served on Tuesday at 17:30?", NAMED, "Fish pie", "Dish: Barley soup"),
        ("二号楼几点开门？", BUILDINGS, "8:00", "9:30"),
        ("who sees children?", DOCTORS, "Dr. Beck", "- Dr. Varga: children"),
    ],
)
def test_the_mark_moves_to_the_row_that_is_named(question: str, passage: str, read: str, asked: str) -> None:
    assert marked(question, passage, read) == asked


@pytest.mark.parametrize(
    ("question", "passage", "read"),
    [
        ("What is served on Friday at 17:30?", MEALS, "Goulash"),
        ("When is risotto served?", MEALS, "17:30"),
        ("what do we eat on Tuesday", MEALS, "Barley soup"),  # two rows are on Tuesday
        ("what is there to eat?", MEALS, "Barley soup"),
        ("who sees skin trouble of children?", DOCTORS, "Dr. Beck"),  # an item that has some of the words stays
        ("who founded the clinic?", "It was founded by Ida.\n\n" + DOCTORS, "Ida"),
    ],
)
def test_the_mark_stays_where_no_other_row_is_named(question: str, passage: str, read: str) -> None:
    assert marked(question, passage, read) == read


def test_marks_in_odd_tables_stay_inside_the_passage() -> None:
    for passage in ("|", "| a |", "|\n|-|\n|", "a | b\n- | -\nc", "(: )", "- ", MEALS[:-3], f"{NAMED}\n(a: b"):
        for start in range(len(passage)):
            first, last = asked_row("a b c Friday Monday", passage, (start, start + 1))
            assert 0 <= first <= last <= len(passage)


@pytest.mark.parametrize(
    "odd", ["(: " * 7_000, "(" * 20_000, "()" * 10_000 + ": |", "-" * 20_000 + "|x", "(a: b)" * 3_000 + "|"]
)
def test_hostile_lines_take_no_longer(odd: str) -> None:
    used = ProcessorTime()
    assert asked_row("a b", f"{odd}\n{odd}", (0, 1))
    assert used.seconds < 2


@pytest.mark.engine
def test_the_row_that_is_asked_for_is_quoted(home: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "canteen.md").write_text(f"# Canteen\n\nMeals of the week.\n\n{MEALS}\n")
    with KnowledgeBase(Settings(home=home, model="extract", answer_reader_seconds=60)) as kb:
        kb.ingest(docs)
        for question, dish in (("What is served on Tuesday at 17:30?", "Risotto"), ("dish on friday?", "Goulash")):
            answer = kb.ask(question)
            assert dish in answer.answer
            span = answer.hits[0].answer
            assert span is not None
            assert answer.hits[0].text[span.start : span.end] == dish


def test_the_turn_before_tells_the_row_where_this_one_names_a_column() -> None:
    passage = (
        "| 床位 | 会员 | 非会员 |\n| --- | --- | --- |\n| 通铺 | 60 元 | 90 元 |\n| 双人间 | 150 元 | 200 元 |"
    )
    start = passage.index("非会员")
    held = (start, start + 3)
    assert passage[slice(*asked_row("非会员呢", passage, held, "双人间会员多少钱"))] == "200 元"
    assert asked_row("非会员呢", passage, held) == held


def test_lines_with_a_label_are_alike_and_the_turn_before_tells_which() -> None:
    passage = "成人班：12节课，1280元，教练周海洋。\n儿童班：15节课，1580元，教练周海燕。\n\n缺课可以补。"
    start = passage.index("周海燕")
    held = (start, start + 3)
    assert "周海洋" in passage[slice(*asked_row("教练是谁", passage, held, "成人班多少钱"))]
    assert asked_row("教练是谁", passage, held, "儿童班多少钱") == held
    assert asked_row("教练是谁", passage, held) == held


WALKS = """Sunday 4 May: The weir and back. 9 km walk, flat. Guide: Ines Moll.
Sunday 18 May: Orchid walk. 4 km, easy. Guide: Tor Lind.
Sunday 1 June: Five summits. 24 km, hard. Guide: Una Beck."""
MIXTURE = """| Part | Volume |
| --- | --- |
| Buffer | 10 µL |
| Left primer | 0.7 µL |
| Right primer | 0.9 µL |"""


def test_an_entry_with_twice_as_much_of_the_question_is_meant() -> None:
    assert "Una Beck" in marked("who guides the five summits walk", WALKS, "Tor Lind")
    assert marked("who guides the walk to the weir", WALKS, "Ines Moll") == "Ines Moll"


def test_two_rows_alike_are_both_meant() -> None:
    start = MIXTURE.index("10 µL")
    spans = asked_rows("how much primer", MIXTURE, (start, start + 5))
    assert [MIXTURE[slice(*span)] for span in spans] == ["0.7 µL", "0.9 µL"]
