"""Numbers before headings and items."""

from __future__ import annotations

import pytest

from ingest.readers.numerals import numeral


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("decimal", {1: "1", 12: "12"}),
        ("decimalZero", {9: "09", 10: "10", 100: "100"}),
        ("lowerLetter", {1: "a", 26: "z", 27: "aa", 53: "aaa"}),
        ("upperLetter", {3: "C"}),
        ("upperRoman", {4: "IV", 49: "XLIX", 1999: "MCMXCIX"}),
        ("lowerRoman", {8: "viii"}),
        ("ordinal", {1: "1st", 2: "2nd", 11: "11th", 23: "23rd", 112: "112th"}),
        ("cardinalText", {1: "One", 19: "Nineteen", 40: "Forty", 72: "Seventy-two", 100: "100"}),
        ("ordinalText", {1: "First", 12: "Twelfth", 20: "Twentieth", 35: "Thirty-fifth", 16: "Sixteenth"}),
        ("chineseCounting", {1: "一", 10: "十", 11: "十一", 20: "二十", 42: "四十二"}),
        ("chineseCountingThousand",
         {100: "一百", 101: "一百零一", 110: "一百一十", 1001: "一千零一", 1260: "一千二百六十"}),
        ("taiwaneseCountingThousand", {15: "十五", 99: "九十九"}),
        ("japaneseCounting", {10: "十", 101: "百一", 120: "百二十"}),
        ("koreanCounting", {10: "십", 21: "이십일"}),
        ("ideographDigital", {10: "一〇", 25: "二五"}),
        ("chineseLegalSimplified", {3: "叁", 10: "壹拾", 12: "壹拾贰"}),
        ("ideographLegalTraditional", {6: "陸", 23: "貳拾參"}),
        ("ideographTraditional", {1: "甲", 10: "癸", 11: "11"}),
        ("decimalEnclosedCircle", {1: "①", 20: "⑳", 50: "㊿", 51: "51"}),
        ("decimalFullWidth", {12: "１２"}),
        ("ganada", {2: "나"}),
        ("unheard of", {3: "3"}),
    ],
)  # fmt: skip
def test_numbers_in_the_styles_of_programs(style: str, expected: dict[int, str]) -> None:
    assert {count: numeral(count, style) for count in expected} == expected


@pytest.mark.parametrize("count", [0, -3, 10_000, 10**9])
def test_numbers_that_no_list_reaches_use_digits(count: int) -> None:
    assert {numeral(count, style) for style in ("upperRoman", "chineseCounting", "lowerLetter")} == {str(count)}
