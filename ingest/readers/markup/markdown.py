"""Markdown (CommonMark with tables): headings become the path, code and tables stay whole, prose is unchanged.

markdown-it-py parses the blocks and gives the lines of each. The text comes from the file's own lines, so line
numbers are exact and inline markup stays. The HTML reader reads HTML blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.readers.blocks import HEADING_CHARS, Content, Context, Outline, one_line
from ingest.readers.encoding import decode
from ingest.readers.hidden_text import hidden_note
from ingest.readers.markup.front_matter import front_matter, title_of
from ingest.readers.markup.markdown_html import (
    LONGEST_LINE,
    MAY_HIDE,
    for_parser,
    html_regions,
    html_rule,
    without_hidden,
)
from ingest.readers.table_cells import Cell
from ingest.readers.table_headers import header_of
from ingest.readers.tables import BULLET
from kb_assistant.messages import _

_ATX_MARKS = re.compile(r"^ {0,3}#{1,6}(?:[ \t]+|$)|[ \t]+#+[ \t]*$")
_ANCHOR = re.compile(r"\{#[^{}\s]+\}$")
_MDX = re.compile(r"\s*</?[A-Z][A-Za-z]*[a-z][\s>/]|import .{1,200} from ['\"]")
_NEEDED = frozenset(("heading_open", "inline", "fence", "code_block", "table_open", "html_block", "hr"))
_MARKED = re.compile(r"[\\`*_\[\]!<&~]")
_BAR = re.compile(r"(?<!\\)\|")
_TAGS_ALONE = re.compile(r"(?:\s|</?[A-Za-z][^<>]*>)*")
_ITEM_IN_CELL = re.compile(r"<li(?:\s[^<>|]{0,200})?>", re.IGNORECASE)
_TAGS_IN_CELL = re.compile(r"</?(?:br|p|ul|ol|li|div)(?:\s[^<>|]{0,200})?/?>", re.IGNORECASE)
_QUOTE_MARKS = re.compile(r"^[ \t]{0,3}>[ \t>]{0,40}")
_MOST_PARSED = 20_000
"""Most pieces of HTML and headings with markup; beyond that, which nobody writes, they stay unchanged."""


def read(data: bytes, context: Context) -> Content:
    """The blocks of a Markdown file. Its title is from the front matter, else the first heading of level 1."""
    lines = decode(data).split("\n")
    metadata, start = front_matter(lines)
    outline = Outline()
    first_heading, notes = add_markdown(outline, lines, start)
    return Content(title_of(metadata) or first_heading, outline.finish(), metadata, notes)


def add_markdown(outline: Outline, lines: list[str], start: int = 0) -> tuple[str, tuple[str, ...]]:
    """Add the blocks of these lines, from index `start` on, to an outline.

    Returns:
        The first heading of level 1, or an empty string, and notes on hidden text.
    """
    document = _Document(outline, lines, start)
    document.add()
    return document.title, tuple(dict.fromkeys(document.notes))


@lru_cache(maxsize=2)
def _parser(is_mdx: bool) -> MarkdownIt:
    """The parser for CommonMark with tables. Only headings need inline parsing, so that step is omitted. MDX has
    no indented code, because the content of its elements is indented."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("inline")
    if is_mdx:
        parser.disable("code")
    parser.block.ruler.at("html_block", html_rule, {"alt": ["paragraph", "reference", "blockquote"]})
    return parser


class _Structure(list[Token]):
    """Keeps only the tokens that the reader needs. The others of a long list would take a kilobyte per item.

    A paragraph's token gets its text after it was added, so it is checked when the next one is added.
    """

    def append(self, token: Token) -> None:
        if self and self[-1].type == "inline" and not self._is_needed(self[-1].content):
            self.pop()
        if token.type in _NEEDED:
            super().append(token)

    def _is_needed(self, text: str) -> bool:
        return (len(self) > 1 and self[-2].type == "heading_open") or bool(
            MAY_HIDE.search(text) or _has_table(text)
        )


