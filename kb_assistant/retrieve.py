"""From a question, with the turns before it, to passages: dense and keyword search over several texts, fused.

Each text that stands for the question (conversation.py) is searched by meaning and by word; whatever any of them
finds is then measured against all of them (fusion.py). A model that rewrites the question and one that orders the
best passages anew are optional.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from kb_assistant.bm25 import PostingsCache, WordIndex
from kb_assistant.conversation import ASKED, Conversation, conversation
from kb_assistant.filters import Condition
from kb_assistant.fusion import Background, Fused, Pool, fuse
from kb_assistant.index import VectorIndex
from kb_assistant.passages import Ranked, passages
from kb_assistant.rebuild import require_embedder
from kb_assistant.rerank import RERANKED
from kb_assistant.store import KnowledgeStore, Snapshot
from kb_assistant.types import Hit, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kb_assistant.rerank import Reranker

DEPTH = 50
"""Texts taken from each list before fusion."""

Side = Literal["dense", "keyword"]
SIDES: tuple[Side, ...] = get_args(Side)


class QueryEmbedder(Protocol):
    """What retrieval needs of an embedding model."""

    @property
    def fingerprint(self) -> dict[str, str | int]: ...

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Floors:
    """Evidence below which no answer is given, and below which it is marked uncertain; both from 0 to 1."""

    refuse: float = 0.0
    certain: float = 0.0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What a search found.

    Attributes:
        queries: The texts that were searched; the first is the question alone.
        hits: Best first.
        evidence: How probable it is that they bear on the question, from 0 to 1; 0 where nothing was found.
        floors: Those of the knowledge base.
        seconds: Wall time of "rewrite", "embed", "dense", "keyword", "fuse", "passages", and perhaps "rerank".
    """

    queries: tuple[str, ...]
    hits: tuple[Hit, ...]
    evidence: float
    floors: Floors = Floors()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """The fullest text that was searched."""
        return self.queries[-1]

    @property
    def relevant(self) -> bool:
        """False where nothing found seems to bear on the question."""
        return bool(self.hits) and self.evidence >= self.floors.refuse

    @property
    def uncertain(self) -> bool:
        """True where it may or may not."""
        return self.relevant and self.evidence < self.floors.certain


class Searcher:
    """Hybrid search over one knowledge base.

    Args:
        usual_cosines: Mean and standard deviation of the embedder's cosines where nothing fits, if they are known.
        postings: What earlier searchers of the same store read.
        reranker: Orders the best texts anew.
        rewriter: Puts a follow-up as a question of its own; "" where it can't.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        index: VectorIndex,
        embedder: QueryEmbedder,
        floors: Floors = Floors(),
        usual_cosines: tuple[float, float] | None = None,
        postings: PostingsCache | None = None,
        reranker: Reranker | None = None,
        rewriter: Callable[[str, Sequence[Turn]], str] | None = None,
    ) -> None:
        self._store, self._index, self._embedder = store, index, embedder
        self._floors, self._usual = floors, usual_cosines
        self._postings, self._reranker, self._rewriter = postings or PostingsCache(), reranker, rewriter

    def search(
        self,
        question: str,
        history: Sequence[Turn] = (),
        k: int = 5,
        *,
        where: Sequence[Condition] = (),
        sides: Sequence[Side] = SIDES,
        rewrite: bool = True,
    ) -> Retrieval:
        """The k passages that bear most on the question.

        Args:
            where: Only passages of sources that fulfil all of these.
            sides: Which searches find and order them; one of them alone is for comparing.
            rewrite: Whether the rewriter is asked, where there is one.

        Raises:
            EmbedderMismatch: the index was built with another embedder, or is since it was opened.
        """
        clock = _Clock()
        rewritten = self._rewriter(question, history) if self._rewriter and history and rewrite else ""
        clock.lap("rewrite")
        talk = conversation(question, history, rewritten)
        vectors = self._embedder.encode_queries([talk.texts[name] for name in talk.embedded])
        clock.lap("embed")
        with self._store.read() as snapshot:
            require_embedder(snapshot, self._embedder.fingerprint)
            floors = self._floors
            if not snapshot.keywords_fit:  # without words nobody can tell what bears on the question
                talk, floors = replace(talk, words=dict.fromkeys(talk.words, ())), Floors()
            total, postings = self._index.load(snapshot), self._postings.at(snapshot)
            words = WordIndex(snapshot, total, _allowed(snapshot, where), postings)
            found = self._near(snapshot, talk, vectors, words.allowed) if "dense" in sides else set()
            clock.lap("dense")
            if "keyword" in sides:
                worded = [words.rank(talk.words[name], DEPTH) for name in talk.searched]
                found |= {text_id for ranked in worded for text_id, _ in ranked}
            clock.lap("keyword")
            background = Background(self._index.sample(snapshot), self._usual)
            pool = Pool.of(snapshot, sorted(found), talk, vectors, background, words)
            fused = fuse(talk, pool, sides)
            clock.lap("fuse")
            ranked = _ranked(fused, words)
            if self._reranker and len(sides) > 1:
                ranked = self._reranked(snapshot, talk, ranked)
                clock.lap("rerank")
            hits = passages(ranked, snapshot.chunks_of_texts, k)
            clock.lap("passages")
        queries = tuple(talk.texts[name] for name in talk.searched)
        return Retrieval(queries, hits, fused.evidence, floors, clock.laps)

    def _near(
        self,
        snapshot: Snapshot,
        talk: Conversation,
        vectors: NDArray[np.float32],
        allowed: NDArray[np.int64] | None,
    ) -> set[int]:
        """Text ids nearest to any text that is searched."""
        rows = [number for number, name in enumerate(talk.embedded) if name in talk.searched]
        lists = self._index.search(snapshot, vectors[rows], DEPTH, allowed)
        return {text_id for ranked in lists for text_id, _ in ranked}

    def _reranked(self, snapshot: Snapshot, talk: Conversation, ranked: list[Ranked]) -> list[Ranked]:
        """The texts that the reranker read, in its order, then the others in theirs."""
        assert self._reranker
        question = talk.texts.get(ASKED, talk.question)
        bodies = [text.embedded for text in snapshot.texts([one.text_id for one in ranked[:RERANKED]])]
        scores = self._reranker.scores(question, bodies)
        best = [replace(one, score=score) for one, score in zip(ranked, scores, strict=False)]
        best.sort(key=lambda one: -one.score)
        lowest = best[-1].score if best else 0.0
        others = [replace(one, score=lowest - place) for place, one in enumerate(ranked[len(scores) :], start=1)]
        return [*best, *others]


def _allowed(snapshot: Snapshot, where: Sequence[Condition]) -> NDArray[np.int64] | None:
    """Ids of the texts of sources that fulfil all conditions; None where there are none."""
    if not where:
        return None
    fit = [source.path for source in snapshot.sources() if all(one.holds(source) for one in where)]
    return snapshot.text_ids_of(fit)


def _ranked(fused: Fused, words: WordIndex) -> list[Ranked]:
    return [
        Ranked(text_id, score, similarity, words.words_of(text_id))
        for text_id, score, similarity in zip(fused.text_ids, fused.scores, fused.similarities, strict=True)
    ]


class _Clock:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
