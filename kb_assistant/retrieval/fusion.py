"""One score from many views: how near each found text is to every view of the question.

The features of each view are the cosine, in standard deviations above the mean of this index's passages; the share
of its words in a text (BM25 over its limit, and BM25 itself); and the share of the heading's words in the view.
They have similar meanings for every embedder and question, so one weighted sum serves all. The weights of the
question were fitted on public sets to rank right documents first (a listwise loss, as in ListNet: Cao et al., ICML
2007); those of the turns before are a few shares of them, chosen from a grid and tried on sets that had no part in
the choice (docs/evaluation.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from kb_assistant.index.sample import Sample
from kb_assistant.retrieval.bm25 import WordIndex, WordTable
from kb_assistant.retrieval.query_views import QUESTION, REWRITTEN, QueryViews
from kb_assistant.store import Snapshot
from kb_assistant.text.analyzer import analyze, analyze_query

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEASURES = ("distance", "share", "match", "heading")
"""The features of a text against a view: see features."""

MATCH = 20.0
"""Divisor of BM25 scores, so that all measures have similar size."""

WITH_HEADINGS: Mapping[str, Sequence[float]] = {
    "question": (2.3, 2.21, 4.04, 0.0),
    "asked": (0.46, 0.0, 0.0, 0.0),
    "told": (0.0, 0.22, 0.4, 4.5),
    "question 1": (0.0, 0.22, 0.4, 0.0),
}
WITHOUT_HEADINGS: Mapping[str, Sequence[float]] = {
    "question": (1.9, 0.99, 4.12, 0.0),
    "asked": (0.0, 0.3, 1.24, 0.0),
    "told": (1.43, 0.0, 0.0, 0.0),
    "question 1": (0.0, 0.2, 0.82, 0.0),
    "answer 1": (0.0, -0.1, -0.41, 0.0),
}
"""Weights of the measures of each view; the latter are for an index where few texts have a heading, or a file
whose name says something. What was said before weighs by shares of the question's weights, and by one weight for
headings: fitted one by one, the weights were better on the sets they were fitted to, and far worse on others.
Without headings, what the last answer said counts against a text."""


@dataclass(frozen=True, slots=True)
class FusionWeights:
    """Weights of MEASURES by view, for an index with headings and for one without."""

    with_headings: Mapping[str, Sequence[float]]
    without_headings: Mapping[str, Sequence[float]]

    def of(self, pool: Pool) -> dict[str, Sequence[float]]:
        """Those that suit a pool."""
        weights = self.with_headings if pool.headed else self.without_headings
        return {**weights, REWRITTEN: weights[QUESTION]}  # two opinions on the question


IN_USE = FusionWeights(WITH_HEADINGS, WITHOUT_HEADINGS)

TYPICAL = 30
"""Number of texts that the embedder's typical cosines count as, for an index with few texts."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Texts found by any search, measured against every view.

    Attributes:
        text_ids: The n texts, in the order of their names, which is the same in every store.
        headings: The heading of each.
        vectors: Their vectors, shape (n, d), float32.
        cosines: By view, shape (n,), float32.
        distances: Cosines in standard deviations above the mean of the index, by view, shape (n,).
        table: The words of all views in the texts.
        background: The usual cosines.
    """

    text_ids: Sequence[int]
    headings: Sequence[str]
    vectors: NDArray[np.float32]
    cosines: Mapping[str, NDArray[np.float32]]
    distances: Mapping[str, NDArray[np.float32]]
    table: WordTable
    background: Background

    @property
    def headed(self) -> bool:
        """Whether most texts of the index have a heading."""
        return self.background.sample.has_headings

    def nearness(self, view: str, places: Sequence[int]) -> float:
        """Cosine of the nearest of some texts in standard deviations above the embedder's usual cosines; if those
        are unknown, above this index's."""
        some = list(places)
        if self.background.prior is None:
            return float(self.distances[view][some].max())
        mean, spread = self.background.prior
        return (float(self.cosines[view][some].max()) - mean) / spread

    def places(self, text_ids: Sequence[int]) -> list[int]:
        """Positions of some of its texts."""
        place_of = {text_id: place for place, text_id in enumerate(self.text_ids)}
        return [place_of[text_id] for text_id in text_ids]

    def with_view(self, name: str, view: NDArray[np.float32]) -> Pool:
        """The same pool, measured also against one more view, a unit vector."""
        cosines = self.vectors @ view
        distances = self.background.distance(view, cosines)
        return replace(
            self, cosines={**self.cosines, name: cosines}, distances={**self.distances, name: distances}
        )

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        found: Sequence[int],
        views: QueryViews,
        vectors: Mapping[str, NDArray[np.float32]],
        stored: Callable[[Sequence[int]], NDArray[np.float32]],
        background: Background,
        words: WordIndex,
    ) -> Pool:
        """Measure the texts `found` against `vectors`, the views' unit vectors of shape (d,); `stored` returns the
        texts' vectors."""
        names = snapshot.chunk_ids(found)
        text_ids = sorted(names, key=lambda text_id: names[text_id])
        rows = stored(text_ids).reshape(len(text_ids), -1 if text_ids else len(vectors[QUESTION]))
        table = words.table((word for some in views.words.values() for word in some), text_ids)
        pool = cls(text_ids, snapshot.headings(text_ids), rows, {}, {}, table, background)
        for name, view in vectors.items():
            pool = pool.with_view(name, view)
        return pool


