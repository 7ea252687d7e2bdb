"""Passages on what the question names come first; others make the answer uncertain."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_assistant.retrieval.named import OTHERWISE_NAMED, named_first
from kb_assistant.retrieval.relevance import CERTAIN, REFUSE
from kb_assistant.types import Hit, Locator
from tests.fakes import HashEmbeddings
from tests.law import small_kb


def hit(text: str, source: str = "/docs/minutes.md", heading: str | None = None) -> Hit:
    return Hit(text, text, source, Locator(heading=heading), 1.0)


DOORS = hit("The committee chose the oak doors.", heading="Minutes > 2026-03-11")
TILES = hit("The committee chose the blue tiles.", heading="Minutes > 2026-03-04")
HEATER = hit("Repaired the heater.", "/docs/journal-2026-01-05.md")
TANK = hit("Cleaned the tank.", "/docs/2025-12-30/journal.md")
NOTES = hit("The committee meets on Mondays.", "/docs/notes.md")


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("What was chosen on 4 March 2026?", TILES),
        ("What was chosen on March 11th?", DOORS),
        ("2026年1月5日做了什么？", HEATER),
        ("What did I do on 30 December 2025?", TANK),
    ],
)
def test_the_day_in_heading_or_name_comes_first(question: str, first: Hit) -> None:
    hits, evidence = named_first(question, [NOTES, DOORS, HEATER, TILES, TANK], 0.9)
    assert hits[0] == first
    assert len(hits) == 5
    assert evidence == 0.9


def test_only_other_days_make_it_uncertain() -> None:
    hits, evidence = named_first("What was chosen on 5 March 2026?", [NOTES, DOORS, TILES], 0.99)
    assert hits == [NOTES, DOORS, TILES]
    assert REFUSE < evidence == OTHERWISE_NAMED < CERTAIN


@pytest.mark.parametrize(("question", "text"), [("8MHz?", "The 16MHz crystal."), ("BAS16", "BAS16J is a diode.")])
def test_only_other_codes_make_it_uncertain(question: str, text: str) -> None:
    assert named_first(question, [hit(text)], 0.99)[1] == OTHERWISE_NAMED


@pytest.mark.parametrize("question", ["What was chosen?", "What was chosen in 2026?", "Who is on the committee?"])
def test_a_question_that_names_nothing_changes_nothing(question: str) -> None:
    assert named_first(question, [NOTES, DOORS], 0.99) == ([NOTES, DOORS], 0.99)


def test_passages_without_dates_are_as_sure_as_before() -> None:
    assert named_first("What was chosen on 4 March?", [NOTES], 0.99)[1] == 0.99


CLAUSES = [hit("Pay late.", heading="3 Pay > 3.1 Late"), hit("Keep it.", heading="3 Pay > 3.2 Secrecy"), NOTES]


def test_the_numbered_part_that_is_asked_for_comes_first() -> None:
    hits, evidence = named_first("What does clause 3.2 say?", CLAUSES, 0.1)
    assert hits[0].locator.heading == "3 Pay > 3.2 Secrecy"
    assert evidence > REFUSE


def test_only_other_parts_make_it_uncertain() -> None:
    hits, evidence = named_first("What does clause 3.9 say?", CLAUSES, 0.99)
    assert (hits, evidence) == (CLAUSES, OTHERWISE_NAMED)


def test_a_reference_changes_nothing_where_no_part_has_a_number() -> None:
    assert named_first("What does clause 3.9 say?", [NOTES], 0.99) == ([NOTES], 0.99)


def test_names_of_files_and_folders_are_searched(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for name, text in {
        "Yard.md": "Mow every ten days.",
        "张伟合同.md": "月薪一万二千元。",
        "李娜合同.md": "月薪九千元。",
        "Garden/index.md": "Feed in May.",
        "Roof.md": "# Gutters\n\nCleaned in November.",
    }.items():
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(text, encoding="utf-8")
    with small_kb(tmp_path / "home", HashEmbeddings()) as kb:
        kb.ingest(docs)

        def first(question: str) -> str:
            return Path(kb.retrieve(question, 1, sides=["keyword"]).hits[0].source).relative_to(docs).as_posix()

        for question, name in (("yard", "Yard.md"), ("garden", "Garden/index.md"), ("roof", "Roof.md"),
                               ("张伟的月薪", "张伟合同.md"), ("李娜的月薪", "李娜合同.md")):  # fmt: skip
            assert first(question) == name
        (docs / "Yard.md").rename(docs / "Lawn.md")
        assert kb.ingest(docs).embedded == 0
        assert first("lawn") == "Lawn.md"
        assert not kb.retrieve("yard", 1, sides=["keyword"]).hits
        assert kb.verify().faults == ()


def test_a_text_in_two_files_is_kept_once_and_found_by_both_names(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("Yard.md", "Lawn.md"):
        (docs / name).write_text("Mow every ten days.")
    with small_kb(tmp_path / "home", HashEmbeddings()) as kb:
        assert kb.ingest(docs).embedded == 1
        for word in ("yard", "lawn"):
            (hit,) = kb.retrieve(word, 5, sides=["keyword"]).hits
            assert {Path(path).name for path in (hit.source, *hit.also_in)} == {"Yard.md", "Lawn.md"}
        kb.remove([docs / "Yard.md"])
        assert not kb.retrieve("yard", 5, sides=["keyword"]).hits
        assert kb.verify().faults == ()


def test_what_stands_under_a_version_comes_before_what_names_it() -> None:
    old = hit("Stay on 5.2.4 if you need the old printer.", heading="News > 5.3.0 (May)")
    meant = hit("Labels may be 40 characters long.", heading="News > 5.2.4 (March)")
    assert named_first("what changed in 5.2.4", [NOTES, old, meant], 0.9)[0] == [meant, old, NOTES]
