"""HTML in Markdown: where a piece of it begins and ends, and what it hides."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from itertools import groupby

from markdown_it.rules_block import StateBlock, html_block
from markdown_it.token import Token

from ingest.readers.hidden_text import hidden_note
from ingest.readers.markup.html_visible import tag_hides
from kb_assistant.messages import _

LONGEST_LINE = 10_000
"""Characters of a line that the parser sees: the head of a line decides its block."""

MAY_HIDE = re.compile(r"<!--|<[a-z][^<>]*(?:hidden|style)", re.IGNORECASE)
_TICKS_COMMENT_OR_TAG = re.compile(r"`+|<!--|-->|<(/?)([a-z][\w-]*+)[^<>]*>", re.IGNORECASE)
# HTML that continues over blank lines up to its end mark. Without one, all that follows would be part of it.
_UNTIL_CLOSED = tuple(
    (
        re.compile(rf"^([ \t>*+\-\d.)]{{0,40}})<(?={opener})", re.IGNORECASE | re.MULTILINE),
        re.compile(closer, re.IGNORECASE),
    )
    for opener, closer in (
        (r"(?:script|pre|style|textarea)(?:\s|>|$)", r"</(?:script|pre|style|textarea)>"),
        (r"!--", r"-->"),
        (r"\?", r"\?>"),
        (r"![a-z]", r">"),
        (r"!\[CDATA\[", r"\]\]>"),
    )
)
_ENDS = re.compile(r"</(?:script|pre|style|textarea)>|-->|\?>|\]\]>|>", re.IGNORECASE)
_LONGEST_END = len("</textarea>")
_START_TAG = re.compile(r"<([a-z][\w-]*+)[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([a-z][\w-]*)", re.IGNORECASE)
_END_OF = {"<!--": "-->", "-->": ""}
_BEGINS_MARKDOWN = re.compile(r" {0,3}(?:`{3}|~{3}|#{1,6}\s|[-*+]\s|\d{1,9}[.)]\s|\|)")
_BEGINS_RAW = re.compile(r"<(?:pre|script|style|textarea|[!?])", re.IGNORECASE)


def html_rule(state: StateBlock, first: int, end: int, silent: bool) -> bool:
    """End HTML at a line that begins Markdown. In CommonMark only a blank line ends it, which people forget
    between `<details>` and code."""
    at = state.bMarks[first] + state.tShift[first]
    if not silent and state.src.startswith("<", at):
        end = _first_markdown(state, first, end)
    return html_block(state, first, end, silent)


def _first_markdown(state: StateBlock, first: int, end: int) -> int:
    """The line, up to the next blank one, that begins Markdown directly after a tag; `end` if there is none."""
    above = ""
    for number in range(first, end):
        line = state.getLines(number, number + 1, state.blkIndent, False)
        if not line.strip() or _BEGINS_RAW.search(line):
            break
        if above.endswith(">") and _BEGINS_MARKDOWN.match(line):
            return number
        above = line.rstrip()
    return end


def for_parser(lines: list[str]) -> str:
    """The text that the parser sees: HTML that is never closed is escaped; of long lines it gets the head, the
    marks behind it that end HTML, and, if there is anything in them that may be hidden, a tag that says so."""
    text = "\n".join(lines)
    for opener, closer in _UNTIL_CLOSED:
        if opener.search(text):
            end = max((match.end() for match in closer.finditer(text)), default=0)
            text = text[:end] + opener.sub(r"\1&lt;", text[end:])
    return "\n".join(line if len(line) <= LONGEST_LINE else _shortened(line) for line in text.split("\n"))


def _shortened(line: str) -> str:
    ends = dict.fromkeys(_ENDS.findall(line, LONGEST_LINE - _LONGEST_END))
    return "".join([line[:LONGEST_LINE], *ends, "<i hidden" if MAY_HIDE.search(line) else ""])


def html_regions(tokens: Sequence[Token]) -> dict[int, int]:
    """Tables and hidden elements are one piece of HTML despite blank lines: for each token that begins such a
    piece, the line after it. Those in lists and quotes go on only there."""
    found: dict[int, int] = {}
    runs = groupby(enumerate(tokens), lambda one: one[1].level if one[1].type == "html_block" else 0)
    nested = [[one for one in run if one[1].type == "html_block"] for level, run in runs if level]
    outer = [one for one in enumerate(tokens) if one[1].type == "html_block" and one[1].level == 0]
    for blocks in (outer, *nested):
        found |= _regions_of(blocks)
    return found


def _regions_of(blocks: Sequence[tuple[int, Token]]) -> dict[int, int]:
    left_open: dict[str, deque[tuple[int, int]]] = defaultdict(deque)
    for place, block in enumerate(blocks):
        for name, count in _left_open(block[1].content).items():
            left_open[name].append((place, count))
    found: dict[int, int] = {}
    last = -1
    for place, (index, token) in enumerate(blocks):
        if place > last:
            closings = (_closing(place, left_open[name]) for name in _whole_elements(token.content))
            last = next(filter(None, closings), -1)
            if last > place:
                found[index] = (blocks[last][1].map or [0, 0])[1]
    return found


def _whole_elements(html: str) -> Iterator[str]:
    """Names of the tables and hidden elements that begin here."""
    for tag in _START_TAG.finditer(html):
        if (name := tag[1].lower()) == "table" or tag_hides(tag[0]):
            yield name


def _left_open(html: str) -> dict[str, int]:
    """How many elements of each name begin here, less those that end here."""
    counts: dict[str, int] = defaultdict(int)
    for end, name in _TAG.findall(html):
        counts[name.lower()] += -1 if end else 1
    return counts


def _closing(place: int, left_open: deque[tuple[int, int]]) -> int | None:
    """The block that closes the element that the block at `place` leaves open.

    Args:
        left_open: Blocks, and how many of these elements each leaves open. It is used up as far as it is searched,
            so the time stays linear.
    """
    while left_open and left_open[0][0] < place:
        left_open.popleft()
    if not left_open or left_open[0][0] > place or left_open[0][1] <= 0:
        return None
    depth = 0
    while left_open:
        at, count = left_open.popleft()
        depth += count
        if depth <= 0:
            return at
    return None


def without_hidden(text: str) -> tuple[str, list[str]]:
    """The text with comments and hidden elements reduced to their line breaks, and notes on those that may be
    orders. In a code span they are only mentioned. The time is linear: each mark is examined once."""
    if not MAY_HIDE.search(text):
        return text, []
    marks = list(_TICKS_COMMENT_OR_TAG.finditer(text))
    ends: dict[str, deque[int]] = defaultdict(deque)
    left_open: dict[str, deque[tuple[int, int]]] = defaultdict(deque)
    for place, mark in enumerate(marks):
        if mark[2]:
            left_open[mark[2].lower()].append((place, -1 if mark[1] else 1))
        else:
            ends[mark[0]].append(place)
    kept: list[str] = []
    notes: list[str] = []
    start, place = 0, 0
    while place < len(marks):
        opening = marks[place]
        if opening[2]:
            last = _closing(place, left_open[opening[2].lower()]) if tag_hides(opening[0]) else None
        else:
            last = _next_end(place, ends[_END_OF.get(opening[0], opening[0])])
        if last is not None and not opening[0].startswith("`"):
            hidden = text[opening.end() : marks[last].start()]
            notes += hidden_note(_("not shown by a browser") if opening[2] else _("a comment"), hidden)
            breaks = text.count("\n", opening.start(), marks[last].end())
            kept += [text[start : opening.start()], "\n" * breaks]
            start = marks[last].end()
        place = 1 + (place if last is None else last)
    return "".join([*kept, text[start:]]), notes


def _next_end(place: int, ends: deque[int]) -> int | None:
    while ends and ends[0] <= place:
        ends.popleft()
    return ends[0] if ends else None
