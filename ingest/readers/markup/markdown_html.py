"""HTML in Markdown: where a piece of it begins and ends, and what its comments say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from markdown_it.rules_block import StateBlock, html_block
from markdown_it.token import Token

LONGEST_LINE = 10_000
"""Characters of a line that the parser sees: the head of a line decides its block."""

_TICKS_OR_COMMENT = re.compile(r"`+|<!--|-->")
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
_MARKS = re.compile(r"</(?:script|pre|style|textarea)>|<!--|-->|\?>|\]\]>|>", re.IGNORECASE)
_LONGEST_MARK = len("</textarea>")
# Elements read as one piece of HTML despite blank lines: tables, and elements that a browser hides.
_WHOLE = re.compile(
    r"<(?:(table)\b|(p|div|span|section|article|details)\b[^<>]*?(?:\shidden\b|display\s*:\s*none|"
    r"visibility\s*:\s*hidden))",
    re.IGNORECASE,
)
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
    """The text that the parser sees: HTML that is never closed is escaped; of long lines it gets the head, and
    the marks behind it that begin or end comments and other HTML."""
    text = "\n".join(lines)
    for opener, closer in _UNTIL_CLOSED:
        if opener.search(text):
            end = max((match.end() for match in closer.finditer(text)), default=0)
            text = text[:end] + opener.sub(r"\1&lt;", text[end:])
    return "\n".join(line if len(line) <= LONGEST_LINE else _shortened(line) for line in text.split("\n"))


def _shortened(line: str) -> str:
    return line[:LONGEST_LINE] + "".join(dict.fromkeys(_MARKS.findall(line, LONGEST_LINE - _LONGEST_MARK)))


def html_regions(tokens: Sequence[Token]) -> dict[int, int]:
    """For each token that begins a piece of HTML over several blocks, the line after that piece.

    An element that is never closed isn't searched again, so the time stays linear.
    """
    blocks = [(i, token) for i, token in enumerate(tokens) if token.type == "html_block" and token.level == 0]
    found: dict[int, int] = {}
    hopeless: set[str] = set()
    place = 0
    while place < len(blocks):
        index, token = blocks[place]
        place += 1
        for name in dict.fromkeys((match[1] or match[2]).lower() for match in _WHOLE.finditer(token.content)):
            if name not in hopeless and (depth := _depth(name, token.content)) > 0:
                last = _closing(name, depth, blocks, place)
                if last is None:
                    hopeless.add(name)
                    continue
                found[index] = (blocks[last][1].map or [0, 0])[1]
                place = last + 1
                break
    return found


def _closing(name: str, depth: int, blocks: Sequence[tuple[int, Token]], place: int) -> int | None:
    """Position of the block that closes the element, from `place` on."""
    for later in range(place, len(blocks)):
        depth += _depth(name, blocks[later][1].content)
        if depth <= 0:
            return later
    return None


def _depth(name: str, html: str) -> int:
    """How many of these elements are left open."""
    tags = re.findall(rf"<(/?){name}\b", html, re.IGNORECASE)
    return len(tags) - 2 * tags.count("/")


def without_comments(text: str) -> tuple[str, list[str]]:
    """The text with its comments reduced to their line breaks, and the comments' texts. A comment in a code span
    is only mentioned. The time is linear in the length: each mark is examined once."""
    marks = list(_TICKS_OR_COMMENT.finditer(text))
    ends: dict[str, list[int]] = defaultdict(list)
    for place in range(len(marks) - 1, -1, -1):
        ends[marks[place][0]].append(place)
    kept, comments, start, place = [], [], 0, 0
    while place < len(marks):
        mark = marks[place][0]
        closer = "-->" if mark == "<!--" else mark
        waiting = ends[closer]
        while waiting and waiting[-1] <= place:
            waiting.pop()
        place += 1
        if mark == "-->" or not waiting:
            continue
        last = waiting[-1]
        if mark == "<!--":
            opening, closing = marks[place - 1], marks[last]
            comment = text[opening.end() : closing.start()]
            kept += [text[start : opening.start()], "\n" * comment.count("\n")]
            comments.append(comment)
            start = closing.end()
        place = last + 1
    return "".join([*kept, text[start:]]), comments
