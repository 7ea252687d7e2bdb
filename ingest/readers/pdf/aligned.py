"""Tables without ruling lines on a PDF page: cells that stand below one another form columns.

Only what is clear becomes a table: rows with as many cells as there are columns, whose edges or middles are in
line, and short cells. Prose in columns, lists with numbers or bullets, and single lines with gaps stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import filterfalse, pairwise
from statistics import mean, median
from typing import Any, NamedTuple

from ingest.readers.pdf.columns import turned
from ingest.readers.pdf.tables import Table
from ingest.readers.tables import Cell, as_line, table_lines

_GAP = 0.75  # between cells, in heights of the line; a space is a third of one
_LEAST_ROWS = 3  # with a cell in each column
_FARTHEST = 2.6  # distance of neighbouring rows, in heights
_IN_LINE = 0.3  # largest distance of aligned edges, in heights
_ALIGNED = 0.75  # share of a column's cells that are in line
_LONGEST = 40  # characters of the average cell
_SHORT = 20  # of one of two columns
_FILLED = 0.6  # share of cells that aren't empty, where every row lacks some
_FITTING = 0.8  # share of rows whose cells lie in the columns
_WRAPPED = 0.8  # of the usual distance of rows: a closer line goes on with the cells above
_MOST_WORDS = 6_000
_DEEPEST = 8  # tables and prose side by side
_PROSE = 30  # characters of the average line of prose in columns
_FULL = 0.8  # width of its usual line, in that of its widest
_WORD = re.compile(r"\S+")
_NO_NAME = re.compile(r"\d|[:：]")
_BULLET = re.compile(r"[-–+•·*▪●○◦‣]")
_MARKER = re.compile(r"[(\[]?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)\]]{1,2}|\d+(?:\.\d+)+\.?")


class _Piece(NamedTuple):
    """The words of a line up to a gap, in points; `line` is its number in the page's text."""

    left: float
    right: float
    y: float
    height: float
    line: int
    text: str


_Line = list[_Piece]
"""Pieces at one height, from left to right."""


def aligned_tables(layer: Any, text: str, rotation: int, taken: frozenset[int] = frozenset()) -> list[Table]:
    """The tables of a page that only alignment shows.

    Args:
        text: A character for each of pdfium's indexes.
        rotation: Degrees by which the page is rotated for display.
        taken: Numbers of lines that belong to other tables.
    """
    pieces = list(_pieces(layer, text, rotation, taken))
    return [table for run in _runs(_lines(pieces)) for table in _tables(run)]


def _pieces(layer: Any, text: str, rotation: int, taken: frozenset[int]) -> Iterator[_Piece]:
    place, words = 0, 0
    for number, line in enumerate(text.split("\n")):
        start, place = place, place + len(line) + 1
        matches = list(_WORD.finditer(line))
        words += len(matches)
        if number in taken or words > _MOST_WORDS:
            continue
        piece: _Piece | None = None
        for match in matches:
            first = turned(layer.get_charbox(start + match.start(), loose=True), rotation)
            last = turned(layer.get_charbox(start + match.end() - 1, loose=True), rotation)
            left, right, height = first[0], max(first[2], last[2]), first[3] - first[1]
            if piece and -height < left - piece.right <= _GAP * height:
                piece = piece._replace(right=right, text=f"{piece.text} {match[0]}")
                continue
            if piece:
                yield piece
            piece = _Piece(left, right, (first[1] + first[3]) / 2, height, number, match[0])
        if piece:
            yield piece


def _lines(pieces: Iterable[_Piece]) -> list[_Line]:
    """From top to bottom."""
    lines: list[_Line] = []
    for piece in sorted(pieces, key=lambda piece: -piece.y):
        if lines and lines[-1][0].y - piece.y <= 0.4 * max(piece.height, 1):
            lines[-1].append(piece)
        else:
            lines.append([piece])
    return [sorted(line) for line in lines]


