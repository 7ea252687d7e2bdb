"""From a question, with the turns before it, to hits: dense and keyword search over several forms, fused by rank.

Joining the history to the question helps some conversations and ruins others, so both forms are searched and the
four lists fused: Reciprocal Rank Fusion, Cormack, Clarke and Büttcher, SIGIR 2009. What this doesn't do: rewriting
by a model, reranking.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from kb_assistant import keywords
from kb_assistant.bm25 import WordIndex
from kb_assistant.index import VectorIndex
from kb_assistant.rebuild import require_embedder
from kb_assistant.store import Chunk, KnowledgeStore, Snapshot
from kb_assistant.types import Hit, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RRF_K = 60
"""The constant of the RRF paper."""

DEPTH = 50
"""Hits taken from each list before fusion."""

HISTORY_TURNS = 3
HISTORY_CHARACTERS = 600
"""How much of the conversation joins the question; the embedder's window holds little more."""

COVERAGE = 0.8
"""Share of the question's words, weighted by rarity, that one passage must hold to be evidence by itself."""

DOUBT = 0.05
DOUBT_COVERAGE = 0.35
"""A cosine this little below the floor is enough where one passage holds this share of the question's words."""


class QueryEmbedder(Protocol):
    """What retrieval needs of an embedding model."""

    @property
    def fingerprint(self) -> dict[str, str | int]: ...

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a search found.

    Attributes:
        queries: The forms of the question that were searched; the first is the question alone.
        hits: Best first.
        relevant: False where nothing found seems to bear on the question.
        seconds: Wall time of "embed", "dense", "keyword" and "fuse".
    """

    queries: tuple[str, ...]
    hits: tuple[Hit, ...]
    relevant: bool
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """The fullest form that was searched."""
        return self.queries[-1]


class Searcher:
    """Hybrid search over one knowledge base.

    Args:
        floor: Cosine above which a passage counts as relevant by itself; None lets everything pass.
    """

    def __init__(
        self, store: KnowledgeStore, index: VectorIndex, embedder: QueryEmbedder, floor: float | None = None
    ) -> None:
        self._store, self._index, self._embedder, self._floor = store, index, embedder, floor

    def search(self, question: str, history: Sequence[Turn] = (), k: int = 5) -> Retrieval:
        """The k passages that bear most on the question.

        Raises:
            EmbedderMismatch: the index was built with another embedder, or is since it was opened.
        """
        queries = forms(question, history)
        clock = _Clock()
        vectors = self._embedder.encode_queries(queries)
        clock.lap("embed")
        with self._store.read() as snapshot:
            require_embedder(snapshot, self._embedder.fingerprint)
            dense = self._index.search(snapshot, vectors, DEPTH)
            clock.lap("dense")
            words = [keywords.query_tokens(query) if snapshot.keywords_fit else [] for query in queries]
            index = WordIndex(snapshot, self._index.load(snapshot))
            worded = [index.rank(wanted, DEPTH) for wanted in words]
            clock.lap("keyword")
            names = snapshot.chunk_ids({text_id for ranked in (*dense, *worded) for text_id, _ in ranked})
            scores = fuse([_in_order(ranked, names) for ranked in (*dense, *worded)], names)
            similarity = {text_id: cosine for ranked in reversed(dense) for text_id, cosine in ranked}
            hits = _hits(snapshot, scores, similarity, k)
            relevant = self._is_relevant(dense, index, words[0], list(hits))
            clock.lap("fuse")
        return Retrieval(queries, tuple(hits.values()), relevant, clock.laps)

    def _is_relevant(
        self,
        dense: list[list[tuple[int, float]]],
        index: WordIndex,
        words: Sequence[str],
        text_ids: Sequence[int],
    ) -> bool:
        """Whether something found bears on the question. `words` are those of the question alone: what the
        conversation said before is found in the passages anyway."""
        if self._floor is None or not text_ids:
            return bool(text_ids)
        best = max((ranked[0][1] for ranked in dense if ranked), default=-1.0)
        if best >= self._floor:
            return True
        wanted = DOUBT_COVERAGE if best >= self._floor - DOUBT else COVERAGE
        return index.coverage(words, text_ids) >= wanted


def forms(question: str, history: Sequence[Turn]) -> tuple[str, ...]:
    """The question alone, and with the last turns before it where there are any."""
    question = question.strip()
    if not history:
        return (question,)
    told = " ".join(f"{turn.question} {turn.answer}" for turn in history[-HISTORY_TURNS:])
    return question, f"{told[-HISTORY_CHARACTERS:]} {question}"


def _in_order(ranked: Sequence[tuple[int, float]], names: Mapping[int, str]) -> list[int]:
    """Text ids best first, ties by name: text ids tell only which text was stored first."""
    return [text_id for text_id, _ in sorted(ranked, key=lambda pair: (-pair[1], names.get(pair[0], "")))]


def fuse(lists: Sequence[Sequence[int]], names: Mapping[int, str]) -> dict[int, float]:
    """RRF: each list adds 1 / (RRF_K + rank) to what it holds, ranks from 1. Best first, ties by name."""
    scores: dict[int, float] = {}
    for ranked in lists:
        for rank, item in enumerate(ranked, start=1):
            scores[item] = scores.get(item, 0.0) + 1 / (RRF_K + rank)
    return dict(sorted(scores.items(), key=lambda pair: (-pair[1], names.get(pair[0], ""))))


def _hits(snapshot: Snapshot, scores: dict[int, float], similarity: dict[int, float], k: int) -> dict[int, Hit]:
    """The k best by text id. Texts that vanished since the index was built are passed over."""
    ranked = list(scores)
    hits: dict[int, Hit] = {}
    for start in range(0, len(ranked), k):
        part = ranked[start : start + k]
        places = snapshot.chunks_of_texts(part)
        hits.update((i, _hit(places[i], scores[i], similarity.get(i))) for i in part if i in places)
        if len(hits) >= k:
            break
    return dict(list(hits.items())[:k])


def _hit(places: Sequence[Chunk], score: float, similarity: float | None) -> Hit:
    first, *others = places
    return Hit(
        id=first.id,
        text=first.text.body,
        source=first.source,
        locator=first.locator,
        score=score,
        similarity=similarity,
        also_in=tuple(dict.fromkeys(chunk.source for chunk in others if chunk.source != first.source)),
    )


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
