"""Word documents: paragraphs and tables in the order of the body, each with its comments, then foot- and endnotes.
Headers and footers are not read.

`lines` count paragraphs and table rows of the body from 1. Deleted words of tracked changes are left out,
inserted ones are in; words that are struck through stand between ~~ and ~~, as in Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from ingest.readers import read as read_any
from ingest.readers.attachments import DEEPEST
from ingest.readers.blocks import HEADING_CHARS, Content, Context, Outline, one_line
from ingest.readers.hidden_text import hidden_note
from ingest.readers.office.docx_styles import BODY_LEVEL, Styles, value
from ingest.readers.office.docx_text import TBL, TC, TR, P, W, comment_of, text_of, white_text
from ingest.readers.office.drawingml import charts_and_diagrams, in_fallback
from ingest.readers.office.numbering import Numbering, blocks_of_items, labelled
from ingest.readers.office.ooxml import Package, number, properties
from ingest.readers.tables import BULLET, MOST_COLUMNS, Cell, table_lines
from ingest.readers.zip_container import checked, damaged
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_WHAT = _("Word document")
_COMMENT = f"{W}comment"
_CHUNK = f"{W}altChunk"

_WRAPPERS = frozenset(f"{W}{tag}" for tag in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"))
_TEXT_ALONG_PATH = "{urn:schemas-microsoft-com:vml}textpath"


def read(data: bytes, context: Context) -> Content:
    """The blocks of a document. Its title is the paragraph styled as title, else the file's property, else a
    heading.

    Raises:
        ReadError: it is encrypted, damaged, too large when unpacked, or not a Word document.
    """
    package = Package(checked(data, _WHAT))
    if "[Content_Types].xml" not in package:
        raise ReadError(_("This is a zip archive, not a Word document."), _("Unpack it."))
    try:
        main = next(iter(package.linked("officeDocument")), "")
        element = package.root(main).find(f"{W}body")
        if element is None:
            raise damaged(_WHAT)
        body = _Body(package, main, context)
        body.walk(element)
        for kind in ("footnotes", "endnotes"):
            for root in package.linked_roots(kind, main):
                body.footnotes(root)
        notes = [*body.notes, *white_text(element)]
        for words in body.comments.values():
            notes += hidden_note(_("a comment"), words)
        metadata = properties(package)
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # any error of a damaged part
        raise damaged(_WHAT) from error
    own_title = metadata.pop("title", "")
    title = body.title or own_title or body.first_heading
    notes = list(dict.fromkeys([*package.notes, *notes]))
    return Content(title[:HEADING_CHARS].rstrip(), body.outline.finish(), metadata, tuple(notes))


class _Body:
    """Walks the body's paragraphs and tables and numbers them."""

    def __init__(self, package: Package, main: str, context: Context) -> None:
        self.outline = Outline()
        self.title = ""
        self.first_heading = ""
        self.notes: list[str] = []
        self._package = package
        self._links = package.links(main)
        self._context = context
        self._commented: set[str] = set()
        self.comments = {
            comment.get(f"{W}id", ""): comment_of(comment)
            for root in package.linked_roots("comments", main)
            for comment in root.iter(_COMMENT)
        }
        self._numbering = Numbering(package.linked_roots("numbering", main))
        self._styles = Styles(package.linked_roots("styles", main), self._numbering.depth)
        self._number = 0
        self._items: list[tuple[int, str]] = []  # number of the paragraph, and its text

    def walk(self, body: Any) -> None:
        for element in _through_wrappers(body, (P, TBL, _CHUNK)):
            if element.tag == TBL:
                self._end_list()
                self._table(element)
            elif element.tag == _CHUNK:
                self._end_list()
                self._chunk(element)
            else:
                self._number += 1
                self._paragraph(element)
        self._end_list()

    def _paragraph(self, element: Any) -> None:
        text, kind, label = self._said(element)
        if kind == "item" and text:
            self._items.append((self._number, labelled(label or "-", one_line(text))))
        else:
            self._end_list()
            lines = (self._number, self._number)
            if isinstance(kind, int) and text:
                self._heading(kind, text, label, lines)
            elif kind != "contents" and text:
                self.outline.add(labelled(label, text), lines=lines)
        for box in _text_boxes(element):
            self._box(box)
        if drawn := [words for shape in element.iter(_TEXT_ALONG_PATH) if (words := shape.get("string"))]:
            self._end_list()
            self.outline.add("\n".join(drawn), lines=(self._number, self._number))
        self._beside(element, (self._number, self._number))

    def _said(self, paragraph: Any) -> tuple[str, int | str, str]:
        """Text of a paragraph, its kind, and its number in its list, which it counts. A paragraph that a tracked
        change takes away has none."""
        text = text_of(paragraph).strip()
        if not text and paragraph.find(f"{W}pPr/{W}rPr/{W}del") is not None:
            return "", "", ""
        return text, self._styles.kind(paragraph), self._numbering.label(*self._styles.place(paragraph))

    def _box(self, box: Any) -> None:
        """A text box, behind its paragraph: its paragraphs as one block, its tables by themselves."""
        self._end_list()
        place = self._number, self._number
        lines: list[str] = []
        for element in _through_wrappers(box, (P, TBL)):
            if element.tag == P:
                lines += self._lines(element)
                continue
            if lines:
                self.outline.add("\n".join(lines), lines=place)
            rows = [line for line in self._table_lines(element) if line.strip()]
            if rows:
                self.outline.add("\n".join(rows), "table", place)
            lines = []
        if lines:
            self.outline.add("\n".join(lines), lines=place)

    def _lines(self, element: Any, bullet: str = "-") -> list[str]:
        """The paragraphs in an element, those of text boxes only once, list items with their numbers, which may be
        all that there is in a cell."""
        lines = []
        for paragraph in element.iter(P):
            if in_fallback(paragraph):
                continue
            text, kind, label = self._said(paragraph)
            if text or label:
                lines.append(labelled(label or (bullet if kind == "item" else ""), text).rstrip())
        return lines

    def _beside(self, element: Any, lines: tuple[int, int]) -> None:
        """Charts and diagrams in a paragraph or table, and comments on it."""
        for words in charts_and_diagrams(element, self._links, self._package):
            self._end_list()
            self.outline.add(words, lines=lines)
        for mark in element.iter(f"{W}commentReference"):
            name = mark.get(f"{W}id", "")
            words = "" if name in self._commented or in_fallback(mark) else self.comments.get(name, "")
            if words:
                self._commented.add(name)  # once, however often a file refers to it
                self._end_list()
                self.outline.add(words, lines=lines)

    def _chunk(self, element: Any) -> None:
        """An embedded document of any format (ECMA-376 Part 1, 17.17.2.1)."""
        link = self._links.get(element.get(f"{_R}id", ""))
        if link is None or link.target not in self._package or self._context.depth + 1 >= DEEPEST:
            return
        data = self._package.optional_part(link.target)
        if data is None:
            return
        try:
            content = read_any(
                link.target,
                data,
                self._context.passwords,
                self._context.depth + 1,
                self._context.heartbeat,
                self._context.ocr,
            )
        except ReadError as error:
            self.notes.append(_("A part of the document can't be read: {reason}", reason=error.full_message))
            return
        for block in content.blocks:
            self.outline.heading(BODY_LEVEL, block.heading, None)
            self.outline.add(block.text, block.kind)
        self.outline.heading(BODY_LEVEL, "", None)
        self.notes += content.notes

    def _heading(self, level: int, text: str, label: str, lines: tuple[int, int]) -> None:
        if level == 0:
            self.title = self.title or one_line(text)
        elif level == 1:
            self.first_heading = self.first_heading or one_line(text)
        self.outline.heading(level, labelled(label, text), lines)

    def _table(self, element: Any) -> None:
        first = self._number + 1
        lines = self._table_lines(element)
        self._number += len(lines)
        filled = [index for index, line in enumerate(lines) if line.strip()]
        if filled:
            text = "\n".join(lines[filled[0] : filled[-1] + 1])
            self.outline.add(text, "table", (first + filled[0], first + filled[-1]))
        self._beside(element, (first, self._number))

    def _table_lines(self, table: Any) -> list[str]:
        rows = list(_through_wrappers(table, (TR,)))
        marked = len(list(takewhile(_is_marked_header, rows)))
        return table_lines(self._grid(rows), marked or None)

    def _grid(self, rows: list[Any]) -> list[list[Cell]]:
        """The cells on the grid; a merged cell fills all its fields."""
        grid: list[list[Cell]] = []
        for row in rows:
            line: list[Cell] = []
            for cell in _through_wrappers(row, (TC,)):
                properties = cell.find(f"{W}tcPr")
                merge = None if properties is None else properties.find(f"{W}vMerge")
                span = None if properties is None else value(properties, "gridSpan")
                above = grid[-1][len(line)] if grid and len(line) < len(grid[-1]) else Cell("")
                if merge is not None and merge.get(f"{W}val") != "restart":
                    first = above._replace(first=False)
                else:
                    first = Cell(one_line(" ".join(self._lines(cell, BULLET))), strong=_is_bold(cell))
                width = min(number(span, 1), MOST_COLUMNS)
                line += [first, *(first._replace(first=False) for _ in range(width - 1))]
            grid.append(line)
        return grid

    def footnotes(self, root: Any) -> None:
        """Foot- or endnotes, without a heading: the place of their reference isn't kept."""
        for footnote in root:
            words = one_line(" ".join(self._lines(footnote)))
            if words and footnote.get(f"{W}type") is None:
                self.outline.heading(0, "", None)
                self.outline.add(words)

    def _end_list(self) -> None:
        """Add the items, one line each."""
        done = 0
        for items in blocks_of_items([text for __, text in self._items]):
            first, done = done, done + len(items)
            lines = (self._items[first][0], self._items[done - 1][0])
            self.outline.add("\n".join(items), lines=lines)
        self._items = []


