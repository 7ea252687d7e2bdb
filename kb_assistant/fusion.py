"""One score from many views: how near each text found is to every text that stands for the question.

For each view there is the cosine, in standard deviations above what passages of this index have to it; the share
of its words that a text holds (BM25 over its limit, and BM25 itself); and the share of the heading's words that
the view holds. They mean much the same for every embedder and every question, so one weighted sum serves all. The
weights were fitted to rank right documents first (a listwise loss, as in ListNet: Cao et al., ICML 2007) on public
sets, all at once, and tried on sets they were not fitted to (docs/evaluation.md); so was the logistic model that
turns what was found into evidence, as Platt did (1999).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from kb_assistant.bm25 import WordIndex, WordTable
from kb_assistant.conversation import QUESTION, REWRITTEN, TOLD, Conversation
from kb_assistant.keywords import query_tokens, tokens
from kb_assistant.store import Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEASURES = ("distance", "share", "match", "heading")
"""What is measured of a text against a view: see features."""

MATCH = 20.0
"""BM25 scores are divided by it, so that all measures are of a size."""

WITH_HEADINGS: Mapping[str, Sequence[float]] = {
    "question": (1.87, 2.27, 4.1, -0.36),
    "asked": (0.48, 0.31, 0.07, 0.99),
    "told": (0.17, -0.19, 0.33, 2.74),
    "question 1": (-0.37, 0.2, 0.71, 0.55),
    "answer 1": (0.0, 0.55, -0.12, 0.43),
    "question 2": (-0.31, 0.0, 0.2, 0.41),
    "answer 2": (0.0, 0.44, 0.0, 0.66),
}
WITHOUT_HEADINGS: Mapping[str, Sequence[float]] = {
    "question": (1.05, 1.05, 4.43, 0.0),
    "asked": (0.47, -0.43, 1.07, 0.0),
    "told": (1.34, -2.12, -0.39, 0.0),
    "question 1": (-0.41, 0.21, 1.16, 0.0),
    "answer 1": (0.0, -0.45, -0.07, 0.0),
    "question 2": (-0.29, -0.27, 0.97, 0.0),
    "answer 2": (0.0, -0.02, -0.21, 0.0),
}
"""What each measure of a view counts. Where hardly any text stands under a heading, the others count more."""

EVIDENCE: Mapping[str, float] = {
    "always": -15.51,
    "distance": -0.49,
    "coverage": 11.03,
    "lead": 2.02,
    "nearness": 3.05,
    "follow-up": 3.29,
}
"""Of the logistic model that says how probable it is that what was found bears on the question: see signals."""

REFUSE, CERTAIN = 0.45, 0.75
"""Evidence below which a question is refused, or its answer marked uncertain: of public sets 3 % of what has an
answer is refused, and 97 % of what other sets ask (docs/evaluation.md)."""

_LEAST = 100.0

TOP = 5
"""Best texts that evidence is looked for in."""

RUNNER_UP = 20
"""The text whose distance is taken for that of texts which are only on the subject."""

TYPICAL = 30
"""Texts that the embedder's typical cosines stand for where an index has few of its own."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Texts that some search found, measured against every view.

    Attributes:
        text_ids: The texts, n of them, in the order of their names, which is the same in every store.
        headings: What stands above each.
        cosines: By view, shape (n,), float32.
        distances: Cosines in standard deviations above the mean of the index, by view, shape (n,).
        table: The words of all views in the texts.
        elsewhere: As in Background.
    """

    text_ids: Sequence[int]
    headings: Sequence[str]
    cosines: Mapping[str, NDArray[np.float32]]
    distances: Mapping[str, NDArray[np.float32]]
    table: WordTable
    elsewhere: tuple[float, float] | None

    def nearness(self, view: str, places: Sequence[int]) -> float:
        """Cosine of the nearest of some texts in standard deviations above what is usual for the embedder; where
        that isn't known, above what is usual here."""
        some = list(places)
        if self.elsewhere is None:
            return float(self.distances[view][some].max())
        mean, spread = self.elsewhere
        return (float(self.cosines[view][some].max()) - mean) / spread

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        found: Sequence[int],
        talk: Conversation,
        vectors: NDArray[np.float32],
        background: Background,
        words: WordIndex,
    ) -> Pool:
        """Measure the texts `found`; `vectors` are those of talk.embedded, in their order."""
        names = snapshot.chunk_ids(found)
        text_ids = sorted(names, key=lambda text_id: names[text_id])
        views = dict(zip(talk.embedded, vectors, strict=True))
        rows = snapshot.vectors(text_ids).reshape(len(text_ids), vectors.shape[1])
        cosines = {name: rows @ view for name, view in views.items()}
        distances = {name: background.distance(views[name], cosines[name]) for name in views}
        table = words.table((word for some in talk.words.values() for word in some), text_ids)
        return cls(text_ids, snapshot.headings(text_ids), cosines, distances, table, background.elsewhere)


