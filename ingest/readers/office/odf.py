"""OpenDocument texts and presentations (ODT, ODP, and their flat XML): headings, lists, tables and charts in
order, foot- and endnotes after their paragraph.

Deleted words of tracked changes are left out.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ingest.readers.blocks import HEADING_CHARS, Content, Context, Outline, one_line
from ingest.readers.hidden_text import hidden_note
from ingest.readers.office.encrypted_odf import without_password
from ingest.readers.office.numbering import blocks_of_items, labelled
from ingest.readers.office.odf_numbering import OdfNumbering, begins_item
from ingest.readers.tables import BULLET, MOST_COLUMNS, Field, expand_spans, table_lines
from ingest.readers.zip_container import checked, damaged, member, xml
from kb_assistant.errors import ReadError
from kb_assistant.messages import _
from kb_assistant.text.boundaries import is_list_item

_WHAT = _("OpenDocument file")
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_META = "{urn:oasis:names:tc:opendocument:xmlns:meta:1.0}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_CHART = "{urn:oasis:names:tc:opendocument:xmlns:chart:1.0}"
_SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_HREF = "{http://www.w3.org/1999/xlink}href"
# Elements that aren't the document's text, or are read elsewhere.
_LEFT_OUT = frozenset(
    (f"{TEXT}tracked-changes", f"{TEXT}sequence-decls", f"{_SVG}title", f"{_SVG}desc", f"{OFFICE}forms",
     f"{OFFICE}annotation", f"{OFFICE}binary-data", f"{OFFICE}scripts", f"{OFFICE}event-listeners")
)  # fmt: skip
_PARAGRAPHS = (f"{TEXT}p", f"{TEXT}h")
_BEHIND = (f"{TEXT}note", f"{DRAW}text-box")  # inside a paragraph, but read after it
_TOLD_BESIDE = frozenset((*_LEFT_OUT, f"{OFFICE}chart"))  # in flat XML a chart is inside its drawing
_MOST_SPACES = 100


@dataclass(frozen=True, slots=True)
class Opened:
    """A document's XML.

    Attributes:
        root: The element with its body and styles.
        metadata: Its own metadata: `title`, `author`, `date`, `tags`.
        notes: Notes on ignored damage.
        archive: The archive with its charts; None for flat XML.
    """

    root: Any
    metadata: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    archive: zipfile.ZipFile | None = None

    def body(self) -> Any:
        """The body. Raises ReadError if there is none."""
        body = self.root.find(f"{OFFICE}body")
        if body is None:
            raise damaged(_WHAT)
        return body

    def styles(self) -> list[Any]:
        """The parts with styles, those of the document's own last."""
        name = "styles.xml"
        own = None
        if self.archive is not None and name in self.archive.namelist():
            own = _optional(self.archive, name, self.notes)
        return [self.root] if own is None else [own, self.root]

    def chart(self, place: Any) -> list[str]:
        """Lines of the chart that is embedded at a draw:object: its titles, then its values as a table."""
        name = f"{place.get(_HREF, '').removeprefix('./')}/content.xml"
        root = place
        if self.archive is not None and name in self.archive.namelist():
            root = _optional(self.archive, name, self.notes)
            if root is None:
                return []
        lines = []
        for chart in root.iter(f"{_CHART}chart"):
            lines += [words for title in chart.iter(f"{_CHART}title") if (words := one_line(text_of(title)))]
            lines += [line for table in chart.iter(f"{TABLE}table") for line in _table_lines(table, text_of)]
        return lines


