"""Finds conversations that say the same, and questions that are nearly the same, in time linear in the text."""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from kb_assistant.text.analyzer import fold
from kb_assistant.training.data import Conversation

NEAR = 0.8
"""Share of common character triples from which two questions are nearly the same."""

_BANDS, _ROWS = 16, 4
_PRIME = (1 << 31) - 1
_MOST_CHARACTERS = 4_000
_KEY = 32
_ENDS = ".?!。…~"


def folded(text: str) -> str:
    """The text without differences of width, case and blanks."""
    return "".join(fold(text).casefold().split())


def asked(conversation: Conversation) -> tuple[str, ...]:
    """What the last answer answers: system message, passages, turns before and question, folded."""
    before = [content for _role, content in conversation.messages[:-1]]
    return tuple(map(folded, [*(one.text for one in conversation.passages), *before]))


def learned_questions(conversation: Conversation) -> list[str]:
    """A key of each question whose answer is learned, in order: of its words and of the turns before it.

    System message and passages don't count: with others it is the same question. A key tells no words, so that it
    can be kept where the questions shouldn't be.
    """
    turns = conversation.turns
    first = len(turns) - 1 if conversation.learned == "last" else 0
    said, keys = hashlib.sha256(), []
    for place, (question, answer) in enumerate(turns):
        said.update(f"{folded(question).rstrip(_ENDS)}\0".encode("utf-8", "replace"))
        if place >= first:
            keys.append(said.hexdigest()[:_KEY])
        said.update(f"{folded(answer)}\0".encode("utf-8", "replace"))
    return keys


def measured_question(conversation: Conversation) -> str:
    """The key of the one question that a measurement asks: the last."""
    return learned_questions(conversation)[-1]


def standing_alone(conversation: Conversation) -> list[str]:
    """The learned questions that are understood by themselves: the first and the last."""
    whole = conversation.learned == "all"
    return list(dict.fromkeys([*([conversation.turns[0][0]] if whole else []), conversation.question]))


def same_as_before(keys: Sequence[Hashable]) -> list[int | None]:
    """For each key the place of the first equal one before it."""
    first: dict[Hashable, int] = {}
    found: list[int | None] = []
    for place, key in enumerate(keys):
        found.append(first.get(key))
        first.setdefault(key, place)
    return found


def nearly_same(texts: Sequence[str]) -> list[int]:
    """For each text the place of the first that it is nearly the same as, itself if there is none before it.

    MinHash with bands (Broder, 1997; Leskovec et al., Mining of Massive Datasets, 3.4) finds candidates, the exact
    share of triples decides. A text is compared with the first of each of its buckets only.
    """
    multiply, add = _hashes()
    buckets: defaultdict[tuple[int, bytes], int] = defaultdict(lambda: -1)
    triples: list[NDArray[np.int64]] = []
    first: list[int] = []
    for place, text in enumerate(texts):
        own = _triples(folded(text)[:_MOST_CHARACTERS])
        triples.append(own)
        signature = ((own[:, None] * multiply + add) % _PRIME).min(axis=0).reshape(_BANDS, _ROWS)
        keys = [(band, signature[band].tobytes()) for band in range(_BANDS)]
        near = {buckets[key] for key in keys if key in buckets}
        found = [other for other in sorted(near) if _alike(own, triples[other]) >= NEAR]
        first.append(first[found[0]] if found else place)
        for key in keys:
            if key not in buckets:
                buckets[key] = place
    return first


def _triples(text: str) -> NDArray[np.int64]:
    """Numbers of the character triples of a text, each once."""
    parts = {text[start : start + 3] for start in range(max(1, len(text) - 2))}
    return np.array(sorted(zlib.crc32(part.encode("utf-8", "replace")) % _PRIME for part in parts), np.int64)


def _hashes() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    random = np.random.default_rng(0)
    return (
        random.integers(1, _PRIME, _BANDS * _ROWS, dtype=np.int64),
        random.integers(0, _PRIME, _BANDS * _ROWS, dtype=np.int64),
    )


def _alike(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Jaccard's share of common triples."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
