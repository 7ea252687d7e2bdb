"""The texts that dense and keyword search find by each view of a question, measured against all views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, get_args

from kb_assistant.index.dense_index import DenseIndex
from kb_assistant.index.sample import Sample
from kb_assistant.retrieval.across import moved
from kb_assistant.retrieval.bm25 import PostingsCache, WordIndex
from kb_assistant.retrieval.clock import Clock
from kb_assistant.retrieval.filters import Scope
from kb_assistant.retrieval.fusion import Background, Pool
from kb_assistant.retrieval.query_views import QUESTION, SUMMED, WITH_QUESTIONS, QueryViews
from kb_assistant.retrieval.relevance import TOP
from kb_assistant.store.compatibility import require_embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEPTH = 30
"""Number of texts from each list before fusion, or twice the requested number."""

Side = Literal["dense", "keyword"]
SIDES: tuple[Side, ...] = get_args(Side)


class QueryEmbedder(Protocol):
    """The embedding interface that retrieval needs."""

    @property
    def fingerprint(self) -> dict[str, str | int]: ...

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the searches found.

    Attributes:
        views: What was searched.
        pool: The texts, measured.
        words: The known words.
        across: The nearest texts in the other language of the index.
    """

    views: QueryViews
    pool: Pool
    words: WordIndex
    across: Sequence[int] = ()


class CandidateSearch:
    """Dense and keyword search over one index.

    Args:
        background_cosines: Mean and standard deviation of the embedder's cosines of unrelated texts, if known.
        postings: The postings that earlier searches of the same store read.
    """

    def __init__(
        self,
        index: DenseIndex,
        embedder: QueryEmbedder,
        background_cosines: tuple[float, float] | None,
        postings: PostingsCache,
    ) -> None:
        self._index, self._embedder = index, embedder
        self._usual, self._postings = background_cosines, postings

    def find(
        self, scope: Scope, sample: Sample, views: QueryViews, depth: int, sides: Sequence[Side], clock: Clock
    ) -> Candidates:
        """The first `depth` texts of each search.

        Raises:
            EmbedderMismatch: the index was built, or rebuilt since it was opened, with another embedder.
        """
        import numpy as np

        snapshot = scope.snapshot
        require_embedder(snapshot, self._embedder.fingerprint)
        vectors = self._vectors(views, sample.has_headings)
        clock.lap("embed")
        if not snapshot.keywords_fit:
            views = replace(views, words=dict.fromkeys(views.words, ()))
        words = WordIndex(snapshot, self._index.load(snapshot), scope.text_ids, self._postings.at(snapshot))
        found: set[int] = set()
        across: list[int] = []
        if "dense" in sides:
            near = np.stack([vectors[name] for name in views.searched if name in vectors])
            there = moved(vectors[QUESTION], sample, views.language)
            near = near if there is None else np.concatenate([near, there[None]])
            lists = self._index.search(snapshot, near, depth, words.allowed)
            found = {text_id for ranked in lists for text_id, _ in ranked}
            across = [] if there is None else [text_id for text_id, _ in lists[-1][:TOP]]
        clock.lap("dense")
        if "keyword" in sides:
            worded = [words.rank(views.words[name], depth) for name in views.keyword_views]
            found |= {text_id for ranked in worded for text_id, _ in ranked}
        clock.lap("keyword")
        stored, background = partial(self._index.vectors, snapshot), Background(sample, self._usual)
        pool = Pool.of(snapshot, sorted(found), views, vectors, stored, background, words)
        return Candidates(views, pool, words, across)

    def _vectors(self, views: QueryViews, headed: bool) -> dict[str, NDArray[np.float32]]:
        """Unit vectors of the views, by name."""
        import numpy as np

        names = views.dense_views(headed)
        embedded = self._embedder.encode_queries([views.texts[name] for name in names])
        vectors = dict(zip(names, embedded, strict=True))
        if WITH_QUESTIONS in views.texts:
            asked = np.sum([share * vectors[name] for name, share in SUMMED.items() if name in vectors], axis=0)
            vectors[WITH_QUESTIONS] = asked / max(float(np.linalg.norm(asked)), 1e-12)
        return vectors
