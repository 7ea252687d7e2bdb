"""The walk through the tree of a page: words become lines, lines become blocks, under their headings."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import takewhile
from typing import Any

from lxml import etree

from ingest.readers.blocks import STRUCK, Outline, join_struck, one_line
from ingest.readers.hidden_text import hidden_note
from ingest.readers.markup.html_lists import HtmlList
from ingest.readers.markup.html_visible import HEADINGS, is_hidden, is_left_out, said_by
from ingest.readers.tables import BULLET, Field, expand_spans, table_lines
from kb_assistant.messages import _
from kb_assistant.types import BlockKind

BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hr html legend li main menu ol p pre section summary table tbody td "
    "textarea tfoot th thead tr ul".split()
)
_LISTS = frozenset(("ul", "ol", "menu", "dl"))
_STRUCK = frozenset(("s", "del", "strike"))
# libxml2's line count ends here.
_LAST_LINE = 65535


class Page:
    """Collects words into lines and lines into blocks during the walk of the tree."""

    def __init__(self, outline: Outline, first_line: int, last_line: int, left_out: Collection[Any] = ()) -> None:
        self.outline, self._left_out = outline, left_out
        self.first_heading = ""
        self._above = first_line - 1  # lines of the document above the HTML
        self._last_line = last_line
        self._line = 1  # current line of the HTML
        self._first = self._last = 0  # first and last source line of the block's text
        self._kind: BlockKind = "prose"
        self._words: list[str] = []
        self._lines: list[str] = []
        self._prefix = ""
        self._lists: list[HtmlList] = []
        self._tables: list[bool] = []  # for each open table, whether it contains data or is layout only
        self._in_cell = 0  # nested tables in a cell of a data table: their words belong to the cell
        self._cells: list[Field] | None = None
        self._rows: list[list[Field]] = []
        self.notes: list[str] = []
        self._skipping: Any = None
        self._struck: Any = None  # the outermost struck part: what is struck within it is struck already

    def walk(self, root: Any) -> None:
        for event, node in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
            self.take(event, node)
        self.end_block()

    def take(self, event: str, node: Any) -> None:
        """Handle one event of the walk. Excluded parts are walked too, because their lines count."""
        if event != "end":
            self._line = node.sourceline or self._line
        if event == "start":
            left_out = is_left_out(node) or node in self._left_out
            if self._skipping is None and (left_out or is_hidden(node)):
                self._skipping = node
                if not left_out:
                    self.notes += hidden_note(_("not shown by a browser"), " ".join(node.itertext()))
            elif self._skipping is None:
                self._start(node)
                if said := said_by(node):
                    self._words.append(f" {said} ")
                    self._first, self._last = self._first or self._line, self._line
                if node.tag == "math":
                    self._skipping = node
                elif self._struck is None and node.tag in _STRUCK and self._is_struck(node):
                    self._struck = node
                    self._words.append(STRUCK)
            self._text(node.text)
            return
        if event == "comment":
            self.notes += hidden_note(_("a comment"), node.text or "")
        if event == "end" and self._skipping is None:
            self._end(node.tag)
            if node is self._struck:
                self._struck = None
                self._words.append(STRUCK)
        elif self._skipping is node:
            self._skipping = None
        self._text(node.tail)

    def end_block(self) -> None:
        """Make a block of the collected lines."""
        self._end_line()
        text = "\n".join(self._lines)
        if self._kind == "code":
            text = re.sub(r"\A(?:[^\S\n]*\n)+", "", text).rstrip()
        if text.strip():
            self.outline.add(text, self._kind, self._source_lines(text.count("\n") + 1))
        self._lines, self._prefix, self._first = [], "", 0

    def _text(self, text: str | None) -> None:
        if not text:
            return
        if self._skipping is None:
            self._words.append(text)
            if body := text.strip():
                start = self._line + text.count("\n", 0, text.index(body[0]))
                self._first = min(self._first, start) if self._first else start
                self._last = start + body.count("\n")
        self._line += text.count("\n")

    def _start(self, node: Any) -> None:
        tag = node.tag
        if tag == "br":
            self._break()
        elif tag not in BLOCKS or self._kind == "code":
            return
        elif self._in_data():
            self._start_in_table(node)
        elif tag == "li":
            self._end_line()
            self._prefix = f"{'  ' * max(len(self._lists) - 1, 0)}{self._mark(node)} "
        elif tag in ("dt", "dd"):
            self._end_part()
            self._prefix = "  " if tag == "dd" and self._lists else ""
        elif tag in _LISTS:
            self._end_part()
            self._lists.append(HtmlList.of(node))
        elif tag in HEADINGS:
            self._end_line()
            mark = self._prefix.strip() if self._lists else ""
            self.end_block()
            self._prefix = f"{mark} " if mark.strip("-") else ""  # the number of the item is the heading's
        elif tag in ("pre", "table"):
            self.end_block()
            if tag == "table":
                self._tables.append(_holds_data(node))
            self._kind = "code" if tag == "pre" else "table" if self._in_data() else "prose"
        else:
            self._end_part()

    def _end(self, tag: str) -> None:
        if tag not in BLOCKS or (self._kind == "code" and tag != "pre"):
            return
        if tag == "table" and self._in_cell:
            self._in_cell -= 1
        elif tag == "table" and self._tables:
            self._end_table()
            self.end_block()
            self._tables.pop()
            self._kind = "prose"
        elif self._in_data():
            self._end_in_table(tag)
        elif tag in HEADINGS:
            self._end_heading(HEADINGS[tag])
        elif tag == "pre":
            self.end_block()
            self._kind = "prose"
        else:
            self._end_part()
            if tag in _LISTS and self._lists:
                self._lists.pop()
                self._end_part()

    def _is_struck(self, node: Any) -> bool:
        """Whether the words in it are part of a line of prose, where they can be marked."""
        return self._kind != "code" and next(node.iter(*BLOCKS, "br"), None) is None

    def _in_data(self) -> bool:
        return bool(self._tables) and self._tables[-1]

    def _start_in_table(self, node: Any) -> None:
        if node.tag == "table":
            self._in_cell += 1
        if node.tag in _LISTS:
            self._lists.append(HtmlList.of(node))
        if node.tag == "li":
            self._words.append(f" {self._mark(node, BULLET)} ")
        elif self._in_cell:
            self._words.append(" ")
        elif node.tag == "tr":
            self._end_row()
            self._cells = []
        elif node.tag in ("td", "th"):
            self._cells = self._cells or []
            if stray := self._take_words():
                self._cells.append(Field(stray))
            self._field = Field("", _number(node.get("colspan")), _number(node.get("rowspan")), node.tag == "th")
        else:
            self._words.append(" ")

    def _end_in_table(self, tag: str) -> None:
        if tag in _LISTS and self._lists:
            self._lists.pop()
        if self._in_cell:
            self._words.append(" ")
        elif tag in ("td", "th") and self._cells is not None:
            self._cells.append(self._field._replace(text=self._take_words()))
        elif tag == "tr":
            self._end_row()
        elif tag == "caption":
            self._end_line()
        else:
            self._words.append(" ")

    def _end_row(self) -> None:
        stray = self._take_words()
        if self._cells is not None:
            self._rows.append([*self._cells, Field(stray)] if stray else self._cells)
            self._cells = None
        elif stray:
            self._lines.append(stray)

    def _end_table(self) -> None:
        """The rows, now that their spanning cells are known."""
        self._end_row()
        marked = len(list(takewhile(lambda row: row and all(field.is_name for field in row), self._rows)))
        self._lines += [line for line in table_lines(expand_spans(self._rows), marked or None) if line.strip()]
        self._rows = []

    def _end_heading(self, level: int) -> None:
        self._end_line()
        text, lines = one_line(" ".join(self._lines)), self._source_lines(1)
        self._lines, self._prefix, self._first = [], "", 0
        if text:
            self.outline.heading(level, text, lines)
            if level == 1 and not self.first_heading:
                self.first_heading = text

    def _break(self) -> None:
        """Handle <br>: the first ends a line, a second one the paragraph."""
        if self._kind != "prose":
            self._words.append("\n")
        elif self._words or self._lists:
            self._end_line()
        else:
            self.end_block()

    def _mark(self, item: Any, bullet: str = "-") -> str:
        return self._lists[-1].mark(item, bullet) if self._lists else bullet

    def _end_part(self) -> None:
        """Handle the begin or end of a block element: inside a list it only ends the line."""
        if self._lists:
            self._end_line()
        else:
            self.end_block()

    def _take_words(self) -> str:
        words = join_struck(self._words)
        self._words.clear()
        return words if self._kind == "code" else one_line(words)

    def _end_line(self) -> None:
        text = self._take_words()
        if text.strip():
            self._lines.append(self._prefix + text)
            self._prefix = " " * len(self._prefix)

    def _source_lines(self, text_lines: int) -> tuple[int, int] | None:
        """First and last source line of the block. If source and text break lines at different places, equal
        numbers of lines would wrongly claim exact lines, so the range gets one line more."""
        if not self._first or self._last >= _LAST_LINE:
            return None
        first, last = (min(line + self._above, self._last_line) for line in (self._first, self._last))
        if text_lines > 1 and self._kind != "code" and last - first + 1 == text_lines:
            return (first, last + 1) if last < self._last_line else (max(first - 1, 1), last)
        return first, last


def _holds_data(table: Any) -> bool:
    """False for a layout table: it has one cell, or content that no data cell has. Nested tables are a sign of
    that, too, unless the table names its columns."""
    inner = table.findall(".//table")
    if next(table.iter("pre", *HEADINGS), None) is not None:
        return False
    if inner and sum(1 for _ in table.iter("th")) == sum(1 for one in inner for _ in one.iter("th")):
        return False
    return sum(1 for _ in table.iter("td", "th")) > 1


def _number(start: str | None) -> int:
    return int(start) if start and start.isascii() and start.isdigit() and 0 < len(start) < 6 else 1
