"""Recognises text in pictures with the models in rapidocr's package (Chinese and English). Nothing is
downloaded.

Lines are put in reading order: columns of prose one after the other, the fields of a table row by row. A page
lying on its side or upside down is rotated.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ingest.readers.hyphens import mend_breaks, words_of
from ingest.readers.ocr_budget import OcrBudget
from kb_assistant.messages import _

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HINT = _("Install OCR: pip install 'kb-assistant[ocr]'; then ingest again.")

_GOOD_SCORE = 0.85  # mean of an upright page
_WORTHLESS_SCORE = 0.6  # of a single line: non-text gets less
_TALLEST = 2.0  # largest height to width of a picture read in one piece
_TILE = 1600  # height in pixels of the pieces of taller ones
_MOST_TOLD = 20  # ranges of pages in a note
_SPARE = 1.5  # times the seconds that the other pages seem to need
_COLUMN_LINES = 3
_COLUMN_FILLED = 0.5  # share of a column's width that a line of prose fills


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    score: float
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top


def left_note(pages: Sequence[int], budget: OcrBudget) -> str:
    """Says which pages weren't read, because OCR of a file has its bounds, and how to go on."""
    if budget.is_late:
        needed = budget.seconds * (budget.pages + budget.left) / max(budget.pages, 1)
        return _(
            "OCR had {seconds:g} s for it and read {count} of {whole} pages; p. {pages} weren't read. "
            "Set ocr_seconds = {all} and ingest it again.",
            seconds=budget.most_seconds,
            count=budget.pages,
            whole=budget.pages + budget.left,
            pages=page_ranges(pages),
            all=math.ceil(_SPARE * needed),
        )
    return _(
        "OCR read no more than {most} pages of it; p. {pages} weren't read. "
        "Set ocr_pages = {all} and ingest it again.",
        most=budget.most,
        pages=page_ranges(pages),
        all=budget.pages + budget.left,
    )


def page_ranges(pages: Sequence[int]) -> str:
    """`1-3, 7, 9-12`, at most 20 of them."""
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and page == ranges[-1][-1] + 1:
            ranges[-1][1:] = [page]
        else:
            ranges.append([page])
    shown = ", ".join("-".join(map(str, one)) for one in ranges[:_MOST_TOLD])
    return shown + (" …" if len(ranges) > _MOST_TOLD else "")


def available() -> bool:
    """Whether the extra is installed; loads nothing."""
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def recognize(picture: NDArray[np.uint8]) -> str:
    """The text in a picture, shape (height, width, 3), RGB, uint8; lines separated by line breaks; else empty."""
    height, width = picture.shape[:2]
    if min(height, width) < 16:
        return ""
    if height > _TALLEST * width and height > _TILE:
        return "\n".join(text for tile in _tiles(picture) if (text := recognize(tile)))
    lines = _upright(picture)
    text = "\n".join(_ordered([line for line in lines if line.score >= _WORTHLESS_SCORE]))
    return mend_breaks(text, words_of([text]))


