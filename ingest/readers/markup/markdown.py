"""Markdown by lines: headings become the path, fenced code and tables stay whole, the rest is prose as written.

A subset of CommonMark that keeps line numbers exact. Inline marks stay in the text: they are what the file says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Literal

from ingest.readers.blocks import HEADING_CHARS, Content, Context, Outline, one_line
from ingest.readers.encoding import decode
from ingest.readers.hidden_text import hidden_note
from ingest.readers.markup.front_matter import front_matter, title_of
from kb_assistant.messages import _
from kb_assistant.types import Kind

# Fences stand in list items and quotes too, so indentation and a list mark before one are allowed.
_FENCE = re.compile(r"([\s>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(`{3,}|~{3,})(.*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?")
_ATX_END = re.compile(r"(?:^|[ \t])#+$")
_ANCHOR = re.compile(r"\{#[^{}\s]+\}$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_RULE = re.compile(r" {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})")
_NO_PARAGRAPH = re.compile(r"\s*(?:[-*+>|<:]|\d{1,9}[.)]\s)| {4}|\t")
_TABLE_RULE = re.compile(r"\n[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_LOOSE_RULE = re.compile(r"[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*")
_COMMENT = re.compile(r"<!--(.{0,5000}?)-->", re.DOTALL)
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()]*\)[^()\s]*)?(?:[ \t]+[^()]*)?\)|\[[^\[\]]*\])?")
_CODE_SPAN = re.compile(r"(`+)([^`]+)\1")
_EMPHASIS = (
    re.compile(r"(?<!\\)(\*{1,3}|~~)(?=\S)(.+?)(?<=\S)\1"),
    re.compile(r"(?<![\w\\])(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)"),
)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line without comments. `fence` is the number of the line that opened the code it belongs to, or 0."""

    number: int
    text: str
    fence: int = 0


@dataclass(frozen=True, slots=True)
class _Heading:
    level: int
    text: str
    first: int
    last: int


def read(data: bytes, context: Context) -> Content:
    """The blocks of a Markdown file. Its title is the front matter's, else the first heading of level 1."""
    text = decode(data)
    lines = text.split("\n")
    metadata, start = front_matter(lines)
    outline = Outline()
    first_heading = put_under(outline, lines, start)
    notes = [note for comment in _COMMENT.findall(text) for note in hidden_note(_("a comment"), comment)]
    title = title_of(metadata) or first_heading
    return Content(title, outline.finish(), metadata, tuple(dict.fromkeys(notes)))


def put_under(outline: Outline, lines: list[str], start: int = 0) -> str:
    """Add the blocks of these lines, from index `start` on, to an outline. Returns the first heading of level
    1."""
    title = ""
    for part in _parts(list(_mark(lines, start))):
        if isinstance(part, _Heading):
            outline.heading(part.level, part.text, (part.first, part.last))
            if part.level == 1 and not title:
                title = part.text[:HEADING_CHARS].rstrip()
        else:
            kind, run = part
            text = "\n".join(line.text for line in run).rstrip()
            header = "\n".join(text.split("\n", 2)[:2]) if kind == "table" else ""
            names = header if _TABLE_RULE.search(header) else ""
            outline.add(text, kind, (run[0].number, run[-1].number), names)
    return title


def _mark(lines: list[str], start: int) -> Iterator[_Line]:
    """Lines with comments taken out and code marked: what a comment or a fence begins, it also hides."""
    closers = _next_closers(lines)
    fence, opened, index = "", 0, start
    while index < len(lines):
        text, number = lines[index], index + 1
        index += 1
        if fence:
            if not (">" in fence and not text.lstrip().startswith(">")):
                yield _Line(number, text, opened)
                if _closes(text, fence):
                    fence = ""
                continue
            fence = ""  # the quote that held the fence has ended
        text, open_at = _without_comments(text)
        if open_at >= 0 and (closer := closers[number - 1]) and (not text[:open_at].strip() or closer[1]):
            yield _Line(number, text[:open_at])
            yield from (_Line(hidden, "") for hidden in range(index + 1, closer[0]))
            lines[closer[0] - 1] = lines[closer[0] - 1].partition("-->")[2]
            index = closer[0] - 1
            continue
        opening = _FENCE.fullmatch(text)
        if opening and not (opening[2][0] == "`" and "`" in opening[3]):
            fence, opened = (">" if ">" in opening[1] else "") + opening[2], number
        yield _Line(number, text, opened if fence else 0)


def _closes(line: str, fence: str) -> bool:
    mark = line.strip(" \t>")
    return len(mark) >= len(fence.lstrip(">")) and set(mark) == {fence[-1]}


