"""The work that several machines share on one knowledge base: ordering an ingest, working on it, seeing it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, Protocol

from kb_assistant import telemetry
from kb_assistant.errors import BusyError, KBError, LostConnection, StoreError
from kb_assistant.index.dense_index import DenseIndex
from kb_assistant.ingestion import import_ingest, object_addresses
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store.compatibility import prepare_beside_others
from kb_assistant.store.held_store import HeldStore
from kb_assistant.store.opening import is_on_server, postgres
from kb_assistant.store.work import Share, SharedWorkState
from kb_assistant.store.work_lease import WorkLease
from kb_assistant.types import IngestRequest, Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kb_assistant.embedding.base import TextEmbeddings
    from kb_assistant.store.postgres_store import PostgresStore

Until = Literal["stopped", "empty", "once"]
"""When a worker ends: when it is told to, when nothing is left to do, or after it took files once."""

LEASE_SECONDS = 30.0

_IDLE_S = 1.0


class Worker(Protocol):
    """What a worker of `ingest` is to this module."""

    id: str
    forgiven: bool

    def share(self) -> Share | None: ...

    def is_done(self) -> bool: ...


class SharedWork:
    """The shared work of one knowledge base.

    Args:
        embedder: Returns the embedding model.
        index: The index, saved after a change.
    """

    def __init__(
        self,
        settings: Settings,
        held: HeldStore,
        embedder: Callable[[], TextEmbeddings],
        index: DenseIndex,
    ) -> None:
        self._settings, self._held, self._embedder, self._index = settings, held, embedder, index

    def ingest(self, request: IngestRequest, say: Callable[[str], None] = lambda _: None) -> Report:
        """Have workers bring the knowledge base in step with files and folders, or with objects, and wait for
        them. What they need not read is done here. A stop ends the waiting, not the work.

        Raises:
            StoreError: the knowledge base isn't on a server.
            KBError: as for KnowledgeBase.ingest.
        """
        if request.passwords:
            raise KBError(
                _("Passwords aren't kept with the files that workers read."), _("Give them to `kb worker`.")
            )
        store = self._store(create=True)
        ordering = import_ingest("ordering")
        with self._pool() as pool, store.writing_beside_others(self._settings.lock_seconds):
            prepare_beside_others(store, self._embedder().fingerprint)
            self._index.prepare(store)
            addresses = object_addresses(request.paths)
            ordered = ordering.order(store, self._embedder(), self._settings, request, addresses, pool)
        report: Report = ordering.follow(store, ordered, request, say)
        if not report.stopped:
            self._index.save(store)
        return report

    def work(
        self,
        until: Until = "stopped",
        *,
        passwords: Sequence[str] = (),
        lease_seconds: float = LEASE_SECONDS,
        stop: Callable[[], bool] = lambda: False,
        on_share: Callable[[Share], None] = lambda _: None,
        on_message: Callable[[str], None] = lambda _: None,
    ) -> Share:
        """Be a worker. Waits for work, for the knowledge base, and for a server that is away.

        Args:
            passwords: Tried in turn on encrypted files.
            lease_seconds: After so long without a sign of life others take what this worker has.
            stop: Once it returns true, the worker ends after the files in work.
            on_share: Called with what was done, each time it took files.

        Returns:
            All that it did.

        Raises:
            StoreError: the knowledge base isn't on a server.
            EmbedderMismatch: the knowledge base's vectors are another embedder's.
        """
        self._require_server()
        total = Share()

        def told(share: Share) -> None:
            nonlocal total
            total += share
            on_share(share)

        while not stop():
            try:
                self._work(until, passwords, lease_seconds, stop, told, on_message)
                break
            except LostConnection as error:
                if until != "stopped":
                    raise
                on_message(error.message)
                _wait(_IDLE_S, stop)
        return total

    def _work(
        self,
        until: Until,
        passwords: Sequence[str],
        lease_seconds: float,
        stop: Callable[[], bool],
        told: Callable[[Share], None],
        say: Callable[[str], None],
    ) -> None:
        """Work as long as the server is there. Raises LostConnection where it isn't any more."""
        store = self._awaited(until, stop)
        if store is None:
            return
        with store.write() as transaction:
            store.work.prepare(transaction.database)
        with self._pool(passwords) as pool:
            worker: Worker = import_ingest("worker").Worker(
                store, self._embedder(), self._settings, pool, stop, say
            )
            with _lease(store, worker, lease_seconds):
                while not stop():
                    done = self._share(worker, say)
                    if done is not None:
                        told(done)
                    if until == "once" or (done is None and until == "empty" and worker.is_done()):
                        break
                    if done is None:
                        _wait(_IDLE_S, stop)

    def _share(self, worker: Worker, say: Callable[[str], None]) -> Share | None:
        """What the worker does next; None if it has to wait."""
        try:
            with telemetry.ingest(self._settings.kb):
                return worker.share()
        except BusyError as error:
            say(error.message)
        return None

    def _awaited(self, until: Until, stop: Callable[[], bool]) -> PostgresStore | None:
        """The store, once there is one; None if nobody waits for it."""
        while not self._held.exists:
            if until != "stopped" or stop():
                return None
            _wait(_IDLE_S, stop)
        return self._store()

    def state(self) -> SharedWorkState:
        """Ingests, workers, and what is parked; nothing for a knowledge base that isn't on a server."""
        if not is_on_server(self._settings.store) or not self._held.exists:
            return SharedWorkState()
        found: SharedWorkState = postgres("work_state").shared_state(self._store().work)
        return found

    def retry(self) -> int:
        """Have workers try again what is parked. Returns the number of files."""
        store = self._store()
        return int(postgres("work_state").retry(store.work)) if store.work.exists() else 0

    def cancel(self) -> int:
        """Take back what no worker has begun. Returns the number of files."""
        store = self._store()
        return store.work.cancel() if store.work.exists() else 0

    def _store(self, create: bool = False) -> PostgresStore:
        self._require_server()
        store: Any = self._held.open(create)
        opened: PostgresStore = store
        return opened

    def _require_server(self) -> None:
        if not is_on_server(self._settings.store):
            raise StoreError(
                _("Workers share a knowledge base on a server, and this one is a file."),
                _("Move it with `kb copy --to postgresql://USER@HOST/DATABASE`, or ingest without workers."),
            )

    def _pool(self, passwords: Sequence[str] = ()) -> Any:
        return import_ingest("sync").open_pool(self._settings, passwords)


@contextmanager
def _lease(store: PostgresStore, worker: Worker, seconds: float) -> Iterator[None]:
    """Within it others believe that the worker lives. After an error what it had counts as tried."""
    try:
        with WorkLease(store.work, worker.id, seconds):
            yield
        worker.forgiven = True
    except LostConnection:
        worker.forgiven = True
        raise
    finally:
        with suppress(StoreError):
            store.work.leave(worker.id, worker.forgiven)


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stop():
        time.sleep(min(seconds, 0.1))
