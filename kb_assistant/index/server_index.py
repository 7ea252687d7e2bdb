"""Nearest neighbours on the server of the store: pgvector finds candidates by vectors in half precision, the
float32 vectors order them. This machine holds none.

What is searched lies beside the store's vectors and changes with them (`store/postgres_vectors.py`), so that every
search sees its snapshot. What isn't there yet, such as all of a knowledge base that was filled before, is compared
vector by vector: right, but slow, until an ingest or a rebuild adds it.

Up to FEW texts, and where few are allowed, the server compares all of them; beyond, its graph finds the
candidates. How much of it a search examines is measured, as for `ivf.py`, and kept with the knowledge base.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import BusyError
from kb_assistant.index.flat import FEW, batches, ranked, require_dimension
from kb_assistant.index.recall import DEPTH, REMEASURE, TARGET, questions_near, recall_of, truly_nearest
from kb_assistant.index.sample import SAMPLE, Sample
from kb_assistant.lock import survive_forks
from kb_assistant.store import KnowledgeStore, Snapshot

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kb_assistant.store.postgres_vectors import HalfVectors

META = "server index"
"""Under this name the store keeps what was measured."""

_EFFORTS = (40, 64, 100, 160, 250, 400, 640, 1000)
"""Candidates that a search may examine at once; pgvector examines at most 1000."""

_UNMEASURED_EFFORT = 160

_SPARE = 20
"""Candidates besides twice the requested number: rounding may change places, above all of texts that say nearly
the same."""

_TOGETHER = 10_000
"""Texts that are added in one transaction."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _State:
    """What there is to search at one state of the store.

    Attributes:
        key: The state.
        total: The number of texts.
        spread: Ids of some of them, evenly spread.
        unheld: Ids of those that the server's table doesn't hold, ascending, int64.
        table: Its number; None without one.
        graph: Whether it has a graph.
        measured: What was measured: "effort", the candidates that a search examines; "recall"; "vectors" and
            "last", the number of texts and their largest id at that time. Empty before.
    """

    key: str
    total: int
    spread: list[int]
    unheld: NDArray[np.int64]
    table: int | None
    graph: bool
    measured: dict[str, Any]

    @property
    def effort(self) -> int:
        return int(self.measured.get("effort", _UNMEASURED_EFFORT))


class ServerIndex:
    """See DenseIndex. The store is on a server."""

    def __init__(self) -> None:
        self._state: _State | None = None
        self._sample: tuple[str, Sample] | None = None
        self._lock = threading.Lock()
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: what is known of a state stays true."""

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
        state = self._at(snapshot)
        k = min(k, state.total if allowed is None else len(allowed))
        if k <= 0 or not state.total:
            return [[] for _ in queries]
        require_dimension(snapshot.dimension, queries)
        near = _near(snapshot, state, queries, k, allowed)
        if min(map(len, near)) < k and _held(snapshot).found().table != state.table:
            state = _state_of(snapshot)  # this view knows nothing of a table that was made meanwhile
            near = _near(snapshot, state, queries, k, allowed)
        return _ordered(snapshot, state, queries, k, allowed, near)

    def vectors(self, snapshot: Snapshot, text_ids: Sequence[int]) -> NDArray[np.float32]:
        """See DenseIndex."""
        return snapshot.vectors(text_ids)

    def sample(self, snapshot: Snapshot) -> Sample:
        """See DenseIndex."""
        state, kept = self._at(snapshot), self._sample
        if kept is None or kept[0] != state.key:
            kept = self._sample = (state.key, Sample.of(snapshot, state.spread))
        return kept[1]

    def load(self, snapshot: Snapshot) -> int:
        """See DenseIndex."""
        return self._at(snapshot).total

    def refresh(self, snapshot: Snapshot) -> None:
        """See DenseIndex."""
        if self._state is not None:
            self._at(snapshot)

    def prepare(self, store: KnowledgeStore) -> None:
        """See DenseIndex."""
        with store.read() as snapshot:
            ready = snapshot.meta("embedder") is None or _held(snapshot).found().dimension == snapshot.dimension
        if not ready:
            with store.write() as transaction:
                _held(transaction).prepare(transaction.dimension)

    def save(self, store: KnowledgeStore) -> None:
        """See DenseIndex. While others write, it leaves what is to be done to them."""
        with suppress(BusyError), store.writing(0):
            self.prepare(store)
            _fill(store)
            _make_graph(store)
            _measure(store)

    def describe(self, snapshot: Snapshot) -> dict[str, Any]:
        """See DenseIndex. Also "not_held", the number of texts that the server's table doesn't hold yet, if there
        are any."""
        state = self._at(snapshot)
        facts: dict[str, Any] = {"kind": "pgvector-hnsw" if state.graph else "pgvector-exact"}
        facts["vectors"] = state.total
        if state.graph and state.measured:
            facts[f"recall@{DEPTH}"] = state.measured["recall"]
            facts["examined"] = state.effort
            facts["unmeasured"] = _unmeasured(snapshot, state)
        if len(state.unheld):
            facts["not_held"] = len(state.unheld)
        return facts

    def check(self, snapshot: Snapshot) -> list[str]:  # noqa: ARG002 - the store's check compares the table
        """See DenseIndex."""
        return []

    def forget(self) -> None:
        """See DenseIndex."""
        self._state = None

    def _at(self, snapshot: Snapshot) -> _State:
        key, state = _key(snapshot), self._state
        if state is not None and state.key == key:
            return state
        with self._lock:
            state = self._state
            if state is None or state.key != key:
                state = self._state = _state_of(snapshot)
            return state


def _held(snapshot: Snapshot) -> HalfVectors:
    database: Any = snapshot.database
    held: HalfVectors = database.half_vectors
    return held


def _key(snapshot: Snapshot) -> str:
    return f"{snapshot.revision_id} {snapshot.meta(META)}"


def _state_of(snapshot: Snapshot) -> _State:
    """What this view of the store has.

    Raises:
        StoreError: the server has no pgvector, or an old one.
    """
    held = _held(snapshot)
    found = held.require()
    total, spread = held.spread(SAMPLE)
    unheld = held.unheld()
    if len(unheld) > FEW:
        _log.warning(
            "The server's index lacks %d of %d texts, which makes searches slow: `kb ingest` adds them.",
            len(unheld),
            total,
        )
    kept = snapshot.meta(META) or {}
    measured = kept if kept.get("epoch") == snapshot.vector_epoch and "effort" in kept else {}
    return _State(_key(snapshot), total, spread, unheld, found.table, found.graph and total > FEW, measured)


def _near(
    snapshot: Snapshot, state: _State, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
) -> list[list[int]]:
    """Ids of texts in the table, among them the k nearest to each query."""
    if state.table is None:
        return [[] for _ in queries]
    held, count = _held(snapshot), 2 * k + _SPARE
    # Among n of N texts the graph shows `count` when it has shown count · N / n; comparing all n is n.
    few = allowed is not None and len(allowed) <= max(FEW, math.sqrt(count * state.total))
    if state.graph and count <= _EFFORTS[-1] and not few:
        rows = 0 if allowed is None else 4 * count * state.total // len(allowed)
        near = held.near_by_graph(queries, count, max(count, state.effort), allowed, rows)
        if min(map(len, near)) >= k:
            return near
    return held.near_of_all(queries, count, allowed)


def _ordered(
    snapshot: Snapshot,
    state: _State,
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.int64] | None,
    near: list[list[int]],
) -> list[list[tuple[int, float]]]:
    """The k nearest of these texts and of those that the table doesn't hold, by their float32 vectors."""
    import numpy as np

    unheld = state.unheld if allowed is None else np.intersect1d(state.unheld, allowed, assume_unique=True)
    others = truly_nearest(snapshot, unheld, queries, k)
    wanted = [
        np.unique([*ids, *(text_id for text_id, _ in more)]).astype(np.int64)
        for ids, more in zip(near, others, strict=True)
    ]
    found = np.unique(np.concatenate(wanted))
    vectors = snapshot.vectors(found.tolist())
    return [
        ranked(query, ids, vectors[np.searchsorted(found, ids)], k)
        for query, ids in zip(queries, wanted, strict=True)
    ]


