"""What searches ask of an index of vectors, and which one a knowledge base has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kb_assistant.index.sample import Sample
from kb_assistant.index.server_index import ServerIndex
from kb_assistant.index.vector_index import VectorIndex
from kb_assistant.store import KnowledgeStore, Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DenseIndex(Protocol):
    """Search over the vectors of one knowledge base, derived from its store. Threads may share it."""

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

    def vectors(self, snapshot: Snapshot, text_ids: Sequence[int]) -> NDArray[np.float32]:
        """Vectors of texts of the snapshot in the given order, shape (n, d), float32.

        Raises:
            StoreError: a vector is missing or damaged.
        """

    def sample(self, snapshot: Snapshot) -> Sample:
        """Texts that stand for all, evenly spread.

        Raises:
            StoreError: a vector is missing or damaged.
        """

    def load(self, snapshot: Snapshot) -> int:
        """Prepare before the first search. Returns the number of vectors."""

    def refresh(self, snapshot: Snapshot) -> None:
        """Follow the snapshot, if the index was needed before."""

    def prepare(self, store: KnowledgeStore) -> None:
        """Make ready for vectors that will be written; the caller may write.

        Raises:
            StoreError: the store's engine can't keep such an index.
        """

    def save(self, store: KnowledgeStore) -> None:
        """Bring what is kept of the index to the store's state; the caller may hold the writer's lock, and reads
        nothing meanwhile."""

    def describe(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """The description of the index of this state, as JSON values; None if the next search has to build it.

        "kind" is "exact", "ivf-int8", "ivf-pq" or, on the server, "pgvector-exact" or "pgvector-hnsw"; "vectors"
        is their number. For an approximate index also "recall@10", measured against the exact ten; and
        "unmeasured", the number of texts added and removed since then.
        """

    def check(self, snapshot: Snapshot) -> list[str]:
        """Faults of the index against the store, in words."""

    def forget(self) -> None:
        """Drop what is in memory and on this machine's disk."""


def open_index(kind: str, cache: Path) -> DenseIndex:
    """The index by the setting `index`; `cache` is the file of one that lies on this machine."""
    return ServerIndex() if kind == "server" else VectorIndex(cache)
