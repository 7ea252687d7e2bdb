"""Tables as lines of text, one per row, each with the names of its columns: `Item: Pump | Price: 42`.

A row that names its values can stand alone in a piece, wherever a long table is cut. Which rows are names is
decided in table_headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from ingest.readers.blocks import one_line
from ingest.readers.table_cards import pairs
from ingest.readers.table_cells import Cell, Kind, Row, value_of
from ingest.readers.table_headers import (
    MOST_HEADER_ROWS,
    Header,
    column_names,
    has_contrast,
    header_of,
    is_names,
    names_fields,
)

__all__ = ["MOST_COLUMNS", "Cell", "Field", "Row", "as_line", "expand_spans", "sheet_parts", "table_lines"]

MOST_COLUMNS = 1000

_SAMPLE = 20  # rows of a table that are looked at for names above it
BULLET = "•"
"""The mark before each item of a list in a cell, which is one line."""


class Field(NamedTuple):
    """A cell of the document, once for all its fields. `is_name`: it is marked as a column name."""

    text: str
    columns: int = 1
    rows: int = 1
    is_name: bool = False


def expand_spans(rows: Sequence[Sequence[Field]]) -> list[list[Cell]]:
    """The cells on the grid; a cell that spans columns or rows fills all its fields."""
    grid: list[list[Cell]] = []
    from_above: dict[int, tuple[Cell, int]] = {}  # column -> cell, and the number of rows it still spans
    for row in rows:
        line: list[Cell] = []
        below: dict[int, tuple[Cell, int]] = {}
        waiting = list(reversed(row))
        while len(line) < MOST_COLUMNS and (waiting or len(line) in from_above):
            if len(line) in from_above:
                above, left = from_above[len(line)]
                cells, left = [above], left - 1
            else:
                text, columns, left, is_name = waiting.pop()
                width = min(max(columns, 1), MOST_COLUMNS)
                cells = [Cell(text, column == 0, is_name) for column in range(width)]
                left -= 1
            for cell in cells:
                if left > 0:
                    below[len(line)] = cell._replace(first=False), left
                line.append(cell)
        from_above = below
        grid.append(line)
    return grid


def as_line(row: Row) -> str:
    """The row as in the document: each cell once, separated by tabs."""
    return "\t".join(cell.text for cell in row if cell.first).strip("\t")


def labelled(row: Row, names: Sequence[str]) -> str:
    """`name: value` for each non-empty cell. A cell merged over rows is repeated in each of them, one merged over
    columns appears once."""
    parts = []
    said: Cell | None = None
    for place, cell in enumerate(row):
        goes_on = not cell.first and said is not None and said.text == cell.text
        if cell.text and not goes_on:
            name = names[place] if place < len(names) else ""
            says_more = name and (name != cell.text or value_of(cell).kind is not Kind.TEXT)
            parts.append(f"{name}: {cell.text}" if says_more else cell.text)
        said = cell
    return " | ".join(parts)


def table_lines(rows: Sequence[Row], header_rows: int | None = None) -> list[str]:
    """A line for each row of a document's table: the row unchanged, then with the names of its columns. Empty rows
    give an empty line.

    Args:
        header_rows: Number of rows that are marked as names at the top; None to detect them.
    """
    rows = [[cell._replace(text=one_line(cell.text)) for cell in row] for row in rows]
    filled = [index for index, row in enumerate(rows) if any(cell.text for cell in row)]
    table = [rows[index] for index in filled]
    header = header_of(table, sum(index < header_rows for index in filled) if header_rows else None)
    names = column_names(table[header.titles : header.titles + header.rows])
    lines = [""] * len(rows)
    for place, (index, row) in enumerate(zip(filled, table, strict=True)):
        lines[index] = text = as_line(row)
        if header.is_card and pairs(row):
            lines[index] = _card_line(row)
        elif place >= header.titles + header.rows and any(names) and not _says_one_thing(row, names):
            single = sum(bool(cell.text) for cell in row) < 2 and sum(map(bool, names)) < 2
            lines[index] = text if single else f"{text} ({labelled(row, names)})"
    return lines


def names_of(rows: Sequence[Row]) -> list[str]:
    """The names of a table's columns; none without a header."""
    table = [row for row in rows if any(cell.text for cell in row)]
    header = header_of(table)
    return column_names(table[header.titles : header.titles + header.rows])


