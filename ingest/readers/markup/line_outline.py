"""Shared by the readers of line-based markup: classified lines become headings and blocks with exact lines, and
notes on comments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ingest.readers.blocks import Outline
from ingest.readers.hidden_text import hidden_note
from kb_assistant.messages import _
from kb_assistant.types import BlockKind


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file, and its kind. `last` is the last line of a heading of several lines."""

    number: int
    text: str
    kind: BlockKind | Literal["heading", "comment"] = "prose"
    level: int = 0
    last: int = 0


def outlined(lines: Iterable[Line]) -> tuple[Outline, tuple[str, ...]]:
    """Make a block of consecutive lines of one kind; omitted lines separate only blocks of code and tables.

    Returns:
        The blocks, and notes on comments that may be orders.
    """
    outline, notes = Outline(), list[str]()
    run: list[Line] = []
    for line in lines:
        if line.kind == "heading":
            _end(outline, notes, run)
            outline.heading(line.level, line.text, (line.number, line.last or line.number))
            continue
        if run and (line.kind != run[0].kind or line.number != run[-1].number + 1):
            _end(outline, notes, run)
        run.append(line)
    _end(outline, notes, run)
    return outline, tuple(dict.fromkeys(notes))


def _end(outline: Outline, notes: list[str], run: list[Line]) -> None:
    while run and not run[-1].text.strip():
        run.pop()
    start = next((index for index, line in enumerate(run) if line.text.strip()), 0)
    if run:
        kept = run[start:]
        kind, text = kept[0].kind, "\n".join(line.text for line in kept)
        if kind == "comment":
            notes += hidden_note(_("a comment"), text)
        elif kind != "heading":
            outline.add(text, kind, (kept[0].number, kept[-1].number))
    run.clear()
