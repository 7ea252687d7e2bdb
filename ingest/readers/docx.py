"""Word documents: paragraphs and tables in the order of the body, then foot- and endnotes. Headers and footers are
not read; comments only for orders that hide in them.

`lines` count paragraphs and table rows of the body from 1. Deleted words of tracked changes are left out,
inserted ones are in.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import docx
from docx.oxml.ns import qn

from ingest.readers import HEADING_CHARS, Content, Context, Outline, one_line
from ingest.readers.archive import checked, damaged, xml
from ingest.readers.hidden import hidden_note
from ingest.readers.tables import Cell, table_lines
from kb_assistant.errors import ReadError

_HEADING_STYLE = re.compile(r"(?:heading|标题|標題|titre|überschrift)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLE = re.compile(r"title|标题|標題", re.IGNORECASE)
_LIST_STYLE = re.compile(r"list\b.*|列表.*|列出段落.*", re.IGNORECASE)
# A table of contents repeats the headings and would be found in their stead.
_CONTENTS_STYLE = re.compile(r"toc ?\d|目录 ?\d", re.IGNORECASE)
_BODY_LEVEL = 9
_MOST_COLUMNS = 1000
_WHAT = "Word document"
_COMMENT = qn("w:comment")

_P, _TBL, _TR, _TC = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_WRAPPERS = frozenset(qn(f"w:{tag}") for tag in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"))
_LEFT_OUT = frozenset(qn(f"w:{tag}") for tag in ("del", "moveFrom", "pPr", "rPr", "rt", "tbl", "txbxContent"))
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_WORDS = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}


def read(data: bytes, context: Context) -> Content:
    """The blocks of a document. Its title is the paragraph styled so, else the file's property, else a heading.

    Raises:
        ReadError: it is locked, damaged, too large when unpacked, or not a Word document.
    """
    if "[Content_Types].xml" not in checked(data, _WHAT).namelist():
        raise ReadError("This is a zip archive, not a Word document.", "Unpack it.")
    try:
        document = docx.Document(io.BytesIO(data))
        body = _Body(document)
        body.walk(document.element.body)
        notes = [*_white_text(document.element.body)]
        for part in document.part.package.iter_parts():
            name = str(part.partname)
            if name in ("/word/footnotes.xml", "/word/endnotes.xml"):
                body.footnotes(xml(part.blob))
            elif name == "/word/comments.xml":
                for comment in xml(part.blob).iter(_COMMENT):
                    words = "\n".join(_text(inner) for inner in comment.iter(_P))
                    notes += hidden_note("a comment", words)
        metadata = _properties(document.core_properties)
        own_title = document.core_properties.title
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # python-docx raises whatever a damaged part leads it to
        raise damaged(_WHAT) from error
    title = body.title or one_line(own_title or "") or body.first_heading
    return Content(title[:HEADING_CHARS].rstrip(), body.outline.finish(), metadata, tuple(dict.fromkeys(notes)))


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
        rows = list(_through_wrappers(element, (_TR,)))
        marked = list(takewhile(_is_marked_header, rows))
        lines = table_lines(_grid(rows), len(marked) or None)
        self._number += len(rows)
        filled = [index for index, line in enumerate(lines) if line.strip()]
        if filled:
            text = "\n".join(lines[filled[0] : filled[-1] + 1])
            self.outline.add(text, "table", (first + filled[0], first + filled[-1]))

    def footnotes(self, root: Any) -> None:
        """Foot- or endnotes, under no heading: where they are called from isn't kept."""
        for footnote in root:
            words = one_line(" ".join(_text(inner) for inner in footnote.iter(_P)))
            if words and footnote.get(qn("w:type")) is None:
                self.outline.heading(0, "", None)
                self.outline.add(words)

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


def _grid(rows: list[Any]) -> list[list[Cell]]:
    """The cells as they lie on the grid; one merged over columns or rows fills all its places."""
    grid: list[list[Cell]] = []
    for row in rows:
        line: list[Cell] = []
        for cell in _through_wrappers(row, (_TC,)):
            properties = cell.find(qn("w:tcPr"))
            merge = None if properties is None else properties.find(qn("w:vMerge"))
            span = (_value(properties, "w:gridSpan") if properties is not None else None) or "1"
            above = grid[-1][len(line)] if grid and len(line) < len(grid[-1]) else Cell("")
            if merge is not None and merge.get(qn("w:val")) != "restart":
                first = Cell(above.text, False)
            else:
                first = Cell(one_line(" ".join(_text(inner) for inner in cell.iter(_P))))
            width = min(int(span), _MOST_COLUMNS) if span.isdigit() else 1
            line += [first, *(Cell(first.text, False) for _ in range(width - 1))]
        grid.append(line)
    return grid


def _is_marked_header(row: Any) -> bool:
    properties = row.find(qn("w:trPr"))
    mark = None if properties is None else properties.find(qn("w:tblHeader"))
    return mark is not None and mark.get(qn("w:val")) not in ("0", "false")


def _white_text(body: Any) -> Iterator[str]:
    """Notes on words nobody sees: in white where nothing dark lies behind them, or marked as hidden."""
    hidden: dict[str, list[str]] = {}
    for run in body.iter(qn("w:r")):
        properties = run.find(qn("w:rPr"))
        if properties is None:
            continue
        vanish = properties.find(qn("w:vanish"))
        if vanish is not None and vanish.get(qn("w:val")) not in ("0", "false"):
            hidden.setdefault("marked as hidden", []).append(_text(run))
        elif (_value(properties, "w:color") or "").lower() == "ffffff" and not _is_shaded(run, properties):
            hidden.setdefault("white on white", []).append(_text(run))
    for where, words in hidden.items():
        yield from hidden_note(where, " ".join(words), always=True)


def _is_shaded(run: Any, properties: Any) -> bool:
    """Whether something lies behind the words: their own mark, or the ground of their paragraph, cell or shape."""
    if properties.find(qn("w:shd")) is not None or properties.find(qn("w:highlight")) is not None:
        return True
    for above in run.iterancestors(_P, _TC, qn("w:txbxContent"), _TBL):
        if above.tag == qn("w:txbxContent") or above.find(f"*/{qn('w:shd')}") is not None:
            return True
        if above.tag == _TBL and above.find(f"{qn('w:tblPr')}/{qn('w:tblStyle')}") is not None:
            return True  # styles of tables paint their head
    return False


def _properties(core: Any) -> dict[str, Any]:
    """What the document says of itself."""
    tags = [tag for word in re.split("[,;，；]", core.keywords or "") if (tag := one_line(word))]
    date = core.modified or core.created
    said = {"author": one_line(core.author or ""), "date": date.date().isoformat() if date else "", "tags": tags}
    return {name: value for name, value in said.items() if value}
