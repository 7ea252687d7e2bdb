"""4-bit codes of vectors, which find the candidates of an exact search in a fraction of its time.

Each number is rounded to one of 16 levels between the extremes of its dimension, but for outliers. FAISS looks
products up in the processor's registers, 32 vectors at once (André, Kermarrec and Le Scouarnec, Cache locality is
not enough: PQ fast scan, VLDB 2015): a product quantizer whose parts have one dimension each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES = 64
"""Texts for each one wanted, to be ordered by their exact products. With 32 a thousandth of the 30 nearest of
100,000 clustered vectors was lost, with 64 none (docs/measured.md)."""

_LEVELS = 16
_OUTLIERS = 0.001
"""Share of the numbers at either end that get the level of the others' extreme."""

_SAMPLE = 2_000
"""Vectors that the extremes are looked for in."""

_BLOCK = 1024
"""Vectors whose codes are made at once."""


class CoarseCodes:
    """Threads may search it.

    Args:
        vectors: Shape (n, d), float32, n at least 1. They aren't kept.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        import numpy as np

        some = vectors[:: -(-len(vectors) // _SAMPLE)]
        low, high = np.quantile(some, [_OUTLIERS, 1 - _OUTLIERS], axis=0).astype(np.float32)
        step = np.maximum((high - low) / _LEVELS, np.float32(1e-9))
        self._levels = np.ravel(low[:, None] + step[:, None] * (np.arange(_LEVELS) + 0.5)).astype(np.float32)
        self._dimension = vectors.shape[1]
        self._index = self._empty("IndexPQFastScan")
        for start in range(0, len(vectors), _BLOCK):
            self._add((vectors[start : start + _BLOCK] - low) / step)

    def nearest(self, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Positions of about the `count` nearest of each query by inner product, shape (n, count), at most as many
        as there are."""
        _, near = self._index.search(queries, min(count, self._index.ntotal))
        return near  # type: ignore[no-any-return]

    def _add(self, levels: NDArray[np.float32]) -> None:
        """Append vectors, given in levels. FAISS's own search for the nearest level takes ten times as long."""
        import faiss
        import numpy as np

        np.clip(levels, 0, _LEVELS - 1, out=levels)
        whole = np.zeros((len(levels), self._dimension + self._dimension % 2), np.uint8)
        whole[:, : self._dimension] = levels
        block = self._empty("IndexPQ")
        faiss.copy_array_to_vector(np.ravel(whole[:, ::2] | whole[:, 1::2] << 4), block.codes)
        block.ntotal = len(levels)
        self._index.merge_from(faiss.IndexPQFastScan(block), 0)

    def _empty(self, kind: str) -> Any:
        import faiss

        dimension = self._dimension
        index = getattr(faiss, kind)(dimension, dimension, 4, faiss.METRIC_INNER_PRODUCT)
        faiss.copy_array_to_vector(self._levels, index.pq.centroids)
        index.is_trained = True
        return index
