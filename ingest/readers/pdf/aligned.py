"""Tables without ruling lines on a PDF page: cells that stand below one another form columns.

Only what is clear becomes a table: rows with as many cells as there are columns, whose edges or middles are in
line, and short cells. Prose in columns, lists with numbers or bullets, and single lines with gaps stay text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
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
_FITTING = 0.8  # share of rows whose cells lie in the columns
_WRAPPED = 0.8  # of the usual distance of rows: a closer line goes on with the cells above
_MOST_WORDS = 6_000
_PROSE = 30  # characters of the average line of prose in columns
_FULL = 0.8  # width of its usual line, in that of its widest
_WORD = re.compile(r"\S+")
_NO_NAME = re.compile(r"\d|[:：]")
_MARKER = re.compile(r"[-–+•·*▪●○◦‣]|[(\[]?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)\]]{1,2}|\d+(?:\.\d+)+\.?")


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
    found = []
    for run in _runs(_lines(pieces)):
        table = _table(run)
        if table:
            found.append(table)
    return found


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


def _table(run: list[_Line]) -> Table | None:
    while run and len(run[-1]) == 1:
        run = run[:-1]
    columns = _columns(run)
    if not columns:
        return None
    full = [line for line in run if len(line) == len(columns)]
    if prose := [column for column in range(len(columns)) if _is_prose([line[column] for line in full])]:
        return _table_beside(run, [columns[column] for column in prose])
    run = _without_titles(run, len(columns))
    placed = [_placed(line, columns) for line in run]
    rows = [(line, row) for line, row in zip(run, placed, strict=True) if row]
    if len(rows) < _FITTING * len(run) or not (_is_aligned(full, len(columns)) and _has_short_cells(full)):
        return None
    grid = _grid(_unwrapped(rows), len(columns))
    made = table_lines(grid) if len(columns) > 2 or _has_names(grid) else [as_line(row) for row in grid]
    return Table("\n".join(line for line in made if line.strip()), _numbers(line for line, _ in rows))


def _table_beside(run: Sequence[_Line], prose: Sequence[tuple[float, float]]) -> Table | None:
    """The table that stands beside prose, whose lines pdfium has kept apart."""
    aside = [
        [piece for piece in line if any(piece.left <= right and left <= piece.right for left, right in prose)]
        for line in run
    ]
    rest = [[piece for piece in line if piece not in gone] for line, gone in zip(run, aside, strict=True)]
    if _numbers(aside) & _numbers(rest):
        return None
    return _table([line for line in rest if line])


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
    first = next(index for index, line in enumerate(run) if len(line) == width)
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
    """Left and right edges of the columns, from the lines with the most pieces that enough lines have."""
    counts = Counter(map(len, run))
    for count in sorted((count for count in counts if count > 1), reverse=True):
        if counts[count] < _LEAST_ROWS:
            continue
        spans: list[list[float]] = []
        for left, right in sorted(
            (piece.left, piece.right) for line in run if len(line) == count for piece in line
        ):
            if spans and left <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], right)
            else:
                spans.append([left, right])
        return [(left, right) for left, right in spans] if len(spans) == count else []
    return []


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


def _is_aligned(full: Sequence[_Line], width: int) -> bool:
    """Whether in each column most left edges, right edges or middles are in line."""
    for column in range(width):
        cells = [line[column] for line in full]
        near = _IN_LINE * median(cell.height for cell in cells)
        best = 0
        for edges in (
            [cell.left for cell in cells],
            [cell.right for cell in cells],
            [(cell.left + cell.right) / 2 for cell in cells],
        ):
            middle = median(edges)
            best = max(best, sum(abs(edge - middle) <= near for edge in edges))
        if best < _ALIGNED * len(cells):
            return False
    return True


def _has_short_cells(full: Sequence[_Line]) -> bool:
    """Whether the cells are those of a table: not prose in columns, and no list with its numbers or bullets."""
    columns = list(zip(*full, strict=True))
    lengths = [mean(len(cell.text) for cell in column) for column in columns]
    if mean(lengths) > _LONGEST:
        return False
    if len(columns) > 2:
        return True
    markers = sum(bool(_MARKER.fullmatch(cell.text)) for cell in columns[0])
    return markers < 0.5 * len(columns[0]) and min(lengths) <= _SHORT and len(full) > _LEAST_ROWS


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
