"""Headings of a PDF that has no bookmarks: lines in larger letters than most of its text.

Bold lines in letters of the usual size don't count: as often as headings they are labels and names of columns.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from pypdfium2 import raw

from ingest.readers.blocks import HEADING_CHARS, one_line
from ingest.readers.pdf.clean import clean_page

LARGER = 1.1
"""How much larger the letters of a heading are than the usual ones, at least."""

_MOST_LINES = 3
"""Most lines of a heading."""

_MOST_CHARS = 100
_MOST_SHARE, _MOST_SIZES = 0.2, 6
"""Of the document's characters in headings, and of the sizes of these: of slides, posters and recognised text the
letters' size doesn't tell headings."""

_RUNNING_PAGES = 3
_RUNNING_SHARE = 0.5
"""A line that stands on so many pages, and on this share of them, runs over the pages and heads none."""

_WORD = re.compile(r"[^\W\d_]{2}|[\u3400-\u9fff]")
_ENDS = re.compile(r"[。；，、,;]\s*\Z|[^.]{30,}\.\s*\Z")


class Line(NamedTuple):
    """A line of a page, and the size of its letters in points, rounded to halves; 0 if they are of several, or
    turned to another side than the page."""

    text: str
    size: float


def sized_lines(layer: Any, text: str, rotation: int = 0, taken: Collection[int] = ()) -> list[Line]:
    """The lines of a page that aren't empty.

    Args:
        text: pdfium's text, a character for each of its indexes.
        rotation: Degrees by which the page is rotated for display.
        taken: Numbers of lines that belong to tables: no headings.
    """
    found, place = [], 0
    for number, line in enumerate(text.split("\n")):
        letters = [place + at for at, letter in enumerate(line) if letter.isalnum()]
        if letters:
            sizes = {_size(layer, at, rotation) for at in (letters[0], letters[len(letters) // 2], letters[-1])}
            found.append(Line(line.strip(), 0 if number in taken or len(sizes) > 1 else sizes.pop()))
        place += len(line) + 1
    return found


def headings(pages: Sequence[Sequence[Line]]) -> list[list[tuple[int, str]]]:
    """Levels, from 0, and titles of the headings of each page."""
    written = Counter[float]()
    for page in pages:
        for line in page:
            written[line.size] += len(line.text)
    usual = max((size for size in written if size), key=lambda size: written[size], default=0.0)
    found = [_headings(page, LARGER * usual) if usual else [] for page in pages]
    running = _running(found)
    found = [[one for one in page if one.text not in running] for page in found]
    sizes = sorted({one.size for page in found for one in page}, reverse=True)
    most = _MOST_SHARE * written.total()
    if len(sizes) > _MOST_SIZES or sum(len(one.text) for page in found for one in page) > most:
        return [[] for _ in pages]
    return [[(sizes.index(one.size), one.text) for one in page] for page in found]


def _headings(page: Sequence[Line], least: float) -> list[Line]:
    """The runs of lines in letters of one size, at least this one, that may be headings."""
    runs: list[list[Line]] = []
    for line in page:
        if runs and runs[-1][-1].size == line.size:
            runs[-1].append(line)
        else:
            runs.append([line])
    large = [run for run in runs if run[0].size >= least and len(run) <= _MOST_LINES]
    joined = [Line(_title([line.text for line in run]), run[0].size) for run in large]
    return [
        one
        for one in joined
        if _WORD.search(one.text) and len(one.text) <= _MOST_CHARS and not _ENDS.search(one.text)
    ]


def _title(lines: Sequence[str]) -> str:
    return one_line(clean_page("\n".join(lines)))[:HEADING_CHARS]


def _running(pages: Sequence[Sequence[Line]]) -> set[str]:
    counts = Counter(title for page in pages for title in {one.text for one in page})
    least = max(_RUNNING_PAGES, _RUNNING_SHARE * len(pages))
    return {title for title, count in counts.items() if count >= least}


def _size(layer: Any, place: int, rotation: int) -> float:
    """The size of a letter as it is shown; 0 if it is turned."""
    matrix = raw.FS_MATRIX()
    if not raw.FPDFText_GetMatrix(layer, place, ctypes.byref(matrix)):
        return 0.0
    if (abs(matrix.b) > abs(matrix.a)) != (rotation % 180 == 90):
        return 0.0
    return round(2 * math.hypot(matrix.c, matrix.d) * float(raw.FPDFText_GetFontSize(layer, place))) / 2
