"""Vectors that cost next to nothing: an embedding model of random ones, and clustered ones, as of topics."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kb_assistant.text.analyzer import analyze

DIMENSION = 384
_BATCH = 512


class RandomEmbeddings:
    """What `KnowledgeBase` needs of `LocalEmbeddings`."""

    dimension = DIMENSION
    fingerprint: dict[str, str | int] = {"name": "random", "sha256": "random", "dimension": DIMENSION}  # noqa: RUF012

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A third of the UTF-8 bytes: near what tokenizers give for Chinese, more than they give for English."""
        return [len(text.encode()) // 3 for text in texts]

    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            yield list(range(start, start + len(batch))), unit_vectors(len(batch), _seed("".join(batch)))

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.concatenate([unit_vectors(1, _seed(text)) for text in texts])


def word_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """A random vector for each word, summed: what shares words is near. float32 (n, DIMENSION), unit rows."""
    table = _word_table()
    rows = [table[[_seed(word) % len(table) for word in set(analyze(text))] or [0]].sum(axis=0) for text in texts]
    summed = np.stack(rows)
    return np.asarray(summed / np.linalg.norm(summed, axis=1, keepdims=True), np.float32)


@functools.cache
def _word_table() -> NDArray[np.float32]:
    return unit_vectors(1 << 16, seed=0)


def unit_vectors(count: int, seed: int) -> NDArray[np.float32]:
    """Random vectors of length 1: float32 (count, DIMENSION)."""
    raw = np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True))


def clustered_vectors(count: int, seed: int) -> NDArray[np.float32]:
    """Vectors of length 1 around 20,000 topics, float32 (count, DIMENSION).

    As those of text embeddings they share a direction, vary in some directions much more than in others, and have
    topics of very unequal size that overlap. Two of them stand at a cosine of 0.18 on average.
    """
    topics, shares, spread, common = _topics()
    draw = np.random.default_rng(seed)
    around = topics[draw.choice(len(topics), count, p=shares)]
    raw = around + 0.7 * spread * draw.standard_normal(around.shape, np.float32) + common
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True))


@functools.cache
def _topics() -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """Centres, their shares of all texts, the spread in each direction, and the direction all have in common."""
    spread = np.arange(1, DIMENSION + 1, dtype=np.float32) ** -0.5
    spread /= np.linalg.norm(spread)
    shares = np.arange(1, 20_001) ** -0.7
    centres = spread * np.random.default_rng(0).standard_normal((20_000, DIMENSION), np.float32)
    common = np.zeros(DIMENSION, np.float32)
    common[DIMENSION // 2] = 0.6
    return centres, shares / shares.sum(), spread, common


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
