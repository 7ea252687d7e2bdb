"""A document for people who look at it: its pages, slides or sheets, its rows, what is in it, and its file."""

from __future__ import annotations

import hashlib
import re
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kb_assistant.errors import ReadError
from kb_assistant.messages import _
from kb_assistant.store.readers import Sees
from kb_assistant.store.source_query import kind_of
from kb_assistant.text.heading_questions import questions_about
from kb_assistant.types import Locator
from kb_assistant.workspace.preview import PreviewChunk

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.store import Source

PartKind = Literal["page", "slide", "sheet", "attachment", "text"]

PIECES = 40
"""Most passages of a part of a document that has no pages, slides or sheets."""

HEADINGS = 60
QUESTIONS = 5
LOOKED_AT = 500
"""Most sources whose questions and dates an overview of a knowledge base looks at."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is shown at once.

    Attributes:
        name: Number of the page or slide, or name of the sheet or attachment; of other texts their number.
    """

    kind: PartKind
    name: str
    pieces: tuple[PreviewChunk, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """What is in a document, or in a knowledge base.

    Attributes:
        facts: Author, date and the like, as the document tells them.
        headings: In reading order.
        questions: What it answers, as its headings suggest.
        kinds: How many documents of which type.
        dates: First and last date that documents tell of themselves; "" if none does.
    """

    facts: dict[str, str]
    headings: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    kinds: tuple[tuple[str, int], ...] = ()
    dates: tuple[str, str] = ("", "")


def parts_of(pieces: Sequence[PreviewChunk]) -> list[Part]:
    """The parts of a document, in reading order."""
    found = []
    for (kind, name), some in groupby(pieces, lambda piece: _part(piece.locator)):
        whole = tuple(some)
        if kind != "text":
            found.append(Part(kind, name, whole))
            continue
        found += [Part("text", "", whole[start : start + PIECES]) for start in range(0, len(whole), PIECES)]
    texts = sum(part.kind == "text" for part in found)
    numbers = iter(range(1, texts + 1))
    return [Part("text", str(next(numbers)), part.pieces) if part.kind == "text" else part for part in found]


def _part(place: Locator) -> tuple[PartKind, str]:
    if place.attachment is not None:
        return "attachment", place.attachment
    if place.sheet is not None:
        return "sheet", place.sheet
    if place.slide is not None:
        return "slide", str(place.slide)
    return ("page", str(place.page)) if place.page is not None else ("text", "")


def part_with(parts: Sequence[Part], chunk: str) -> int:
    """The place of the part with a chunk, by its id; 0 if none has it."""
    return next((at for at, part in enumerate(parts) if any(one.id == chunk for one in part.pieces)), 0)


def rows_of(pieces: Iterable[PreviewChunk]) -> list[dict[str, str]]:
    """The rows of a sheet by the names of its columns, from their text "Name: value | Name: value"; none if it
    isn't written so throughout."""
    lines = list(dict.fromkeys(line for piece in pieces for line in piece.text.split("\n") if line.strip()))
    if len(lines) < 2 or ": " in lines[0]:
        return []
    names = [name.strip() for name in lines[0].split(" | ")]
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True) if name)
    if not known:
        return []
    begins = re.compile(rf"(?:^| \| )({known}): ")
    rows = []
    for line in lines[1:]:
        cells = begins.split(line)
        if cells[0] or len(cells) < 3:
            return []
        rows.append(dict.fromkeys(filter(None, names), "") | dict(zip(cells[1::2], cells[2::2], strict=True)))
    return rows


def original(source: Source, most_megabytes: int) -> bytes:
    """The bytes of a source's file, as they were when it was read: what has taken its place since, such as a link
    to another file, isn't given away.

    Raises:
        ReadError: it is gone, has changed, can't be read, or is too large.
    """
    path = Path(source.path)
    try:
        state = path.stat()
        if state.st_size > most_megabytes * 1_000_000:
            raise ReadError(_("{name} is too large.", name=path.name), _("Open the file itself."))
        data = path.read_bytes() if stat.S_ISREG(state.st_mode) else b""
    except OSError as error:
        raise ReadError(
            _("{name} can't be read: {reason}.", name=path.name, reason=error.strerror or ""),
            _("Bring the knowledge base in step."),
        ) from error
    if hashlib.sha256(data).hexdigest() != source.digest:
        raise ReadError(
            _("{name} has changed since it was read.", name=path.name), _("Bring the knowledge base in step.")
        )
    return data


def document_overview(source: Source, pieces: Sequence[PreviewChunk]) -> Overview:
    """What is in a document: what it tells of itself, its headings, and the questions that they suggest."""
    headings = list(dict.fromkeys(piece.locator.heading or "" for piece in pieces))
    asked = dict.fromkeys(questions_about((piece.locator.heading or "", piece.text) for piece in pieces).values())
    shown = [heading for heading in headings if heading][:HEADINGS]
    return Overview(_facts(source.metadata), tuple(shown), tuple(asked)[:QUESTIONS])


def base_overview(base: KnowledgeBase, questions: Sequence[str], sees: Sees | None = None) -> Overview:
    """What is in a knowledge base: types of its documents, and the dates that they tell of themselves."""
    with base.store.read() as snapshot:
        paths = [path for path in snapshot.paths() if sees is None or sees(path)]
        step = max(1, len(paths) // LOOKED_AT)
        looked_at = [snapshot.source(path) for path in paths[::step]]
    dates = sorted(str(found.metadata["date"]) for found in looked_at if found and found.metadata.get("date"))
    kinds = Counter(kind_of(path) for path in paths)
    ends = (dates[0], dates[-1]) if dates else ("", "")
    return Overview({}, questions=tuple(questions), kinds=tuple(kinds.most_common()), dates=ends)


def _facts(metadata: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in metadata.items() if isinstance(value, str | int | float)}
