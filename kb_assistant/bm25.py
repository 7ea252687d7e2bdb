"""Keyword ranking: BM25 (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009) in two steps.

First the lists of texts that hold each word, rarest words first, summed by rarity alone; then full BM25 of the
best of these. FTS5's own ranking looks up the length of every text that holds any of the words, which takes
several times as long. What this doesn't do: choosing the words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kb_assistant.store import Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POSTINGS = 20_000
"""Postings read for one list: the rarest words first, so that common ones cost little."""

CANDIDATES = 100
"""Texts whose words are counted."""

K1, B = 1.2, 0.75
"""The usual constants of BM25: when a repeated word stops counting, and how much long texts are held back."""

_FEW = 2_000
"""Postings of a word that is read without asking how common it is."""


class WordIndex:
    """What one state of the store knows of words; keeps what it read, for the next form of the same question.

    Args:
        total: How many texts there are.
    """

    def __init__(self, snapshot: Snapshot, total: int) -> None:
        self._snapshot, self._total = snapshot, total
        self._holders: dict[str, NDArray[np.int64]] = {}
        self._counts: dict[str, float] = {}
        self._words: dict[int, Counter[str]] = {}

    def rank(self, words: Sequence[str], limit: int) -> list[tuple[int, float]]:
        """The best texts that hold any of the words: id and BM25 score, best first, ties by id."""
        found = self._candidates(words)
        if not found:
            return []
        self._read(found)
        mean = sum(self._words[text_id].total() for text_id in found) / len(found) or 1.0  # 0 in a damaged index
        scores = {text_id: self._score(set(words), self._words[text_id], mean) for text_id in found}
        return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]

    def coverage(self, words: Sequence[str], text_ids: Sequence[int]) -> float:
        """Largest share of the words in one of the texts, each weighted by its rarity; absent ones weigh most."""
        self._read(text_ids)
        weights = {word: math.log1p(self._total / (self._count(word) + 0.5)) for word in words}
        held = (
            math.fsum(weights[word] for word in weights.keys() & self._words[text_id].keys())
            for text_id in text_ids
        )
        return max(held, default=0.0) / sum(weights.values()) if weights else 0.0

    def _candidates(self, words: Sequence[str]) -> list[int]:
        """Ids of the texts whose words are rarest in sum."""
        import numpy as np

        lists: list[NDArray[np.int64]] = []
        weights: list[NDArray[np.float64]] = []
        postings = 0.0
        for word in sorted(words, key=self._count):
            postings += self._count(word)
            if lists and postings > POSTINGS:
                break
            holders = self._all_holders(word)
            lists.append(holders)
            weights.append(np.full(len(holders), self._rarity(word)))
        if not lists:
            return []
        ids, places = np.unique(np.concatenate(lists), return_inverse=True)
        sums = np.bincount(places, np.concatenate(weights), minlength=len(ids))
        best = np.lexsort((ids, -sums))[:CANDIDATES]
        return [int(text_id) for text_id in ids[best]]

    def _score(self, words: set[str], text: Counter[str], mean: float) -> float:
        stretch = K1 * (1 - B + B * text.total() / mean)
        return math.fsum(  # exact: the order of a set, which differs from run to run, must not break ties
            self._rarity(word) * text[word] * (K1 + 1) / (text[word] + stretch) for word in words & text.keys()
        )

    def _rarity(self, word: str) -> float:
        count = self._count(word)
        return math.log1p((self._total - count + 0.5) / (count + 0.5))

    def _count(self, word: str) -> float:
        """How many texts hold the word; of a common one a guess, by how close together the first stand."""
        if word not in self._counts:
            first = self._snapshot.holders(word, _FEW)
            self._holders[word] = first
            whole = len(first) < _FEW
            spread = 1.0 if whole else max(1.0, self._snapshot.last_text_id / max(1, int(first[-1])))
            self._counts[word] = min(len(first) * spread, max(self._total, len(first)))
        return self._counts[word]

    def _all_holders(self, word: str) -> NDArray[np.int64]:
        if len(self._holders[word]) == _FEW:
            self._holders[word] = self._snapshot.holders(word)
            self._counts[word] = len(self._holders[word])
        return self._holders[word]

    def _read(self, text_ids: Iterable[int]) -> None:
        unread = [text_id for text_id in text_ids if text_id not in self._words]
        self._words.update((text_id, Counter()) for text_id in unread)
        self._words.update((i, Counter(line)) for i, line in self._snapshot.token_lines(unread).items())
