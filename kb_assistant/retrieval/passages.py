"""From ranked texts to the passages a reader gets: neighbours joined, near-duplicates folded, files taking turns.

A manual kept in seven versions must not fill the page, and two pieces of one section read better as one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from kb_assistant.store import Chunk
from kb_assistant.text.boundaries import cuts_of
from kb_assistant.types import Hit

SAME = 0.85
SAME_WORDS = 20
"""Texts of different files that share this much of all their words, and have so many, are versions of one. Shorter
ones may differ in the very number that counts."""

JOINED = 2
"""Neighbouring chunks in one passage at most."""

_TIE = 1e-9


@dataclass(slots=True)
class _Passage:
    """A passage on its way: chunks of one section that follow each other, and files that hold nearly the same."""

    chunks: list[Chunk]
    score: float
    similarity: float | None
    words: frozenset[str]
    also_in: dict[str, None] = field(default_factory=dict)
    near_in: dict[str, None] = field(default_factory=dict)

    def takes(self, chunk: Chunk) -> bool:
        """Whether the chunk stands next to it, in its section."""
        first, last = self.chunks[0], self.chunks[-1]
        return (
            chunk.source == first.source
            and chunk.locator.is_beside(first.locator)
            and chunk.seq in (first.seq - 1, last.seq + 1)
            and len(self.chunks) < JOINED
        )

    def join(self, chunk: Chunk, also_in: Collection[str]) -> None:
        """Add it; other files hold the passage still where they hold this chunk, too."""
        self.chunks = sorted([*self.chunks, chunk], key=lambda one: one.seq)
        self.also_in = {path: None for path in self.also_in if path in also_in}

    def hit(self) -> Hit:
        first = self.chunks[0]
        spans = [chunk.locator.lines for chunk in self.chunks if chunk.locator.lines]
        lines = (spans[0][0], spans[-1][1]) if spans else None
        return Hit(
            id=first.id,
            text=_joined(self.chunks),
            source=first.source,
            locator=replace(first.locator, lines=lines),
            score=self.score,
            similarity=self.similarity,
            also_in=tuple(self.also_in),
            near_in=tuple(self.near_in.keys() - self.also_in.keys() - {first.source}),
        )


@dataclass(frozen=True, slots=True)
class Ranked:
    """A text that was found: its score, and its cosine to the question."""

    text_id: int
    score: float
    similarity: float | None


def passages(
    ranked: Sequence[Ranked],
    places: Callable[[Sequence[int]], Mapping[int, Sequence[Chunk]]],
    words: Callable[[int], frozenset[str]],
    k: int,
) -> tuple[Hit, ...]:
    """The k best passages.

    Args:
        ranked: Texts, best first.
        places: Gives the chunks that hold texts, by text id; texts that vanished meanwhile are left out of it.
        words: Gives the words of a text.
    """
    found: list[_Passage] = []
    for start in range(0, len(ranked), 2 * k):
        part = ranked[start : start + 2 * k]
        chunks = places([one.text_id for one in part])
        for one in _spread(part, chunks):
            held = words(one.text_id)
            if not _fold(found, held, chunks[one.text_id]):
                if len(found) == k:
                    return tuple(passage.hit() for passage in found)
                found.append(_new(one, held, chunks[one.text_id]))
    return tuple(passage.hit() for passage in found)


def _spread(part: Sequence[Ranked], chunks: Mapping[int, Sequence[Chunk]]) -> list[Ranked]:
    """Those that are still there; where scores tie, files take turns."""
    there = [one for one in part if one.text_id in chunks]
    times: dict[str, int] = {}
    order = []
    group, last = 0, None
    for one in there:
        if last is None or last - one.score > _TIE:
            group, times = group + 1, {}
        last = one.score
        source = chunks[one.text_id][0].source
        times[source] = times.get(source, 0) + 1
        order.append((group, times[source]))
    return [one for _, one in sorted(zip(order, there, strict=True), key=lambda pair: pair[0])]


def _fold(found: Sequence[_Passage], words: frozenset[str], chunks: Sequence[Chunk]) -> bool:
    """Make a text part of a passage that is there already, where it belongs to one."""
    for passage in found:
        if passage.chunks[0].source != chunks[0].source and _alike(words, passage.words):
            passage.near_in.update(dict.fromkeys(chunk.source for chunk in chunks))
            return True
        if passage.takes(chunks[0]):
            passage.join(chunks[0], {chunk.source for chunk in chunks})
            return True
    return False


def _new(one: Ranked, words: frozenset[str], chunks: Sequence[Chunk]) -> _Passage:
    first, *others = chunks
    also = dict.fromkeys(chunk.source for chunk in others if chunk.source != first.source)
    return _Passage([first], one.score, one.similarity, words, also)


def repeated(one: str, other: str) -> str:
    """The whole sentences that end one text and begin the other, the most there are; "" for none.

    >>> repeated("The pump failed. It was old.", "It was old. It is new now.")
    'It was old.'
    """
    starts = {len(one) - offset for offset, _ in cuts_of(one, "prose")}
    for offset, _ in reversed(cuts_of(other, "prose")):
        both = other[:offset].rstrip()
        if len(both) in starts and one.endswith(both):
            return both
    return ""


def _joined(chunks: Sequence[Chunk]) -> str:
    """Chunks of one section that follow each other, as one text that holds what two of them share once."""
    text = chunks[0].text.body
    for last, chunk in pairwise(chunks):
        body = chunk.text.body
        both = repeated(last.text.body, body) if last.locator.reaches(chunk.locator) else ""
        text += body.removeprefix(both) if both else f"\n{body}"
    return text


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one) >= SAME_WORDS and len(one & other) >= SAME * len(one | other)
