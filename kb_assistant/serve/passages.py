"""A passage by its knowledge base and id: what citations point to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from kb_assistant.errors import NotFoundError
from kb_assistant.messages import _
from kb_assistant.retrieval.passages import repeated
from kb_assistant.store import DOCUMENT_PREFIX, Source
from kb_assistant.types import Hit
from kb_assistant.workspace import discreet
from kb_assistant.workspace.preview import Surroundings
from kb_assistant.workspace.view import View


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage with the name of its knowledge base.

    Attributes:
        hit: As it was found.
        told: As the caller is told of it: its id as it is told, maybe names for the paths of
            sources.
    """

    kb: str
    hit: Hit
    told: Hit

    @property
    def id(self) -> str:
        """Names it among all knowledge bases."""
        return f"{self.kb}:{self.told.id}"

    @property
    def title(self) -> str:
        """Its file and place: "history.md, lines 5–7"."""
        place = str(self.hit.locator)
        return f"{file_name(self.hit.source)}, {place}" if place else file_name(self.hit.source)

    def url(self, address: str) -> str:
        return f"{address}/kb/{quote(self.kb)}/passages/{quote(self.told.id)}"

    def to_json(self, address: str) -> dict[str, Any]:
        return {"kb": self.kb, "url": self.url(address), "title": self.title, **self.told.to_json()}


def located(hits: Sequence[Hit], views: Sequence[View]) -> list[Passage]:
    """The passages of a search over several knowledge bases, each with the first that holds it."""
    naming = views[0].naming(views[1:]) if views else str
    return [_passage(hit, _holder(hit, views), naming) for hit in hits]


def _passage(hit: Hit, view: View, naming: discreet.Naming) -> Passage:
    return Passage(view.name, hit, replace(discreet.hit(hit, naming), id=view.ids.told(hit.id)))


def _holder(hit: Hit, views: Sequence[View]) -> View:
    for view in views[:-1]:
        with suppress(NotFoundError):
            view.chunk(hit.id)
            return view
    return views[-1]


def passage(view: View, told: str) -> Passage:
    """
    Args:
        told: The id that it is told as.

    Raises:
        NotFoundError: the knowledge base holds no such passage.
    """
    try:
        chunk = view.chunk(view.ids.known(told))
    except NotFoundError as error:  # which names an id that nobody is told
        raise NotFoundError(_("There is no passage {id!r}.", id=told), _("Search again.")) from error
    hit = Hit(chunk.id, chunk.text.body, chunk.source, chunk.locator, 0.0)
    return _passage(hit, view, view.naming())


def around(view: View, found: Passage) -> Surroundings:
    """What stands before and after it."""
    return view.surroundings(found.hit) or Surroundings("", "")


def source_of(view: View, wanted: str) -> Source:
    """
    Raises:
        NotFoundError: the knowledge base has no source with this short name.
    """
    found = next((source for source in view.sources() if view.ids.source(source.path) == wanted), None)
    if found is None:
        raise NotFoundError(_("There is no source {id!r}.", id=wanted), _("List the sources again."))
    return found


def file_name(source: str) -> str:
    """The last part of a path, or the name of a document."""
    return source.removeprefix(DOCUMENT_PREFIX) if source.startswith(DOCUMENT_PREFIX) else PurePath(source).name


def scores(hits: Sequence[Hit], evidence: float) -> list[float]:
    """Scores from 0 to 1, falling: the first passage's is the probability that the passages are relevant, the
    others' less by their share of its score."""
    best = hits[0].score if hits else 0.0
    shares = [hit.score / best if best > 0 else 1 / rank for rank, hit in enumerate(hits, start=1)]
    found, last = [], evidence
    for share in shares:
        last = max(0.0, min(last, evidence * share))
        found.append(round(last, 4))
    return found


PAGE_CHUNKS = 20
"""Chunks of a source that are given at once."""


def source_text(view: View, path: str, first: int) -> tuple[str, int]:
    """A page of a source's text from a chunk on, and the first chunk of the next page, 0 at the end."""
    pieces = view.pieces(path)
    page = pieces[first : first + PAGE_CHUNKS]
    text = ""
    for before, piece in zip([None, *page], page, strict=False):
        joined = before is not None and before.locator.reaches(piece.locator)
        both = repeated(before.text, piece.text) if before is not None and joined else ""
        text += ("\n\n" if text and not both else "") + piece.text.removeprefix(both)
    following = first + len(page)
    return text, following if page and following < len(pieces) else 0
