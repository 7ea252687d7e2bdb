"""Nearest neighbours: a FAISS index derived from the store's vectors, never the source of truth.

Up to EXACT_MOST texts codes of all find the candidates (`coarse.py`), which exact products order; beyond, an
approximate index finds the candidates, with a measured recall
(`ivf.py`). The index is read from a cache file (`cache_file.py`) that records the state of the store it was
built from. If the file is truncated, altered, or of another state, the index is rebuilt from the store. Only an
approximate index of another state, which takes long to build, is reused as far as the store proves it unchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.index.cache_file import BuiltIndex, clear_leftovers, read_header, read_index, write_index
from kb_assistant.index.flat import GPU_MOST, FlatIndex, import_faiss, require_dimension
from kb_assistant.index.ivf import IVFIndex
from kb_assistant.index.sample import SAMPLE, Sample
from kb_assistant.lock import survive_forks
from kb_assistant.store import KnowledgeStore, Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EXACT_MOST", "GPU_MOST", "VectorIndex", "import_faiss"]

EXACT_MOST = 200_000
"""Most texts for exact searches; beyond, they would take tens of milliseconds on two cores."""


class VectorIndex:
    """Search over all live texts of the requested revision, or a later one, on this machine; see DenseIndex.

    Args:
        cache: The cache file. If missing, stale or damaged, it is replaced; it is never trusted.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._built: BuiltIndex | None = None
        self._sample: tuple[BuiltIndex, Sample] | None = None
        self._lock = threading.Lock()
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: a built index stays intact."""

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = threading.Lock()

    def search(
        self,
        snapshot: Snapshot,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[list[tuple[int, float]]]:
        """See DenseIndex."""
        import numpy as np

        built = self._at(snapshot)
        held = built.held
        if len(held.ids):
            require_dimension(held.dimension, queries)
        if built.revision_id != snapshot.revision_id:  # a later one may contain texts new to this view
            live = snapshot.live_ids()
            allowed = live if allowed is None else np.intersect1d(live, allowed, assume_unique=True)
        return held.search(snapshot, queries, k, allowed)

    def vectors(self, snapshot: Snapshot, text_ids: Sequence[int]) -> NDArray[np.float32]:
        """See DenseIndex. From memory if possible."""
        built = self._at(snapshot)
        known = None  # also if a damaged keyword index names texts that the store doesn't have
        if isinstance(built.held, FlatIndex) and built.revision_id == snapshot.revision_id:
            known = built.held.vectors(text_ids)
        return snapshot.vectors(text_ids) if known is None else known

    def sample(self, snapshot: Snapshot) -> Sample:
        """See DenseIndex."""
        built = self._at(snapshot)
        kept = self._sample
        if kept is None or kept[0] is not built:
            ids = built.held.ids if built.revision_id == snapshot.revision_id else snapshot.live_ids()
            sample = Sample.of(snapshot, ids[:: -(-len(ids) // SAMPLE) or 1].tolist())
            kept = self._sample = (built, sample)
        return kept[1]

    def load(self, snapshot: Snapshot) -> int:
        """See DenseIndex."""
        return len(self._at(snapshot).held.ids)

    def refresh(self, snapshot: Snapshot) -> None:
        """See DenseIndex."""
        if self._built is not None:
            self._at(snapshot)

    def prepare(self, store: KnowledgeStore) -> None:
        """See DenseIndex. The index is derived after the change."""

    def save(self, store: KnowledgeStore) -> None:
        """See DenseIndex. Updates the cache file."""
        clear_leftovers(self._cache)
        with store.read() as snapshot:
            if self._read_facts(snapshot) is None:
                write_index(self._cache, self._at(snapshot))

    def describe(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """See DenseIndex. Reads a few lines of the cache file and loads neither FAISS nor an index. For an
        approximate index also "lists", and "lists_read" by a search; "trained_on", the number of vectors the lists
        were built from; and "changed", the number of texts added and removed since."""
        built = self._built
        if built is not None and built.revision_id == snapshot.revision_id:
            return built.held.facts
        return self._read_facts(snapshot)

    def check(self, snapshot: Snapshot) -> list[str]:
        """See DenseIndex."""
        built = self._at(snapshot)
        if built.revision_id != snapshot.revision_id:  # a later one, which this view can't check
            return []
        return built.held.faults(snapshot)

    def forget(self) -> None:
        """See DenseIndex. The next search builds it again."""
        with self._lock:
            self._built = None
            self._cache.unlink(missing_ok=True)

    def _at(self, snapshot: Snapshot) -> BuiltIndex:
        # A snapshot slightly older than the index uses the newer one: texts deleted meanwhile aren't found.
        revision, vector_epoch = snapshot.revision, snapshot.vector_epoch
        built = self._built
        if built is not None and built.vector_epoch == vector_epoch and built.revision >= revision:
            return built
        with self._lock:
            built = self._built
            if built is None or built.vector_epoch != vector_epoch:
                built = self._read(snapshot)
                if built is None:
                    built = _fresh(snapshot)
                    write_index(self._cache, built)
            elif built.revision < revision:
                built = _updated(built.held, snapshot)
            self._built = built
            return built

    def _read_facts(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """The facts in the cache file, if it has exactly this state."""
        header = read_header(self._cache)
        return header.facts if header is not None and header.revision_id == snapshot.revision_id else None

    def _read(self, snapshot: Snapshot) -> BuiltIndex | None:
        """The index in the cache file, updated to the snapshot's state; None if unusable."""
        found = read_index(
            self._cache,
            lambda header: header.revision_id == snapshot.revision_id or header.can_be_updated(snapshot),
        )
        if found is None:
            return None
        header, held = found
        if header.revision_id == snapshot.revision_id:
            return _of(snapshot, held)
        built = _updated(held, snapshot)
        write_index(self._cache, built)
        return built


def _of(snapshot: Snapshot, held: FlatIndex | IVFIndex) -> BuiltIndex:
    return BuiltIndex(snapshot.revision, snapshot.vector_epoch, snapshot.revision_id, held)


def _fresh(snapshot: Snapshot) -> BuiltIndex:
    live = snapshot.live_ids()
    exact = len(live) <= EXACT_MOST
    return _of(snapshot, FlatIndex.of(snapshot, live) if exact else IVFIndex.of(snapshot))


def _updated(held: FlatIndex | IVFIndex, snapshot: Snapshot) -> BuiltIndex:
    """The index for another state of the same vector epoch, reusing what is unchanged."""
    live = snapshot.live_ids()
    exact = len(live) <= EXACT_MOST
    if isinstance(held, FlatIndex) and exact:
        return _of(snapshot, held.updated(snapshot, live))
    if isinstance(held, IVFIndex) and not exact:
        return _of(snapshot, held.updated(snapshot))
    return _fresh(snapshot)
