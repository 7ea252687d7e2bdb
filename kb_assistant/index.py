"""Nearest neighbours: a FAISS index over the store's vectors, derived from them and never the truth.

Read from a cache file that bears the generation it was built from; a wrong generation, a truncated or an altered
file means: build again from the store. On a machine where faiss sees a GPU the search for up to GPU_MOST
neighbours runs there, with the same exact inner products.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import EmbedderMismatch, ModelError
from kb_assistant.store import Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAGIC = "kb-index-2"

GPU_MOST = 2048
"""Neighbours that FAISS finds on a GPU at most; for more of them the search runs on the CPU."""


def import_faiss() -> Any:
    """The faiss module.

    Raises:
        ModelError: neither faiss-cpu nor faiss-gpu is installed, or the install is broken.
    """
    try:
        import faiss
    except Exception as error:  # faiss-gpu without its CUDA wheels raises RuntimeError
        raise ModelError(
            f"FAISS can't be loaded: {error}.",
            'Run `kb doctor`; usually: pip install "kb-assistant[cpu]" (or [gpu], never both).',
        ) from error
    return faiss


@dataclass(frozen=True, slots=True)
class _Built:
    """An index that no one changes any more, so that threads may search it without a lock.

    `lineage` changes when all vectors are replaced at once; within one, a text id always means the same vector.
    """

    generation: int
    lineage: str
    stamp: str
    ids: NDArray[np.int64]
    index: Any
    quick: Any
    """The same vectors in half precision, to find candidates: half the memory to read, several times as fast."""


class VectorIndex:
    """Exact search over all live texts of the generation that is asked for, or a later one.

    Args:
        cache: The cache file. It may be missing, stale or damaged; it is replaced, never trusted.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._built: _Built | None = None
        self._gpu: tuple[_Built, Any] | None = None
        self._lock = threading.Lock()

    def search(self, snapshot: Snapshot, queries: NDArray[np.float32], k: int) -> list[list[tuple[int, float]]]:
        """The k texts nearest to each query.

        Args:
            snapshot: The view of the store to search.
            queries: Unit vectors, shape (n, d), float32.
            k: How many for each query; fewer come back where there are fewer.

        Returns:
            For each query (text id, cosine) pairs, nearest first.

        Raises:
            EmbedderMismatch: the queries were made with a model of another dimension.
        """
        built = self._at(snapshot)
        if len(built.ids) and queries.shape[1] != built.index.d:
            raise EmbedderMismatch(
                f"This index holds vectors of {built.index.d} numbers; the question has {queries.shape[1]}.",
                "Use the embedder that the index was built with, or run `kb rebuild`.",
            )
        k = min(k, len(built.ids))
        if k == 0:
            return [[] for _ in queries]
        scores, places = self._nearest(built, queries, k)
        return [
            list(zip(built.ids[row].tolist(), line.tolist(), strict=True))
            for row, line in zip(places, scores, strict=True)
        ]

    def load(self, snapshot: Snapshot) -> int:
        """Make the index ready before the first search. Returns how many vectors it holds."""
        return len(self._at(snapshot).ids)

    def save(self, snapshot: Snapshot) -> None:
        """Bring the cache file to the snapshot's generation."""
        for leftover in self._cache.parent.glob(f"{self._cache.name}.*"):  # of a process that was killed
            with contextlib.suppress(OSError):
                leftover.unlink()
        if _first_line(self._cache) != _header(snapshot.stamp):
            self._write(self._at(snapshot))

    def check(self, snapshot: Snapshot) -> list[str]:
        """Faults of the index against the store, in words."""
        import numpy as np

        built = self._at(snapshot)
        if built.stamp != snapshot.stamp:  # a later one, which the caller's view of the store can't judge
            return []
        if not np.array_equal(np.sort(built.ids), snapshot.live_ids()):
            return ["the FAISS index holds other texts than the store"]
        if len(built.ids) and not np.array_equal(_vectors_in(built.index), snapshot.vectors(built.ids.tolist())):
            return ["the FAISS index holds other vectors than the store"]
        return []

    def forget(self) -> None:
        """Drop what is in memory and on disk; the next search builds it again."""
        with self._lock:
            self._built = self._gpu = None
            self._cache.unlink(missing_ok=True)

    def _at(self, snapshot: Snapshot) -> _Built:
        # A snapshot a little older than the index gets the newer one: what was deleted meanwhile is not found.
        generation, lineage = snapshot.generation, snapshot.lineage
        built = self._built
        if built is not None and built.lineage == lineage and built.generation >= generation:
            return built
        with self._lock:
            built = self._built
            if built is None or built.lineage != lineage:
                built = self._read(snapshot)
                if built is None:
                    built = _fresh(snapshot)
                    self._write(built)
            elif built.generation < generation:
                built = _updated(built, snapshot)
            self._built = built
            return built

    def _nearest(self, built: _Built, queries: NDArray[np.float32], k: int) -> tuple[Any, Any]:
        faiss = import_faiss()
        if k > GPU_MOST or getattr(faiss, "get_num_gpus", int)() == 0:
            return _exact_best(built, queries, k)
        with self._lock:  # a GPU index serves one search at a time
            if self._gpu is None or self._gpu[0] is not built:
                resources = faiss.StandardGpuResources()
                self._gpu = (built, faiss.index_cpu_to_gpu(resources, 0, built.index))
            scores, places = self._gpu[1].search(queries, k)
            return scores, places

    def _read(self, snapshot: Snapshot) -> _Built | None:
        import numpy as np

        wanted = _header(snapshot.stamp)
        try:
            data = self._cache.read_bytes()
        except OSError:
            return None
        head = len(wanted) + 4
        if data[: len(wanted)] != wanted:
            return None
        if int.from_bytes(data[len(wanted) : head], "little") != zlib.crc32(
            memoryview(data)[head:], zlib.crc32(wanted)
        ):
            return None
        count = int.from_bytes(data[head : head + 8], "little")
        ids = np.frombuffer(data, dtype="<i8", count=count, offset=head + 8)
        index = import_faiss().deserialize_index(np.frombuffer(data, np.uint8, offset=head + 8 + 8 * count))
        return _Built(snapshot.generation, snapshot.lineage, snapshot.stamp, ids, index, _halved(index))

    def _write(self, built: _Built) -> None:
        """Stamp, crc of all, number of ids, ids, FAISS's own bytes. A disk that refuses is no error here."""
        head = _header(built.stamp)
        body = b"".join(
            (
                len(built.ids).to_bytes(8, "little"),
                built.ids.astype("<i8").tobytes(),
                import_faiss().serialize_index(built.index).tobytes(),
            )
        )
        temporary = self._cache.with_name(f"{self._cache.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            with temporary.open("wb") as file:
                file.write(head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "little"))
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._cache)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _header(stamp: str) -> bytes:
    return f"{_MAGIC} {stamp}\n".encode()


