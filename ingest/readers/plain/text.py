"""Plain text: the whole file is one block with exact lines. The splitter finds its paragraphs."""

from __future__ import annotations

from ingest.readers.blocks import Block, Content, Context
from ingest.readers.encoding import decode


def read(data: bytes, context: Context) -> Content:
    """One block from the first line with text to the last one."""
    lines = decode(data).split("\n")
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    if not filled:
        return Content("", ())
    first, last = filled[0], filled[-1]
    return Content("", (Block("\n".join(lines[first - 1 : last]).rstrip(), lines=(first, last)),))