def opened(data: bytes, context: Context) -> Opened:
    """A document from its archive, or as flat XML.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    notes: list[str] = []
    try:
        if not data.startswith(b"PK"):
            root = _root(data, notes)
            return Opened(root, _metadata(root), notes)
        archive = without_password(checked(data, _WHAT), context)
        root = _root(member(archive, "content.xml", _WHAT), notes)
        meta = _optional(archive, "meta.xml", notes) if "meta.xml" in archive.namelist() else root
    except ValueError as error:
        raise damaged(_WHAT) from error
    return Opened(root, {} if meta is None else _metadata(meta), notes, archive)


def _root(data: bytes, notes: list[str]) -> Any:
    try:
        return xml(data)
    except ValueError:
        root = xml(data, recover=True)
        notes.append(_("The file's XML has faults; what can be read of it is in the index."))
        return root


def _optional(archive: zipfile.ZipFile, name: str, notes: list[str]) -> Any | None:
    """Root of an optional member; None, and a note, if it is damaged."""
    try:
        return xml(member(archive, name, _WHAT), recover=True)
    except (ValueError, ReadError):
        notes.append(_("A part of the file is damaged ({name}) and was left out.", name=name))
        return None


def read(data: bytes, context: Context) -> Content:
    """The paragraphs, lists and tables; for a presentation slide by slide.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    source = opened(data, context)
    document = _Document(source)
    body = source.body()
    slides = list(body.iter(f"{DRAW}page"))
    if slides:
        for number, slide in enumerate(slides, 1):
            document.slide(slide, number)
    else:
        document.walk(body)
    metadata = dict(source.metadata)
    title = metadata.pop("title", "") or document.first_heading
    blocks = document.finish()
    comments = body.iter(f"{OFFICE}annotation")
    orders = [note for one in comments for note in hidden_note(_("a comment"), text_of(one))]
    notes = dict.fromkeys([*source.notes, *orders])
    return Content(title[:HEADING_CHARS], blocks, metadata, tuple(notes))


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
    def __init__(self, source: Opened) -> None:
        self._source = source
        self._numbering = OdfNumbering(source.styles())
        self.first_heading = ""
        self._outline = Outline()
        self._slide: int | None = None
        self._done: list[Any] = []
        self._items: list[str] = []

    def slide(self, page: Any, number: int) -> None:
        self._outline, self._slide = Outline(), number
        titles = [frame for frame in page.iter(f"{DRAW}frame") if frame.get(f"{_PRESENTATION}class") == "title"]
        words = one_line(" ".join(text_of(frame) for frame in titles))
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
            if element.tag in _LEFT_OUT or element in skip or not isinstance(element.tag, str):
                continue
            if element.tag == f"{_PRESENTATION}notes":
                if words := text_of(element).strip():
                    self._end_list()
                    self._outline.add(f"Notes: {words}")
            elif element.tag in _PARAGRAPHS:
                if element.tag == f"{TEXT}h":
                    self._heading(element)
                else:
                    self._paragraph(element, depth)
                waiting += [(inner, depth) for inner in reversed(list(_set_in(element)))]
            elif element.tag == f"{TABLE}table":
                self._table(element)
            elif element.tag == f"{DRAW}object":
                self._chart(element)
            else:
                deeper = depth + (element.tag == f"{TEXT}list")
                waiting += [(child, deeper) for child in reversed(element)]
        self._end_list()

    def _heading(self, element: Any) -> None:
        self._end_list()
        label = self._numbering.label(element)
        words = one_line(text_of(element))
        if words:
            level = _number(element.get(f"{TEXT}outline-level"))
            self._outline.heading(level, labelled(label, words), None)
            self.first_heading = self.first_heading or words

    def _paragraph(self, element: Any, depth: int) -> None:
        label = self._numbering.label(element)
        words = text_of(element).strip()
        if words and depth:
            item = labelled(label or ("-" if begins_item(element) else ""), one_line(words))
            self._items.append(f"{'  ' * (depth - 1)}{item}" if is_list_item(item) else item)
        elif words:
            self._end_list()
            self._outline.add(labelled(label, words))

    def _table(self, element: Any) -> None:
        self._end_list()
        if lines := _table_lines(element, self._in_cell):
            self._outline.add("\n".join(lines), "table")
        for inner in element.iter(f"{DRAW}object"):
            self._chart(inner)

    def _in_cell(self, cell: Any) -> str:
        """The text of a cell, list items with their marks."""
        if next(cell.iter(f"{TEXT}list"), None) is None:
            return text_of(cell)
        parts = []
        for paragraph in cell.iter(*_PARAGRAPHS):
            if next(paragraph.iterancestors(*_PARAGRAPHS, f"{TABLE}table-cell")).tag != f"{TABLE}table-cell":
                continue  # its words are said with those of the paragraph around it
            label = self._numbering.label(paragraph)
            is_item = paragraph.getparent().tag == f"{TEXT}list-item" and begins_item(paragraph)
            parts.append(labelled(label or (BULLET if is_item else ""), text_of(paragraph).strip()))
        return " ".join(filter(None, parts))

    def _chart(self, element: Any) -> None:
        if lines := self._source.chart(element):
            self._end_list()
            self._outline.add("\n".join(lines))

    def _end_list(self) -> None:
        for items in blocks_of_items(self._items):
            self._outline.add("\n".join(items))
        self._items = []