def _first_line(cache: Path) -> bytes:
    try:
        with cache.open("rb") as file:
            return file.readline(200)
    except OSError:
        return b""


def _fresh(snapshot: Snapshot) -> _Built:
    ids = snapshot.live_ids()
    index = _flat(snapshot.vectors(ids.tolist()), snapshot.dimension)
    return _Built(snapshot.generation, snapshot.lineage, snapshot.stamp, ids, index, _halved(index))


def _updated(built: _Built, snapshot: Snapshot) -> _Built:
    """The index of a later generation, taking over the vectors of texts that are still live."""
    import numpy as np

    live = snapshot.live_ids()
    kept = np.isin(built.ids, live, assume_unique=True)
    new = np.setdiff1d(live, built.ids, assume_unique=True)
    vectors = _vectors_in(built.index)[kept]
    if len(new):
        vectors = np.concatenate([vectors, snapshot.vectors(new.tolist())])
    ids = np.concatenate([built.ids[kept], new])
    index = _flat(vectors, snapshot.dimension)
    return _Built(snapshot.generation, snapshot.lineage, snapshot.stamp, ids, index, _halved(index))


def _flat(vectors: NDArray[np.float32], dimension: int) -> Any:
    """An exact inner-product index over unit vectors, shape (n, dimension)."""
    index = import_faiss().IndexFlatIP(dimension)
    if len(vectors):
        index.add(vectors)
    return index


def _halved(index: Any) -> Any:
    """The vectors of an exact index in half precision."""
    faiss = import_faiss()
    halved = faiss.IndexScalarQuantizer(index.d, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    if index.ntotal:
        halved.add(_vectors_in(index))
    return halved


def _exact_best(
    built: _Built, queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosines and places of the k nearest: twice as many by half precision, ordered by the exact product."""
    import numpy as np

    _, near = built.quick.search(queries, min(2 * k, len(built.ids)))
    near.sort(axis=1)
    scores = np.einsum("qd,qkd->qk", queries, _vectors_in(built.index)[near])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(near, order, axis=1)


def _vectors_in(index: Any) -> NDArray[np.float32]:
    """The vectors an exact index holds, shape (n, d), without a copy."""
    flat = import_faiss().rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
    vectors: NDArray[np.float32] = flat.reshape(index.ntotal, index.d)
    return vectors
