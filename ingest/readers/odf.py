"""OpenDocument texts and presentations (ODT, ODP, and their flat XML): headings, lists and tables in their order.

Deleted words of tracked changes are left out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ingest.readers import HEADING_CHARS, Content, Context, Outline, one_line
from ingest.readers.archive import checked, damaged, member, xml
from ingest.readers.hidden import hidden_note
from ingest.readers.tables import MOST_COLUMNS, Field, spread, table_lines
from kb_assistant.errors import ReadError

_WHAT = "OpenDocument file"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_LEFT_OUT = frozenset(
    (f"{_TEXT}tracked-changes", f"{_TEXT}sequence-decls", f"{_OFFICE}forms", f"{_OFFICE}annotation")
)
_MOST_SPACES = 100


def read(data: bytes, context: Context) -> Content:
    """The paragraphs, lists and tables; of a presentation slide by slide.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    try:
        if data.startswith(b"PK"):
            archive = checked(data, _WHAT)
            names = set(archive.namelist())
            if "META-INF/manifest.xml" in names and b"encryption-data" in member(
                archive, "META-INF/manifest.xml", _WHAT
            ):
                raise ReadError(
                    "The OpenDocument file is under a password, and --password opens none of this format.",
                    "Open it in its program and save a copy without one.",
                )
            root = xml(member(archive, "content.xml", _WHAT))
            meta = xml(member(archive, "meta.xml", _WHAT), recover=True) if "meta.xml" in names else root
        else:
            meta = root = xml(data)
        document = _Document()
        body = root.find(f"{_OFFICE}body")
        if body is None:
            raise damaged(_WHAT)
        slides = list(body.iter(f"{_DRAW}page"))
        if slides:
            for number, slide in enumerate(slides, 1):
                document.slide(slide, number)
        else:
            document.walk(body)
        metadata = _metadata(meta)
    except ValueError as error:
        raise damaged(_WHAT) from error
    title = metadata.pop("title", "") or document.first_heading
    blocks = document.finish()
    return Content(title[:HEADING_CHARS], blocks, metadata, tuple(dict.fromkeys(document.notes)))


def _metadata(root: Any) -> dict[str, Any]:
    def said(tag: str) -> str:
        return one_line(next((element.text or "" for element in root.iter(tag)), ""))

    found = {
        "title": said(f"{_DC}title"),
        "author": said(f"{_DC}creator"),
        "date": said(f"{_DC}date")[:10],
        "tags": [words for tag in root.iter(f"{_META}keyword") if (words := one_line(tag.text or ""))],
    }
    return {name: value for name, value in found.items() if value}


class _Document:
    def __init__(self) -> None:
        self.first_heading = ""
        self.notes: list[str] = []
        self._outline = Outline()
        self._slide: int | None = None
        self._done: list[Any] = []
        self._items: list[str] = []

    def slide(self, page: Any, number: int) -> None:
        self._outline, self._slide = Outline(), number
        titles = [frame for frame in page.iter(f"{_DRAW}frame") if frame.get(f"{_PRESENTATION}class") == "title"]
        words = one_line(" ".join(_words(frame) for frame in titles))
        if words:
            self._outline.heading(1, words, None)
            self.first_heading = self.first_heading or words
        self.walk(page, skip=titles)
        self._done += [replace(block, slide=number) for block in self._outline.finish()]
        self._outline = Outline()

    def finish(self) -> tuple[Any, ...]:
        return (*self._done, *self._outline.finish())

    def walk(self, root: Any, skip: list[Any] | tuple[()] = ()) -> None:
        waiting = [(child, 0) for child in reversed(root)]
        while waiting:
            element, depth = waiting.pop()
            if element.tag == f"{_OFFICE}annotation":
                self.notes += hidden_note("a comment", _words(element))
            if element.tag in _LEFT_OUT or element in skip or not isinstance(element.tag, str):
                continue
            if element.tag == f"{_PRESENTATION}notes":
                if words := _words(element).strip():
                    self._end_list()
                    self._outline.add(f"Notes: {words}")
            elif element.tag == f"{_TEXT}h":
                self._heading(element)
            elif element.tag == f"{_TEXT}p":
                self._paragraph(element, depth)
                waiting += [(frame, depth) for frame in reversed(list(element.iter(f"{_DRAW}text-box")))]
            elif element.tag == f"{_TABLE}table":
                self._table(element)
            else:
                deeper = depth + (element.tag == f"{_TEXT}list")
                waiting += [(child, deeper) for child in reversed(element)]
        self._end_list()

    def _heading(self, element: Any) -> None:
        self._end_list()
        words = one_line(_words(element))
        level = element.get(f"{_TEXT}outline-level", "1")
        if words:
            self._outline.heading(int(level) if level.isdigit() else 1, words, None)
            self.first_heading = self.first_heading or words

    def _paragraph(self, element: Any, depth: int) -> None:
        words = _words(element).strip()
        if words and depth:
            self._items.append(f"{'  ' * (depth - 1)}- {one_line(words)}")
        elif words:
            self._end_list()
            self._outline.add(words)

    def _table(self, element: Any) -> None:
        self._end_list()
        rows = _rows(element)
        marked = len(list(element.iterfind(f"{_TABLE}table-header-rows/{_TABLE}table-row")))
        lines = [
            line for line in table_lines(spread([_fields(row) for row in rows]), marked or None) if line.strip()
        ]
        if lines:
            self._outline.add("\n".join(lines), "table")

    def _end_list(self) -> None:
        if self._items:
            self._outline.add("\n".join(self._items))
            self._items = []


def _fields(row: Any) -> list[Field]:
    """The cells of a row; places that another cell reaches into are left out, as that one tells them."""
    fields: list[Field] = []
    for cell in row.iterchildren(f"{_TABLE}table-cell"):
        text = one_line(" ".join(_words(part) for part in cell))
        columns, rows = (_number(cell.get(f"{_TABLE}number-{axis}-spanned")) for axis in ("columns", "rows"))
        times = _number(cell.get(f"{_TABLE}number-columns-repeated")) if text else 1
        fields += [Field(text, columns, rows)] * min(times, MOST_COLUMNS)
    return fields


def _rows(table: Any) -> list[Any]:
    """The table's own rows, without those of tables in its cells."""
    return [row for row in table.iter(f"{_TABLE}table-row") if next(row.iterancestors(f"{_TABLE}table")) is table]


def _number(said: str | None) -> int:
    return int(said) if said and said.isascii() and said.isdigit() and len(said) < 6 else 1


def _words(element: Any) -> str:
    """Words of a paragraph, spaces, tabs and line breaks as they were set; none of its notes' marks and text
    boxes."""
    parts: list[str] = []
    waiting: list[Any] = [element]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            parts.append(one)
            continue
        if one is not element and (
            one.tag in _LEFT_OUT or (one.tag == f"{_DRAW}text-box" and element.tag == f"{_TEXT}p")
        ):
            waiting.append(one.tail or "")
            continue
        if one.tag == f"{_TEXT}s":
            count = one.get(f"{_TEXT}c", "1")
            parts.append(" " * min(int(count) if count.isdigit() else 1, _MOST_SPACES))
        elif one.tag in (f"{_TEXT}tab", f"{_TEXT}line-break"):
            parts.append("\n" if one.tag.endswith("break") else "\t")
        elif one.tag in (f"{_TEXT}p", f"{_TEXT}h") and one is not element and parts:
            parts.append("\n")
        if one is not element and isinstance(one.tail, str):
            waiting.append(one.tail)
        waiting += reversed(one)
        if isinstance(one.tag, str) and one.text:
            waiting.append(one.text)
    return re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(parts))
