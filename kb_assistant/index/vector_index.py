"""Nearest neighbours: a FAISS index over the store's vectors, derived from them and never the truth.

Up to EXACT_MOST texts every search is exact; beyond, an approximate index finds the candidates, with a recall that
was measured (`ivf.py`). The index is read from a cache file (`cache_file.py`) that bears the state of the store it
was built from. Where the file is truncated, altered, or of another state, the index is built again from the store.
Only an approximate index of another state, which takes long to build, gives what the store proves to be the same.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import EmbedderMismatch
from kb_assistant.index.cache_file import BuiltIndex, clear_leftovers, read_header, read_index, write_index
from kb_assistant.index.flat import GPU_MOST, FlatIndex, import_faiss
from kb_assistant.index.ivf import IVFIndex
from kb_assistant.lock import survive_forks
from kb_assistant.messages import _
from kb_assistant.store import Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EXACT_MOST", "GPU_MOST", "Sample", "VectorIndex", "import_faiss"]

EXACT_MOST = 200_000
"""Texts up to which every search is exact; beyond, it would take tens of milliseconds on two cores."""

SAMPLE = 512
"""Texts that stand for all of an index."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts that stand for all of an index.

    Attributes:
        vectors: Theirs, shape (m, d), float32.
        has_headings: Whether at least half of them stand under a heading.
    """

    vectors: NDArray[np.float32]
    has_headings: bool


class VectorIndex:
    """Search over all live texts of the generation that is asked for, or a later one.

    Args:
        cache: The cache file. It may be missing, stale or damaged; it is replaced, never trusted.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._built: BuiltIndex | None = None
        self._sample: tuple[BuiltIndex, Sample] | None = None
        self._lock = threading.Lock()
        survive_forks(self)

    def before_fork(self) -> None:
        """Nothing to do: what is built stays whole."""

    def after_fork(self) -> None:
        """Begin with a new lock in a forked child."""
        self._lock = threading.Lock()

    def search(
        self,
        snapshot: Snapshot,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[list[tuple[int, float]]]:
        """The k texts nearest to each query.

        Args:
            snapshot: The view of the store to search.
            queries: Unit vectors, shape (n, d), float32.
            k: How many for each query; fewer come back where there are fewer.
            allowed: Ids of the only texts to be found, shape (m,), int64, ascending, each once; None for all. Ids
                of texts that aren't there are passed over.

        Returns:
            For each query (text id, cosine) pairs, nearest first. The cosines are exact, also where the search is
            approximate.

        Raises:
            EmbedderMismatch: the queries were made with a model of another dimension.
            StoreError: a vector is missing or damaged.
        """
        import numpy as np

        built = self._at(snapshot)
        held = built.held
        if len(held.ids) and queries.shape[1] != held.dimension:
            raise EmbedderMismatch(
                _(
                    "This index holds vectors of {dimension} numbers; the question has {given}.",
                    dimension=held.dimension,
                    given=queries.shape[1],
                ),
                _("Use the embedder that the index was built with, or run `kb rebuild`."),
            )
        if built.stamp != snapshot.stamp:  # a later one may hold texts that this view doesn't know yet
            live = snapshot.live_ids()
            allowed = live if allowed is None else np.intersect1d(live, allowed, assume_unique=True)
        return held.search(snapshot, queries, k, allowed)

    def vectors(self, snapshot: Snapshot, text_ids: Sequence[int]) -> NDArray[np.float32]:
        """Vectors of texts of the snapshot, in the order asked, shape (n, d), float32; from memory where they are.

        Raises:
            StoreError: a vector is missing or damaged.
        """
        built = self._at(snapshot)
        known = None  # also where damaged words of the store name texts that it doesn't hold
        if isinstance(built.held, FlatIndex) and built.stamp == snapshot.stamp:
            known = built.held.vectors(text_ids)
        return snapshot.vectors(text_ids) if known is None else known

    def sample(self, snapshot: Snapshot) -> Sample:
        """Up to SAMPLE texts, evenly spread.

        Raises:
            StoreError: a vector is missing or damaged.
        """
        built = self._at(snapshot)
        kept = self._sample
        if kept is None or kept[0] is not built:
            ids = built.held.ids if built.stamp == snapshot.stamp else snapshot.live_ids()
            spread = ids[:: -(-len(ids) // SAMPLE) or 1].tolist()
            titled = sum(map(bool, snapshot.headings(spread)))
            kept = self._sample = (built, Sample(snapshot.vectors(spread), 2 * titled >= len(spread)))
        return kept[1]

    def load(self, snapshot: Snapshot) -> int:
        """Make the index ready before the first search. Returns how many vectors it holds."""
        return len(self._at(snapshot).held.ids)

    def save(self, snapshot: Snapshot) -> None:
        """Bring the cache file to the snapshot's generation."""
        clear_leftovers(self._cache)
        if self._read_facts(snapshot) is None:
            write_index(self._cache, self._at(snapshot))

    def describe(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """What the index of this state is, as JSON values; None where the next search will have to build it.

        Reads a few lines of the cache file and loads neither FAISS nor an index. The values: "kind" is "exact",
        "ivf-int8" or "ivf-pq"; "vectors" counts them. Those of an approximate index: "recall@10" against the exact
        ten, as it was measured; "lists", and the "lists_read" of them by a search; how many vectors the lists were
        "trained_on"; how many texts were added and removed since, "changed", and how many since the recall was
        measured, "unmeasured".
        """
        built = self._built
        if built is not None and built.stamp == snapshot.stamp:
            return built.held.facts
        return self._read_facts(snapshot)

    def check(self, snapshot: Snapshot) -> list[str]:
        """Faults of the index against the store, in words."""
        built = self._at(snapshot)
        if built.stamp != snapshot.stamp:  # a later one, which the caller's view of the store can't judge
            return []
        return built.held.faults(snapshot)

    def forget(self) -> None:
        """Drop what is in memory and on disk; the next search builds it again."""
        with self._lock:
            self._built = None
            self._cache.unlink(missing_ok=True)

    def _at(self, snapshot: Snapshot) -> BuiltIndex:
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
                    write_index(self._cache, built)
            elif built.generation < generation:
                built = _updated(built.held, snapshot)
            self._built = built
            return built

    def _read_facts(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """The facts in the cache file, if it is of this very state."""
        header = read_header(self._cache)
        return header.facts if header is not None and header.stamp == snapshot.stamp else None

    def _read(self, snapshot: Snapshot) -> BuiltIndex | None:
        """What the cache file holds, brought to the snapshot's state; None if it is of no use."""
        found = read_index(
            self._cache, lambda header: header.stamp == snapshot.stamp or header.can_be_updated(snapshot)
        )
        if found is None:
            return None
        header, held = found
        if header.stamp == snapshot.stamp:
            return _of(snapshot, held)
        built = _updated(held, snapshot)
        write_index(self._cache, built)
        return built


def _of(snapshot: Snapshot, held: FlatIndex | IVFIndex) -> BuiltIndex:
    return BuiltIndex(snapshot.generation, snapshot.lineage, snapshot.stamp, held)


def _fresh(snapshot: Snapshot) -> BuiltIndex:
    live = snapshot.live_ids()
    exact = len(live) <= EXACT_MOST
    return _of(snapshot, FlatIndex.of(snapshot, live) if exact else IVFIndex.of(snapshot))


def _updated(held: FlatIndex | IVFIndex, snapshot: Snapshot) -> BuiltIndex:
    """The index of another state of the same lineage, taking over what is still the same."""
    live = snapshot.live_ids()
    exact = len(live) <= EXACT_MOST
    if isinstance(held, FlatIndex) and exact:
        return _of(snapshot, held.updated(snapshot, live))
    if isinstance(held, IVFIndex) and not exact:
        return _of(snapshot, held.updated(snapshot))
    return _fresh(snapshot)