def _runs(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    """Lines with gaps that follow one another; a single piece among them may be a heading within the table."""
    run: list[_Line] = []
    for line in lines:
        near = bool(run) and run[-1][0].y - line[0].y <= _FARTHEST * max(line[0].height, run[-1][0].height)
        if run and (not near or (len(line) == 1 and len(run[-1]) == 1)):
            yield run
            run = []
        if run or len(line) > 1:
            run.append(line)
    if run:
        yield run


def _tables(run: list[_Line], deep: int = 0) -> list[Table]:
    """The tables of a run of lines. What stands beside columns, kept apart by pdfium, may be another table."""
    while run and len(run[-1]) == 1:
        run = run[:-1]
    columns = _columns(run)
    if not columns or deep > _DEEPEST:
        return []
    prose = [place for place, cells in enumerate(_cells(run, columns)) if _is_prose(cells)]
    kept = [column for place, column in enumerate(columns) if place not in prose]
    inside, outside = _parted(run, kept) if prose else _parted(run, [(columns[0][0], columns[-1][1])])
    if any(outside):
        if _numbers(inside) & _numbers(outside):
            return [] if prose else _table(run, columns)
        beside = [] if prose else list(_runs([line for line in outside if line]))
        runs = [[line for line in inside if line], *beside]
        return [table for one in runs for table in _tables(one, deep + 1)]
    return _table(run, columns)


def _parted(run: Sequence[_Line], columns: Sequence[tuple[float, float]]) -> tuple[list[_Line], list[_Line]]:
    """The pieces of each line that reach into these columns, and the others."""

    def reaches(piece: _Piece) -> bool:
        return any(piece.left <= right and left <= piece.right for left, right in columns)

    return [list(filter(reaches, line)) for line in run], [list(filterfalse(reaches, line)) for line in run]


def _table(run: list[_Line], columns: Sequence[tuple[float, float]]) -> list[Table]:
    cells = _cells(run, columns)
    run = _without_titles(run, len(columns))
    placed = [_placed(line, columns) for line in run]
    rows = [(line, row) for line, row in zip(run, placed, strict=True) if row]
    if len(rows) < max(_LEAST_ROWS, _FITTING * len(run)) or not (
        all(map(_is_aligned, cells)) and _has_short_cells(cells)
    ):
        return []
    grid = _grid(_unwrapped(rows), len(columns))
    made = table_lines(grid) if len(columns) > 2 or _has_names(grid) else [as_line(row) for row in grid]
    return [Table("\n".join(line for line in made if line.strip()), _numbers(line for line, _ in rows))]


def _numbers(lines: Iterable[_Line]) -> frozenset[int]:
    return frozenset(piece.line for line in lines for piece in line)


def _is_prose(cells: Sequence[_Piece]) -> bool:
    """Whether a column holds running text: long lines that are nearly all full."""
    widest = max(cell.right for cell in cells) - min(cell.left for cell in cells)
    return (
        mean(len(cell.text) for cell in cells) >= _PROSE
        and median(cell.right - cell.left for cell in cells) >= _FULL * widest
    )


def _without_titles(run: list[_Line], width: int) -> list[_Line]:
    """The lines from the first that may be names or values on; those above may be fields of a form."""
    first = next((index for index, line in enumerate(run) if len(line) == width), 0)
    names = first
    while names and not any(_NO_NAME.search(piece.text) for piece in run[names - 1]):
        names -= 1
    return run[names:]


def _has_names(grid: Sequence[Sequence[Cell]]) -> bool:
    """Whether the first row names a column of numbers."""
    return any(
        not any(map(str.isdigit, first.text))
        and sum(any(map(str.isdigit, row[column].text)) for row in grid[1:]) >= _ALIGNED * (len(grid) - 1)
        for column, first in enumerate(grid[0])
    )


def _columns(run: Sequence[_Line]) -> list[tuple[float, float]]:
    """Left and right edges of the columns: of the lines with the most pieces that enough lines have; else of lines
    that each lack some."""
    counts = sorted({len(line) for line in run if len(line) > 1}, reverse=True)
    for count in counts:
        lines = [line for line in run if len(line) == count]
        if len(lines) >= _LEAST_ROWS and len(spans := _spans(lines)) == count:
            return spans
    for count in counts:
        lines = [line for line in run if len(line) >= count]
        if len(lines) >= _LEAST_ROWS and len(spans := _spans(lines)) >= counts[0]:
            return spans if sum(map(len, run)) >= _FILLED * len(run) * len(spans) else []
    return []


def _spans(lines: Iterable[_Line]) -> list[tuple[float, float]]:
    """What the pieces cover of the width."""
    spans: list[tuple[float, float]] = []
    for left, right in sorted((piece.left, piece.right) for line in lines for piece in line):
        if spans and left <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], right)
        else:
            spans.append((left, right))
    return spans


