"""Org files: headings by stars, source blocks as code, tables whole; keywords at the head become metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.readers.blocks import Content, Context
from ingest.readers.encoding import decode
from ingest.readers.hidden_text import hidden_note
from ingest.readers.markup.front_matter import metadata_of, title_of
from ingest.readers.markup.line_outline import Line, outlined
from kb_assistant.messages import _

_HEADING = re.compile(r"(\*+)\s+(?:(?:TODO|DONE|NEXT|WAITING)\s+)?(?:\[#\w\]\s+)?(.*?)(?:\s+(:[\w@#%:]+:))?\s*")
_KEYWORD = re.compile(r"#\+(\w+):\s*(.*)")
_BEGIN = re.compile(r"\s*#\+begin_(\w+).*", re.IGNORECASE)
_DRAWER = re.compile(r"\s*:(?:PROPERTIES|LOGBOOK):\s*", re.IGNORECASE)
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
    comments = (line.lstrip("# ") for line in lines if re.match(r"\s*# ", line))
    notes = tuple(note for comment in comments for note in hidden_note(_("a comment"), comment))
    return Content(
        title_of(metadata) or title_of({"title": first}), outlined(_lines(lines)).finish(), metadata, notes
    )


def _lines(lines: list[str]) -> Iterator[Line]:
    block = ""
    drawer = False
    for number, text in enumerate(lines, 1):
        if block:
            if re.fullmatch(rf"\s*#\+end_{block}\s*", text, re.IGNORECASE):
                block = ""
            elif block != "comment":
                yield Line(number, text, "code" if block in ("src", "example") else "prose")
        elif begin := _BEGIN.fullmatch(text):
            block = begin[1].lower()
        elif drawer or _DRAWER.fullmatch(text):
            drawer = text.strip().lower() != ":end:"
        elif heading := _HEADING.fullmatch(text):
            yield Line(number, heading[2], "heading", len(heading[1]))
        elif text.lstrip().startswith("|"):
            yield Line(number, text, "table")
        elif not (_KEYWORD.fullmatch(text) and not text.lower().startswith("#+caption")) and not re.match(
            r"\s*# ", text
        ):
            yield Line(number, text)
