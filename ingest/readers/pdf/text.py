"""Turns pdfium's text of a page into running text: whole words, no repeated headers, tables in their places."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pypdfium2 import raw

from ingest.readers.blocks import one_line
from ingest.readers.hyphens import Words
from ingest.readers.pdf.clean import clean_page
from kb_assistant.types import BlockKind

if TYPE_CHECKING:
    from ingest.readers.pdf.tables import Table


_AT_END = re.compile(
    r"[|·•]?(?:page|p\.|第|[-–—])?(\d{1,5})(?:页|頁|[-–—])?(?:[,，]?(?:of|/|共)(?:\d{1,5})(?:页|頁)?)?$"
)
_AT_START = re.compile(
    r"^(?:page|p\.|第|[-–—])?(\d{1,5})(?:页|頁|[-–—])?(?:(?:of|/|共)(?:\d{1,5})(?:页|頁)?)?[|·•]?"
)
_EDGE_LINES = 3  # lines at the top and bottom of a page that may be repeated
_REPEATED_PAGES = 3
_REPEATED_SHARE = 0.5

_MOST_UNSEEN = 2_000


class Part(NamedTuple):
    """A run of lines or a table."""

    text: str
    kind: BlockKind


class Repeated:
    """Finds lines at the top and bottom that repeat from page to page. Each is kept once; page numbers are
    removed."""

    def __init__(self, pages: Sequence[str]) -> None:
        found: dict[str, list[int | None]] = {}
        for number, page in enumerate(pages):
            lines = [line for line in page.splitlines() if line.strip()]
            for stem, counted in {_stem(line) for line in lines[:_EDGE_LINES] + lines[-_EDGE_LINES:]}:
                found.setdefault(stem, []).append(None if counted is None else counted - number)
        filled = sum(bool(page.strip()) for page in pages)
        # Left and right pages may have different headers, so half of the pages are enough.
        least = max(_REPEATED_PAGES, _REPEATED_SHARE * filled)
        # A number that doesn't increase by one from page to page is part of the text.
        self._stems = {stem for stem, offsets in found.items() if len(offsets) >= least and len(set(offsets)) <= 2}
        self._kept: set[str] = set()

    def without(self, lines: list[str]) -> list[int]:
        """Indexes of the lines that stay. Only lines at the edges of the page are checked."""
        filled = [index for index, line in enumerate(lines) if line.strip()]
        gone = set()
        for index in {*filled[:_EDGE_LINES], *filled[-_EDGE_LINES:]}:
            stem, _ = _stem(lines[index])
            if stem in self._stems:
                if stem in self._kept or not stem:
                    gone.add(index)
                self._kept.add(stem)
        if len(gone) == len(filled):  # the page has no other text
            return list(range(len(lines)))
        return [index for index in range(len(lines)) if index not in gone]


def _stem(line: str) -> tuple[str, int | None]:
    """The line without the page's number at its beginning or end, and that number."""
    body = re.sub(r"\s+", "", line).lower()
    for pattern in (_AT_END, _AT_START):
        if match := pattern.search(body):
            return pattern.sub("", body), int(match[1])
    return body, None


def parts(text: str, tables: Sequence[Table], repeated: Repeated, words: Words) -> list[Part]:
    """The page in order, each table in the place of its lines. Lines of a table stay: its names may be repeated on
    each page."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = sorted({*repeated.without(lines), *(index for table in tables for index in table.lines)})
    found: list[Part] = []
    run: list[str] = []
    for index in kept:
        table = next((one for one in tables if index in one.lines), None)
        if table is None:
            run.append(lines[index])
        elif index == min(table.lines):
            _end(found, run, words)
            found.append(Part(table.text, "table"))
    _end(found, run, words)
    return found


def _end(found: list[Part], run: list[str], words: Words) -> None:
    if text := clean_page("\n".join(run), words):
        found.append(Part(text, "prose"))
    run.clear()


def parted(text: str, marks: Sequence[tuple[int, str]]) -> Iterator[tuple[str, tuple[int, str] | None]]:
    """The text split at lines that are a bookmark's title; each part with the bookmark it begins with."""
    lines = text.split("\n")
    starts: list[tuple[int, tuple[int, str]]] = []
    place = 0
    for mark in marks:
        wanted = _letters(mark[1])
        for index in range(place, len(lines)):
            here = _letters(lines[index])
            if wanted and here and ((here.endswith(wanted) and len(here) <= len(wanted) + 8) or
                                    (len(here) > 7 and wanted.startswith(here))):  # fmt: skip
                starts.append((index, mark))
                place = index + 1
                break
    first, mark_here = 0, None
    for index, mark in starts:
        if index > first:
            yield "\n".join(lines[first:index]), mark_here
        elif mark_here:
            yield "", mark_here
        first, mark_here = index, mark
    yield "\n".join(lines[first:]), mark_here


def holds(text: str, words: str) -> bool:
    """Whether the text contains the words, comparing letters only, as for highlighted words."""
    return _letters(words) in _letters(text)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def unseen(page: Any, layer: Any, text: str) -> list[str]:
    """Lines in the colour of their background, detected on the rendered page."""
    white: list[tuple[int, int]] = []
    place = 0
    colours = [ctypes.c_uint() for _ in range(4)]
    pointers = [ctypes.byref(colour) for colour in colours]
    for line in text.split("\n"):
        body = line.strip()
        if len(body) > 3:
            middle = place + line.index(body[0]) + len(body) // 2
            if (
                raw.FPDFText_GetFillColor(layer, middle, *pointers)
                and min(colours[0].value, colours[1].value, colours[2].value) > 240
            ):
                white.append((place, place + len(line)))
        place += len(line) + 1
    if not white or raw.FPDFPage_HasTransparency(page):
        return []
    return _on_white(page, layer, text, white[:_MOST_UNSEEN])


def _on_white(page: Any, layer: Any, text: str, runs: list[tuple[int, int]]) -> list[str]:
    """The runs of light text whose area on the page has a single colour."""
    scale = min(1.0, 1000 / max(page.get_width(), page.get_height(), 1))
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        picture = bitmap.to_numpy()
        height = page.get_height()
        found = []
        for start, end in runs:
            boxes = [layer.get_charbox(place) for place in range(start, end) if text[place].strip()]
            left, bottom = min(box[0] for box in boxes), min(box[1] for box in boxes)
            right, top = max(box[2] for box in boxes), max(box[3] for box in boxes)
            area = picture[max(int((height - top) * scale), 0) : int((height - bottom) * scale) + 1,
                           max(int(left * scale), 0) : int(right * scale) + 1]  # fmt: skip
            if area.size and int(area.max()) - int(area.min()) < 24:
                found.append(text[start:end])
        return [one_line(" ".join(found))] if found else []
    finally:
        bitmap.close()
