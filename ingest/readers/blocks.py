"""The output of readers: blocks of text under their headings, in reading order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ingest.readers.ocr_budget import OcrBudget
from kb_assistant.types import BlockKind


@dataclass(frozen=True, slots=True)
class Block:
    """A run of text under one heading and on one page, in reading order.

    Attributes:
        text: The text, without trailing newline; never empty.
        kind: Kind of text. Lines of code and tables aren't cut if avoidable.
        page: Page number from 1, if the format has pages.
        lines: First and last line in the file, from 1, both included. Where the text has as many lines as
            this range, line i of the text is line lines[0] + i of the file; otherwise the range covers the block.
        heading: Headings above the block, outermost first, joined by " > "; empty without headings.
        slide: Number of the slide, from 1, if the format has slides.
        sheet: Name of the sheet; `lines` are then its rows.
        attachment: Name of the file within the file that all other fields refer to.
        header: The lines with the column names of a table whose rows don't name them, for pieces that begin
            further down.
    """

    text: str
    kind: BlockKind = "prose"
    page: int | None = None
    lines: tuple[int, int] | None = None
    heading: str = ""
    slide: int | None = None
    sheet: str | None = None
    attachment: str | None = None
    header: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file, from its reader.

    Attributes:
        title: Title of the document; empty if it has none.
        metadata: The document's own metadata (`date`, `tags`, `author`, `from`, …): JSON values.
        notes: What the user should know, a sentence each: unreadable parts, text hidden from readers.
        ocr: What OCR read of it, and what it left.
    """

    title: str
    blocks: tuple[Block, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    ocr: OcrBudget = field(default_factory=OcrBudget)


def no_heartbeat() -> None:
    """Do nothing: there is no time limit."""


@dataclass(frozen=True, slots=True)
class Context:
    """The inputs of a reader besides the bytes: see read()."""

    name: str = ""
    passwords: tuple[str, ...] = ()
    depth: int = 0
    heartbeat: Callable[[], None] = no_heartbeat
    ocr: OcrBudget = field(default_factory=OcrBudget)


def nest(headings: Iterable[str]) -> str:
    """Heading path for Block.heading, without empty headings."""
    return " > ".join(heading for heading in headings if heading)


def title_above(title: str, blocks: Iterable[Block]) -> str:
    """The title, if it stands above all the headings; empty if it is one of several outermost headings, because
    the others stand beside it. The title of a presentation stands above its slides.

    >>> title_above("One", (Block("text", heading="One > Scope"), Block("text", heading="Two")))
    ''
    """
    outermost = {block.heading.partition(" > ")[0] for block in blocks if block.heading and block.slide is None}
    is_one = any(says_title(heading, title) for heading in outermost)
    return "" if is_one and len(outermost) > 1 else title


def says_title(heading: str, title: str) -> bool:
    """Whether a heading says the title: alone, with its number before it or more words behind it, and without the
    name of a site.

    >>> says_title("3 Setup", "Setup – Handbook of the yard"), says_title("Pump", "Pumps of the yard")
    (True, False)
    """
    heading, title = heading.casefold(), title.casefold()
    bare = _SITE.sub("", title)
    begins = bare and heading.startswith(bare) and not heading[len(bare) :][:1].isalnum()
    return heading in (title, bare) or heading.endswith(f" {bare}") or bool(begins)


# "Setup – Handbook of the yard", "水泵_百科", as titles of web pages
_SITE = re.compile(r"\s+[-–—|·»]\s.*|(?<=[一-鿿）])[-–—|·_](?=[一-鿿]).*", re.DOTALL)
HEADING_CHARS = 200
STRUCK = "\0"
"""Stands before and behind words that are struck through: no text of XML or HTML holds it."""
_BETWEEN = re.compile(f"{STRUCK}([^{STRUCK}]*){STRUCK}")
_PATH_CHARS = 2_000  # more than nine headings of the longest; only nested data goes deeper
_ZERO_WIDTH = dict.fromkeys((0x200B, 0x2060, 0xFEFF))


def join_struck(words: Iterable[str]) -> str:
    """The words as one text; those between two STRUCK marks, which are struck through, as Markdown writes them.

    >>> join_struck(["Price:", STRUCK, " 12", STRUCK, STRUCK, " EUR", STRUCK, " 9"])
    'Price: ~~12 EUR~~ 9'
    """
    text = "".join(words).replace(2 * STRUCK, "")
    return _BETWEEN.sub(_struck, text).replace(STRUCK, "")


def _struck(between: re.Match[str]) -> str:
    inner = between[1].strip()
    return between[1].replace(inner, f"~~{inner}~~", 1) if inner else between[1]


def one_line(text: str) -> str:
    """Replace white space runs by single spaces and remove zero-width marks, which page builders hide in
    headings."""
    return " ".join(text.translate(_ZERO_WIDTH).split())


class Outline:
    """Collects blocks in reading order, each under the headings above it.

    A heading stands in the path of the following blocks, not in a text; so a heading without content, or one too
    long for a path, also becomes a separate block: no words are lost.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._above: list[tuple[int, str]] = []
        self._bare: Block | None = None
        self._bare_level = 0

    def heading(self, level: int, text: str, lines: tuple[int, int] | None) -> None:
        """Begin a section. A smaller level is further out."""
        self._keep_bare(level)
        while self._above and self._above[-1][0] >= level:
            self._above.pop()
        text = one_line(text)
        block = Block(text, lines=lines, heading=self.path) if text else None
        self._above.append((level, text[:HEADING_CHARS].rstrip()))
        if block and len(text) > HEADING_CHARS:
            self.blocks.append(block)
        else:
            self._bare, self._bare_level = block, level

    def add(
        self, text: str, kind: BlockKind = "prose", lines: tuple[int, int] | None = None, header: str = ""
    ) -> None:
        """Add a block under the current headings."""
        self._bare = None
        self.blocks.append(Block(text, kind, lines=lines, heading=self.path, header=header))

    def finish(self) -> tuple[Block, ...]:
        self._keep_bare(0)
        return tuple(self.blocks)

    @property
    def path(self) -> str:
        """The innermost headings, as many as fit: each block has them, however deep it is."""
        kept: list[str] = []
        room = _PATH_CHARS
        for _, text in reversed(self._above):
            room -= len(text) + len(" > ")
            if room < 0:
                break
            kept.append(text)
        return nest(reversed(kept))

    def _keep_bare(self, next_level: int) -> None:
        """Keep a heading without body: a deeper heading beneath it carries its words, a sibling doesn't."""
        if self._bare and next_level <= self._bare_level:
            self.blocks.append(self._bare)
        self._bare = None
