"""Pages in two columns whose lines were written across both: the left column is read first, then the right one.

Most programs write one column after the other, and pdfium keeps that order; then nothing is done here.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import mean, median
from typing import Any, NamedTuple

from pypdfium2 import raw

_LEAST_LINES = 6  # with words on both sides
_LEAST_SHARE = 0.7  # of the lines between the first and the last of them
_LEAST_WIDTH = 0.25  # of the written width of the page, for the average words of each column
_LEAST_GAP = 8.0  # points between the columns
_MOST_RUNS = 2_000
_BLANKS = re.compile(r"[ \t\r]+(?=\n|\Z)")


class _Run(NamedTuple):
    """A run of characters of one line, in points from the lower left; `place` is its position in the file."""

    left: float
    bottom: float
    right: float
    top: float
    place: int


Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points."""


def turned(box: Box, degrees: int) -> Box:
    """A box after rotating the page clockwise about the origin by a multiple of 90 degrees."""
    left, bottom, right, top = box
    if degrees % 360 == 90:
        return bottom, -right, top, -left
    if degrees % 360 == 180:
        return -right, -top, -left, -bottom
    return (-top, left, -bottom, right) if degrees % 360 == 270 else box


def reordered(layer: Any, rotation: int = 0) -> str | None:
    """The text of a page column by column; None if its order is right already.

    Args:
        rotation: Degrees by which the page is rotated for display.
    """
    runs = _runs(layer, rotation)
    if sum(_leaps(before, run) for before, run in pairwise(runs)) < _LEAST_LINES:
        return None
    lines = _lines(runs)
    gutter = _gutter(lines)
    if gutter is None:
        return None
    both = [index for index, line in enumerate(lines) if _is_parted(line, gutter)]
    inner = lines[both[0] : both[-1] + 1] if both else []
    if len(both) < max(_LEAST_LINES, _LEAST_SHARE * len(inner)) or not _is_woven(inner, gutter):
        return None
    top, bottom = max(run.top for run in inner[0]), min(run.bottom for run in inner[-1])
    far = 1e6
    areas = (
        (-far, top, far, far),
        (-far, bottom, gutter, top),
        (gutter, bottom, far, top),
        (-far, -far, far, bottom),
    )
    texts = (layer.get_text_bounded(*turned(area, -rotation)).strip("\r\n") for area in areas)
    return "\n".join(_BLANKS.sub("", text) for text in texts if text.strip())


def _runs(layer: Any, rotation: int) -> list[_Run]:
    edges = [ctypes.c_double() for _ in range(4)]
    left, top, right, bottom = edges
    runs: list[_Run] = []
    count = raw.FPDFText_CountRects(layer, 0, -1)
    for place in range(count if count <= _MOST_RUNS else 0):
        if raw.FPDFText_GetRect(layer, place, *map(ctypes.byref, edges)) and right.value > left.value:
            box = turned((left.value, bottom.value, right.value, top.value), rotation)
            runs.append(_Run(*box, place))
    return runs


def _leaps(before: _Run, run: _Run) -> bool:
    """Whether a run continues at the same height, a gap further to the right."""
    return run.left - before.right >= _LEAST_GAP and before.bottom < (run.bottom + run.top) / 2 < before.top


def _lines(runs: Sequence[_Run]) -> list[list[_Run]]:
    """Runs grouped into lines by height, from top to bottom, each line from left to right."""
    lines: list[list[_Run]] = []
    for run in sorted(runs, key=lambda run: -(run.top + run.bottom)):
        middle = (run.top + run.bottom) / 2
        if lines and lines[-1][0].bottom < middle < lines[-1][0].top:
            lines[-1].append(run)
        else:
            lines.append([run])
    return [sorted(line) for line in lines]


def _gutter(lines: Sequence[Sequence[_Run]]) -> float | None:
    """The position of the gap in lines with one gap, if both sides are wide enough for prose. Lines with more gaps
    are rows of a table."""
    start, end = min(line[0].left for line in lines), max(run.right for line in lines for run in line)
    gaps = [[(a, b) for a, b in pairwise(line) if b.left - a.right >= _LEAST_GAP] for line in lines]
    single = [(line[0].left, *found[0], line[-1].right) for line, found in zip(lines, gaps, strict=True)
              if len(found) == 1]  # fmt: skip
    if len(single) < max(_LEAST_LINES, _LEAST_SHARE * sum(map(bool, gaps))):
        return None
    gutter = median((before.right + after.left) / 2 for _, before, after, _ in single)
    widths = (
        mean(before.right - left for left, before, _, _ in single),
        mean(right - after.left for _, _, after, right in single),
    )
    return gutter if min(widths) >= _LEAST_WIDTH * (end - start) else None


def _is_parted(line: Sequence[_Run], gutter: float) -> bool:
    return line[0].right < gutter < line[-1].left and not any(run.left < gutter < run.right for run in line)


def _is_woven(lines: Sequence[Sequence[_Run]], gutter: float) -> bool:
    """Whether the file alternates between the sides in almost every line, and nothing crosses the gutter."""
    runs = sorted((run for line in lines for run in line), key=lambda run: run.place)
    if any(run.left < gutter < run.right for run in runs):
        return False
    turns = sum((a.left < gutter) != (b.left < gutter) for a, b in pairwise(runs))
    return turns >= len(lines)
