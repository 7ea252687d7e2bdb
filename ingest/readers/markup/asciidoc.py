"""AsciiDoc: sections by `=`, listings as code, tables whole; attributes of the head become metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.readers.blocks import Content, Context
from ingest.readers.encoding import decode
from ingest.readers.markup.front_matter import metadata_of, title_of
from ingest.readers.markup.line_outline import Line, outlined

_HEADING = re.compile(r"(={1,6}|#{1,6})\s+(\S.*?)(?:(?<!\s)\s+\1\s*)?")
_ATTRIBUTE = re.compile(r":([\w-]+):\s*(.*)")
_FENCE = re.compile(r"(-{4,}|\.{4,}|`{3,})\s*(?:\w+)?\s*|(\|===|,===|!===)\s*|(/{4,})\s*")
_NAMES = ("author", "date", "revdate", "keywords", "tags", "description", "version")


def read(data: bytes, context: Context) -> Content:
    """The sections of a document. Its title is the heading of the first level."""
    lines = decode(data).split("\n")
    said = {"date" if match[1] == "revdate" else match[1]: match[2].strip()
            for line in lines[:60] if (match := _ATTRIBUTE.fullmatch(line)) and match[1] in _NAMES}  # fmt: skip
    if "keywords" in said:
        said["tags"] = said.pop("keywords")
    title = next((match[2] for line in lines if (match := _HEADING.fullmatch(line)) and len(match[1]) == 1), "")
    outline, notes = outlined(_lines(lines))
    return Content(title_of({"title": title}), outline.finish(), metadata_of(said), notes)


def _lines(lines: list[str]) -> Iterator[Line]:
    fence = ""
    for number, text in enumerate(lines, 1):
        if fence:
            if text.strip() == fence:
                fence = ""
            else:
                yield Line(number, text, "comment" if fence[0] == "/" else "table" if "===" in fence else "code")
        elif opening := _FENCE.fullmatch(text):
            fence = opening[1] or opening[2] or opening[3]
        elif heading := _HEADING.fullmatch(text):
            yield Line(number, heading[2], "heading", len(heading[1]))
        elif text.startswith("//"):
            yield Line(number, text.lstrip("/"), "comment")
        elif not (_ATTRIBUTE.fullmatch(text) or re.fullmatch(r"\[[^\]]*\]\s*", text)):
            yield Line(number, text)
