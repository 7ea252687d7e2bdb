"""Tables with ruling lines on a PDF page: the lines form a grid, the words in its fields form rows.

Each word belongs to the field it begins in, so that none is lost or repeated. Lines that cut through many words
don't form a table; the text they enclose stays running text.
"""

from __future__ import annotations

import ctypes
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pypdfium2 import raw

from ingest.readers.blocks import one_line
from ingest.readers.pdf.columns import Box, turned
from ingest.readers.pdf.ruling_lines import NEAR, Rule, grids_of, joined_rules, rules_of
from ingest.readers.tables import Cell, Row, continued_lines, names_of, table_lines

_MOST_FIELDS = 4_000
_MOST_CUT = 0.005  # largest share of letters in another field than their word
_WIDE_LINE = 3  # number of fields that a wide line of text spans
_UNRULED_LINES = 6  # this many wide lines in one row of the grid are separate rows without ruling lines
_BESIDE = 3  # lines of a page's header or footer beside a table that goes on
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as lines of text, and the indexes of its lines in the page's text; if it is ruled, its cells and the
    places of its vertical lines."""

    text: str
    lines: frozenset[int]
    rows: Sequence[Row] = ()
    edges: tuple[float, ...] = ()


def tables_of(page: Any, layer: Any, text: str) -> list[Table]:
    """The tables of a page; `text` is pdfium's, a character for each of its indexes."""
    across, down = rules_of(page)
    if len(across) < 3 or len(down) < 3:
        return []
    across, down = joined_rules(across), joined_rules(down)
    if len(across) < 3 or len(down) < 3:
        return []
    words = _Layer(text, layer, page.get_rotation())
    lines = _text_lines(words)
    found = []
    for rows, columns in grids_of(across, down):
        table = _table(words, lines, rows, columns)
        if table:
            found.append(table)
    return found


_GridField = tuple[int, int]  # row and column in the grid


class _Layer(NamedTuple):
    """A page's text, and the degrees by which the page is rotated for display."""

    text: str
    layer: Any
    rotation: int

    def box(self, place: int) -> Box:
        return turned(self.layer.get_charbox(place), self.rotation)


class _TextLine(NamedTuple):
    start: int
    end: int
    x: float
    y: float
    right: float


def _text_lines(layer: _Layer) -> list[_TextLine | None]:
    """The position of each line of the text: its first character, its middle height, its last character."""
    found: list[_TextLine | None] = []
    place = 0
    for line in layer.text.split("\n"):
        body = line.strip()
        where = None
        if body:
            first = place + line.index(body[0])
            left, bottom, right, top = layer.box(first)
            last = layer.box(first + len(body) - 1)
            where = _TextLine(
                place, place + len(line), (left + right) / 2, (bottom + top) / 2, (last[0] + last[2]) / 2
            )
        found.append(where)
        place += len(line) + 1
    return found


def _table(layer: _Layer, lines: list[_TextLine | None], rows: list[Rule], columns: list[Rule]) -> Table | None:
    levels = _levels(rule.at for rule in rows)[::-1]  # from top to bottom
    edges = _levels(rule.at for rule in columns)
    height, width = len(levels) - 1, len(edges) - 1
    if height < 2 or width < 2 or height * width > _MOST_FIELDS:
        return None
    inside = [
        index
        for index, line in enumerate(lines)
        if line
        and levels[-1] - NEAR <= line.y <= levels[0] + NEAR
        and edges[0] - NEAR <= line.x <= edges[-1] + NEAR
        and line.right <= edges[-1] + 2 * NEAR
    ]
    if not inside:
        return None
    owner = _owners(levels, edges, rows, columns)
    words, cut = _words(layer, [line for index in inside if (line := lines[index])], levels, edges, owner)
    if len(words) < 4 or cut > _MOST_CUT * sum(map(len, words.values())):
        return None
    grid = _grid(owner, words)
    made = [line for line in table_lines(grid) if line.strip()]
    return Table("\n".join(made), frozenset(inside), grid, tuple(edges))


