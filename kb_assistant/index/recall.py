"""How much of what is truly nearest an approximate search finds: questions, exact answers, and the share found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kb_assistant.index.flat import batches
from kb_assistant.store import Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TARGET = 0.98
"""Target of the recall at DEPTH: .97 is required, and the sample errs by half a percent."""

DEPTH = 10
QUESTIONS = 256
NOISE = 0.5
"""Length of the random vector added to a stored one to make a query: their cosine is then 0.89."""

REMEASURE = 0.1
"""Share of the texts that may change before the recall is measured again."""

SEED = 20


def questions_near(snapshot: Snapshot, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit vectors near those of some of the texts, shape (n, d), float32: always the same."""
    import numpy as np

    draw = np.random.default_rng(SEED)
    stored = snapshot.vectors(draw.choice(ids, min(QUESTIONS, len(ids)), replace=False).tolist())
    noise = draw.standard_normal(stored.shape, np.float32)
    noisy = stored + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    unit: NDArray[np.float32] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return unit


def truly_nearest(
    snapshot: Snapshot, ids: NDArray[np.int64], queries: NDArray[np.float32], k: int = DEPTH
) -> list[list[tuple[int, float]]]:
    """The k of these texts nearest to each query, by the products with all their vectors, which are read in
    blocks: (text id, cosine), nearest first.

    Raises:
        StoreError: a vector is missing or damaged.
    """
    import numpy as np

    best_ids = np.empty((len(queries), 0), np.int64)
    best_scores = np.empty((len(queries), 0), np.float32)
    for part, vectors in batches(snapshot, ids):
        scores = np.hstack([best_scores, queries @ vectors.T])
        known = np.hstack([best_ids, np.broadcast_to(part, (len(queries), len(part)))])
        top = np.argpartition(scores, -min(k, scores.shape[1]), axis=1)[:, -min(k, scores.shape[1]) :]
        best_scores, best_ids = np.take_along_axis(scores, top, axis=1), np.take_along_axis(known, top, axis=1)
    order = np.argsort(-best_scores, axis=1, kind="stable")
    pairs = zip(
        np.take_along_axis(best_ids, order, axis=1), np.take_along_axis(best_scores, order, axis=1), strict=True
    )
    return [list(zip(row.tolist(), line.tolist(), strict=True)) for row, line in pairs]


def recall_of(
    found: Sequence[Sequence[tuple[int, float]]], nearest: Sequence[Sequence[tuple[int, float]]]
) -> float:
    """The share of the nearest that was found."""
    hits = sum(len({i for i, _ in row} & {i for i, _ in near}) for row, near in zip(found, nearest, strict=True))
    return hits / sum(map(len, nearest))
