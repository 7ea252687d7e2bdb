"""Nearest neighbours: a FAISS index derived from the store's vectors, never the source of truth.

Up to EXACT_MOST texts every search is exact; beyond, an approximate index finds the candidates, with a measured
recall (`ivf.py`). The index is read from a cache file (`cache_file.py`) that records the state of the store it was
built from. If the file is truncated, altered, or of another state, the index is rebuilt from the store. Only an
approximate index of another state, which takes long to build, is reused as far as the store proves it unchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import EmbedderMismatch
from kb_assistant.index.cache_file import BuiltIndex, clear_leftovers, read_header, read_index, write_index
from kb_assistant.index.flat import GPU_MOST, FlatIndex, import_faiss
from kb_assistant.index.ivf import IVFIndex
from kb_assistant.lock import survive_forks
from kb_assistant.messages import _
from kb_assistant.store import Snapshot
from kb_assistant.text.language import Language, language_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EXACT_MOST", "GPU_MOST", "Sample", "VectorIndex", "import_faiss"]

EXACT_MOST = 200_000
"""Most texts for exact searches; beyond, they would take tens of milliseconds on two cores."""

SAMPLE = 512
SPOKEN = 128
"""Of so many of these the language is looked at."""

"""A sample of texts that represents an index."""


@dataclass(frozen=True, slots=True)
class Centre:
    """How many vectors there are of one sort, and their mean, shape (d,), float32."""

    count: int
    mean: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sample:
    """Texts that stand for all of an index.

    Attributes:
        vectors: Their vectors, shape (m, d), float32.
        has_headings: Whether at least half of them have a heading.
        centres: Of some of them by their language.
    """

    vectors: NDArray[np.float32]
    has_headings: bool
    centres: Mapping[Language, Centre] = field(default_factory=dict)


def _centres(vectors: NDArray[np.float32], languages: Sequence[Language]) -> dict[Language, Centre]:
    """The centre of each language's vectors."""
    places = {name: [place for place, one in enumerate(languages) if one == name] for name in set(languages)}
    return {name: Centre(len(rows), vectors[rows].mean(axis=0)) for name, rows in places.items()}


class VectorIndex:
    """Search over all live texts of the requested revision, or a later one.

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
        """The k texts nearest to each query.

        Args:
            snapshot: The view of the store to search.
            queries: Unit vectors, shape (n, d), float32.
            k: How many for each query; fewer are returned if there are fewer.
            allowed: Ids of the only texts to be found, shape (m,), int64, ascending, each once; None for all.
                Unknown ids are ignored.

        Returns:
            For each query (text id, cosine) pairs, nearest first. The cosines are exact even if the search is
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
        if built.revision_id != snapshot.revision_id:  # a later one may contain texts new to this view
            live = snapshot.live_ids()
            allowed = live if allowed is None else np.intersect1d(live, allowed, assume_unique=True)
        return held.search(snapshot, queries, k, allowed)

    def vectors(self, snapshot: Snapshot, text_ids: Sequence[int]) -> NDArray[np.float32]:
        """Vectors of texts of the snapshot in the given order, shape (n, d), float32; from memory if possible.

        Raises:
            StoreError: a vector is missing or damaged.
        """
        built = self._at(snapshot)
        known = None  # also if a damaged keyword index names texts that the store doesn't have
        if isinstance(built.held, FlatIndex) and built.revision_id == snapshot.revision_id:
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
            ids = built.held.ids if built.revision_id == snapshot.revision_id else snapshot.live_ids()
            spread = ids[:: -(-len(ids) // SAMPLE) or 1].tolist()
            titled = sum(map(bool, snapshot.headings(spread)))
            vectors = snapshot.vectors(spread)
            step = -(-len(spread) // SPOKEN) or 1
            languages = [language_of(text.body) for text in snapshot.texts(spread[::step])]
            sample = Sample(vectors, 2 * titled >= len(spread), _centres(vectors[::step], languages))
            kept = self._sample = (built, sample)
        return kept[1]

    def load(self, snapshot: Snapshot) -> int:
        """Prepare the index before the first search. Returns its number of vectors."""
        return len(self._at(snapshot).held.ids)

    def refresh(self, snapshot: Snapshot) -> None:
        """Follow the snapshot, if the index was needed before."""
        if self._built is not None:
            self._at(snapshot)

    def save(self, snapshot: Snapshot) -> None:
        """Update the cache file to the snapshot's revision."""
        clear_leftovers(self._cache)
        if self._read_facts(snapshot) is None:
            write_index(self._cache, self._at(snapshot))

    def describe(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """The description of the index of this state, as JSON values; None if the next search has to build it.

        Reads a few lines of the cache file and loads neither FAISS nor an index. The values: "kind" is "exact",
        "ivf-int8" or "ivf-pq"; "vectors" is their number. For an approximate index also "recall@10", measured
        against the exact ten; "lists", and "lists_read" by a search; "trained_on", the number of vectors the lists
        were built from; "changed", the number of texts added and removed since; and "unmeasured", the same since
        the recall was measured.
        """
        built = self._built
        if built is not None and built.revision_id == snapshot.revision_id:
            return built.held.facts
        return self._read_facts(snapshot)

    def check(self, snapshot: Snapshot) -> list[str]:
        """Faults of the index against the store, in words."""
        built = self._at(snapshot)
        if built.revision_id != snapshot.revision_id:  # a later one, which this view can't check
            return []
        return built.held.faults(snapshot)

    def forget(self) -> None:
        """Drop what is in memory and on disk; the next search builds it again."""
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