def carry_names(pages: Iterable[tuple[str, list[Table]]]) -> None:
    """Say the rows of ruled tables that go on at the head of a page with the names from the page before.

    Args:
        pages: The text of each page, and its tables, which are replaced.
    """
    names: list[str] = []
    edges: tuple[float, ...] = ()
    for text, tables in pages:
        lines = text.split("\n")
        if not tables or not any(table.edges for table in tables):
            names, edges = [], ()
            continue
        place = min(range(len(tables)), key=lambda one: min(tables[one].lines))
        first = tables[place]
        at_head = _filled(lines[: min(first.lines)]) <= _BESIDE
        if at_head and names and _are_near(first.edges, edges):
            if (more := continued_lines(first.rows, names)) is not None:
                tables[place] = replace(first, text="\n".join(line for line in more if line.strip()))
            else:
                names = []
        else:
            names = []
        last = max(tables, key=lambda one: max(one.lines))
        if last.lines != first.lines or not names:
            names = names_of(last.rows)
        edges = last.edges
        if _filled(lines[max(last.lines) + 1 :]) > _BESIDE:
            names = []


def _filled(lines: Sequence[str]) -> int:
    return sum(bool(line.strip()) for line in lines)


def _are_near(edges: Sequence[float], others: Sequence[float]) -> bool:
    return len(edges) == len(others) and all(
        abs(one - other) <= NEAR for one, other in zip(edges, others, strict=True)
    )


def _levels(values: Iterable[float]) -> list[float]:
    found: list[float] = []
    for value in sorted(values):
        if not found or value - found[-1] > NEAR:
            found.append(value)
    return found


def _owners(
    levels: list[float], edges: list[float], rows: list[Rule], columns: list[Rule]
) -> dict[_GridField, _GridField]:
    """The field of each cell of the grid: cells without a line between them are one field, named by its first
    cell."""
    owner: dict[_GridField, _GridField] = {}
    for row in range(len(levels) - 1):
        for column in range(len(edges) - 1):
            above, left = owner.get((row - 1, column)), owner.get((row, column - 1))
            middle = (levels[row] + levels[row + 1]) / 2
            centre = (edges[column] + edges[column + 1]) / 2
            if left and not _is_ruled(columns, edges[column], middle) and left[0] == row:
                owner[row, column] = left
            elif above and not _is_ruled(rows, levels[row], centre):
                owner[row, column] = above
            else:
                owner[row, column] = row, column
    return owner


def _words(
    layer: _Layer,
    lines: list[_TextLine],
    levels: list[float],
    edges: list[float],
    owner: dict[_GridField, _GridField],
) -> tuple[dict[_GridField, str], int]:
    """The words of each field in text order, and the number of letters in another field than their word. Words of
    two
    fields may touch: then they are drawn separately."""
    rising = levels[::-1]
    words: dict[_GridField, str] = {}
    last_line: dict[_GridField, int] = {}
    cut = 0
    wide = Counter[int]()
    for line in lines:
        reached = set()
        for match in _WORD.finditer(layer.text, line.start, line.end):
            field, drawn = None, 0
            for place in range(match.start(), match.end()):
                left, bottom, right, top = layer.box(place)
                row = len(levels) - 1 - bisect_right(rising, (bottom + top) / 2)
                column = bisect_right(edges, (left + right) / 2) - 1
                here = owner.get((row, column))
                if field is None or (here not in (None, field) and _drawn(layer, place) != drawn):
                    field = here or owner[min(max(row, 0), len(levels) - 2), min(max(column, 0), len(edges) - 2)]
                    drawn = _drawn(layer, place)
                    if field in words:
                        words[field] += " " if last_line[field] == line.start else "\n"
                    last_line[field] = line.start
                    reached.add(field)
                cut += here != field
                words[field] = words.get(field, "") + layer.text[place]
        if len(reached) >= _WIDE_LINE:
            wide[min(reached)[0]] += 1
    return words, cut if max(wide.values(), default=0) < _UNRULED_LINES else sum(map(len, words.values()))


def _drawn(layer: _Layer, place: int) -> int:
    """The page object that draws a character."""
    item = raw.FPDFText_GetTextObject(layer.layer, place)
    return ctypes.addressof(item.contents) if item else 0


def _grid(owner: dict[_GridField, _GridField], words: dict[_GridField, str]) -> list[list[Cell]]:
    from ingest.readers.pdf.clean import clean_page

    texts = {field: one_line(clean_page(found)) for field, found in words.items()}
    grid: list[list[Cell]] = []
    for place, field in owner.items():
        if place[1] == 0:
            grid.append([])
        grid[-1].append(Cell(texts.get(field, ""), field == place))
    return grid


def _is_ruled(rules: list[Rule], at: float, where: float) -> bool:
    return any(abs(rule.at - at) <= NEAR and rule.start <= where <= rule.end for rule in rules)