def continued_lines(rows: Sequence[Row], names: Sequence[str]) -> list[str] | None:
    """A line for each row of a table that goes on from another one, with the names of its columns; None if it has
    names of its own."""
    table = [row for row in rows if any(cell.text for cell in row)]
    header = header_of(table)
    own, below = table[header.titles : header.titles + header.rows], table[header.titles + header.rows :]
    is_told = own and (header.titles or len(own) > 1 or has_contrast(own[0], below) or names_fields(own[0]))
    if is_told or (own and column_names(own) == list(names)):
        return None
    lines = [(as_line(row), row) for row in table]
    return [line if _says_one_thing(row, names) else f"{line} ({labelled(row, names)})" for line, row in lines]


class Part(NamedTuple):
    """A table on a sheet, or a part of one: the numbers of its rows, and a line for each."""

    numbers: list[int]
    lines: list[str]


class _Names(NamedTuple):
    """The names of the columns of a table, and which columns its last row of names fills."""

    names: list[str]
    columns: int = 0


def sheet_parts(rows: Sequence[Row]) -> Iterator[Part]:
    """The tables of a sheet. An empty row, an empty column between two tables, or a title with names below it ends
    one. A table without names, or with what may be a record in their place, continues with those above."""
    above = _Names([])
    runs = list(_runs(rows))
    for place, run in enumerate(runs):
        if place + 1 < len(runs) and (apart := _names_apart(rows, run, runs[place + 1])):
            yield Part(run, [_plain_line(rows[number]) for number in run])
            above = apart
            continue
        columns = _side_by_side([rows[number] for number in run])
        if not columns:
            for part in _stacked(rows, run):
                lines, above = _lines([rows[number] for number in part], above)
                yield Part(part, lines)
            continue
        for left, right in columns:
            beside = [rows[number][left:right] if number in run else () for number in range(run[-1] + 1)]
            for part in _runs(beside):
                yield Part(part, _lines([beside[number] for number in part], _Names([]))[0])
        above = _Names([])


def _names_apart(rows: Sequence[Row], run: Sequence[int], next_run: Sequence[int]) -> _Names | None:
    """The names in a run that holds nothing else, for a table that begins behind an empty row."""
    if len(run) > MOST_HEADER_ROWS + 1 or next_run[0] != run[-1] + 2:
        return None
    head, body = [rows[number] for number in run], [rows[number] for number in next_run[:_SAMPLE]]
    header = header_of([*head, *body])
    own = header_of(body)
    is_list = all(value_of(value).kind is Kind.NUMBER for row in body for _, value in pairs(row))
    if not header.rows or header.titles + header.rows != len(head) or own.rows or (own.is_card and not is_list):
        return None
    return (
        _Names(column_names(head[header.titles :]), _columns(head[-1])) if has_contrast(head[-1], body) else None
    )


def _lines(rows: Sequence[Row], above: _Names) -> tuple[list[str], _Names]:
    """A line for each row of a table without empty rows, and its names."""
    header = header_of(rows)
    if header.is_card and not above.names:
        return [_card_line(row) for row in rows], above
    own = rows[header.titles : header.titles + header.rows]
    if header.is_card or (own and _continues(rows, header, above)):
        header, own = Header(), []
    if own:
        above = _Names(column_names(own), _columns(own[-1]))
    head, last = header.titles + header.rows, [cell.text for cell in own[-1]] if own else None
    lines = []
    for index, row in enumerate(rows):
        if index < header.titles:
            lines.append(_card_line(row))
        elif index < head or _says_one_thing(row, above.names) or [cell.text for cell in row] == last:
            lines.append(_plain_line(row))
        else:
            lines.append(labelled(row, above.names))
    return lines, above


