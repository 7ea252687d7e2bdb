"""Exact nearest neighbours: all vectors in memory, and 4-bit codes that find the candidates (`coarse.py`).

If faiss sees a GPU, the search for up to GPU_MOST neighbours runs there, with the same exact inner products; a
search limited to some texts runs on the CPU.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import EmbedderMismatch, ModelError
from kb_assistant.index.coarse import CANDIDATES, CoarseCodes
from kb_assistant.lock import in_forked_child
from kb_assistant.messages import _
from kb_assistant.once import once
from kb_assistant.openmp import waiting_asleep
from kb_assistant.store import Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GPU_MOST = 2048
"""Most neighbours that FAISS finds on a GPU; for more the search runs on the CPU."""

FEW = 4096
"""A search limited to at most this many texts computes all products, whatever the index."""

_BLOCK = 1024
"""Vectors that are read from the store at once."""


def import_faiss() -> Any:
    """The faiss module.

    Raises:
        ModelError: neither faiss-cpu nor faiss-gpu is installed, or the install is broken.
    """
    try:
        with waiting_asleep():
            import faiss
    except Exception as error:  # faiss-gpu without its CUDA wheels raises RuntimeError
        raise ModelError(
            _("FAISS can't be loaded: {reason}.", reason=error),
            _('Run `kb doctor`; usually: pip install "kb-assistant[cpu]" (or [gpu], never both).'),
        ) from error
    _make_fork_safe(faiss)
    return faiss


@cache
def _make_fork_safe(faiss: Any) -> None:
    """Enable searches in a forked child.

    The forking thread keeps GNU OpenMP's record of its helper threads, which don't exist in the child, and would
    wait for them forever. With one thread it needs none. Threads started by the child have their own helpers.
    """
    in_forked_child(lambda: faiss.omp_set_num_threads(1))


class FlatIndex:
    """Immutable vectors, which threads may search without a lock.

    Args:
        ids: Text ids, shape (n,), int64, in any order.
        index: An IndexFlatIP whose rows are the vectors of `ids`.
    """

    kind = "exact"

    def __init__(self, ids: NDArray[np.int64], index: Any) -> None:
        import numpy as np

        self.ids, self.index = ids, index
        self._searched = False
        self._ascending = np.argsort(ids)
        self._gpu: Any = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, snapshot: Snapshot, ids: NDArray[np.int64]) -> FlatIndex:
        """An index over these texts of the store.

        Raises:
            StoreError: a vector is missing or damaged.
        """
        blocks = (vectors for _, vectors in batches(snapshot, ids))
        return cls(ids, _flat(blocks, len(ids), snapshot.dimension))

    @property
    def dimension(self) -> int:
        return int(self.index.d)

    @property
    def facts(self) -> dict[str, Any]:
        """Its description, as JSON values."""
        return {"kind": self.kind, "vectors": len(self.ids)}

    def updated(self, snapshot: Snapshot, live: NDArray[np.int64]) -> FlatIndex:
        """The same index for the texts `live`, reusing the vectors that it has."""
        import numpy as np

        kept = np.isin(self.ids, live, assume_unique=True)
        new = np.setdiff1d(live, self.ids, assume_unique=True)
        rows = vectors_in(self.index)
        held = (rows[part] for part in np.array_split(np.flatnonzero(kept), -(-len(rows) // _BLOCK) or 1))
        added = (vectors for _, vectors in batches(snapshot, new))
        ids = np.concatenate([self.ids[kept], new])
        return FlatIndex(ids, _flat(chain(held, added), len(ids), snapshot.dimension))

    def search(
        self, _: Snapshot, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> list[list[tuple[int, float]]]:
        """The k nearest of each query among the texts `allowed`, or all: (text id, cosine), nearest first."""
        import numpy as np

        inside = None if allowed is None else np.flatnonzero(np.isin(self.ids, allowed, assume_unique=True))
        k = min(k, len(self.ids if inside is None else inside))
        if k == 0:
            return [[] for _ in queries]
        if inside is None:
            scores, places = self._nearest(queries, k)
        elif len(inside) <= FEW:
            ids, vectors = self.ids[inside], vectors_in(self.index)[inside]
            return [ranked(query, ids, vectors, k) for query in queries]
        else:
            scores, places = self._best(queries, k, inside)
        return [
            list(zip(self.ids[row].tolist(), line.tolist(), strict=True))
            for row, line in zip(places, scores, strict=True)
        ]

    def vectors(self, text_ids: Sequence[int]) -> NDArray[np.float32] | None:
        """Vectors of texts in the given order, shape (n, d), float32; None if it doesn't hold all of them."""
        import numpy as np

        wanted = np.asarray(text_ids, np.int64)
        places = np.searchsorted(self.ids, wanted, sorter=self._ascending)
        if len(wanted) and (not len(self.ids) or places.max() >= len(self.ids)):
            return None
        rows = self._ascending[places]
        return vectors_in(self.index)[rows] if np.array_equal(self.ids[rows], wanted) else None

    def faults(self, snapshot: Snapshot) -> list[str]:
        """Faults against the store, in words."""
        import numpy as np

        if not np.array_equal(np.sort(self.ids), snapshot.live_ids()):
            return [_("the FAISS index holds other texts than the store")]
        if not np.array_equal(vectors_in(self.index), snapshot.vectors(self.ids.tolist())):
            return [_("the FAISS index holds other vectors than the store")]
        return []

    def _nearest(self, queries: NDArray[np.float32], k: int) -> tuple[Any, Any]:
        faiss = import_faiss()
        if k > GPU_MOST or getattr(faiss, "get_num_gpus", int)() == 0:
            return self._best(queries, k)
        with self._lock:  # a GPU index runs one search at a time
            if self._gpu is None:
                resources = faiss.StandardGpuResources()
                self._gpu = faiss.index_cpu_to_gpu(resources, 0, self.index)
            scores, places = self._gpu.search(queries, k)
            return scores, places

    def _best(
        self, queries: NDArray[np.float32], k: int, inside: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and positions of the k nearest, among the positions `inside` if given."""
        import numpy as np

        near = self._candidates(queries, k, inside)
        near.sort(axis=1)
        scores = np.einsum("qd,qkd->qk", queries, vectors_in(self.index)[near])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(near, order, axis=1)

    def _candidates(
        self, queries: NDArray[np.float32], k: int, inside: NDArray[np.int64] | None
    ) -> NDArray[np.int64]:
        """Positions of at least the k nearest. Codes are made for the second search of many vectors: a process
        that makes only one has its answer before they are there."""
        if inside is None and self._searched and len(self.ids) > FEW:
            return self._codes.nearest(queries, CANDIDATES * k)
        self._searched = self._searched or inside is None
        only = None if inside is None else import_faiss().SearchParameters(sel=selector(inside))
        _, near = self.index.search(queries, k, params=only)
        return near  # type: ignore[no-any-return]

    @once
    def _codes(self) -> CoarseCodes:
        return CoarseCodes(vectors_in(self.index))


def ranked(
    query: NDArray[np.float32], ids: NDArray[np.int64], vectors: NDArray[np.float32], k: int
) -> list[tuple[int, float]]:
    """The k of these texts nearest to one query, with their exact cosines.

    Args:
        query: A unit vector, shape (d,), float32.
        ids: Text ids, shape (n,), int64.
        vectors: Their unit vectors, shape (n, d), float32.
    """
    import numpy as np

    cosines = vectors @ query
    best = np.argsort(-cosines, kind="stable")[:k]
    return list(zip(ids[best].tolist(), cosines[best].tolist(), strict=True))


def require_dimension(dimension: int, queries: NDArray[np.float32]) -> None:
    """Check that questions have the length of an index's vectors.

    Raises:
        EmbedderMismatch: they were made with a model of another dimension.
    """
    if queries.shape[1] != dimension:
        raise EmbedderMismatch(
            _(
                "This index holds vectors of {dimension} numbers; the question has {given}.",
                dimension=dimension,
                given=queries.shape[1],
            ),
            _("Use the embedder that the index was built with, or run `kb rebuild`."),
        )


def selector(numbers: NDArray[np.int64]) -> Any:
    """FAISS's selector of these numbers by a bitmap up to the largest: quicker than its hash table."""
    import numpy as np

    chosen = np.zeros(int(numbers.max()) + 1, dtype=bool)
    chosen[numbers] = True
    return import_faiss().IDSelectorBitmap(np.packbits(chosen, bitorder="little"))


def vectors_in(index: Any) -> NDArray[np.float32]:
    """The vectors of an exact index, shape (n, d), without a copy."""
    import numpy as np

    if not index.ntotal:
        return np.empty((0, index.d), dtype=np.float32)
    flat = import_faiss().rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    vectors: NDArray[np.float32] = flat.reshape(index.ntotal, index.d)
    return vectors


def batches(snapshot: Snapshot, ids: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Ids and their vectors in parts: all float32 vectors at once may not fit into memory."""
    for start in range(0, len(ids), _BLOCK):
        part = ids[start : start + _BLOCK]
        yield part, snapshot.vectors(part.tolist())


def _flat(blocks: Iterable[NDArray[np.float32]], count: int, dimension: int) -> Any:
    """An exact inner-product index over `count` unit vectors that come in blocks of shape (n, dimension). They are
    written where they stay: FAISS's own `add` would hold them twice."""
    index = import_faiss().IndexFlatIP(dimension)
    index.codes.resize(count * index.code_size)
    index.ntotal = count
    rows, done = vectors_in(index), 0
    for block in blocks:
        rows[done : done + len(block)] = block
        done += len(block)
    return index
