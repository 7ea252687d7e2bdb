"""Keyword ranking: BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009) in two steps.

First the posting lists of the words, rarest words first, are summed by rarity alone; then the best texts get their
full BM25. FTS5's own ranking looks up the length of every text that contains any of the words, which takes several
times as long. Choosing the words is not done here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kb_assistant.store import Snapshot
from kb_assistant.store.database import Counting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POSTINGS = 20_000
"""Most postings read for one list: the rarest words first, so that common ones cost little."""

CANDIDATES = 60
"""Number of texts whose words are counted, or twice the requested number."""

K1, B = 1.0, 0.5
"""Saturation of repeated words, and penalty for long texts. Passages are cut to a length, which means less than
the length of whole documents: the usual 0.75 is worse on passage sets."""

_FEW = 10_000
"""Most counted texts of a word. For a more common word the number of the others is inferred from samples,
because counting all takes tens of milliseconds in a large index."""

_SAMPLES, _SAMPLE = 10, 1_000
"""Number of samples, evenly spread over the other texts, and most texts in each. The first texts alone wouldn't
do: texts are stored folder by folder, so a word may be in all of the first and in none of the others."""

_MOST_WORDS = 4_000
"""Most cached words: about ten MB, as most are in few texts, and common ones are never read."""


@dataclass(slots=True)
class Postings:
    """The cached postings: which texts contain which words.

    Attributes:
        text_ids: Text ids by word, ascending, int64, of the words looked up so far.
        counts: How many texts contain each word: exact up to _FEW, inferred beyond. It depends only on the state
            of the store, never on earlier searches.
    """

    text_ids: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)


class PostingsCache:
    """Postings of one state of the store, cached for the next searches: a conversation repeats its words. Threads
    may share it."""

    def __init__(self) -> None:
        self._kept: tuple[str, Postings] = ("", Postings())

    def at(self, snapshot: Snapshot) -> Postings:
        """The postings of the snapshot's state; empty if the store changed, or too many words were read."""
        state = f"{snapshot.revision_id} {snapshot.meta('keywords')}"  # the index may be rebuilt by other rules
        kept, postings = self._kept
        if kept != state or len(postings.counts) > _MOST_WORDS:
            postings = Postings()
            self._kept = (state, postings)
        return postings


