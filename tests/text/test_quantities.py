"""Numbers with units: one quantity however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.text.analyzer import analyze, analyze_query, codes, fold
from kb_assistant.text.quantities import quantities

FORMS = {
    "4.5kg": ["4.5kg", "4.5 kg", "4.50 KG", "4.5-kilogram", "4.5 kilograms", "重4.5公斤", "4.5千克"],
    "1200rpm": ["1,200 rpm", "1200rpm", "1200 r/min", "1200转/分", "１２００ rpm"],
    "750h": ["750h", "750 hours", "750小时", "750個小時", "七百五十小时"],
    "18l/min": ["18L/min", "18 l/min", "18升/分钟"],
    "-10degc": ["-10 °C", "-10℃", "−10°C", "-10摄氏度"],
    "12000cny": ["12,000元", "一万二千元", "1.2万元", "¥12,000", "12000 yuan"],
    "24month": ["24months", "24 months", "24个月", "二十四個月"],
    "8mhz": ["8MHz", "8 MHz", "8兆赫"],
    "100m2": ["100 m²", "100平方米"],
    "5pct": ["5%", "5 percent"],
}


@pytest.mark.parametrize(("form", "text"), [(form, text) for form, texts in FORMS.items() for text in texts])
def test_a_quantity_has_one_form(form: str, text: str) -> None:
    assert [one.form for one in quantities(fold(text))] == [form]
    assert form in {*analyze(text)} & {*analyze_query(text)}


@pytest.mark.parametrize(
    "text",
    [
        "2026年",
        "第三年",
        "the 1990s",
        "90s",
        "5 a day",
        "5 in 2020",
        "BAS16J",
        "M4 screw",
        "3月4日",
        "1.2.3 m",
        "4 kgs2",
    ],
)
def test_what_is_no_quantity(text: str) -> None:
    assert not list(quantities(fold(text)))


def test_parts_of_a_quantity_are_not_asked_for() -> None:
    assert analyze_query("8kg") == ["kg", "8kg", "8"]
    assert not {*analyze_query("12.5kg")} & {"5kg", "12", "5"}


def test_only_a_quantity_that_is_one_word_is_a_code() -> None:
    assert codes("4.5kg") == ["4.5kg"]
    assert not codes("4.5 kg after 20 years in 2026-03-04, 三个月")


@given(st.text(alphabet="0123456789.,万千零一 kgmhMHz%$-−元年个月/", max_size=60))
def test_any_text_is_read(text: str) -> None:
    for one in quantities(text):
        assert 0 <= one.start < one.end <= len(text)
        assert float(one.number) == float(one.number)


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("It costs $4.50.", ["4.5usd"]),
        ("sold for €300.", ["300eur"]),
        ("a $5 million gift", []),
        ("$5.5", ["5.5usd"]),
    ],
)
def test_an_amount_ends_a_sentence_and_is_not_a_part_of_a_larger_one(text: str, forms: list[str]) -> None:
    assert [one.form for one in quantities(text)] == forms