def _through_wrappers(parent: Any, wanted: tuple[str, ...]) -> Iterator[Any]:
    """Children of the given kinds, also inside content controls and tracked insertions."""
    waiting = list(reversed(parent))
    while waiting:
        element = waiting.pop()
        if element.tag in wanted:
            yield element
        elif element.tag in _WRAPPERS:
            waiting.extend(reversed(element))


def _text_boxes(paragraph: Any) -> Iterator[Any]:
    """The outermost text boxes, without their copies for old programs."""
    for box in paragraph.iter(f"{W}txbxContent"):
        if not in_fallback(box) and next(box.iterancestors(f"{W}txbxContent"), None) is None:
            yield box


def _is_bold(cell: Any) -> bool:
    """Whether all its text is in bold. Bold by a style isn't looked up."""
    runs = [run for run in cell.iter(f"{W}r") if (run.findtext(f"{W}t") or "").strip()]
    marks = [run.find(f"{W}rPr/{W}b") for run in runs]
    return bool(runs) and all(mark is not None and mark.get(f"{W}val") not in ("0", "false") for mark in marks)


def _is_marked_header(row: Any) -> bool:
    properties = row.find(f"{W}trPr")
    mark = None if properties is None else properties.find(f"{W}tblHeader")
    return mark is not None and mark.get(f"{W}val") not in ("0", "false")
