"""Views around a passage: its neighbours, a source's chunks, the page of a PDF."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.errors import ReadError
from kb_assistant.messages import _
from kb_assistant.retrieval.passages import repeated
from kb_assistant.types import Hit, Locator

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.workspace.chats import SavedTurn

PAGE_SECONDS = 20.0
MOST_PAGE_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class PreviewChunk:
    """A chunk in a preview."""

    id: str
    text: str
    locator: Locator


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The text before and after a passage in its source."""

    before: str
    after: str


def pieces(base: KnowledgeBase, source: str) -> list[PreviewChunk]:
    """The chunks of a source in reading order; none if it isn't known any more."""
    with base.store.read() as snapshot:
        return [
            PreviewChunk(chunk.id, chunk.text.body, chunk.locator) for chunk in snapshot.chunks_of_source(source)
        ]


def surroundings(base: KnowledgeBase, hit: Hit) -> Surroundings | None:
    """The chunks next to a passage, without the sentences it contains itself; None if its source no longer
    contains it."""
    known = pieces(base, hit.source)
    places = [place for place, piece in enumerate(known) if piece.id == hit.id]
    if not places:
        return None
    first = last = places[0]
    while last + 1 < len(known) and hit.text.endswith(known[last + 1].text):
        last += 1
    before = after = ""
    if first:
        before = known[first - 1].text.removesuffix(_repeated(known[first - 1], known[first])).rstrip()
    if last + 1 < len(known):
        both = _repeated(known[last], known[last + 1])
        after = known[last + 1].text
        after = after.removeprefix(both).lstrip() if both else after
    return Surroundings(before, after)


def _repeated(one: PreviewChunk, other: PreviewChunk) -> str:
    return repeated(one.text, other.text) if one.locator.reaches(other.locator) else ""


def highlights(turn: SavedTurn, n: int, mark: object = None) -> list[tuple[int, int]]:
    """The places in the n-th passage that say what the answer cites it for: slices, in order, not overlapping.

    Args:
        mark: Index of one citation among the answer's marks, from 0; anything else means all that cite the
            passage.
    """
    from kb_assistant.answering.citations import evidence

    found, text = turn.marks, turn.hits[n - 1].text
    if isinstance(mark, int | float) and 0 <= int(mark) < len(found) and found[int(mark)].n == n:
        said = [found[int(mark)].sentence]
    else:
        said = [one.sentence for one in found if one.n == n]
    apart: list[tuple[int, int]] = []
    for start, end in sorted({place for sentence in said if (place := evidence(sentence, text))}):
        if not apart or start >= apart[-1][1]:
            apart.append((start, end))
    return apart


def page_image(source: str, page: int, quotes: Sequence[str] = (), width: int = 900) -> bytes:
    """A page of a PDF as PNG, with the quotes marked where they are found; drawn in a process with limits.

    Args:
        page: From 1.
        width: In pixels.

    Raises:
        ReadError: the file is gone, isn't a PDF that can be drawn, or takes too long.
    """
    if not Path(source).is_file():
        raise ReadError(_("{path} isn't there any more.", path=source), _("Bring the knowledge base in step."))
    command = [
        sys.executable,
        "-P",
        "-m",
        "kb_assistant.workspace.page_image",
        source,
        str(page),
        str(width),
        *quotes,
    ]
    environment = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "LANG") if name in os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=PAGE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ReadError(_("Drawing page {page} takes too long.", page=page), _("Open the file itself.")) from None
    if done.returncode or not 0 < len(done.stdout) <= MOST_PAGE_BYTES:
        raise ReadError(_("Page {page} can't be drawn.", page=page), _("Open the file itself."))
    return done.stdout
