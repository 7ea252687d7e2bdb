"""Makes passages from ranked texts: joins neighbours, folds near-duplicates, alternates files.

Seven versions of a manual must not fill the page, and two chunks of one section read better as one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from kb_assistant.store import Chunk
from kb_assistant.text.boundaries import cuts_of, ends_sentence
from kb_assistant.types import Hit

SAME = 0.85
SAME_WORDS = 20
"""Texts of different files with this share of common words, and this many words, are versions of one text.
Shorter ones may differ in the decisive number."""

JOINED = 2
"""Most neighbouring chunks in one passage."""

CITED = 3
"""Most passages of the answer before that are read again."""

_TIE = 1e-9


@dataclass(slots=True)
class _Passage:
    """A passage under construction: consecutive chunks of one section, and files with nearly the same text."""

    chunks: list[Chunk]
    score: float
    similarity: float | None
    words: frozenset[str]
    also_in: dict[str, None] = field(default_factory=dict)
    near_in: dict[str, None] = field(default_factory=dict)

    def takes(self, chunk: Chunk) -> bool:
        """Whether the chunk is adjacent to it, in its section."""
        first, last = self.chunks[0], self.chunks[-1]
        return (
            chunk.source == first.source
            and chunk.locator.is_beside(first.locator)
            and chunk.seq in (first.seq - 1, last.seq + 1)
            and len(self.chunks) < JOINED
        )

    def join(self, chunk: Chunk, also_in: Collection[str]) -> None:
        """Add a chunk; other files still contain the passage only if they contain this chunk, too."""
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
    """A found text: its score, and its cosine to the question."""

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
        places: Returns the chunks of texts, by text id, without texts deleted meanwhile.
        words: Returns the words of a text.
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


def with_cited(hits: Sequence[Hit], cited: Sequence[Hit], chunks: Iterable[Chunk], most: int) -> tuple[Hit, ...]:
    """The passages, `most` at most, with those that the answer before cites: a follow-up may go on about these
    though none of its words is in them. The missing ones come last.

    Args:
        chunks: Of the cited passages, as far as they are still there.
    """
    there = {chunk.id: chunk for chunk in chunks}
    chosen = [there[one.id] for one in cited[:CITED] if one.id in there]
    score = hits[-1].score if hits else 0.0
    return with_missing(hits, [_Passage([chunk], score, None, frozenset()).hit() for chunk in chosen], most)


def with_missing(hits: Sequence[Hit], wanted: Iterable[Hit], most: int) -> tuple[Hit, ...]:
    """The passages, `most` at most, and behind them those that are wanted and aren't among them, in place of the
    last ones."""
    missing = [one for one in wanted if not any(one.source == hit.source and one.text in hit.text for hit in hits)]
    return (*hits[: max(most - len(missing), 0)], *missing[:most])


def _spread(part: Sequence[Ranked], chunks: Mapping[int, Sequence[Chunk]]) -> list[Ranked]:
    """The texts that still exist; files alternate where scores are equal."""
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
    """Add a text to an existing passage, if it belongs to one."""
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
    """The longest run of whole sentences that ends one text and begins the other; "" for none.

    >>> repeated("The pump failed. It was old.", "It was old. It is new now.")
    'It was old.'
    """
    starts = {len(one) - offset for offset, _ in cuts_of(one, "prose")}
    for offset, _ in reversed(cuts_of(other, "prose")):
        both = other[:offset].rstrip()
        # A piece that a long sentence was cut for may begin with what looks like the number of an item.
        if one.endswith(both) and (len(both) in starts or ends_sentence(one[: len(one) - len(both)])):
            return both
    return ""


def _joined(chunks: Sequence[Chunk]) -> str:
    """Consecutive chunks of one section as one text, with their overlaps once."""
    text = chunks[0].text.body
    for last, chunk in pairwise(chunks):
        body = chunk.text.body
        both = repeated(last.text.body, body) if last.locator.reaches(chunk.locator) else ""
        text += body.removeprefix(both) if both else f"\n{body}"
    return text


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one) >= SAME_WORDS and len(one & other) >= SAME * len(one | other)
