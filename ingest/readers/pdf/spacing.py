"""Spaces between Chinese characters that part nothing: letters set apart in titles (`会 议 纪 要`), gaps of
justified lines, and the spaces that recognised text has between its characters.

Spaces that part words of a row or a title (`第一章 总则`) stay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pypdfium2 import raw

from ingest.readers.pdf.columns import turned

JOINER = "\u2060"
"""Replaces a space that parts nothing, so that a page's characters keep their places; clean_page() removes it."""

_HAN = r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
_SPACES = re.compile(rf"(?<={_HAN})[ \t\u3000]+(?={_HAN})")
_DATE = re.compile(
    r"(?<![\d ])\d(?: \d){3} ?年(?: ?\d(?: ?\d)? ?月(?: ?\d(?: ?\d)? ?[日号])?)?"
    r"|(?<![\d ])\d \d ?月 ?\d(?: ?\d)? ?[日号]"
)
_IS_HAN = re.compile(_HAN)
_WIDEST = 2.2  # gap between characters set apart, in their own size
_EVEN = 0.25  # largest difference between the gaps of characters set apart, in the same unit
_CLOSE = 0.6  # a narrower gap that no space fills comes from justified lines
_LEAST_GAPS = 2  # of a line of recognised text
_SINGLE_SHARE = 0.5  # of its gaps, those beside a character that stands alone: words of a row are longer
_MOST = 5_000  # spaces of a page


class _Gap(NamedTuple):
    """Spaces from `start` to `end` in the text, and their width in the size of the character before."""

    start: int
    end: int
    width: float


def join_set_apart(layer: Any, text: str, rotation: int = 0) -> str:
    """The text of a page with JOINER for the spaces that part nothing.

    Args:
        text: pdfium's text, a character for each of its indexes.
        rotation: Degrees by which the page is rotated for display.
    """
    text = _DATE.sub(lambda date: date[0].replace(" ", JOINER), text)
    matches = [match.span() for match in _SPACES.finditer(text)]
    if not matches or len(matches) > _MOST:
        return text
    gaps = [gap for start, end in matches if (gap := _gap(layer, start, end, rotation))]
    joined = [gap for gap in gaps if _is_justified(layer, gap)]
    rest: dict[int, list[_Gap]] = {}
    for run in _runs(gaps):
        if _is_set_apart(text, run):
            joined += run
        else:
            rest.setdefault(text.rfind("\n", 0, run[0].start), []).extend(run)
    for line in rest.values():
        if len(line) >= _LEAST_GAPS and sum(_is_beside_single(text, gap) for gap in line) >= _SINGLE_SHARE * len(
            line
        ):
            joined += [gap for gap in line if gap.width <= 1]
    marks = list(text)
    for gap in joined:
        marks[gap.start : gap.end] = JOINER * (gap.end - gap.start)
    return "".join(marks)


def _gap(layer: Any, start: int, end: int, rotation: int) -> _Gap | None:
    """None if the characters don't stand side by side."""
    before = turned(layer.get_charbox(start - 1, loose=True), rotation)
    after = turned(layer.get_charbox(end, loose=True), rotation)
    size = before[2] - before[0]
    if size <= 0 or not before[1] < (after[1] + after[3]) / 2 < before[3] or after[0] < before[0]:
        return None
    return _Gap(start, end, (after[0] - before[2]) / size)


def _is_justified(layer: Any, gap: _Gap) -> bool:
    return gap.width < _CLOSE and all(
        raw.FPDFText_IsGenerated(layer, place) == 1 for place in range(gap.start, gap.end)
    )


def _runs(gaps: Sequence[_Gap]) -> list[list[_Gap]]:
    """Gaps with one character between each and the next."""
    runs: list[list[_Gap]] = []
    for gap in gaps:
        if runs and gap.start == runs[-1][-1].end + 1:
            runs[-1].append(gap)
        else:
            runs.append([gap])
    return runs


def _is_set_apart(text: str, run: Sequence[_Gap]) -> bool:
    """Whether single characters stand at even distances."""
    first, last = run[0].start - 1, run[-1].end
    if _IS_HAN.match(text[first - 1 : first]) or _IS_HAN.match(text[last + 1 : last + 2]):
        return False
    widths = [gap.width for gap in run]
    return max(widths) <= _WIDEST and max(widths) - min(widths) <= _EVEN


def _is_beside_single(text: str, gap: _Gap) -> bool:
    return not (
        _IS_HAN.match(text[gap.start - 2 : gap.start - 1]) and _IS_HAN.match(text[gap.end + 1 : gap.end + 2])
    )
