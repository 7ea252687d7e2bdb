"""Rows of tables as quotes."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage

from kb_assistant.llm.extract import ExtractChat
from kb_assistant.llm.extract.table_rows import row_told, rows_under, tables

SALES = """Sales of the Larch office in thousand crowns.

| Q | 2023 | 2024 |
| --- | --- | --- |
| 1 | 310 | 352 |
| 3 | 305 | 340 |
| 4 | 415 | 466 |

Sales of the Birch office in thousand crowns.

| Q | 2023 | 2024 |
|:--|--:|--:|
| 3 | 135 | 149 |
| 4 | 215 | 206 |
"""
RENT = """各店租金如下，单位为元。

| 店 | 面积 | 月租 |
| --- | --- | --- |
| 城东店 | 120 | 9000 |
| 城西店 | 150 | 8000 |
"""
LARCH, BIRCH = "Sales of the Larch office in thousand crowns.", "Sales of the Birch office in thousand crowns."


@pytest.mark.parametrize(
    ("caption", "passage", "question", "rows"),
    [
        (LARCH, SALES, "What did the Larch office sell in Q4 2023?", ["Q: 4 | 2023: 415 | 2024: 466"]),
        (BIRCH, SALES, "Birch office sales in the third quarter of 2024", ["Q: 3 | 2023: 135 | 2024: 149"]),
        (LARCH, SALES, "落叶松办公室第三季度卖了多少？", ["Q: 3 | 2023: 305 | 2024: 340"]),
        ("各店租金如下，单位为元。", RENT, "城西店的月租是多少？", ["店: 城西店 | 面积: 150 | 月租: 8000"]),
        (BIRCH, SALES, "Birch sales?", ["Q: 3 | 2023: 135 | 2024: 149", "Q: 4 | 2023: 215 | 2024: 206"]),
        ("Another sentence.", SALES, "What was sold in Q4?", []),
    ],
)
def test_the_row_that_is_asked_for_follows_what_announces_the_table(
    caption: str, passage: str, question: str, rows: list[str]
) -> None:
    assert rows_under(caption, passage, question, 300) == rows


def test_a_table_without_a_row_that_stands_out_is_told_only_where_there_is_room() -> None:
    assert rows_under(LARCH, SALES, "Larch sales?", 300)
    assert rows_under(LARCH, SALES, "Larch sales?", 60) == []


def test_a_row_is_told_with_the_names_of_its_columns() -> None:
    assert row_told("| 城东店 | 120 | 9000 |", RENT, "", 300) == ["店: 城东店 | 面积: 120 | 月租: 9000"]
    assert row_told("| 1 | 2 |", RENT, "", 300) == ["| 1 | 2 |"]
    assert row_told("a | b", "no table", "", 300) == ["a | b"]


def test_what_is_no_table_has_no_rows() -> None:
    assert tables("a | b\nc | d") == []
    assert tables("| --- |\n| x |") == []
    assert tables("") == []


def test_the_answer_holds_caption_and_row() -> None:
    question = "What did the Larch office sell in Q4 2023?"
    marked = [(0, len(LARCH), 0.9)]
    asked = HumanMessage(
        question, additional_kwargs={"question": question, "passages": [SALES], "answers": marked}
    )
    assert ExtractChat().invoke([asked]).text == f"{LARCH} [1]\nQ: 4 | 2023: 415 | 2024: 466 [1]"


def test_cells_keep_their_columns() -> None:
    assert row_told("|Sales|5|6|", "||Jan|Feb|\n|---|---|---|\n|Sales|5|6|", "", 300) == [
        "Sales | Jan: 5 | Feb: 6"
    ]
    assert row_told("|a \\| b|x|", "|Cmd|Use|\n|---|---|\n|a \\| b|x|", "", 300) == ["Cmd: a | b | Use: x"]


def test_only_the_sentence_before_the_table_announces_it() -> None:
    passage = f"The pump is blue. {SALES}"
    assert rows_under("The pump is blue.", passage, "pump", 300) == []
    assert rows_under(LARCH, passage, "Q4", 300) == ["Q: 4 | 2023: 415 | 2024: 466"]


def test_the_names_of_columns_are_no_answer_but_the_rows_are() -> None:
    names = "| 店 | 面积 | 月租 |"
    assert row_told(names, RENT, "城东店多大", 300) == ["店: 城东店 | 面积: 120 | 月租: 9000"]
    every = row_told(names, RENT, "有哪些店", 300)
    assert len(every) > 1
    assert row_told(names, RENT, "有哪些店", 10) == every[:1]


def test_a_row_that_repeats_its_columns_is_told_once() -> None:
    row = "Friday\t10:00\tclosed (Day: Friday | Main: 10:00 | Branch: closed)"
    assert row_told(row, row, "friday", 300) == ["Day: Friday | Main: 10:00 | Branch: closed"]


def test_names_above_rows_that_repeat_them_are_told_by_a_row() -> None:
    fares = "船 | 价格\n船: 白鹭号 | 价格: 30元\n船: 海鸥号 | 价格: 45元"
    assert row_told("船 | 价格", fares, "海鸥号价格", 300) == ["船: 海鸥号 | 价格: 45元"]
    assert row_told("船 | 价格", fares, "价格", 300) == ["船: 白鹭号 | 价格: 30元", "船: 海鸥号 | 价格: 45元"]
    assert row_told("船: 海鸥号 | 价格: 45元", fares, "", 300) == ["船: 海鸥号 | 价格: 45元"]
