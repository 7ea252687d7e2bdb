"""Approximate nearest neighbours for large stores: a search reads a few of many lists of compressed vectors.

An inverted file (Sivic and Zisserman, ICCV 2003; Jégou, Douze and Schmid, TPAMI 2011): k-means assigns the vectors
to lists, and a search reads the lists whose centroids are nearest to the query. It only gives candidates; their
order and cosines come from the float32 vectors in the store.

The number of lists to read is measured, not guessed: exact answers to queries made from the store's own vectors
give the number of lists that contain TARGET of the ten nearest; trial searches confirm it, or the number grows.
The recall is stored with the index, and measured again after many changes.

Why not HNSW (Malkov and Yashunin, TPAMI 2020): with 100,000 vectors of 384 numbers the build took at least four
times as long, searches were quicker only where a recall of .95 is enough, and recall stayed far from the target on
vectors without clusters, where an inverted file becomes a full scan, which finds all. And FAISS can't delete from
it.

Why 8-bit codes: as the float32 vectors order the candidates, they lose no recall against half precision, and take
no more time and half the memory. If even they would fill much of the free memory, product quantization (the 2011
paper) takes a quarter of a byte per number.

All of this runs on the CPU, even with a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kb_assistant.index.flat import FEW, batches, import_faiss, ranked, selector
from kb_assistant.index.recall import DEPTH, REMEASURE, SEED, TARGET, questions_near, recall_of, truly_nearest
from kb_assistant.messages import _
from kb_assistant.store import Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_LISTS = 8
"""Fewest lists that a search reads. Synthetic queries lie near stored vectors; real ones don't always."""

CODES_OF_FREE_MEMORY = 0.25
"""Largest share of free memory for 8-bit codes: an update briefly holds two copies."""

RETRAIN = 0.5
"""Share of the texts of the lists that may change before the lists are rebuilt."""

_CANDIDATES = {"ivf-int8": 2, "ivf-pq": 10}
"""Candidates per requested neighbour, by kind: coarse codes need more."""


