"""The share of a worker: how its files are read and settled, and when it ends early."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ingest.orders import outcome_of
from ingest.sandbox.pool import Item, Outcome, ReaderPool
from kb_assistant.store import Transaction, persistently
from kb_assistant.store.work import MOST_ATTEMPTS, WorkItem
from kb_assistant.types import FileResult

if TYPE_CHECKING:
    from kb_assistant.store.postgres_store import PostgresStore

_LOOK_S = 0.5


class Settling:
    """Settles the files of a worker, each in the transaction that stores its source.

    Attributes:
        settled: What became of those that were settled.
        cut: Sources of which OCR left pages.
    """

    def __init__(self, worker: str, items: Mapping[str, WorkItem], careful: Careful) -> None:
        self._worker, self._items, self._careful = worker, items, careful
        self.settled: dict[str, FileResult] = {}
        self.cut: set[str] = set()

    def settle(self, transaction: Transaction, row: FileResult) -> bool:
        """Returns False if another worker has the file now: then nothing may be stored."""
        from kb_assistant.store.postgres_work import settle

        state = "parked" if row.path in self._careful.hopeless else "done"
        outcome = outcome_of(row, row.path in self.cut)
        mine = settle(transaction.database, self._items[row.path], self._worker, state, outcome)
        if mine:
            self.settled[row.path] = row
        return mine


class SteppingBack:
    """Whether a worker ends its share early: after a stop, or because somebody waits to write alone. Something of
    it is stored first, so that workers go on beside many such writers, too."""

    def __init__(self, store: PostgresStore, stop: Callable[[], bool], settling: Settling) -> None:
        self._store, self._stop, self._settling = store, stop, settling
        self._looked, self._is_awaited = 0.0, False

    def __call__(self) -> bool:
        if not self._is_awaited and self._settling.settled and time.monotonic() - self._looked > _LOOK_S:
            self._is_awaited = persistently(self._store.is_awaited)
            self._looked = time.monotonic()
        return self._is_awaited or self._stop()


class Careful:
    """Readers as a worker uses them: a file whose reader ended is tried again, elsewhere or later; and one that
    isn't there isn't taken for deleted, as it may be this machine that doesn't see it.

    Attributes:
        given_back: Files to be tried again.
        hopeless: Files whose readers ended at each attempt.
    """

    def __init__(self, pool: ReaderPool, items: Mapping[str, WorkItem]) -> None:
        self._pool, self._items = pool, items
        self.given_back: set[str] = set()
        self.hopeless: set[str] = set()

    def read(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """See Reading."""
        for outcome in self._pool.read(items):
            if outcome.lost and self._items[outcome.source].attempts < MOST_ATTEMPTS:
                self.given_back.add(outcome.source)
                continue
            if outcome.lost:
                self.hopeless.add(outcome.source)
            yield replace(outcome, gone=False)