def _unmeasured(snapshot: Snapshot, state: _State) -> int:
    """Texts added and removed since the recall was measured."""
    added = _held(snapshot).added_after(state.measured["last"])
    return added + max(0, int(state.measured["vectors"]) - (state.total - added))


def _fill(store: KnowledgeStore) -> None:
    """Add to the table what it doesn't hold."""
    with store.read() as snapshot:
        unheld, total = _held(snapshot).unheld(), snapshot.counts()["texts"]
    if 2 * len(unheld) > total:  # to make the graph at once is quicker than to add so many
        with store.write() as transaction:
            _held(transaction).drop_graph()
    for start in range(0, len(unheld), _TOGETHER):
        with store.write() as transaction:
            for part, vectors in batches(transaction, unheld[start : start + _TOGETHER]):
                _held(transaction).put(
                    {int(text_id): row.tobytes() for text_id, row in zip(part, vectors, strict=True)}
                )
            transaction.put_meta(META, {"filled": [transaction.revision, start]})


def _make_graph(store: KnowledgeStore) -> None:
    with store.read() as snapshot:
        count, there = snapshot.counts()["texts"], _held(snapshot).found()
    if count > FEW and there.table is not None and not there.graph:
        with store.write() as transaction:
            _held(transaction).make_graph(count, transaction.dimension)
            transaction.put_meta(META, {"made": transaction.revision})


def _measure(store: KnowledgeStore) -> None:
    """Find out how much of the graph a search examines, unless that is known for nearly these texts."""
    with store.read() as snapshot:
        state = _state_of(snapshot)
        known = state.measured and _unmeasured(snapshot, state) <= REMEASURE * state.total
        if known or not state.graph:
            return
        measured = _measured(snapshot, state)
    with store.write() as transaction:
        transaction.put_meta(META, measured)


def _measured(snapshot: Snapshot, state: _State) -> dict[str, Any]:
    """See `_State.measured`."""
    ids = snapshot.live_ids()
    questions = questions_near(snapshot, ids)
    nearest = truly_nearest(snapshot, ids, questions)
    for effort in _EFFORTS:
        tried = replace(state, measured={"effort": effort})
        near = _near(snapshot, tried, questions, DEPTH, None)
        recall = recall_of(_ordered(snapshot, tried, questions, DEPTH, None, near), nearest)
        if recall >= TARGET:
            break
    return {
        "epoch": snapshot.vector_epoch,
        "effort": effort,
        "recall": round(recall, 4),
        "vectors": state.total,
        "last": snapshot.last_text_id,
    }