@dataclass(frozen=True, slots=True)
class IVFIndex:
    """An immutable index, which threads may search without a lock.

    Attributes:
        kind: "ivf-int8" or "ivf-pq".
        ids: Text ids, shape (n,), int64, ascending.
        sums: Checksums of their vectors in the store, shape (n,), int64: proof that the codes belong to exactly
            these vectors, even for a file written at an earlier state of the store.
        index: FAISS's IndexIVF with the text ids; its `nprobe` is the number of lists that a search reads.
        recall: Share of the DEPTH nearest found at the last measurement.
        trained: Number of vectors when the lists were built.
        changed: Texts added and removed since then.
        unmeasured: Texts added and removed since the recall was measured.
        mapped: FAISS's bytes in a mapped file, where the codes lie; None if they are in memory.
    """

    kind: str
    ids: NDArray[np.int64]
    sums: NDArray[np.int64]
    index: Any
    recall: float
    trained: int
    changed: int = 0
    unmeasured: int = 0
    mapped: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, snapshot: Snapshot) -> IVFIndex:
        """Build and measure an index for all live texts of the store. The same store gives the same index.

        Raises:
            StoreError: a vector is missing or damaged.
        """
        ids, sums = snapshot.vector_sums()
        kind = _kind(len(ids), snapshot.dimension)
        ivf = _trained(kind, snapshot, ids)
        _add(ivf, snapshot, ids)
        return cls(kind, ids, sums, ivf, recall=0.0, trained=len(ids))._measured(snapshot)

    @property
    def dimension(self) -> int:
        return int(self.index.d)

    @property
    def facts(self) -> dict[str, Any]:
        """Its description and recall, as JSON values."""
        return {
            "kind": self.kind,
            "vectors": len(self.ids),
            f"recall@{DEPTH}": round(self.recall, 4),
            "lists": self.index.nlist,
            "lists_read": self.index.nprobe,
            "trained_on": self.trained,
            "changed": self.changed,
            "unmeasured": self.unmeasured,
        }

    @classmethod
    def from_facts(
        cls,
        facts: dict[str, Any],
        ids: NDArray[np.int64],
        sums: NDArray[np.int64],
        ivf: Any,
        mapped: NDArray[np.uint8],
    ) -> IVFIndex:
        """The index that had these facts."""
        return cls(
            facts["kind"],
            ids,
            sums,
            ivf,
            recall=facts[f"recall@{DEPTH}"],
            trained=facts["trained_on"],
            changed=facts["changed"],
            unmeasured=facts["unmeasured"],
            mapped=mapped,
        )

    def updated(self, snapshot: Snapshot) -> IVFIndex:
        """The index for another state of the store, reusing all codes whose vectors are unchanged.

        Raises:
            StoreError: a vector is missing or damaged.
        """
        import numpy as np

        live, sums = snapshot.vector_sums()
        mine, theirs = _keys(self.ids, self.sums), _keys(live, sums)
        gone = self.ids[~np.isin(mine, theirs, assume_unique=True)]
        new = live[~np.isin(theirs, mine, assume_unique=True)]
        changed = self.changed + len(gone) + len(new)
        if changed > RETRAIN * self.trained:
            return IVFIndex.of(snapshot)
        faiss = import_faiss()
        ivf = self._copied()
        if len(gone):
            ivf.remove_ids(faiss.IDSelectorBatch(gone))
        _add(ivf, snapshot, new)
        unmeasured = self.unmeasured + len(gone) + len(new)
        later = replace(self, ids=live, sums=sums, index=ivf, changed=changed, unmeasured=unmeasured, mapped=None)
        return later._measured(snapshot) if unmeasured > REMEASURE * len(live) else later

    def search(
        self,
        snapshot: Snapshot,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[list[tuple[int, float]]]:
        """The k nearest of each query among the texts `allowed`, or all: (text id, cosine), nearest first.

        Args:
            snapshot: Contains every text that may be found.
            allowed: Text ids, int64, ascending. Among at most FEW of them the search is exact.

        Raises:
            StoreError: a vector is missing or damaged.
        """
        import numpy as np

        inside = self.ids if allowed is None else np.intersect1d(self.ids, allowed, assume_unique=True)
        k = min(k, len(inside))
        if k == 0:
            return [[] for _ in queries]
        if allowed is not None and len(inside) <= FEW:
            vectors = snapshot.vectors(inside.tolist())
            return [ranked(query, inside, vectors, k) for query in queries]
        near = self._candidates(queries, k, inside)
        found = np.unique(near[near >= 0])
        vectors = snapshot.vectors(found.tolist())
        rows = (np.searchsorted(found, np.sort(row[row >= 0])) for row in near)
        return [ranked(query, found[row], vectors[row], k) for query, row in zip(queries, rows, strict=True)]

    def faults(self, snapshot: Snapshot) -> list[str]:
        """Faults against the store, in words."""
        import numpy as np

        faiss = import_faiss()
        lists = range(self.index.nlist)
        held = [_ids_in(self.index, number) for number in lists]
        if not np.array_equal(np.sort(np.concatenate(held)), snapshot.live_ids()):
            return [_("the FAISS index holds other texts than the store")]
        for number, ids in zip(lists, held, strict=True):
            codes = faiss.rev_swig_ptr(self.index.invlists.get_codes(number), len(ids) * self.index.code_size)
            wanted = _codes(self.index, number, snapshot.vectors(ids.tolist()))
            # Another processor may round a few numbers to the next code; another vector differs in most.
            if len(ids) and (codes.reshape(wanted.shape) == wanted).mean(axis=1).min() < 0.8:
                return [_("the FAISS index holds other vectors than the store")]
        return []

    def _copied(self) -> Any:
        """FAISS's index, in memory of its own: what is mapped can't be changed, nor does a clone copy it."""
        faiss = import_faiss()
        if self.mapped is None:
            return faiss.clone_index(self.index)
        return faiss.read_index(faiss.PyCallbackIOReader(_in_turn(self.mapped)))

    def _candidates(self, queries: NDArray[np.float32], k: int, inside: NDArray[np.int64]) -> NDArray[np.int64]:
        """Text ids near each query, at least k, padded with -1."""
        faiss = import_faiss()
        count = min(_CANDIDATES[self.kind] * k, len(inside))
        # Examine as many allowed texts as without a restriction.
        lists = min(self.index.nlist, self.index.nprobe * len(self.ids) // len(inside))
        chosen = None if len(inside) == len(self.ids) else selector(inside)
        while True:
            only = faiss.SearchParametersIVF(nprobe=lists, sel=chosen)
            _, near = self.index.search(queries, count, params=only)
            if lists == self.index.nlist or (near[:, k - 1] >= 0).all():
                return near  # type: ignore[no-any-return]
            lists = min(2 * lists, self.index.nlist)

    def _measured(self, snapshot: Snapshot) -> IVFIndex:
        """The index with as many lists to read as the target needs, and the resulting recall."""
        ivf = self.index
        questions = questions_near(snapshot, self.ids)
        nearest = truly_nearest(snapshot, self.ids, questions)
        ivf.nprobe = min(max(LEAST_LISTS, _lists_to_read(ivf, snapshot, questions, nearest)), ivf.nlist)
        while True:
            recall = recall_of(self.search(snapshot, questions, DEPTH), nearest)
            if recall >= TARGET or ivf.nprobe == ivf.nlist:
                return replace(self, recall=recall, unmeasured=0)
            ivf.nprobe = min(ivf.nprobe + ivf.nprobe // 4 + 1, ivf.nlist)  # the codes cost some recall, too


def _kind(count: int, dimension: int) -> str:
    """The most precise codes that leave enough memory free."""
    import psutil

    free = psutil.virtual_memory().available
    return "ivf-int8" if count * dimension <= CODES_OF_FREE_MEMORY * free else "ivf-pq"


def _trained(kind: str, snapshot: Snapshot, ids: NDArray[np.int64]) -> Any:
    """An empty index with lists and codes trained on a sample of these texts."""
    import numpy as np

    faiss = import_faiss()
    dimension, metric = snapshot.dimension, faiss.METRIC_INNER_PRODUCT
    lists = max(1, min(2 * int(len(ids) ** 0.5), len(ids) // 39))  # FAISS warns below 39 for each
    if kind == "ivf-int8":
        eight = faiss.ScalarQuantizer.QT_8bit
        ivf = faiss.IndexIVFScalarQuantizer(faiss.IndexFlatIP(dimension), dimension, lists, eight, metric)
    else:
        parts = next(parts for parts in range(max(1, dimension // 4), 0, -1) if dimension % parts == 0)
        ivf = faiss.IndexIVFPQ(faiss.IndexFlatIP(dimension), dimension, lists, parts, 8, metric)
        ivf.pq.cp.niter = 10
    ivf.cp.niter, ivf.cp.seed, ivf.cp.spherical = 10, SEED, True
    size = min(len(ids), 50 * lists)
    sample = np.sort(np.random.default_rng(SEED).choice(ids, size, replace=False))
    ivf.train(snapshot.vectors(sample.tolist()))
    return ivf


def _add(ivf: Any, snapshot: Snapshot, ids: NDArray[np.int64]) -> None:
    for part, vectors in batches(snapshot, ids):
        ivf.add_with_ids(vectors, part)


def _lists_to_read(
    ivf: Any, snapshot: Snapshot, questions: NDArray[np.float32], nearest: list[list[tuple[int, float]]]
) -> int:
    """How many lists, nearest first, contain TARGET of the true nearest neighbours of the queries."""
    import numpy as np

    _, near_first = ivf.quantizer.search(questions, ivf.nlist)
    ranks = []
    for order, near in zip(near_first, nearest, strict=True):
        _, home = ivf.quantizer.search(snapshot.vectors([text_id for text_id, _ in near]), 1)
        ranks.append(np.argsort(order)[home[:, 0]])
    return int(np.quantile(np.concatenate(ranks), TARGET, method="higher")) + 1


def _in_turn(data: NDArray[np.uint8]) -> Callable[[int], bytes]:
    """A function that reads so many of the bytes, from where the last call ended."""
    place = 0

    def read(size: int) -> bytes:
        nonlocal place
        part = data[place : place + size].tobytes()
        place += len(part)
        return part

    return read


def _keys(ids: NDArray[np.int64], sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for each text id and the 32-bit checksum of its vector."""
    return (ids << 32) | sums


def _ids_in(ivf: Any, number: int) -> NDArray[np.int64]:
    """Text ids of one list, in its order."""
    lists = ivf.invlists
    return import_faiss().rev_swig_ptr(lists.get_ids(number), lists.list_size(number))  # type: ignore[no-any-return]


def _codes(ivf: Any, number: int, vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The codes of the vectors in one list, shape (n, code size)."""
    import numpy as np

    pointer = import_faiss().swig_ptr
    codes = np.empty((len(vectors), ivf.code_size), np.uint8)
    lists = np.full(len(vectors), number, np.int64)
    ivf.encode_vectors(len(vectors), pointer(vectors), pointer(lists), pointer(codes))
    return codes
