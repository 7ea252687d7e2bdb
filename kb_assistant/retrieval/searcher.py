"""From a question with its earlier turns to passages: fused dense and keyword search over several views.

Each view of the question (query_views.py) is searched by dense and keyword search (candidates.py); every result is
then measured against all views (fusion.py). A model that rewrites the question and one that reranks the best
passages are optional.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from kb_assistant import telemetry
from kb_assistant.embedding.reranker import RERANKED
from kb_assistant.errors import QuestionError
from kb_assistant.index.dense_index import DenseIndex
from kb_assistant.messages import _
from kb_assistant.retrieval.across import ACROSS
from kb_assistant.retrieval.bm25 import PostingsCache
from kb_assistant.retrieval.candidates import DEPTH, SIDES, Candidates, CandidateSearch, QueryEmbedder, Side
from kb_assistant.retrieval.clock import Clock
from kb_assistant.retrieval.file_states import with_files
from kb_assistant.retrieval.filters import Filter, Scope, Sight
from kb_assistant.retrieval.fusion import IN_USE, FusionWeights, Pool, fuse
from kb_assistant.retrieval.named import named_first
from kb_assistant.retrieval.passages import Ranked, passages, with_cited, with_missing
from kb_assistant.retrieval.query_views import (
    QUESTION,
    WITH_QUESTIONS,
    QueryViews,
    query_views,
    speakable,
)
from kb_assistant.retrieval.reading import (
    CITED,
    CITED_LONG,
    LONG,
    READ,
    PassageReader,
    answers_somewhere,
    read_hits,
)
from kb_assistant.retrieval.relevance import TOP, judged_by_code, relevance
from kb_assistant.retrieval.result import NO_THRESHOLDS, Retrieval, Thresholds
from kb_assistant.store import Chunk, KnowledgeStore, Snapshot, Source
from kb_assistant.text.conversation import weighing
from kb_assistant.text.language import Language, language_of
from kb_assistant.types import Hit, Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kb_assistant.embedding.reranker import Reranker
    from kb_assistant.embedding.served_reranker import ServedReranker

_UNCERTAIN_BY = 0.01
"""How far below the threshold of certain answers the evidence is of passages that answer nowhere."""

Rewriter = Callable[[str, Sequence[Turn], Language], str]


class Searcher:
    """Hybrid search over one knowledge base.

    Args:
        thresholds: The thresholds for a state of the store.
        background_cosines: Mean and standard deviation of the embedder's cosines of unrelated texts, if known.
        postings: The postings that earlier searchers of the same store read.
        reranker: Reranks the best texts.
        rewriter: Rewrites a follow-up in its language as a standalone question; "" if it can't.
        reader: Opens the model that reads the best passages with the question.
        reader_seconds: Time after which it reads no further ones.
        sight: The sources that may be found and named; None for all.
        name: The knowledge base's.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        index: DenseIndex,
        embedder: QueryEmbedder,
        thresholds: Callable[[Snapshot], Thresholds] = lambda _: NO_THRESHOLDS,
        background_cosines: tuple[float, float] | None = None,
        postings: PostingsCache | None = None,
        reranker: Reranker | ServedReranker | None = None,
        rewriter: Rewriter | None = None,
        reader: Callable[[], PassageReader | None] = lambda: None,
        reader_seconds: float = math.inf,
        sight: Sight | None = None,
        name: str = "",
    ) -> None:
        self._store, self._index, self._embedder = store, index, embedder
        self._candidates = CandidateSearch(index, embedder, background_cosines, postings or PostingsCache())
        self._thresholds, self._reranker, self._rewriter = thresholds, reranker, rewriter
        self._reader, self._reader_seconds = reader, reader_seconds
        self._sight, self.name = sight, name
        self._weights = IN_USE

    def weighted(self, weights: FusionWeights) -> Searcher:
        """The same searcher with other weights of the views."""
        other = copy(self)
        other._weights = weights
        return other

    def search(
        self,
        question: str,
        history: Sequence[Turn] = (),
        k: int = 5,
        *,
        where: Sequence[Filter] = (),
        sides: Sequence[Side] = SIDES,
        rewrite: bool = True,
        rerank: bool = True,
        read: bool = False,
    ) -> Retrieval:
        """The k passages most relevant to the question.

        Args:
            where: Find only passages of sources that fulfil all of these; no other source is named.
            sides: The searches that find and rank them; a single one is for comparison.
            rewrite: Whether to use the rewriter, if there is one.
            rerank: Whether to use the reranker, if there is one.
            read: Whether to use the reader, if there is one.

        Raises:
            QuestionError: k is less than 1, or the question is too long.
            EmbedderMismatch: the index was built, or rebuilt since it was opened, with another embedder.
        """
        question = speakable(question)
        with telemetry.retrieval(self.name, k, question) as watched:
            clock = Clock(watched.step)
            views = self.query_views(question, history, rewrite)
            clock.lap("rewrite")
            found = self.find(views, k, where=where, sides=sides, rerank=rerank, read=read, clock=clock)
            watched.found(found.hits, found.evidence)
        return found

    def query_views(self, question: str, history: Sequence[Turn] = (), rewrite: bool = True) -> QueryViews:
        """The views of the question, including the rewriter's version of a follow-up. Earlier turns that say
        nothing of what it is about, such as refused ones, are left out."""
        history = weighing(history)
        language = language_of(question)
        asks = self._rewriter if history and rewrite else None
        return query_views(question, history, asks(question, history, language) if asks else "", language)

    def find(
        self,
        views: QueryViews,
        k: int,
        *,
        where: Sequence[Filter] = (),
        sides: Sequence[Side] = SIDES,
        rerank: bool = True,
        read: bool = False,
        clock: Clock | None = None,
    ) -> Retrieval:
        """The same for an analyzed question. It reads one state of the store throughout.

        Args:
            clock: Continues the times of earlier steps.
        """
        if k < 1:
            raise QuestionError(_("k = {k} is not possible.", k=k), _("Ask for at least one passage."))
        clock = clock or Clock()
        reader = self._reader() if read and len(sides) > 1 else None  # it loads beside the search
        with self._store.read() as snapshot:
            scope = Scope.of(snapshot, where, self._sight)
            found = self._ranked(scope, views, k, sides, rerank, reader is not None, clock)
            # Without words relevance can't be judged.
            thresholds = self._thresholds(snapshot) if snapshot.keywords_fit else NO_THRESHOLDS
        if reader and found.hits:
            found = self._read(reader, found, k, thresholds)
            clock.lap("read")
        queries = tuple(views.texts[name] for name in views.searched)
        return Retrieval(queries, tuple(found.hits), found.evidence, thresholds, clock.laps, views.language)

    def _ranked(
        self,
        scope: Scope,
        views: QueryViews,
        k: int,
        sides: Sequence[Side],
        rerank: bool,
        to_be_read: bool,
        clock: Clock,
    ) -> _Found:
        """The passages in the order of the search, with its evidence.

        Args:
            to_be_read: Whether a reader follows, which takes more of them, and those in the other language.
        """
        snapshot = scope.snapshot
        sample = self._index.sample(snapshot)
        found = self._candidates.find(scope, sample, views, max(DEPTH, 2 * k), sides, clock)
        fused = fuse(found.views, found.pool, sides, self._weights)
        best = fused.text_ids[:TOP]
        across = foreign_texts(snapshot, views.language, found.across)[:ACROSS] if to_be_read else []
        foreign = foreign_texts(snapshot, views.language, best) or across
        sure = relevance(found.views, found.pool, best, self._embedder.encode_queries, foreign)
        clock.lap("fuse")
        ranked = [Ranked(*one) for one in zip(fused.text_ids, fused.scores, fused.similarities, strict=True)]
        if self._reranker and rerank and len(sides) > 1:
            ranked = self._reranked(snapshot, views, ranked)
            clock.lap("rerank")
        wanted = max(k, READ) if to_be_read else k
        hits = passages(ranked, scope.chunks_of_texts, found.words.words_of, wanted)
        if to_be_read:
            hits = with_missing(hits, self._passages(scope, found, across), wanted)
            hits = with_cited(hits, views.cited, scope.chunks([one.id for one in views.cited]), wanted)
        gains = _gains(snapshot, views.cited_sources) if to_be_read else {}
        hits = with_files(snapshot, hits)
        clock.lap("passages")
        return _Found(hits, sure, found, best, gains)

    def _read(self, reader: PassageReader, ranked: _Found, k: int, thresholds: Thresholds) -> _Found:
        """The k passages that are best by what the reader says of them, with its evidence."""
        found, best = ranked.candidates, ranked.best
        views = found.views
        ordered, sure, signs = read_hits(
            reader, views, ranked.hits, ranked.evidence, self._reader_seconds, ranked.gains
        )
        sure = judged_by_code(sure, views, found.pool, best)
        ordered, sure = named_first(views.question, ordered, sure)
        if signs and thresholds.uncertain_below and not answers_somewhere(ordered[:k]):
            sure = min(sure, max(thresholds.uncertain_below - _UNCERTAIN_BY, thresholds.refuse_below))
        return ranked._replace(hits=ordered[:k], evidence=sure)

    def _passages(self, scope: Scope, found: Candidates, text_ids: Sequence[int]) -> tuple[Hit, ...]:
        """These texts as passages."""
        places = found.pool.places(text_ids)
        cosines = found.pool.cosines[QUESTION][places].tolist() if text_ids else []
        ranked = [Ranked(text_id, cosine, cosine) for text_id, cosine in zip(text_ids, cosines, strict=True)]
        return passages(ranked, scope.chunks_of_texts, found.words.words_of, len(ranked)) if ranked else ()

    def documents(self, where: Sequence[Filter] = ()) -> list[Source]:
        """The documents that could be read and fulfil the conditions, in path order."""
        with self._store.read() as snapshot:
            sources = snapshot.sources(failed=False)
        seen = [source for source in sources if source.chunks and self._sees(source.path)]
        return [source for source in seen if all(one.holds(source) for one in where)]

    def with_files(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """Passages with the states of their files."""
        with self._store.read() as snapshot:
            return with_files(snapshot, hits)

    def document(self, path: str) -> Document:
        """A document's passages in reading order, as far as they have vectors; none if it isn't known."""
        with self._store.read() as snapshot:
            chunks = snapshot.chunks_of_source(path) if self._sees(path) else []
            return Document(tuple(chunks), snapshot.vectors([chunk.text_id for chunk in chunks]))

    def still_there(self, hits: Sequence[Hit]) -> set[str]:
        """The ids of those passages that the documents hold as they are."""
        with self._store.read() as snapshot:
            return {chunk.id for chunk in snapshot.chunks([hit.id for hit in hits if self._sees(hit.source)])}

    def _sees(self, path: str) -> bool:
        return self._sight is None or self._sight.sees(path)

    def measure(
        self, question: str, history: Sequence[Turn] = (), headed: bool | None = None
    ) -> tuple[QueryViews, Pool]:
        """The candidates of a search before ranking, for fitting the weights.

        Args:
            headed: Treat the index's texts as having headings, or not.
        """
        with self._store.read() as snapshot:
            sample = self._index.sample(snapshot)
            sample = sample if headed is None else replace(sample, has_headings=headed)
            views = query_views(question, history)
            found = self._candidates.find(Scope(snapshot), sample, views, DEPTH, SIDES, Clock())
        return found.views, found.pool

    def _reranked(self, snapshot: Snapshot, views: QueryViews, ranked: list[Ranked]) -> list[Ranked]:
        """The texts that the reranker read, in its order, then the others in their order."""
        assert self._reranker
        question = views.texts.get(WITH_QUESTIONS, views.question)
        bodies = [text.embedded for text in snapshot.texts([one.text_id for one in ranked[:RERANKED]])]
        scores = self._reranker.scores(question, bodies)
        if not scores:
            return ranked
        best = [replace(one, score=score) for one, score in zip(ranked, scores, strict=False)]
        best.sort(key=lambda one: -one.score)
        lowest = best[-1].score if best else 0.0
        others = [replace(one, score=lowest - place) for place, one in enumerate(ranked[len(scores) :], start=1)]
        return [*best, *others]


class _Found(NamedTuple):
    """Passages, best first, the probability that they bear on the question, and what they were chosen from: the
    candidates, the ids of the best texts, and what passages gain, by source (reading.CITED)."""

    hits: Sequence[Hit]
    evidence: float
    candidates: Candidates
    best: Sequence[int]
    gains: Mapping[str, float]


def _gains(snapshot: Snapshot, cited: Iterable[str]) -> dict[str, float]:
    """What passages of the sources gain that the answer before cites: see reading.CITED."""
    known = snapshot.known_sources(cited)
    return {path: CITED_LONG if source.chunks >= LONG else CITED for path, source in known.items()}


def foreign_texts(snapshot: Snapshot, language: Language, text_ids: Sequence[int]) -> list[int]:
    """The texts in another language."""
    texts = zip(text_ids, snapshot.texts(text_ids), strict=True)
    return [text_id for text_id, text in texts if language_of(text.body) != language]


@dataclass(frozen=True, slots=True)
class Document:
    """A document's passages in reading order, and their vectors, shape (n, d), float32."""

    chunks: tuple[Chunk, ...]
    vectors: NDArray[np.float32]
