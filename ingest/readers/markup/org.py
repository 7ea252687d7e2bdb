"""Org files: headings by stars, source blocks as code, tables whole; keywords at the head become metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from ingest.readers.blocks import Content, Context
from ingest.readers.encoding import decode
from ingest.readers.markup.front_matter import metadata_of, title_of
from ingest.readers.markup.line_outline import Line, outlined
from kb_assistant.types import BlockKind

_HEADING = re.compile(
    r"(\*+)\s+(?:(?:TODO|DONE|NEXT|WAITING)\s+)?(?:\[#\w\]\s+)?(.*?)(?:(?<!\s)\s+:[\w@#%:]+:\s*)?"
)
_KEYWORD = re.compile(r"#\+(\w+):\s*(.*)")
_BEGIN = re.compile(r"\s*#\+begin_(\w+).*", re.IGNORECASE)
_DRAWER = re.compile(r"\s*:(?:PROPERTIES|LOGBOOK):\s*", re.IGNORECASE)
_KINDS: dict[str, BlockKind | Literal["comment"]] = {"src": "code", "example": "code", "comment": "comment"}
_NAMES = {"filetags": "tags", "keywords": "tags"}


def read(data: bytes, context: Context) -> Content:
    """The sections of an Org file. Its title is `#+TITLE`, else its first heading."""
    lines = decode(data).split("\n")
    said: dict[str, object] = {}
    for line in lines:
        if match := _KEYWORD.fullmatch(line):
            name = match[1].lower()
            value = match[2].strip(" <>[]")
            if name in ("title", "date", "author", "language", "filetags", "keywords", "description"):
                said[_NAMES.get(name, name)] = (
                    [t for t in re.split("[:, ]", value) if t] if name in _NAMES else value
                )
    metadata = metadata_of(said)
    first = next((match[2] for line in lines if (match := _HEADING.fullmatch(line))), "")
    outline, notes = outlined(_lines(lines))
    return Content(title_of(metadata) or title_of({"title": first}), outline.finish(), metadata, notes)


def _lines(lines: list[str]) -> Iterator[Line]:
    block = ""
    drawer = False
    for number, text in enumerate(lines, 1):
        if block:
            if re.fullmatch(rf"\s*#\+end_{block}\s*", text, re.IGNORECASE):
                block = ""
            else:
                yield Line(number, text, _KINDS.get(block, "prose"))
        elif begin := _BEGIN.fullmatch(text):
            block = begin[1].lower()
        elif drawer or _DRAWER.fullmatch(text):
            drawer = text.strip().lower() != ":end:"
        elif heading := _HEADING.fullmatch(text):
            yield Line(number, heading[2], "heading", len(heading[1]))
        elif text.lstrip().startswith("|"):
            yield Line(number, text, "table")
        elif text.lstrip().startswith("# "):
            yield Line(number, text.lstrip("# "), "comment")
        elif not _KEYWORD.fullmatch(text) or text.lower().startswith("#+caption"):
            yield Line(number, text)
