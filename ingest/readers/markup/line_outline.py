"""Shared by the readers of line-based markup: classified lines become headings and blocks with exact lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ingest.readers.blocks import Outline
from kb_assistant.types import BlockKind


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file, and its kind. `last` is the last line of a heading of several lines."""

    number: int
    text: str
    kind: BlockKind | Literal["heading"] = "prose"
    level: int = 0
    last: int = 0


def outlined(lines: Iterable[Line]) -> Outline:
    """Make a block of consecutive lines of one kind; omitted lines separate only blocks of code and tables."""
    outline = Outline()
    run: list[Line] = []
    for line in lines:
        if line.kind == "heading":
            _end(outline, run)
            outline.heading(line.level, line.text, (line.number, line.last or line.number))
            continue
        if run and (line.kind != run[0].kind or line.number != run[-1].number + 1):
            _end(outline, run)
        run.append(line)
    _end(outline, run)
    return outline


def _end(outline: Outline, run: list[Line]) -> None:
    while run and not run[-1].text.strip():
        run.pop()
    start = next((index for index, line in enumerate(run) if line.text.strip()), 0)
    if run:
        kept = run[start:]
        kind = kept[0].kind
        outline.add("\n".join(line.text for line in kept), "prose" if kind == "heading" else kind,
                    (kept[0].number, kept[-1].number))  # fmt: skip
    run.clear()
