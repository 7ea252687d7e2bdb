"""Pages written vertically: columns from right to left, each from top to bottom; tiers one below the other.

pdfium gives such columns in the order of the file or from left to right, and characters placed one by one as lines
of their own. Horizontal lines on the same page, such as a title or a page number, stay before or behind columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from ingest.readers.pdf.columns import turned

_WIDE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
_LEAST = 8  # characters below one another
_LEAST_SHARE = 0.4  # of all neighbours
_ASIDE = 0.4  # largest distance from the axis of a line, in characters
_FURTHEST = 2.5  # largest distance to the next character of a line, in characters
_TIER_GAP = 1.5  # smallest distance between tiers, in characters
_UPRIGHT = 4  # most characters side by side in a column, such as the digits of a year
_MOST = 20_000  # characters of a page


class _Mark(NamedTuple):
    """A visible character: its place in the text, the middle of its box, and its size, in points."""

    place: int
    x: float
    y: float
    size: float


def vertical_text(layer: Any, text: str, rotation: int = 0) -> str | None:
    """The text of a page that is written vertically; None if it isn't.

    Args:
        text: A character for each of pdfium's indexes.
        rotation: Degrees by which the page is rotated for display.
    """
    places = [place for place, mark in enumerate(text) if mark > " " and not mark.isspace()]
    if len(places) > _MOST or sum(1 for _ in _WIDE.finditer(text)) < max(_LEAST, len(places) // 3):
        return None
    marks = [_mark(layer, place, rotation) for place in places]
    size = median(mark.size for mark in marks)
    if size <= 0:
        return None
    steps = [_step(before, after, size) for before, after in pairwise(marks)]
    if steps.count("down") < max(_LEAST, _LEAST_SHARE * (len(steps) - steps.count(""))):
        return None
    columns, rest = _parted(marks, steps)
    lines = [line for tier in _tiers(columns, size) for line in _columns(tier, size)]
    top = max(mark.y for mark in columns)
    above = _line_texts(text, [mark for mark in rest if mark.y > top])
    below = _line_texts(text, [mark for mark in rest if mark.y <= top])
    return "\n".join([*above, *("".join(text[mark.place] for mark in line) for line in lines), *below])


def _mark(layer: Any, place: int, rotation: int) -> _Mark:
    left, bottom, right, top = turned(layer.get_charbox(place), rotation)
    return _Mark(place, (left + right) / 2, (bottom + top) / 2, max(right - left, top - bottom))


def _step(before: _Mark, after: _Mark, size: float) -> str:
    """`down` or `right` to the next character; empty if it isn't a neighbour."""
    across, down = (after.x - before.x) / size, (before.y - after.y) / size
    if abs(across) <= _ASIDE and _ASIDE < down <= _FURTHEST:
        return "down"
    return "right" if abs(down) <= _ASIDE and 0 < across <= _FURTHEST else ""


def _parted(marks: Sequence[_Mark], steps: Sequence[str]) -> tuple[list[_Mark], list[_Mark]]:
    """The characters of columns, and the others. Single characters, and a few side by side, belong to the columns
    if they stand among them."""
    runs: list[tuple[bool, list[_Mark]]] = []  # whether it is horizontal
    for index, mark in enumerate(marks):
        is_right = "right" in (steps[index - 1] if index else "", steps[index] if index < len(steps) else "")
        goes_on = index > 0 and steps[index - 1] == ("right" if is_right else "down")
        if runs and goes_on and runs[-1][0] == is_right:
            runs[-1][1].append(mark)
        else:
            runs.append((is_right, [mark]))
    sure = [mark for is_right, run in runs if not is_right and len(run) > 1 for mark in run]
    left, right = min(mark.x for mark in sure), max(mark.x for mark in sure)
    bottom, top = min(mark.y for mark in sure), max(mark.y for mark in sure)
    columns: list[_Mark] = []
    rest: list[_Mark] = []
    for is_right, run in runs:
        among = all(
            left - mark.size <= mark.x <= right + mark.size and bottom - mark.size <= mark.y <= top + mark.size
            for mark in run
        )
        is_column = (not is_right and len(run) > 1) or (among and len(run) <= _UPRIGHT)
        (columns if is_column else rest).extend(run)
    return columns, rest


def _tiers(marks: Sequence[_Mark], size: float) -> list[list[_Mark]]:
    """Characters parted at heights that are empty from side to side, from top to bottom."""
    tiers: list[list[_Mark]] = []
    for mark in sorted(marks, key=lambda mark: -mark.y):
        if tiers and tiers[-1][-1].y - mark.y <= (_TIER_GAP + 1) * size:
            tiers[-1].append(mark)
        else:
            tiers.append([mark])
    return tiers


def _columns(marks: Sequence[_Mark], size: float) -> list[list[_Mark]]:
    """From right to left, each from top to bottom; characters side by side from left to right."""
    columns: list[list[_Mark]] = []
    for mark in sorted(marks, key=lambda mark: -mark.x):
        if columns and columns[-1][0].x - mark.x <= 2 * _ASIDE * size:
            columns[-1].append(mark)
        else:
            columns.append([mark])
    return [_downwards(column, size) for column in columns]


def _downwards(column: Sequence[_Mark], size: float) -> list[_Mark]:
    rows: list[list[_Mark]] = []
    for mark in sorted(column, key=lambda mark: -mark.y):
        if rows and rows[-1][0].y - mark.y <= _ASIDE * size:
            rows[-1].append(mark)
        else:
            rows.append([mark])
    return [mark for row in rows for mark in sorted(row, key=lambda mark: mark.x)]


def _line_texts(text: str, marks: Sequence[_Mark]) -> list[str]:
    """pdfium's lines, of these characters only and the spaces between them."""
    kept = {mark.place for mark in marks}
    lines, place = [], 0
    for line in text.split("\n"):
        here = [index for index in range(place, place + len(line)) if index in kept]
        if here:
            lines.append(text[here[0] : here[-1] + 1])
        place += len(line) + 1
    return lines
