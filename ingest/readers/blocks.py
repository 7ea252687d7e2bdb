"""What readers give: blocks of text under their headings, in reading order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kb_assistant.types import BlockKind


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
        slide: Number of the slide, from 1, where the format has slides.
        sheet: Name of the sheet; `lines` are its rows then.
        attachment: Name of the file within the file that all this is about.
        header: Of a table whose rows don't name their columns: the lines that do, for pieces that begin further
            down.
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
    """What a reader found in a file.

    Attributes:
        title: Empty where the document has none.
        metadata: What the document says of itself (`date`, `tags`, `author`, `from`, …): JSON values.
        notes: What the user should know, a sentence each: parts that couldn't be read, text hidden from readers.
    """

    title: str
    blocks: tuple[Block, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def no_heartbeat() -> None:
    """Nobody waits."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a reader is told besides the bytes: see read()."""

    name: str = ""
    passwords: tuple[str, ...] = ()
    depth: int = 0
    heartbeat: Callable[[], None] = no_heartbeat


def nest(headings: Iterable[str]) -> str:
    """Heading path for Block.heading, empty headings left out."""
    return " > ".join(heading for heading in headings if heading)


HEADING_CHARS = 200
_ZERO_WIDTH = dict.fromkeys((0x200B, 0x2060, 0xFEFF))


def one_line(text: str) -> str:
    """White space runs made single spaces; zero-width marks, which page builders hide in headings, gone."""
    return " ".join(text.translate(_ZERO_WIDTH).split())


class Outline:
    """Blocks in reading order, each put under the headings above it.

    A heading stands in the path of what follows it, not in a text; so one with nothing beneath it, or one too
    long for a path, also becomes a block of its own: no words are lost.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._above: list[tuple[int, str]] = []
        self._bare: Block | None = None
        self._bare_level = 0

    def heading(self, level: int, text: str, lines: tuple[int, int] | None) -> None:
        """Begin a section. A smaller level is an outer one."""
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
        """A block under the headings so far."""
        self._bare = None
        self.blocks.append(Block(text, kind, lines=lines, heading=self.path, header=header))

    def finish(self) -> tuple[Block, ...]:
        self._keep_bare(0)
        return tuple(self.blocks)

    @property
    def path(self) -> str:
        return nest(text for _, text in self._above)

    def _keep_bare(self, next_level: int) -> None:
        """The last heading had no body; a deeper one beneath it carries its words, a sibling doesn't."""
        if self._bare and next_level <= self._bare_level:
            self.blocks.append(self._bare)
        self._bare = None