def _next_closers(lines: list[str]) -> list[tuple[int, bool] | None]:
    """For each line, the number of the next one with `-->` and whether it is in the same paragraph."""
    found: list[tuple[int, bool] | None] = []
    closer: tuple[int, bool] | None = None
    for index in range(len(lines) - 1, -1, -1):
        found.append(closer)
        if "-->" in lines[index]:
            closer = (index + 1, True)
        elif closer and not lines[index].strip():
            closer = (closer[0], False)
    return found[::-1]


def _without_comments(text: str) -> tuple[str, int]:
    """The line without whole comments, and where one begins that isn't closed in it (-1: nowhere)."""
    start = 0
    while (start := text.find("<!--", start)) >= 0:
        if text.count("`", 0, start) % 2:
            start += 4  # inside a code span it is only mentioned
            continue
        end = text.find("-->", start + 4)
        if end < 0:
            return text, start
        text = text[:start] + text[end + 3 :]
    return text, -1


def _parts(lines: list[_Line]) -> Iterator[_Heading | tuple[Kind, list[_Line]]]:
    """Headings, and runs of lines of one kind without blank lines at their ends."""
    run: list[_Line] = []
    kind: Kind = "prose"
    loose = _loose_tables(lines)
    for line in lines:
        now: Kind = "table" if line.number in loose else _kind(line)
        if now == "prose" and (heading := _atx(line) or _setext(line, run if kind == "prose" else [])):
            if heading.first < line.number:
                del run[heading.first - line.number :]
            yield from _runs(kind, run)
            yield heading
            run = []
            continue
        if run and (now != kind or line.fence != run[-1].fence):
            yield from _runs(kind, run)
            run = []
        kind = now
        run.append(_Line(line.number, "") if now == "prose" and _RULE.fullmatch(line.text) else line)
    yield from _runs(kind, run)


def _loose_tables(lines: list[_Line]) -> set[int]:
    """Numbers of the lines of tables whose rows don't begin with a bar: there are bars above and below a rule."""
    found: set[int] = set()
    for index, line in enumerate(lines[1:], 1):
        if line.fence or "|" not in lines[index - 1].text or not _LOOSE_RULE.fullmatch(line.text):
            continue
        found |= {lines[index - 1].number, line.number}
        for row in lines[index + 1 :]:
            if "|" not in row.text or row.fence:
                break
            found.add(row.number)
    return found


def _kind(line: _Line) -> Literal["prose", "code", "table"]:
    if line.fence:
        return "code"
    return "table" if line.text.lstrip().startswith("|") else "prose"


def _runs(kind: Kind, run: list[_Line]) -> Iterator[tuple[Kind, list[_Line]]]:
    filled = [index for index, line in enumerate(run) if line.text.strip()]
    if filled:
        yield kind, run[filled[0] : filled[-1] + 1]


def _atx(line: _Line) -> _Heading | None:
    match = _ATX.fullmatch(line.text)
    if not match:
        return None
    text = _ANCHOR.sub("", _ATX_END.sub("", (match[2] or "").strip()).strip())
    return _Heading(len(match[1]), _plain(text), line.number, line.number)


def _setext(line: _Line, run: list[_Line]) -> _Heading | None:
    """A heading if this line underlines a paragraph short enough to be one; else the line is a rule."""
    mark = _UNDERLINE.fullmatch(line.text)
    if not mark:
        return None
    start = len(run)
    while start and run[start - 1].text.strip():
        start -= 1
        if len(run) - start > 5:
            return None
    text = one_line(" ".join(above.text for above in run[start:]))
    if not text or len(text) > HEADING_CHARS or _NO_PARAGRAPH.match(run[start].text):
        return None
    return _Heading(1 if mark[1][0] == "=" else 2, _plain(text), run[start].number, line.number)


def _plain(text: str) -> str:
    """Words of a heading, without marks. Nobody writes one this long: it isn't worth the search for pairs."""
    if len(text) > 10 * HEADING_CHARS:
        return text
    pieces = []
    end = 0
    for span in _CODE_SPAN.finditer(text):
        pieces += [_without_marks(text[end : span.start()]), span[2]]
        end = span.end()
    return one_line("".join([*pieces, _without_marks(text[end:])]))


def _without_marks(text: str) -> str:
    text = _TAG.sub("", _LINK.sub(r"\1", text))
    for pattern in _EMPHASIS * 2:  # emphasis may hold emphasis
        text = pattern.sub(r"\2", text)
    return _ESCAPE.sub(r"\1", unescape(text))
