"""Codes only choose candidates: what is found is what exact products find."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from kb_assistant.index import flat
from kb_assistant.index.flat import FlatIndex

K = 50


def around_topics(count: int, dimension: int) -> NDArray[np.float32]:
    """Vectors around a few hundred topics, as embeddings are; one number is nearly the same in all."""
    draw = np.random.default_rng(0)
    topics = draw.standard_normal((300, dimension)) * np.arange(1, dimension + 1) ** -0.5
    raw = topics[draw.integers(300, size=count)] + 0.3 * draw.standard_normal((count, dimension))
    raw[:, -1] = 2.0
    return np.asarray(raw / np.linalg.norm(raw, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("dimension", [7, 64, 384])
def test_the_codes_lose_nothing(dimension: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat, "FEW", 1000)
    vectors = around_topics(12_000, dimension)
    ids = np.arange(5, 5 + len(vectors))
    exact = faiss.IndexFlatIP(dimension)
    exact.add(vectors)
    index = FlatIndex(ids, exact)
    queries = vectors[::400]
    found = [index.search(None, queries, K) for _ in range(2)]  # type: ignore[arg-type]
    assert "_codes" in vars(index), "the second search makes them"
    products = queries @ vectors.T
    for first, second, row in zip(*found, products, strict=True):
        assert first == second
        assert [text_id for text_id, _ in second] == ids[np.argsort(-row, kind="stable")[:K]].tolist()