class WordIndex:
    """The words of one state of the store; caches what it read, for the next form of the same question.

    Args:
        total: Number of texts.
        allowed: Ids of the only texts to be found, ascending; None for all.
        postings: Postings read before from the same state.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        total: int,
        allowed: NDArray[np.int64] | None = None,
        postings: Postings | None = None,
    ) -> None:
        self._snapshot, self._total, self.allowed = snapshot, total, allowed
        kept = postings or Postings()
        self._postings, self._counts = kept.text_ids, kept.counts
        self._lines: dict[int, Sequence[str]] = {}

    def rank(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """The best texts that contain any of the words: id and BM25 score, best first, ties by id."""
        self._learn(words)
        found = self._candidates(words, max(CANDIDATES, 2 * limit))
        if not found:
            return []
        self._read(found)
        mean = self._mean(found)
        rarities = {word: self._rarity(word) for word in words}
        scores = {text_id: _score(rarities, self._lines[text_id], mean) for text_id in found}
        return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]

    def table(self, words: Iterable[str], text_ids: Sequence[int]) -> WordTable:
        """The BM25 weight of each word in each of these texts."""
        import numpy as np

        self._read(text_ids)
        columns = {word: column for column, word in enumerate(dict.fromkeys(words))}
        self._learn(columns)
        mean = self._mean(text_ids)
        counted = np.zeros((len(text_ids), len(columns)))
        for row, text_id in enumerate(text_ids):
            for word, count in _counted(columns, self._lines[text_id], mean).items():
                counted[row, columns[word]] = count
        return WordTable(columns, np.array([self._rarity(word) for word in columns]), counted)

    def words_of(self, text_id: int) -> frozenset[str]:
        """The words of a text."""
        self._read([text_id])
        return frozenset(self._lines[text_id])

    def _candidates(self, words: Sequence[str], limit: int) -> list[int]:
        """Ids of the texts with the largest sum of rarities."""
        import numpy as np

        lists: list[NDArray[np.int64]] = []
        weights: list[NDArray[np.float64]] = []
        for word, postings in self._rarest(words).items():
            if self.allowed is not None:
                postings = np.intersect1d(postings, self.allowed, assume_unique=True)
            lists.append(postings)
            weights.append(np.full(len(postings), self._rarity(word)))
        if not lists:
            return []
        ids, sums = _summed(np.concatenate(lists), np.concatenate(weights))
        if len(ids) > limit:  # a sort of all of them takes longer than the rest
            among = sums >= np.partition(sums, -limit)[-limit]
            ids, sums = ids[among], sums[among]
        best = np.lexsort((ids, -sums))[:limit]
        return [int(text_id) for text_id in ids[best]]

    def _mean(self, text_ids: Sequence[int]) -> float:
        """Mean length of the texts; never 0, as in a damaged index."""
        return sum(len(self._lines[text_id]) for text_id in text_ids) / max(1, len(text_ids)) or 1.0

    def _rarity(self, word: str) -> float:
        count = self._count(word)
        return math.log1p((self._total - count + 0.5) / (count + 0.5))

    def _count(self, word: str) -> float:
        """How many texts contain the word; partly inferred for a common word."""
        if word not in self._counts:
            self._learn([word])
        return self._counts[word]

    def _learn(self, words: Iterable[str]) -> None:
        """Count the texts that contain words, all at once: each question to a server takes its time."""
        new = [word for word in dict.fromkeys(words) if word not in self._counts]
        if not new:
            return
        for word, found in self._snapshot.holders(new, Counting(_FEW, _SAMPLES, _SAMPLE)).items():
            self._counts[word] = min(found.number, max(self._total, _FEW))
            if found.text_ids is not None:
                self._postings[word] = found.text_ids

    def _rarest(self, words: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """The postings of the rarest of the words, at least of one, rarest first."""
        chosen: list[str] = []
        read = 0.0
        for word in sorted(words, key=self._count):
            read += self._count(word)
            if chosen and read > POSTINGS:
                break
            chosen.append(word)
        unread = [word for word in chosen if word not in self._postings]
        if unread:
            self._postings.update(self._snapshot.all_postings(unread))
        return {word: self._postings[word] for word in chosen}

    def _read(self, text_ids: Iterable[int]) -> None:
        unread = [text_id for text_id in text_ids if text_id not in self._lines]
        if not unread:
            return
        lines = self._snapshot.document_terms(unread)
        self._lines.update((text_id, lines.get(text_id, ())) for text_id in unread)


def _summed(ids: NDArray[np.int64], weights: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each of the ids once, ascending, and the sum of its weights. `ids` are several ascending lists, one behind
    another, which a stable sort merges in a third of the time of another."""
    import numpy as np

    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    first = np.ones(len(ordered), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    sums: NDArray[np.float64] = np.bincount(np.cumsum(first) - 1, weights[order]).astype(np.float64)
    return ordered[first], sums


def _score(rarities: Mapping[str, float], line: Sequence[str], mean: float) -> float:
    """BM25 of a text for the words."""
    counted = _counted(rarities, line, mean)
    # exact sum: the order of words, which differs between texts, must not break ties
    return math.fsum(rarities[word] * count for word, count in counted.items())


def _counted(words: Mapping[str, object], line: Sequence[str], mean: float) -> dict[str, float]:
    """The BM25 weight of each of the words in a text.

    Args:
        line: The words of the text.
        mean: The mean length of texts, in words.
    """
    stretch = K1 * (1 - B + B * len(line) / mean)
    counts = Counter(filter(words.__contains__, line))
    return {word: count * (K1 + 1) / (count + stretch) for word, count in counts.items()}


@dataclass(frozen=True, slots=True)
class WordTable:
    """Words in texts.

    Attributes:
        columns: Column of each of the w words.
        rarities: The weight of each in BM25, shape (w,), float64.
        counted: BM25's saturated count of each word in each text, shape (n, w), float64; 0 if missing.
    """

    columns: Mapping[str, int]
    rarities: NDArray[np.float64]
    counted: NDArray[np.float64]

    def scores(self, words: Iterable[str]) -> NDArray[np.float64]:
        """BM25 of each text for some of the words, shape (n,)."""
        some = self._some(words)
        scores: NDArray[np.float64] = self.counted[:, some] @ self.rarities[some]
        return scores

    def max_score(self, words: Iterable[str]) -> float:
        """An upper bound that no text's score can reach."""
        return (K1 + 1) * float(self.rarities[self._some(words)].sum())

    def term_coverage(self, words: Iterable[str]) -> NDArray[np.float64]:
        """Share of the words in each text, weighted by rarity, shape (n,); words in no text weigh most."""
        some = self._some(words)
        whole = self.rarities[some].sum()
        held: NDArray[np.float64] = (self.counted[:, some] > 0) @ self.rarities[some]
        return held / whole if whole else held

    def _some(self, words: Iterable[str]) -> list[int]:
        return [self.columns[word] for word in words]