@dataclass(frozen=True, slots=True)
class Background:
    """The usual cosines to passages.

    Attributes:
        sample: Texts of the index.
        prior: Mean and standard deviation of the embedder's cosines elsewhere; they count as TYPICAL texts. None
            if unknown.
    """

    sample: Sample
    prior: tuple[float, float] | None = None

    def distance(self, view: NDArray[np.float32], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosines to a view in standard deviations above the usual ones."""
        here, mean, variance = len(self.sample.vectors), 0.0, 0.0
        if here:
            cosines_here = self.sample.vectors @ view
            mean, variance = float(cosines_here.mean()), float(cosines_here.var())
        if self.prior:
            there, spread = self.prior
            share = here / (here + TYPICAL)
            variance = share * variance + (1 - share) * spread**2 + share * (1 - share) * (mean - there) ** 2
            mean = share * mean + (1 - share) * there
        return (cosines - mean) / max(math.sqrt(variance), 1e-3)


@dataclass(frozen=True, slots=True)
class Fused:
    """Texts, best first; ties are ordered by name.

    Attributes:
        text_ids: The texts.
        scores: Larger is better; comparable only within one search.
        similarities: Cosine of each to the question alone.
    """

    text_ids: Sequence[int]
    scores: Sequence[float]
    similarities: Sequence[float]


def fuse(
    views: QueryViews,
    pool: Pool,
    sides: Sequence[str] = ("dense", "keyword"),
    weights: FusionWeights = IN_USE,
) -> Fused:
    """Order the texts of a pool.

    Args:
        sides: "dense" alone orders by the question's cosine, "keyword" alone by its BM25.
    """
    import numpy as np

    if not pool.text_ids:
        return Fused((), (), ())
    chosen = weights.of(pool)
    headed = [name for name, shares in chosen.items() if shares[MEASURES.index("heading")]]
    measured = features(views, pool, chosen, headed)
    if len(sides) == 1:
        scores = measured[QUESTION][:, MEASURES.index("distance" if "dense" in sides else "match")]
    else:
        scores = sum(measured[name] @ np.array(chosen[name]) for name in measured)
    order = np.argsort(-scores, kind="stable")
    similarity = pool.cosines[QUESTION]
    return Fused(
        [pool.text_ids[place] for place in order],
        [float(scores[place]) for place in order],
        [float(similarity[place]) for place in order],
    )


def features(
    views: QueryViews, pool: Pool, names: Collection[str], headed: Collection[str] | None = None
) -> dict[str, NDArray[np.float64]]:
    """The features of each text against those of the named views that there are, shape (n, len(MEASURES)).

    "distance" is Pool.distances, 0 for a view that isn't embedded; "share" is the BM25 of the view's words over
    its limit, from 0 to 1; "match" is the BM25 itself, over MATCH; "heading" is the share of the heading's words
    in the view, weighted by rarity.

    Args:
        headed: The views against which headings are measured, which takes as long as the rest; None for all. For
            others "heading" is 0.
    """
    import numpy as np

    chosen = [name for name in views.texts if name in names]
    against = [name for name in chosen if headed is None or name in headed]
    headings = _Headings(pool.headings if against else ())
    measured: dict[str, NDArray[np.float64]] = {}
    for name in chosen:
        words = views.words[name]
        scores, most = pool.table.scores(words), pool.table.max_score(words)
        shares = scores / most if most else scores
        named = headings.held_by(set(analyze(views.texts[name]))) if name in against else np.zeros(len(scores))
        distances = pool.distances.get(name, np.zeros(len(scores)))
        measured[name] = np.stack([distances, shares, scores / MATCH, named], axis=1).astype(np.float64)
    return measured


class _Headings:
    """The headings of a pool. A word that most of them share means little, so words are weighted by rarity
    here."""

    def __init__(self, headings: Sequence[str]) -> None:
        self._words = [_heading_words(heading) for heading in headings]
        counts = Counter(word for words in self._words for word in words)
        self._rarity = {word: math.log1p(len(headings) / count) for word, count in counts.items()}
        self._whole = [math.fsum(self._rarity[word] for word in words) for words in self._words]

    def held_by(self, held: Collection[str]) -> NDArray[np.float64]:
        """Share of each heading's words among the given words, shape (n,); 0 without a heading."""
        import numpy as np

        return np.array(
            [
                math.fsum(self._rarity[word] for word in words if word in held) / whole if whole else 0.0
                for words, whole in zip(self._words, self._whole, strict=True)
            ]
        )


@lru_cache(maxsize=20_000)
def _heading_words(heading: str) -> tuple[str, ...]:
    return tuple(analyze_query(heading))
