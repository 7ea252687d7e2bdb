"""An embedding model that costs next to nothing: random unit vectors, the same for the same text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

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


def unit_vectors(count: int, seed: int) -> NDArray[np.float32]:
    """Random vectors of length 1: float32 (count, DIMENSION)."""
    raw = np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True))


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
