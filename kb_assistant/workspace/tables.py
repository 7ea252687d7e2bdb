"""Tables and code as people look at them: of a passage, of an answer's rows, or short, without bars."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from kb_assistant.text.code_mask import code_blocks
from kb_assistant.text.rows import Row, Span, row_of, tables_and_lists

__all__ = ["Grid", "code_blocks", "grids", "with_tables", "without_bars"]

_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_NARROW = 3
"""Most columns of a single row that stands across: one with more stands with a cell a line; and least of rows that
don't name their cells, which else may be a sentence."""

Cells = list[tuple[str, str]]


@dataclass(frozen=True)
class Grid:
    """A table of a passage.

    Attributes:
        start, end: Its place in the passage.
        names: Of its columns, if it has some.
        rows: The places of their cells in the passage.
    """

    start: int
    end: int
    names: tuple[str, ...]
    rows: tuple[tuple[Span, ...], ...]


def grids(passage: str) -> Iterator[Grid]:
    """The tables of a passage, in reading order. Where all rows name their cells, the names are told once."""
    for lines in tables_and_lists(passage):
        if lines[0].kind in ("row", "names", "named"):
            yield _with_head(_grid(lines), passage)


def _with_head(grid: Grid, passage: str) -> Grid:
    """With the lines above it that hold only names of its columns, with tabs between them, as part of it."""
    start = grid.start
    while grid.names:
        before = passage[:start].rstrip("\n")
        line = before.rpartition("\n")[2]
        cells = [cell.strip() for cell in line.split("\t") if cell.strip()]
        if not cells or not all(any(cell in name for name in grid.names) for cell in cells):
            break
        start = len(before) - len(line)
    return replace(grid, start=start)


def without_bars(passage: str) -> str:
    """A passage for a short look: rows without their bars, rules and the fences of code not at all."""
    lines = [row_of(line) for line in passage.splitlines() if not _FENCE.match(line)]
    lines = [line for line in lines if line.kind != "rule"]
    return "\n".join(
        " · ".join(line.texts).rstrip(" ·") if line.kind in ("row", "named") else line.text for line in lines
    )


def _grid(lines: list[Row]) -> Grid:
    start, end = lines[0].start, lines[-1].end
    named = [line.named for line in lines]
    if lines[0].kind == "names" and not any(named):
        return Grid(start, end, tuple(lines[0].texts), tuple(tuple(line.cells) for line in lines[1:]))
    told = named if named[0] else named[1:]  # the names alone may come first
    names = tuple(name for name, _ in told[0]) if told else ()
    if names and all(tuple(name for name, _ in one) == names for one in told):
        return Grid(start, end, names, tuple(tuple(place for _, place in one) for one in told))
    return Grid(start, end, (), tuple(tuple(line.cells) for line in lines))


def with_tables(text: str) -> str:
    """The text with its lines such as `Day: Monday | Dish: Soup` as tables: those that follow each other with
    equal names are one. So are rows of several cells without names. Lines of code stay."""
    lines = list(_lines(text))
    return "\n".join(
        told
        for names, group in groupby(lines, key=lambda one: tuple(name for name, _ in one[1]))
        for told in (_table(names, [cells for _, cells in group]) if names else (line for line, _ in group))
    )


def _lines(text: str) -> Iterator[tuple[str, Cells]]:
    in_code = False
    for line in text.split("\n"):
        in_code ^= bool(_FENCE.match(line))
        plain = in_code or " | " not in line or line.lstrip().startswith(("|", "```", "~~~"))
        yield line, [] if plain else _cells(line)


def _cells(line: str) -> Cells:
    row = row_of(line)
    if row.kind != "row":
        return []
    named = [(name, line[start:end]) for name, (start, end) in row.named]
    if named and all(name for name, _ in named):
        return named
    texts = [text.replace("|", "\\|") for text in row.texts]
    return [("", text) for text in texts] if len(texts) >= _NARROW else []


def _table(names: Sequence[str], rows: Sequence[Cells]) -> Iterator[str]:
    yield ""
    if len(rows) == 1 and len(names) > _NARROW and any(names):
        yield "| | |"
        yield "|---|---|"
        for name, value in rows[0]:
            yield f"| **{name}** | {value} |"
    else:
        yield f"| {' | '.join(names)} |"
        yield f"|{'---|' * len(names)}"
        for row in rows:
            yield f"| {' | '.join(value for _, value in row)} |"
    yield ""