@dataclass(frozen=True, slots=True)
class Background:
    """What cosines to passages are usual.

    Attributes:
        sample: Vectors of texts of the index, shape (m, d), float32.
        elsewhere: Mean and standard deviation that the embedder's cosines have elsewhere; they count as TYPICAL
            texts. None where that isn't known.
    """

    sample: NDArray[np.float32]
    elsewhere: tuple[float, float] | None = None

    def distance(self, view: NDArray[np.float32], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosines to a view in standard deviations above the usual ones."""
        here, mean, variance = len(self.sample), 0.0, 0.0
        if here:
            cosines_here = self.sample @ view
            mean, variance = float(cosines_here.mean()), float(cosines_here.var())
        if self.elsewhere:
            there, spread = self.elsewhere
            share = here / (here + TYPICAL)
            variance = share * variance + (1 - share) * spread**2 + share * (1 - share) * (mean - there) ** 2
            mean = share * mean + (1 - share) * there
        return (cosines - mean) / max(math.sqrt(variance), 1e-3)


@dataclass(frozen=True, slots=True)
class Fused:
    """Texts, best first; ties are ordered by name.

    Attributes:
        text_ids: The texts.
        scores: Larger is better; comparable within one search only.
        similarities: Cosine of each to the question alone.
        evidence: How probable it is that the best of them bear on the question, from 0 to 1.
    """

    text_ids: Sequence[int]
    scores: Sequence[float]
    similarities: Sequence[float]
    evidence: float


def fuse(talk: Conversation, pool: Pool, sides: Sequence[str] = ("dense", "keyword")) -> Fused:
    """Order the texts of a pool.

    Args:
        sides: "dense" alone orders by the question's cosine, "keyword" alone by its BM25.
    """
    import numpy as np

    if not pool.text_ids:
        return Fused((), (), (), 0.0)
    measured = features(talk, pool)
    if len(sides) == 1:
        scores = measured[QUESTION][:, MEASURES.index("distance" if "dense" in sides else "match")]
    else:
        weights = _weights(pool)
        scores = sum(measured[name] @ np.array(weights[name]) for name in measured)
    order = np.argsort(-scores, kind="stable")
    similarity = pool.cosines[QUESTION]
    return Fused(
        [pool.text_ids[place] for place in order],
        [float(scores[place]) for place in order],
        [float(similarity[place]) for place in order],
        evidence(signals(talk, pool, measured, order[:TOP].tolist())),
    )


def features(talk: Conversation, pool: Pool) -> dict[str, NDArray[np.float64]]:
    """What is measured of each text against each view, shape (n, len(MEASURES)).

    "distance" is Pool.distances, 0 for a view that isn't embedded; "share" the BM25 of the view's words over its
    limit, from 0 to 1; "match" the BM25 itself, over MATCH; "heading" the share of the heading's words that the
    view holds, weighted by rarity.
    """
    import numpy as np

    headings = _Headings(pool.headings)
    measured: dict[str, NDArray[np.float64]] = {}
    for name, text in talk.texts.items():
        words = talk.words[name]
        scores, most = pool.table.scores(words), pool.table.most(words)
        shares = scores / most if most else scores
        named = headings.held_by(set(tokens(text)))
        distances = pool.distances.get(name, np.zeros(len(scores)))
        measured[name] = np.stack([distances, shares, scores / MATCH, named], axis=1).astype(np.float64)
    return measured


class _Headings:
    """The headings of a pool. A word that most of them share tells little: words are weighted by rarity here."""

    def __init__(self, headings: Sequence[str]) -> None:
        self._words = [_heading_words(heading) for heading in headings]
        counts = Counter(word for words in self._words for word in words)
        self._rarity = {word: math.log1p(len(headings) / count) for word, count in counts.items()}
        self._whole = [math.fsum(self._rarity[word] for word in words) for words in self._words]

    def held_by(self, held: Collection[str]) -> NDArray[np.float64]:
        """Share of each heading's words that are held, shape (n,); 0 where there is no heading."""
        import numpy as np

        return np.array(
            [
                math.fsum(self._rarity[word] for word in words if word in held) / whole if whole else 0.0
                for words, whole in zip(self._words, self._whole, strict=True)
            ]
        )


def signals(
    talk: Conversation, pool: Pool, measured: Mapping[str, NDArray[np.float64]], best: Sequence[int]
) -> dict[str, float]:
    """What tells whether the best texts bear on the question; `best` are their places in the pool.

    "distance", "coverage" and "lead" are those to the question with what was told before it: how near the nearest
    is in this index, the largest share of words held, and how far the nearest is ahead of texts that are only on
    the subject. "nearness" is that to the question alone, by what is usual for the embedder.
    """
    view = QUESTION if talk.is_first else TOLD
    return {
        "always": 1.0,
        "distance": float(measured[view][best, 0].max()),
        "coverage": float(pool.table.coverage(talk.words[view])[best].max()),
        "lead": _lead(measured[view][:, 0]),
        "nearness": pool.nearness(QUESTION, best),
        "follow-up": float(not talk.is_first),
    }


def _lead(distances: NDArray[np.float64]) -> float:
    """How far the nearest text is ahead of the RUNNER_UP-th."""
    ordered: list[float] = sorted(distances.tolist(), reverse=True)
    return ordered[0] - ordered[min(RUNNER_UP, len(ordered)) - 1]


def evidence(signs: Mapping[str, float]) -> float:
    """The probability that the logistic model gives."""
    logit = math.fsum(weight * signs[name] for name, weight in EVIDENCE.items())
    return 1 / (1 + math.exp(-max(logit, -_LEAST)))


def _weights(pool: Pool) -> Mapping[str, Sequence[float]]:
    headed = sum(map(bool, pool.headings))
    weights = WITH_HEADINGS if 2 * headed >= len(pool.headings) else WITHOUT_HEADINGS
    return {**weights, REWRITTEN: weights[QUESTION]}  # two opinions on what is asked


@lru_cache(maxsize=20_000)
def _heading_words(heading: str) -> tuple[str, ...]:
    return tuple(query_tokens(heading))
