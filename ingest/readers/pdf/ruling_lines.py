"""The ruling lines that a PDF page draws, joined, and grouped into grids."""

from __future__ import annotations

import ctypes
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, NamedTuple

from pypdfium2 import raw

from ingest.readers.pdf.columns import turned

NEAR = 3.0  # lines within this many points are one
_SHORTEST = 8.0  # length in points of a ruling line
_THICKEST = 3.0
_MOST_OBJECTS = 4_000
_MOST_SEGMENTS = 2_000  # for paths that draw more than a box
_SMALLEST_GRID = 24.0
_WHOLE_PAGE = 0.9


class Rule(NamedTuple):
    """A straight line: at `at` on one axis, from `start` to `end` on the other."""

    at: float
    start: float
    end: float


def rules_of(page: Any) -> tuple[list[Rule], list[Rule]]:
    """All horizontal and vertical lines, including the edges of rectangles."""
    across: list[Rule] = []
    down: list[Rule] = []
    rotation = page.get_rotation()
    whole = page.get_width() * page.get_height() * _WHOLE_PAGE
    budget = _MOST_SEGMENTS
    count = raw.FPDFPage_CountObjects(page)
    if count > _MOST_OBJECTS:
        return across, down
    edges = [ctypes.c_float() for _ in range(4)]
    pointers = [ctypes.byref(edge) for edge in edges]
    for index in range(count):
        item = raw.FPDFPage_GetObject(page, index)
        if raw.FPDFPageObj_GetType(item) != raw.FPDF_PAGEOBJ_PATH:
            continue
        if not raw.FPDFPageObj_GetBounds(item, *pointers):
            continue
        left, bottom, right, top = turned(
            (edges[0].value, edges[1].value, edges[2].value, edges[3].value), rotation
        )
        if (right - left) * (top - bottom) > whole:
            continue
        segments = raw.FPDFPath_CountSegments(item)
        if segments <= 6:
            _add_box(across, down, left, bottom, right, top)
        elif (
            min(right - left, top - bottom) >= _SMALLEST_GRID and budget > 0
        ):  # smaller ones are letters and marks
            budget -= segments
            _add_path(across, down, item, min(segments, _MOST_SEGMENTS), rotation)
    return across, down


def _add_box(across: list[Rule], down: list[Rule], left: float, bottom: float, right: float, top: float) -> None:
    width, height = right - left, top - bottom
    if height <= _THICKEST:
        if width >= _SHORTEST:
            across.append(Rule((bottom + top) / 2, left, right))
    elif width <= _THICKEST:
        if height >= _SHORTEST:
            down.append(Rule((left + right) / 2, bottom, top))
    elif width >= _SHORTEST and height >= _SHORTEST:
        across += [Rule(bottom, left, right), Rule(top, left, right)]
        down += [Rule(left, bottom, top), Rule(right, bottom, top)]


def _add_path(across: list[Rule], down: list[Rule], item: Any, segments: int, rotation: int) -> None:
    """The straight segments of a path that draws many lines at once."""
    matrix = raw.FS_MATRIX()
    raw.FPDFPageObj_GetMatrix(item, ctypes.byref(matrix))
    x, y = ctypes.c_float(), ctypes.c_float()
    before: tuple[float, float] | None = None
    for index in range(segments):
        segment = raw.FPDFPath_GetPathSegment(item, index)
        if not raw.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y)):
            return
        across_page = matrix.a * x.value + matrix.c * y.value + matrix.e
        up_page = matrix.b * x.value + matrix.d * y.value + matrix.f
        point = turned((across_page, up_page, across_page, up_page), rotation)[:2]
        if before and raw.FPDFPathSegment_GetType(segment) == raw.FPDF_SEGMENT_LINETO:
            (x0, y0), (x1, y1) = before, point
            if abs(y0 - y1) < 0.5 and abs(x0 - x1) >= _SHORTEST:
                across.append(Rule(y0, min(x0, x1), max(x0, x1)))
            elif abs(x0 - x1) < 0.5 and abs(y0 - y1) >= _SHORTEST:
                down.append(Rule(x0, min(y0, y1), max(y0, y1)))
        before = point


def joined_rules(rules: list[Rule]) -> list[Rule]:
    """Join touching lines at one position."""
    found: list[Rule] = []
    level: list[Rule] = []
    for rule in sorted(rules):
        if level and rule.at - level[0].at > NEAR:
            found += _merged(level)
            level = []
        level.append(rule)
    return found + _merged(level)


def _merged(level: list[Rule]) -> list[Rule]:
    found: list[Rule] = []
    for rule in sorted(level, key=lambda one: one.start):
        if found and rule.start <= found[-1].end + NEAR:
            last = found[-1]
            found[-1] = Rule(last.at, last.start, max(last.end, rule.end))
        else:
            found.append(rule)
    return found


def grids_of(across: list[Rule], down: list[Rule]) -> Iterable[tuple[list[Rule], list[Rule]]]:
    """Groups of lines that cross each other, directly or through others: each is a grid."""
    group_of = list(range(len(across) + len(down)))

    def root(one: int) -> int:
        while group_of[one] != one:
            group_of[one] = group_of[group_of[one]]
            one = group_of[one]
        return one

    levels = [rule.at for rule in across]
    order = sorted(range(len(across)), key=levels.__getitem__)
    sorted_levels = [levels[index] for index in order]
    for number, rule in enumerate(down, len(across)):
        for place in range(bisect_left(sorted_levels, rule.start - NEAR), len(order)):
            index = order[place]
            if levels[index] > rule.end + NEAR:
                break
            if across[index].start - NEAR <= rule.at <= across[index].end + NEAR:
                group_of[root(number)] = root(index)
    groups: dict[int, tuple[list[Rule], list[Rule]]] = {}
    for index, rule in enumerate([*across, *down]):
        groups.setdefault(root(index), ([], []))[index >= len(across)].append(rule)
    return [group for group in groups.values() if len(group[0]) >= 3 and len(group[1]) >= 3]