class _Document:
    """Adds blocks to the outline in reading order. Lines outside headings, code, tables and HTML are prose."""

    def __init__(self, outline: Outline, lines: list[str], start: int) -> None:
        self.title = ""
        self.notes: list[str] = []
        self._outline = outline
        self._lines = lines
        self._shown = ["" for _ in lines[:start]] + lines[start:]
        self._next = 0  # the first line not yet added
        self._left = _MOST_PARSED
        self._parser = _parser(any(map(_MDX.match, lines)))
        self._env: dict[str, Any] = {}

    def add(self) -> None:
        tokens = _Structure()
        self._parser.block.parse(for_parser(self._shown), self._parser, self._env, tokens)
        regions = html_regions(tokens)
        for index, token in enumerate(tokens):
            if token.map is None or token.map[0] < self._next:
                continue
            first, end = token.map
            if index in regions:
                self._add_html(first, regions[index], self._html_region(first, regions[index], token.level))
            elif token.type == "heading_open" and token.level == 0:
                self._add_heading(token, tokens[index + 1].content)
            elif token.type in ("fence", "code_block"):
                self._add_code(first, end)
            elif token.type == "table_open":
                self._add_table(first, end)
            elif token.type == "html_block":
                self._add_html(first, end, "\n".join(self._html_lines(token)))
            elif token.type == "hr":
                self._shown[first] = ""
            elif token.type == "inline" and _has_table(token.content):
                self._add_html(first, end, token.content)
            elif token.type == "inline":
                self._hide(first, end)
        self._add_prose(len(self._lines))
        for definition in (*self._env.get("references", {}).values(), *self._env.get("duplicate_refs", ())):
            self.notes += hidden_note(_("a link's title"), definition["title"])

    def _add_prose(self, end: int) -> None:
        """Add lines up to `end`. Rows outside a table, because the rule below its names is missing, form a
        table."""
        first, self._next = self._next, end
        for is_row, numbers in groupby(range(first, end), lambda i: self._shown[i].lstrip().startswith("|")):
            run = _without_blank_ends(self._shown, list(numbers))
            if run:
                text = "\n".join(self._shown[run[0] : run[-1] + 1]).rstrip()
                self._outline.add(text, "table" if is_row else "prose", (run[0] + 1, run[-1] + 1))

    def _add_code(self, first: int, end: int) -> None:
        run = _without_blank_ends(self._lines, list(range(first, end)))
        if run:
            self._add_prose(first)
            self._outline.add(
                "\n".join(self._lines[run[0] : run[-1] + 1]).rstrip(), "code", (run[0] + 1, run[-1] + 1)
            )
            self._next = end

    def _add_table(self, first: int, end: int) -> None:
        self._add_prose(first)
        rows = [_without_tags(self._without_hidden(row)) for row in self._lines[first:end]]
        names = header_of([_cells(row) for row in (rows[0], *rows[2:])], marked=1).rows
        self._outline.add("\n".join(rows).rstrip(), "table", (first + 1, end), "\n".join(rows[: names + 1]))
        self._next = end

    def _add_heading(self, token: Token, marked: str) -> None:
        """Treat a long paragraph above a rule as a paragraph."""
        first, end = token.map or (0, 0)
        if not token.markup.startswith("#") and len(marked) > HEADING_CHARS:
            self._shown[end - 1] = ""
            return
        self._add_prose(first)
        if len(marked) > 10 * HEADING_CHARS:  # nobody writes one: searching for pairs of marks isn't worthwhile
            text = self._without_hidden(_ATX_MARKS.sub("", self._lines[first]))
        else:
            text = self._words(_ANCHOR.sub("", self._without_hidden(marked).rstrip()))
        level = int(token.tag[1:])
        self._outline.heading(level, text, (first + 1, end))
        if level == 1 and not self.title:
            self.title = one_line(text)[:HEADING_CHARS].rstrip()
        self._next = end

    def _words(self, marked: str) -> str:
        """A heading without its markup."""
        if not (_MARKED.search(marked) and self._may_parse()):
            return marked
        tokens: list[Token] = []
        self._parser.inline.parse(marked, self._parser, self._env, tokens)
        return one_line("".join(_texts(tokens)))

    def _may_parse(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def _html_region(self, first: int, end: int, level: int) -> str:
        """The lines of a piece of HTML; within lists and quotes without their markers."""
        lines = self._lines[first:end]
        if level:
            in_quote = lines[0].lstrip().startswith(">")
            lines = [_QUOTE_MARKS.sub("", line) if in_quote else line for line in lines]
            lines[0] = lines[0][max(lines[0].find("<"), 0) :]
        return "\n".join(lines)

    def _html_lines(self, token: Token) -> Iterator[str]:
        """The block without list and quote markers, but with its long lines complete."""
        first = token.map[0] if token.map else 0
        for number, line in enumerate(token.content.rstrip("\n").split("\n"), first):
            yield line if len(self._lines[number]) <= LONGEST_LINE else self._lines[number]

    def _add_html(self, first: int, end: int, text: str) -> None:
        """A comment alone doesn't split a paragraph."""
        if "<!--" in text and not without_hidden(text)[0].strip():
            self._hide(first, end)
            return
        if _TAGS_ALONE.fullmatch(text) and "alt=" not in text:
            self._add_prose(first)
            self._next = end
            return
        if not self._may_parse():
            return
        from ingest.readers.markup.html import add_html

        self._add_prose(first)
        title, notes = add_html(self._outline, text, first + 1, len(self._lines))
        self.title = self.title or title
        self.notes += notes
        self._next = end

    def _hide(self, first: int, end: int) -> None:
        self._shown[first:end] = self._without_hidden("\n".join(self._shown[first:end])).split("\n")

    def _without_hidden(self, text: str) -> str:
        shown, notes = without_hidden(text)
        self.notes += notes
        return shown


def _cells(row: str) -> list[Cell]:
    """The cells of a row between its bars."""
    bare = row.lstrip("> \t").strip().removeprefix("|").removesuffix("|")
    return [Cell(text.strip()) for text in _BAR.split(bare)]


def _has_table(paragraph: str) -> bool:
    """Whether a table of HTML stands within a paragraph, not in code."""
    text = paragraph.lower()
    start = text.find("<table")
    return start >= 0 and "`" not in text and text.find("</table", start) > 0


def _without_tags(row: str) -> str:
    """A row without the HTML by which cells break their lines and list their items, because Markdown has no way
    for that. In code it is only mentioned."""
    return row if "`" in row else _TAGS_IN_CELL.sub(" ", _ITEM_IN_CELL.sub(f" {BULLET} ", row))


def _without_blank_ends(lines: Sequence[str], numbers: list[int]) -> list[int]:
    filled = [place for place, number in enumerate(numbers) if lines[number].strip()]
    return numbers[filled[0] : filled[-1] + 1] if filled else []


def _texts(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "image":
            yield from _texts(token.children or ())
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type != "html_inline":
            yield token.content
