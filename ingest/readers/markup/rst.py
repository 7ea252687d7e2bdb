"""reStructuredText: sections by their underlines, literal blocks as code, tables whole; the rest unchanged.

A subset of the docutils specification that keeps line numbers exact; nothing is included or run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.readers.blocks import HEADING_CHARS, Content, Context, one_line
from ingest.readers.encoding import decode
from ingest.readers.markup.front_matter import metadata_of
from ingest.readers.markup.line_outline import Line, outlined

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*")
_CODE = re.compile(
    r"\.\. (?:code|code-block|sourcecode|highlight|parsed-literal|literalinclude|math)::.*|(?!\.\. ).*::\s*"
)
_COMMENT = re.compile(r"\.\.(?:\s+(?!\S+::|\[|_|\|).*)?")
_FIELD = re.compile(r":([\w -]+):\s+(.*)")
_TABLE = re.compile(r"\s*(?:\+[-=+]{3,}\+|={2,}(?: +={2,})+)\s*")
_DOCUMENT_FIELDS = ("author", "authors", "date", "version", "status", "tags", "keywords", "copyright")


def read(data: bytes, context: Context) -> Content:
    """The sections of a document. Its title is its first heading."""
    lines = decode(data).split("\n")
    outline, notes = outlined(_lines(lines))
    head = {match[1]: match[2] for line in lines[:40] if (match := _FIELD.fullmatch(line))}
    metadata = metadata_of({key.lower(): value for key, value in head.items() if key.lower() in _DOCUMENT_FIELDS})
    title = next((text for level, text, *_ in _headings(lines).values() if level == 1), "")
    return Content(one_line(title)[:HEADING_CHARS], outline.finish(), metadata, notes)


def _headings(lines: list[str]) -> dict[int, tuple[int, str, int]]:
    """By index of the first line: level, text and index of the last line. Levels follow first appearance."""
    found: dict[int, tuple[int, str, int]] = {}
    levels: list[str] = []
    index, last = 0, -1
    while index + 1 < len(lines):
        over = _ADORNMENT.fullmatch(lines[index])
        if (
            over
            and index + 2 < len(lines)
            and lines[index + 1].strip()
            and lines[index + 2].rstrip() == lines[index].rstrip()
            and not _ADORNMENT.fullmatch(lines[index + 1])
        ):
            style, text, last = f"{over[1]}over", lines[index + 1], index + 2
        elif (
            not over
            and lines[index].strip()
            and not lines[index].startswith((" ", "\t", ".. "))
            and (index == 0 or not lines[index - 1].strip() or index - 1 == last)
            and (under := _ADORNMENT.fullmatch(lines[index + 1]))
            and len(lines[index + 1].rstrip()) >= min(len(lines[index].rstrip()), 3)
        ):
            style, text, last = under[1], lines[index], index + 1
        else:
            index += 1
            continue
        if style not in levels:
            levels.append(style)
        found[index] = levels.index(style) + 1, text.strip(), last
        index = last + 1
    return found


def _lines(lines: list[str]) -> Iterator[Line]:
    headings = _headings(lines)
    index = 0
    while index < len(lines):
        text = lines[index]
        if index in headings:
            level, words, last = headings[index]
            yield Line(index + 1, words, "heading", level, last + 1)
            index = last + 1
        elif _COMMENT.fullmatch(text) and text.startswith(".."):
            end = _indented(lines, index + 1, 0)
            yield Line(index + 1, text[2:], "comment")
            yield from (Line(number + 1, lines[number], "comment") for number in range(index + 1, end))
            index = end
        elif _CODE.fullmatch(text.strip()) and (end := _indented(lines, index + 1, _indent(text))) > index + 1:
            yield Line(index + 1, text)
            yield from (Line(number + 1, lines[number], "code") for number in range(index + 1, end))
            index = end
        elif _TABLE.fullmatch(text):
            end = index
            rules = 0
            while end < len(lines) and lines[end].strip() and (text.lstrip()[0] == "+" or rules < 3):
                rules += bool(_TABLE.fullmatch(lines[end]))
                yield Line(end + 1, lines[end], "table")
                end += 1
            index = end
        else:
            yield Line(index + 1, text)
            index += 1


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _indented(lines: list[str], start: int, margin: int) -> int:
    """Index after the run of lines indented deeper than `margin`, including blank lines within it."""
    end = index = start
    while index < len(lines) and (not lines[index].strip() or _indent(lines[index]) > margin):
        index += 1
        if lines[index - 1].strip():
            end = index
    return end