def _set_in(paragraph: Any) -> Iterator[Any]:
    """The parts of a paragraph that are read after it: notes, text boxes and charts."""
    for inner in paragraph.iter(f"{TEXT}note-body", f"{DRAW}text-box", f"{DRAW}object"):
        if next(inner.iterancestors(*_PARAGRAPHS)) is paragraph:
            yield inner


def _table_lines(table: Any, text_in: Callable[[Any], str]) -> list[str]:
    """A line for each row. `text_in` gives the text of a cell."""
    marked = len(list(table.iterfind(f"{TABLE}table-header-rows/{TABLE}table-row")))
    lines = table_lines(expand_spans([_fields(row, text_in) for row in _rows(table)]), marked or None)
    return [line for line in lines if line.strip()]


def _fields(row: Any, text_in: Callable[[Any], str]) -> list[Field]:
    """The cells of a row, without fields covered by another cell, which fills them."""
    fields: list[Field] = []
    for cell in row.iterchildren(f"{TABLE}table-cell"):
        text = one_line(text_in(cell))
        columns, rows = (_number(cell.get(f"{TABLE}number-{axis}-spanned")) for axis in ("columns", "rows"))
        times = _number(cell.get(f"{TABLE}number-columns-repeated"))
        fields += [Field(text, columns, rows)] * min(times, MOST_COLUMNS - len(fields))
    while fields and fields[-1] == Field(""):
        fields.pop()
    return fields


def _rows(table: Any) -> list[Any]:
    """The table's own rows, without rows of nested tables."""
    return [row for row in table.iter(f"{TABLE}table-row") if next(row.iterancestors(f"{TABLE}table")) is table]


def _number(said: str | None) -> int:
    return int(said) if said and said.isascii() and said.isdigit() and len(said) < 6 else 1


def text_of(element: Any) -> str:
    """Text of a paragraph with its spaces, tabs and line breaks, without note marks and text boxes."""
    parts: list[str] = []
    waiting: list[Any] = [element]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            parts.append(one)
            continue
        if one is not element and (one.tag in _TOLD_BESIDE or (one.tag in _BEHIND and element.tag in _PARAGRAPHS)):
            waiting.append(one.tail or "")
            continue
        if one.tag == f"{TEXT}s":
            parts.append(" " * min(_number(one.get(f"{TEXT}c")), _MOST_SPACES))
        elif one.tag in (f"{TEXT}tab", f"{TEXT}line-break"):
            parts.append("\n" if one.tag.endswith("break") else "\t")
        elif one.tag in _PARAGRAPHS and one is not element and parts:
            parts.append("\n")
        if one is not element and isinstance(one.tail, str):
            waiting.append(one.tail)
        waiting += reversed(one)
        if isinstance(one.tag, str) and one.text:
            waiting.append(one.text)
    return re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(parts))
