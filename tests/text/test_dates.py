"""Dates: one date in all the forms that people write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.text.analyzer import analyze, analyze_query, fold
from kb_assistant.text.dates import Date, date_spans


def dates(text: str) -> list[Date]:
    return [date for span in date_spans(fold(text)) for date in span.dates]


@pytest.mark.parametrize(
    "text",
    ["2026-03-04", "2026/3/4", "2026.3.4", "2026_03_04", "20260304", "4.3.2026", "04. 03. 2026", "4 March 2026",
     "March 4th, 2026", "Mar. 4, 2026", "the 4th of March, 2026", "4-Mar-2026", "march 4 2026", "2026年3月4日",
     "2026 年 3 月 4 号", "二〇二六年三月四日", "二零二六年三月四號", "民國115年3月4日", "2026-03-04T17:02:29Z",
     "journal-2026-03-04.md", "会议2026年03月04日纪要", "３月４日，２０２６年3月4日"],
)  # fmt: skip
def test_a_day_is_found_in_any_form(text: str) -> None:
    assert dates(text)[-1] == Date(2026, 3, 4)


@pytest.mark.parametrize("text", ["March 4", "4 March", "4th of March", "3月4日", "三月四号", "on march 4th"])
def test_a_day_of_any_year(text: str) -> None:
    assert dates(text) == [Date(None, 3, 4)]


@pytest.mark.parametrize(
    "text", ["2025.12", "2025-12", "12/2025", "December 2025", "Dec 2025", "2025年12月", "二〇二五年十二月"]
)
def test_a_month_of_a_year(text: str) -> None:
    assert dates(text) == [Date(2025, 12)]


@pytest.mark.parametrize("text", ["in march", "in May", "3月份", "June"])
def test_a_month_alone_is_no_exact_date(text: str) -> None:
    assert [date.is_exact for date in dates(text)] == [False]


def test_a_date_with_two_readings_has_both() -> None:
    assert dates("3/4/2026") == [Date(2026, 3, 4), Date(2026, 4, 3)]
    assert dates("3/14/2026") == dates("14/3/26") == [Date(2026, 3, 14)]


@pytest.mark.parametrize("text", ["4–6 March 2026", "March 4-6, 2026", "4 to 6 March 2026", "2026年3月4日至6日"])
def test_a_range_has_all_its_days(text: str) -> None:
    assert dates(text) == [Date(2026, 3, day) for day in (4, 5, 6)]


@pytest.mark.parametrize(
    "text",
    ["we may 5", "you may", "they march", "192.168.1.1", "1.2.3", "v2026.3.4", "2010-11", "2024-25", "2026.3.4.1",
     "三个月", "1998年", "marble 4", "农历三月四日", "31.02.2026", "2026-13-04", "ERR-2026-0304", "$2026.50"],
)  # fmt: skip
def test_what_is_no_date(text: str) -> None:
    assert not dates(text)


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (Date(2026, 3, 4), Date(2026, 3, 4), True),
        (Date(2026, 3, 4), Date(None, 3, 4), True),
        (Date(2026, 3, 4), Date(2026, 3), True),
        (Date(2026, 3, 4), Date(2026, 3, 11), False),
        (Date(2026, 3, 4), Date(2025, 3, 4), False),
        (Date(None, 3, 4), Date(2026, 4), False),
    ],
)
def test_dates_agree_where_both_say_something(one: Date, other: Date, agree: bool) -> None:
    assert one.agrees(other) is other.agrees(one) is agree


@pytest.mark.parametrize("asked", ["4 March 2026", "2026年3月4日", "4.3.2026", "March 4th, 2026", "20260304"])
@pytest.mark.parametrize("written", ["2026-03-04", "二〇二六年三月四日", "March 4, 2026", "notes-2026-03-04.md"])
def test_a_date_finds_its_other_forms_by_keyword(asked: str, written: str) -> None:
    assert "2026-03-04" in {*analyze_query(f"what was decided on {asked}?")} & {*analyze(written)}


@given(st.text(alphabet="0123456789年月日号-/. 一三十marchMay4th,", max_size=60))
def test_any_text_is_read(text: str) -> None:
    for span in date_spans(text):
        assert 0 <= span.start < span.end <= len(text)
        assert all(1 <= date.month <= 12 for date in span.dates)


@pytest.mark.parametrize("text", ["1024.5 MB", "1500.5 kg", "2010.10 MB", "1234.10", "1500/12", "2025.12元"])
def test_decimals_are_no_months(text: str) -> None:
    assert list(date_spans(text)) == []


def test_a_slip_in_a_day_is_no_error() -> None:
    assert [span.dates for span in date_spans("3月十十日")] == [(Date(None, 3),)]


def test_two_figures_of_a_year_are_of_the_nearer_century() -> None:
    assert {date.year for span in date_spans("3/4/98 and 3/4/26") for date in span.dates} == {1998, 2026}
