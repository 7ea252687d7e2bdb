"""Keyword ranking: BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009) in two steps.

First the lists of texts that hold each word, rarest words first, summed by rarity alone; then full BM25 of the
best of these. FTS5's own ranking looks up the length of every text that holds any of the words, which takes
several times as long. What this doesn't do: choosing the words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kb_assistant.store import Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POSTINGS = 20_000
"""Postings read for one list: the rarest words first, so that common ones cost little."""

CANDIDATES = 60
"""Texts whose words are counted, or twice as many as are wanted."""

K1, B = 1.0, 0.5
"""When a repeated word stops counting, and how much long texts are held back. Passages are cut to a length, which
tells less than that of whole documents: the usual 0.75 is worse on sets of passages."""

_FEW = 10_000
"""Holders of a word that are counted. How many hold a more common one is inferred from where these stand: to count
all takes tens of milliseconds in a large index."""

_MOST_WORDS = 4_000
"""Words that are kept: some ten MB, as most are in few texts, and common ones are never read."""


@dataclass(slots=True)
class Postings:
    """Which texts hold which words, as far as they were read.

    Attributes:
        holders: Text ids by word, ascending, int64, of the words that were looked up.
        counts: How many texts hold each word: exact up to _FEW, inferred beyond. It depends on the state of the
            store alone, never on what was searched before.
    """

    holders: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)


class PostingsCache:
    """Postings of one state of the store, kept for the next searches: a conversation repeats its words. Threads
    may share it."""

    def __init__(self) -> None:
        self._kept: tuple[str, Postings] = ("", Postings())

    def at(self, snapshot: Snapshot) -> Postings:
        """Those of the snapshot's state; empty where the store changed, or too many words were read."""
        state = f"{snapshot.stamp} {snapshot.meta('keywords')}"  # the index may be made anew by other rules
        kept, postings = self._kept
        if kept != state or len(postings.counts) > _MOST_WORDS:
            postings = Postings()
            self._kept = (state, postings)
        return postings


class WordIndex:
    """What one state of the store knows of words; keeps what it read, for the next form of the same question.

    Args:
        total: How many texts there are.
        allowed: Ids of the only texts to be found, ascending; None for all.
        postings: Read before, from the same state.
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
        self._holders, self._counts = kept.holders, kept.counts
        self._lines: dict[int, Sequence[str]] = {}

    def rank(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """The best texts that hold any of the words: id and BM25 score, best first, ties by id."""
        found = self._candidates(words, max(CANDIDATES, 2 * limit))
        if not found:
            return []
        self._read(found)
        mean = self._mean(found)
        rarities = {word: self._rarity(word) for word in words}
        scores = {text_id: _score(rarities, self._lines[text_id], mean) for text_id in found}
        return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]

    def table(self, words: Iterable[str], text_ids: Sequence[int]) -> WordTable:
        """How much each word counts in each of these texts."""
        import numpy as np

        self._read(text_ids)
        columns = {word: column for column, word in enumerate(dict.fromkeys(words))}
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
        """Ids of the texts whose words are rarest in sum."""
        import numpy as np

        lists: list[NDArray[np.int64]] = []
        weights: list[NDArray[np.float64]] = []
        postings = 0.0
        for word in sorted(words, key=self._count):
            postings += self._count(word)
            if lists and postings > POSTINGS:
                break
            holders = self._holders_of(word)
            if self.allowed is not None:
                holders = np.intersect1d(holders, self.allowed, assume_unique=True)
            lists.append(holders)
            weights.append(np.full(len(holders), self._rarity(word)))
        if not lists:
            return []
        ids, places = np.unique(np.concatenate(lists), return_inverse=True)
        sums = np.bincount(places, np.concatenate(weights), minlength=len(ids))
        best = np.lexsort((ids, -sums))[:limit]
        return [int(text_id) for text_id in ids[best]]

    def _mean(self, text_ids: Sequence[int]) -> float:
        """Mean length of texts; never 0, as it would be in a damaged index."""
        return sum(len(self._lines[text_id]) for text_id in text_ids) / max(1, len(text_ids)) or 1.0

    def _rarity(self, word: str) -> float:
        count = self._count(word)
        return math.log1p((self._total - count + 0.5) / (count + 0.5))

    def _count(self, word: str) -> float:
        """How many texts hold the word; of a common one inferred from how close together the first stand."""
        if word not in self._counts:
            count, last = self._snapshot.count_holders(word, _FEW)
            spread = self._snapshot.last_text_id / last if count == _FEW else 1.0
            self._counts[word] = min(count * spread, max(self._total, count))
        return self._counts[word]

    def _holders_of(self, word: str) -> NDArray[np.int64]:
        if word not in self._holders:
            self._holders[word] = self._snapshot.holders(word)
        return self._holders[word]

    def _read(self, text_ids: Iterable[int]) -> None:
        unread = [text_id for text_id in text_ids if text_id not in self._lines]
        if not unread:
            return
        lines = self._snapshot.document_terms(unread)
        self._lines.update((text_id, lines.get(text_id, ())) for text_id in unread)


def _score(rarities: Mapping[str, float], line: Sequence[str], mean: float) -> float:
    """BM25 of a text for the words."""
    counted = _counted(rarities, line, mean)
    # exact: the order of words, which differs from text to text, must not break ties
    return math.fsum(rarities[word] * count for word, count in counted.items())


def _counted(words: Mapping[str, object], line: Sequence[str], mean: float) -> dict[str, float]:
    """How much each of the words that a text holds counts in it.

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
        columns: Place of each of the w words.
        rarities: The weight of each in BM25, shape (w,), float64.
        counted: How often each text holds each word, as BM25 counts it, shape (n, w), float64; 0 where it doesn't.
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
        """What no text's score can reach."""
        return (K1 + 1) * float(self.rarities[self._some(words)].sum())

    def term_coverage(self, words: Iterable[str]) -> NDArray[np.float64]:
        """Share of the words that each text holds, weighted by rarity, shape (n,); absent ones weigh most."""
        some = self._some(words)
        whole = self.rarities[some].sum()
        held: NDArray[np.float64] = (self.counted[:, some] > 0) @ self.rarities[some]
        return held / whole if whole else held

    def _some(self, words: Iterable[str]) -> list[int]:
        return [self.columns[word] for word in words]
