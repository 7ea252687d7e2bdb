"""Readers: one module a format, one interface. A reader gets bytes and gives blocks; it opens nothing itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["prose", "code", "table"]


@dataclass(frozen=True, slots=True)
class Block:
    """A run of text under one heading and on one page, in reading order.

    Attributes:
        text: The text, without trailing newline; never empty.
        kind: What may not be cut where it can be helped: code and table lines stay whole.
        page: Page number from 1, where the format has pages.
        lines: First and last line in the file, from 1, both included. Where the text has as many lines as
            this range, line i of the text is line lines[0] + i of the file; otherwise the range covers the block.
        heading: Headings above the block, outermost first, joined by " > "; empty where there is none.
    """

    text: str
    kind: Kind = "prose"
    page: int | None = None
    lines: tuple[int, int] | None = None
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a reader found in a file. `title` is empty where the document has none."""

    title: str
    blocks: tuple[Block, ...]


def nest(headings: Iterable[str]) -> str:
    """Heading path for Block.heading, empty headings left out."""
    return " > ".join(heading for heading in headings if heading)