def _continues(rows: Sequence[Row], header: Header, above: _Names) -> bool:
    """Whether what looks like names may be a record of the table above: it fills the same columns, and nothing
    tells it from the rows below it."""
    row, below = rows[header.titles], rows[header.titles + 1 :]
    return (
        bool(above.names)
        and header.titles == 0
        and header.rows == 1
        and _columns(row) == above.columns
        and [cell.text for cell in row] != above.names
        and not has_contrast(row, below)
        and not names_fields(row)
    )


def _says_one_thing(row: Row, names: Sequence[str]) -> bool:
    """Whether a row is no record but a heading, a source or a note: one cell in the first column, or over all."""
    filled = [place for place, cell in enumerate(row) if cell.text]
    if len({row[place].text for place in filled}) != 1 or sum(row[place].first for place in filled) > 1:
        return False
    return (len(filled) > 1 and len(filled) >= sum(map(bool, names))) or (
        filled == [0] and sum(map(bool, names)) > 2
    )


def _card_line(row: Row) -> str:
    """`name: value` for each pair of cells; a row of other cells as it is."""
    cells = [cell for cell in row if cell.text and cell.first]
    if len(cells) % 2 or any(value_of(label).kind is not Kind.TEXT for label in cells[::2]):
        return _plain_line(row)
    return " | ".join(f"{label.text.rstrip(' :：')}: {value.text}" for label, value in pairs(row))


def _plain_line(row: Row) -> str:
    return " | ".join(dict.fromkeys(cell.text for cell in row if cell.text and cell.first))


def _runs(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Numbers of consecutive non-empty rows."""
    for is_filled, run in groupby(range(len(rows)), lambda number: any(cell.text for cell in rows[number])):
        if is_filled:
            yield list(run)


def _stacked(rows: Sequence[Row], run: list[int]) -> Iterator[list[int]]:
    """The tables of a run of rows, parted before each title that stands above names of other columns."""
    start = 0
    for place in range(2, len(run) - 2):
        title, names, below = (rows[run[place + down]] for down in range(3))
        if (
            len(_texts(title)) == 1
            and len(_texts(rows[run[place - 1]])) > 1
            and is_names(names, [below])
            and all(value_of(cell).kind is Kind.TEXT for cell in names if cell.text)
            and has_contrast(names, [below])
        ):
            yield run[start:place]
            start = place
    yield run[start:]


def _side_by_side(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """First and end columns of tables that an empty column parts, each with names of its own; none for a single
    table."""
    filled = 0
    for row in rows:
        filled |= _columns(row, only_first=True)
    spans = [
        list(places)
        for is_filled, places in groupby(range(filled.bit_length()), lambda place: filled >> place & 1)
        if is_filled
    ]
    if len(spans) < 2 or any(len(span) < 2 for span in spans) or len(rows) < 2:
        return []
    columns = [(span[0], span[-1] + 1) for span in spans]
    for left, right in columns:
        cut = [row[left:right] for row in rows]
        table = [row for row in cut if any(cell.text for cell in row)]
        header = header_of(table)
        body = table[header.titles + header.rows :]
        if not header.is_card and (
            not header.rows
            or not has_contrast(table[header.titles + header.rows - 1], body)
            or value_of(body[0][0]).kind is not Kind.TEXT
        ):
            return []
    return columns


def _texts(row: Row) -> list[str]:
    return [cell.text for cell in row if cell.text and cell.first]


def _columns(row: Row, only_first: bool = False) -> int:
    """The filled columns, as a bit mask."""
    return sum(1 << place for place, cell in enumerate(row) if cell.text and (cell.first or not only_first))