def _cells(run: Sequence[_Line], columns: Sequence[tuple[float, float]]) -> list[list[_Piece]]:
    """The pieces that lie within each column."""
    return [
        [piece for line in run for piece in line if left <= piece.left and piece.right <= right]
        for left, right in columns
    ]


def _placed(line: _Line, columns: Sequence[tuple[float, float]]) -> dict[int, tuple[int, str]] | None:
    """For the first column of each piece its last one and its text; None if a piece lies outside of columns."""
    found: dict[int, tuple[int, str]] = {}
    reached = -1
    for piece in line:
        over = [
            number for number, (left, right) in enumerate(columns) if piece.left <= right and left <= piece.right
        ]
        if not over or over[0] <= reached:
            return None
        reached = over[-1]
        found[over[0]] = reached, piece.text
    return found


def _is_aligned(cells: Sequence[_Piece]) -> bool:
    """Whether most left edges, right edges or middles of a column are in line."""
    near = _IN_LINE * median(cell.height for cell in cells)
    best = 0
    for edges in (
        [cell.left for cell in cells],
        [cell.right for cell in cells],
        [(cell.left + cell.right) / 2 for cell in cells],
    ):
        middle = median(edges)
        best = max(best, sum(abs(edge - middle) <= near for edge in edges))
    return best >= _ALIGNED * len(cells)


def _has_short_cells(cells: Sequence[Sequence[_Piece]]) -> bool:
    """Whether the cells are those of a table: not prose in columns, no list with its numbers or bullets, no words
    of a figure."""
    columns = [[cell.text for cell in column] for column in cells]
    lengths = [mean(map(len, column)) for column in columns]
    rows = max(map(len, columns))
    if mean(lengths) > _LONGEST or any(_share(_BULLET, column) >= 0.5 for column in columns):
        return False
    if rows <= _LEAST_ROWS and not any(mark.isdigit() for column in columns for mark in "".join(column[1:])):
        return False
    if len(columns) > 2:
        return True
    return _share(_MARKER, columns[0]) < 0.5 and min(lengths) <= _SHORT and rows > _LEAST_ROWS


def _share(pattern: re.Pattern[str], cells: Sequence[str]) -> float:
    return sum(bool(pattern.fullmatch(cell)) for cell in cells) / len(cells)


_Row = dict[int, tuple[int, str]]


def _unwrapped(rows: Sequence[tuple[_Line, _Row]]) -> list[_Row]:
    """The rows; lines that only go on with cells of the row above are joined with it."""
    steps = [before[0][0].y - after[0][0].y for before, after in pairwise(rows)]
    usual = median(steps) if steps else 0.0
    found: list[_Row] = []
    y = 0.0
    for line, row in rows:
        step, y = y - line[0].y, line[0].y
        if found and 0 not in row and step < _WRAPPED * usual and all(column in found[-1] for column in row):
            for column, (last, text) in row.items():
                found[-1][column] = max(last, found[-1][column][0]), f"{found[-1][column][1]} {text}"
        else:
            found.append(dict(row))
    return found


def _grid(rows: Sequence[_Row], width: int) -> list[list[Cell]]:
    from ingest.readers.pdf.clean import clean_page

    grid = []
    for row in rows:
        cells = [Cell("")] * width
        for column, (last, text) in row.items():
            text = clean_page(text)
            cells[column : last + 1] = [Cell(text, place == column) for place in range(column, last + 1)]
        grid.append(cells)
    return grid
