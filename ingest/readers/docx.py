"""Word documents: paragraphs and tables in the order of the body. Headers, footers and comments are not read.

`lines` count paragraphs and table rows of the body from 1. Deleted words of tracked changes are left out,
inserted ones are in.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
from docx.oxml.ns import qn

from ingest.readers import HEADING_CHARS, Content, Outline, one_line
from kb_assistant.errors import ReadError

_MOST_BYTES = 200_000_000
_MOST_RATIO = 200
_MOST_MEMBERS = 10_000
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_HEADING_STYLE = re.compile(r"(?:heading|标题|標題|titre|überschrift)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLE = re.compile(r"title|标题|標題", re.IGNORECASE)
_LIST_STYLE = re.compile(r"list\b.*|列表.*|列出段落.*", re.IGNORECASE)
# A table of contents repeats the headings and would be found in their stead.
_CONTENTS_STYLE = re.compile(r"toc ?\d|目录 ?\d", re.IGNORECASE)
_BODY_LEVEL = 9

_P, _TBL, _TR, _TC = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_WRAPPERS = frozenset(qn(f"w:{tag}") for tag in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"))
_LEFT_OUT = frozenset(qn(f"w:{tag}") for tag in ("del", "moveFrom", "pPr", "rPr", "rt", "tbl", "txbxContent"))
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_WORDS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}


def read(data: bytes) -> Content:
    """The blocks of a document. Its title is the paragraph styled so, else the file's property, else a heading.

    Raises:
        ReadError: it is locked, damaged, too large when unpacked, or not a Word document.
    """
    _check_archive(data)
    try:
        document = docx.Document(io.BytesIO(data))
        body = _Body(document)
        body.walk(document.element.body)
        own_title = document.core_properties.title
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # python-docx raises whatever a damaged part leads it to
        raise ReadError("The Word document is damaged.", "Open and save it in Word, then try again.") from error
    title = body.title or one_line(own_title or "") or body.first_heading
    return Content(title[:HEADING_CHARS].rstrip(), body.outline.finish())


def _check_archive(data: bytes) -> None:
    """Refuse what isn't a Word document or would fill the memory, before anything is unpacked."""
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise ReadError("The Word document needs a password.", "Save a copy without one.")
        raise ReadError("This is a Word document of the old kind (.doc).", "Save it as .docx in Word.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
    except Exception as error:  # zipfile raises several kinds for one damage
        raise ReadError("This isn't a Word document, or it is damaged.", "Save it as .docx in Word.") from error
    size = sum(member.file_size for member in members)
    if size > _MOST_BYTES or size > _MOST_RATIO * len(data) or len(members) > _MOST_MEMBERS:
        raise ReadError("The Word document is too large when unpacked.", "Split it, if it is a real one.")
    if any(member.flag_bits & 1 for member in members):
        raise ReadError("The Word document needs a password.", "Save a copy without one.")
    if "[Content_Types].xml" not in {member.filename for member in members}:
        raise ReadError("This is a zip archive, not a Word document.", "Unpack it.")


class _Body:
    """Walks the body's paragraphs and tables and numbers them."""

    def __init__(self, document: Any) -> None:
        self.outline = Outline()
        self.title = ""
        self.first_heading = ""
        self._styles = _Styles(document)
        self._number = 0
        self._items: list[str] = []

    def walk(self, body: Any) -> None:
        for element in _through_wrappers(body, (_P, _TBL)):
            if element.tag == _TBL:
                self._end_list()
                self._table(element)
            else:
                self._number += 1
                self._paragraph(element)
        self._end_list()

    def _paragraph(self, element: Any) -> None:
        text = _text(element).strip()
        kind = self._styles.kind(element)
        if kind == "item" and text:
            self._items.append(f"- {one_line(text)}")
        else:
            self._end_list(before=1)
            lines = (self._number, self._number)
            if isinstance(kind, int) and text:
                self._heading(kind, text, lines)
            elif kind != "contents" and text:
                self.outline.add(text, lines=lines)
        for box in _text_boxes(element):
            self._end_list()
            self.outline.add(box, lines=(self._number, self._number))

    def _heading(self, level: int, text: str, lines: tuple[int, int]) -> None:
        if level == 0:
            self.title = self.title or one_line(text)
        elif level == 1:
            self.first_heading = self.first_heading or one_line(text)
        self.outline.heading(level, text, lines)

    def _table(self, element: Any) -> None:
        first = self._number + 1
        rows = [_row(row) for row in _through_wrappers(element, (_TR,))]
        self._number += len(rows)
        filled = [index for index, row in enumerate(rows) if row.strip(" |")]
        if filled:
            text = "\n".join(rows[filled[0] : filled[-1] + 1])
            self.outline.add(text, "table", (first + filled[0], first + filled[-1]))

    def _end_list(self, before: int = 0) -> None:
        """Items that follow one another are one block, a line each."""
        if self._items:
            last = self._number - before
            self.outline.add("\n".join(self._items), lines=(last - len(self._items) + 1, last))
            self._items = []


class _Styles:
    """What a paragraph is, by its style, the styles that one is based on, and its own properties."""

    def __init__(self, document: Any) -> None:
        self._elements = {
            style.get(qn("w:styleId")): style for style in document.styles.element.iterchildren(qn("w:style"))
        }
        self._kinds: dict[str, int | str] = {}

    def kind(self, paragraph: Any) -> int | str:
        """Level of a heading (0 for the title), "item", "contents" or "" for plain text."""
        properties = paragraph.find(qn("w:pPr"))
        if properties is None:
            return ""
        style = _value(properties, "w:pStyle")
        kind = self._style_kind(style) if style else ""
        own = _properties_kind(properties)
        return own if own != "" and not (kind != "" and own == "item") else kind

    def _style_kind(self, style: str) -> int | str:
        if style not in self._kinds:
            kind: int | str = ""
            seen: set[str] = set()
            name: str | None = style
            while kind == "" and name and name not in seen and name in self._elements:
                seen.add(name)
                element = self._elements[name]
                kind = _name_kind(_value(element, "w:name") or "")
                properties = element.find(qn("w:pPr"))
                if kind == "" and properties is not None:
                    kind = _properties_kind(properties)
                name = _value(element, "w:basedOn")
            self._kinds[style] = kind
        return self._kinds[style]


def _name_kind(name: str) -> int | str:
    if match := _HEADING_STYLE.fullmatch(name):
        return int(match[1])
    if _TITLE_STYLE.fullmatch(name):
        return 0
    if _CONTENTS_STYLE.fullmatch(name):
        return "contents"
    return "item" if _LIST_STYLE.fullmatch(name) else ""


def _properties_kind(properties: Any) -> int | str:
    level = _value(properties, "w:outlineLvl")
    if level and level.isdigit() and int(level) < _BODY_LEVEL:
        return int(level) + 1
    numbering = properties.find(qn("w:numPr"))
    return "item" if numbering is not None and _value(numbering, "w:numId") not in (None, "0") else ""


def _value(element: Any, child: str) -> str | None:
    found = element.find(qn(child))
    value: str | None = None if found is None else found.get(qn("w:val"))
    return value


def _through_wrappers(parent: Any, wanted: tuple[str, ...]) -> Iterator[Any]:
    """Children of the wanted kinds, also inside content controls and tracked insertions."""
    waiting = list(reversed(parent))
    while waiting:
        element = waiting.pop()
        if element.tag in wanted:
            yield element
        elif element.tag in _WRAPPERS:
            waiting.extend(reversed(element))


def _text(paragraph: Any) -> str:
    """Words of a paragraph as they stand now, without those of text boxes in it."""
    words = []
    waiting = list(reversed(paragraph))
    while waiting:
        element = waiting.pop()
        if element.tag in (qn("w:t"), _MATH_TEXT):
            words.append(element.text or "")
        elif element.tag in _WORDS:
            words.append(_WORDS[element.tag])
        elif element.tag not in _LEFT_OUT and element.tag != _FALLBACK:
            waiting.extend(reversed(element))
    return "".join(words)


def _text_boxes(paragraph: Any) -> list[str]:
    boxes = []
    for box in paragraph.iter(qn("w:txbxContent")):
        if next(box.iterancestors(_FALLBACK), None) is None:
            boxes.append("\n".join(text for inner in box.iter(_P) if (text := _text(inner).strip())))
    return [box for box in boxes if box]


def _row(row: Any) -> str:
    """Cells joined by bars. A cell merged over rows is told in its first one."""
    cells = []
    for cell in _through_wrappers(row, (_TC,)):
        properties = cell.find(qn("w:tcPr"))
        merge = None if properties is None else properties.find(qn("w:vMerge"))
        continued = merge is not None and merge.get(qn("w:val")) != "restart"
        cells.append("" if continued else one_line(" ".join(_text(inner) for inner in cell.iter(_P))))
    return " | ".join(cells)
