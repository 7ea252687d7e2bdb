"""Source code and settings: the whole file as code with its lines, split at functions and classes."""

from __future__ import annotations

import re

from ingest.readers.blocks import Block, Content, Context
from ingest.readers.encoding import decode
from kb_assistant.messages import _

# A definition at the margin, in the languages that people keep beside their documents.
_DEFINITION = re.compile(
    r"(?:@|(?:export|public|private|protected|static|abstract|final|async|pub|default|unsafe|inline|extern)\s+)*"
    r"(?:def|class|func|function|fn|interface|struct|enum|trait|impl|module|namespace|type|object|record)\s+"
    r"\(?[\w.*<>&, ]*\)?\s*([\w$]+)"
)
_LONGEST_LINE = 5_000  # minified files are made by programs for programs


def read(data: bytes, context: Context) -> Content:
    """A block for each definition at the margin, and one for the lines before the first."""
    lines = decode(data).split("\n")
    starts = [number for number, line in enumerate(lines, 1) if _DEFINITION.match(line)]
    blocks = []
    first = 1
    for start in [*(_with_comment(lines, start) for start in starts), len(lines) + 1]:
        if start > first and (block := _block(lines, first, start - 1)):
            blocks.append(block)
        first = max(first, start)
    notes = (_("It has very long lines: made by a program?"),) if max(map(len, lines)) > _LONGEST_LINE else ()
    return Content("", tuple(blocks), {}, notes)


def _with_comment(lines: list[str], start: int) -> int:
    """The start of a definition with the comments and decorators directly above it."""
    while start > 1 and lines[start - 2].startswith(("#", "//", "/*", " *", "*", "@", "--", '"""')):
        start -= 1
    return start


def _block(lines: list[str], first: int, last: int) -> Block | None:
    while first <= last and not lines[first - 1].strip():
        first += 1
    while last >= first and not lines[last - 1].strip():
        last -= 1
    if first > last:
        return None
    return Block("\n".join(lines[first - 1 : last]), "code", lines=(first, last))
