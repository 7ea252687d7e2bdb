"""Tables as lines of text, one per row, each with the names of its columns: `Item: Pump | Price: 42`.

A row that names its values can stand alone in a piece, wherever a long table is cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ingest.readers.blocks import one_line

MOST_COLUMNS = 1000
BULLET = "•"
"""The mark before each item of a list in a cell, which is one line."""

_LONGEST_NAME = 80  # characters of a column's name
_MOST_NUMBERS = 0.5  # largest share of numbers in a row of names
_DATE_OR_TIME = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?:[ T]\d{1,2}(?::\d{2}){1,2})?|\d{1,3}(?::\d{2}){1,2}")


class Cell(NamedTuple):
    """A field of the grid. `first` is False if a merged cell continues from the left or from above."""

    text: str
    first: bool = True


Row = Sequence[Cell]


class Field(NamedTuple):
    """A cell of the document, once for all its fields. `is_name`: it is marked as a column name."""

    text: str
    columns: int = 1
    rows: int = 1
    is_name: bool = False


def expand_spans(rows: Sequence[Sequence[Field]]) -> list[list[Cell]]:
    """The cells on the grid; a cell that spans columns or rows fills all its fields."""
    grid: list[list[Cell]] = []
    from_above: dict[int, tuple[str, int]] = {}  # column -> text, and the number of rows it still spans
    for row in rows:
        line: list[Cell] = []
        below: dict[int, tuple[str, int]] = {}
        waiting = list(reversed(row))
        while len(line) < MOST_COLUMNS and (waiting or len(line) in from_above):
            if len(line) in from_above:
                text, left = from_above[len(line)]
                cells, left = [Cell(text, False)], left - 1
            else:
                text, columns, left, _ = waiting.pop()
                cells = [Cell(text, column == 0) for column in range(min(max(columns, 1), MOST_COLUMNS))]
                left -= 1
            for cell in cells:
                if left > 0:
                    below[len(line)] = text, left
                line.append(cell)
        from_above = below
        grid.append(line)
    return grid


def as_line(row: Row) -> str:
    """The row as in the document: each cell once, separated by tabs."""
    return "\t".join(cell.text for cell in row if cell.first).strip("\t")


def is_header(row: Row, below: Row | None, twice: bool = False) -> bool:
    """Whether a row looks like column names: several short texts, all different (unless `twice`), few numbers, a
    row below."""
    names = [cell.text for cell in row if cell.text and cell.first]
    if below is None or len(names) < 2 or len(names) < sum(bool(cell.text) for cell in below) - 1:
        return False
    numbers = sum(_is_number(name) for name in names)
    return (
        (twice or len(set(names)) == len(names))
        and max(map(len, names)) <= _LONGEST_NAME
        and numbers <= _MOST_NUMBERS * len(names)
    )


def column_names(rows: Sequence[Row]) -> list[str]:
    """A name for each column from the header rows: `Sales / 2024` if one name spans several columns."""
    width = max(map(len, rows), default=0)
    names = []
    for column in range(width):
        parts = [row[column].text for row in rows if column < len(row) and row[column].text]
        names.append(" / ".join(dict.fromkeys(parts)))
    return names


def labelled(row: Row, names: Sequence[str]) -> str:
    """`name: value` for each non-empty cell. A cell merged over rows is repeated in each of them, one merged over
    columns appears once."""
    parts = []
    said: Cell | None = None
    for place, cell in enumerate(row):
        goes_on = not cell.first and said is not None and said.text == cell.text
        if cell.text and not goes_on:
            name = names[place] if place < len(names) else ""
            parts.append(f"{name}: {cell.text}" if name and name != cell.text else cell.text)
        said = cell
    return " | ".join(parts)


def table_lines(rows: Sequence[Row], header_rows: int | None = None) -> list[str]:
    """A line for each row of a document's table: the row unchanged, then with the names of its columns. Empty rows
    give an empty line.

    Args:
        header_rows: Number of rows of names at the top; None to detect them.
    """
    rows = [[Cell(one_line(cell.text), cell.first) for cell in row] for row in rows]
    filled = [index for index, row in enumerate(rows) if any(cell.text for cell in row)]
    if header_rows is None:
        below = rows[filled[1]] if len(filled) > 1 else None
        header_rows = filled[0] + 1 if filled and is_header(rows[filled[0]], below) else 0
    if header_rows >= len(rows):
        header_rows = 0
    names = column_names(rows[:header_rows])
    lines = []
    for index, row in enumerate(rows):
        text = as_line(row)
        with_names = labelled(row, names) if index >= header_rows and any(names) else ""
        single = sum(bool(cell.text) for cell in row) < 2 and sum(map(bool, names)) < 2
        lines.append(text if not with_names or single else f"{text} ({with_names})")
    return lines


def _is_number(text: str) -> bool:
    """Whether it is a number, date or time: a value rather than a name."""
    bare = text.strip("+-$€¥£%() ").replace(",", "").replace(".", "", 1)
    return bare.isdigit() or bool(_DATE_OR_TIME.fullmatch(text))
