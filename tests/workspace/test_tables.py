"""Tables of a passage as they are shown."""

from __future__ import annotations

import time

import pytest

from kb_assistant.text.rows import row_of
from kb_assistant.workspace.tables import grids, without_bars

MARKDOWN = "Prices:\n\n| Bed | Price |\n|---|---:|\n| hall | 60 |\n| own \\| tent | 25 |\n\nBring a sleeping bag."
NAMED = "Day\tMain\nMonday\tclosed (Day: Monday | Main: closed)\nTuesday\t10:00 (Day: Tuesday | Main: 10:00)"
ROWS = "Code | Meaning\nCode: E20 | Meaning: no water\nCode: E21 | Meaning: blocked"


@pytest.mark.parametrize(
    ("passage", "names", "rows"),
    [
        (MARKDOWN, ("Bed", "Price"), [["hall", "60"], ["own \\| tent", "25"]]),
        (NAMED, ("Day", "Main"), [["Monday", "closed"], ["Tuesday", "10:00"]]),
        (ROWS, ("Code", "Meaning"), [["E20", "no water"], ["E21", "blocked"]]),
        ("Code: E20 | Note:\nCode: E21 | Note: x", ("Code", "Note"), [["E20", ""], ["E21", "x"]]),
        ("Code: E20 | A: b\nCode: E21 | B: c", (), [["Code: E20", "A: b"], ["Code: E21", "B: c"]]),
        ("R1\tTrue (R1 | Class: True | Kind: A)", ("", "Class", "Kind"), [["R1", "True", "A"]]),
        ("a | b\nc | d", (), [["a", "b"], ["c", "d"]]),
    ],
)
def test_a_table_has_the_names_of_its_columns_and_the_places_of_its_cells(
    passage: str, names: tuple[str, ...], rows: list[list[str]]
) -> None:
    (grid,) = list(grids(passage))[:1]
    assert grid.names == names
    assert [[passage[start:end] for start, end in row] for row in grid.rows] == rows


def test_the_names_above_a_table_are_its_head() -> None:
    (grid,) = grids(f"Opening hours\n{NAMED}\nClosed on Sundays.")
    assert (grid.start, grid.end) == (len("Opening hours\n"), len(f"Opening hours\n{NAMED}"))


def test_sentences_and_lists_are_no_tables() -> None:
    assert list(grids("One sentence: yes.\n- an item\n- another")) == []
    assert row_of("Only: one").named == []


def test_code_holds_no_tables() -> None:
    piped = "Count:\n```sh\ncat a | sort | uniq\ncat b | sort | uniq\n```\n"
    assert list(grids(piped)) == []
    assert [grid.names for grid in grids(piped + MARKDOWN)] == [("Bed", "Price")]
    assert "```" not in without_bars(piped)


def test_a_short_look_has_no_bars_and_no_rules() -> None:
    assert without_bars(MARKDOWN).splitlines()[2:4] == ["Bed · Price", "hall · 60"]
    assert "Day: Monday · Main: closed" in without_bars(NAMED)
    assert "---" not in without_bars(MARKDOWN)
    assert without_bars("| tent | 25 | |") == "tent · 25", "a last cell that is empty"


@pytest.mark.parametrize("line", ["| a " * 20_000, "a: b | " * 20_000, "(" * 50_000 + "a: b)", ": | " * 20_000])
def test_odd_rows_take_no_time(line: str) -> None:
    began = time.process_time()
    list(grids(f"{line}\n{line}"))
    without_bars(line)
    assert time.process_time() - began < 3
