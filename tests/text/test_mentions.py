"""What a text names with a number, and whether two texts name the same."""

from __future__ import annotations

import pytest

from kb_assistant.text.mentions import mentioned_above, mentions


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Halden40", "the Halden 40"),
        ("Halden 40", "a Halden-40 pump"),
        ("halden_40", "HALDEN 40"),
        ("ERR-1042", "ERR1042"),
        ("GPT-4o", "gpt4o"),
        ("8MHz", "at 8 MHz"),
        ("4.5kg", "重4.5公斤"),
        ("order 30019928", "30019928,T-35"),
        ("on 4 March", "2026-03-04"),
        ("3号泵", "3 号泵"),
    ],
)
def test_the_same_is_met(one: str, other: str) -> None:
    assert mentions(one).is_met_by(mentions(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8MHz", "16MHz"),
        ("8MHz", "16 MHz"),
        ("BAS16", "BAS16J"),
        ("BAS16J", "BAS16"),
        ("Halden40", "Halden 60"),
        ("ERR-1042", "ERR-1043"),
        ("order 30019928", "order 30019929"),
        ("on 4 March 2026", "2026-03-11"),
        ("2026年3月4日", "3月18日"),
    ],
)
def test_another_of_the_same_kind_is_denied(one: str, other: str) -> None:
    assert mentions(one).is_denied_by(mentions(other))
    assert not mentions(one).is_met_by(mentions(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("8MHz", "16 hours"), ("BAS16", "the cat"), ("in 2026", "2025-03-04"), ("a bag of 25 kg", "up to 23 kg"),
     ("COVID-19", "the 19th"), ("2026-03-04", "in 2026")],
)  # fmt: skip
def test_what_says_nothing_of_it_denies_nothing(one: str, other: str) -> None:
    assert not mentions(one).is_denied_by(mentions(other))


@pytest.mark.parametrize("text", ["in 2026", "the 1990s", "of 40", "12 apples", "版本", ""])
def test_plain_numbers_name_nothing(text: str) -> None:
    assert not mentions(text)


def test_of_names_above_a_text_the_nearest_counts() -> None:
    above = mentioned_above("2026 > minutes-2026-03 > Minutes > 2026-03-11, Halden 40")
    assert not mentions("March 4").is_met_by(above)
    assert mentions("Halden40 on 11 March").is_met_by(above)