def _tiles(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Pieces of a long screenshot, cut at single-coloured pixel rows, as near to each _TILE as possible."""
    plain = picture.max(axis=(1, 2)).astype(int) - picture.min(axis=(1, 2)) < 16
    tiles, start = [], 0
    while start + 1.5 * _TILE < len(picture):
        wanted = start + _TILE
        choices = [row for row in range(wanted - _TILE // 2, wanted + _TILE // 4) if plain[row]]
        cut = min(choices, key=lambda row: abs(row - wanted)) if choices else wanted
        tiles.append(picture[start:cut])
        start = cut
    return [*tiles, picture[start:]]


@cache
def _engine() -> Any:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rapidocr import RapidOCR

    # One line at a time takes a third of the memory of a batch and isn't slower on a CPU.
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Rec.rec_batch_num": 1,
            "Det.limit_type": "max",
            "Det.limit_side_len": 1280,
        }
    )


def _upright(picture: NDArray[np.uint8]) -> list[_Line]:
    """The lines of the picture, or, if they are vertical or badly recognised, of its best rotation."""
    import numpy as np

    best = _lines(picture)
    tall = sum(line.height > 1.5 * (line.right - line.left) for line in best if len(line.text) > 2)
    long = sum(len(line.text) > 2 for line in best)
    sideways = long > 0 and tall > long / 2
    if not sideways and (not best or _mean_score(best) >= _GOOD_SCORE):
        return best
    for turns in (1, 3) if sideways else (2, 1, 3):
        turned = _lines(np.ascontiguousarray(np.rot90(picture, turns)))
        if turned and (sideways or _mean_score(turned) > _mean_score(best) + 0.05):
            sideways = False
            best = turned
    return best


def _mean_score(lines: list[_Line]) -> float:
    letters = sum(len(line.text) for line in lines)
    return sum(line.score * len(line.text) for line in lines) / letters if letters else 0.0


def _lines(picture: NDArray[np.uint8]) -> list[_Line]:
    try:
        found = _engine()(picture[:, :, ::-1], use_cls=False)
    except Exception as error:
        if "alloc" in str(error).lower():
            raise MemoryError from error  # onnxruntime has its own error for it
        raise
    if found.txts is None or found.boxes is None:
        return []
    return [
        _Line(text, float(score), *(float(edge) for edge in (*box.min(axis=0), *box.max(axis=0))))
        for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)
        if text.strip()
    ]


def _ordered(lines: list[_Line]) -> list[str]:
    """Texts in reading order (recursive X-Y cut, Nagy and Seth 1984, with columns of prose only)."""
    if len(lines) < 2:
        return [line.text for line in lines]
    gutter = _gutter(lines)
    if gutter is not None:
        left = [line for line in lines if line.right <= gutter]
        return [*_ordered(left), *_ordered([line for line in lines if line.right > gutter])]
    gap = _widest_gap(lines)
    if gap is not None:
        above = [line for line in lines if line.bottom <= gap]
        return [*_ordered(above), *_ordered([line for line in lines if line.bottom > gap])]
    return _rows(lines)


def _gutter(lines: list[_Line]) -> float | None:
    """The place where no line crosses from one column of prose into the other."""
    height = sorted(line.height for line in lines)[len(lines) // 2]
    reach = 0.0
    for line in sorted(lines, key=lambda one: one.left):
        if reach and line.left - reach > 0.5 * height:
            sides = [one for one in lines if one.right <= reach], [one for one in lines if one.left > reach]
            if all(map(_is_prose, sides)):
                return reach
        reach = max(reach, line.right)
    return None


def _is_prose(lines: list[_Line]) -> bool:
    if len(lines) < _COLUMN_LINES:
        return False
    width = max(line.right for line in lines) - min(line.left for line in lines)
    long = sum(line.right - line.left >= _COLUMN_FILLED * width and len(line.text) > 8 for line in lines)
    return long >= 0.6 * len(lines)


def _widest_gap(lines: list[_Line]) -> float | None:
    """Upper edge of the widest stripe without text, if columns may lie on one side of it."""
    widest, place, reach = 0.0, None, 0.0
    for line in sorted(lines, key=lambda one: one.top):
        if reach and line.top - reach > widest:
            widest, place = line.top - reach, reach
        reach = max(reach, line.bottom)
    return place


def _rows(lines: list[_Line]) -> list[str]:
    """Join lines at one height into one row, from left to right."""
    rows: list[list[_Line]] = []
    for line in sorted(lines, key=lambda one: (one.top + one.bottom) / 2):
        last = rows[-1][-1] if rows else None
        if last and (line.top + line.bottom) / 2 < last.bottom - 0.3 * last.height:
            rows[-1].append(line)
        else:
            rows.append([line])
    return ["\t".join(line.text for line in sorted(row, key=lambda one: one.left)) for row in rows]
