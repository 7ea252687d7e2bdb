"""A worker: takes files that an ingest ordered, on whatever machine, reads and embeds them, and commits each
source in a transaction that also settles the file.

It ends between files after a stop. Killed, what it had is free for others as soon as its lease has run out. A file
that a worker doesn't survive is taken alone from then on, and parked after MOST_ATTEMPTS.
"""

from __future__ import annotations

import os
import platform
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ingest.buckets import Buckets
from ingest.finish import note_archives, now, purge_if_alone, remove_moved
from ingest.objects import ObjectSync
from ingest.orders import object_of, outcome_of, rest_of, sees, task_of
from ingest.plan import Plan
from ingest.run import PassageEmbedder, Run
from ingest.sandbox.pool import ReaderPool
from ingest.share import Careful, Settling, SteppingBack
from ingest.sync import recipe_of
from kb_assistant.errors import LostConnection
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store import Source, persistently
from kb_assistant.store.compatibility import prepare_beside_others
from kb_assistant.store.work import RunningIngest, Share, WorkItem
from kb_assistant.types import FileResult, IngestRequest

if TYPE_CHECKING:
    from kb_assistant.store.postgres_store import PostgresStore


class Worker:
    """Works on one knowledge base.

    Args:
        say: Called with what the user should know; each text once as long as it holds.

    Attributes:
        id: Its name among all workers.
        forgiven: Whether what it has when it next takes something, or ends, doesn't count as an attempt.
    """

    def __init__(
        self,
        store: PostgresStore,
        embedder: PassageEmbedder,
        settings: Settings,
        pool: ReaderPool,
        stop: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self.id = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._store, self._table, self._embedder, self._settings = store, store.work, embedder, settings
        self._pool, self._stop, self._say = pool, stop, say
        self._said, self.forgiven = "", False
        self._buckets, self._addresses = Buckets(), dict[int, Sequence[str]]()
        self._splitter, self._recipe = recipe_of(embedder, settings)

    def share(self) -> Share | None:
        """Take some files and commit them, or do the rest of an ingest; None if there is nothing to take.

        Raises:
            BusyError: somebody writes alone, such as a rebuild.
            EmbedderMismatch: the knowledge base's vectors are another embedder's.
            LostConnection: the server can't be reached.
        """
        possible = self.possible()
        if not possible:
            return None
        with self._store.writing_beside_others(self._settings.lock_seconds):
            prepare_beside_others(self._store, self._embedder.fingerprint)
            self._park(possible)
            items = persistently(lambda: self._table.take(self.id, possible, self.forgiven))
            self.forgiven = False
            if not items:
                return None
            try:
                done = self._do_rest(items[0]) if items[0].kind == "rest" else self._do_files(items)
            except LostConnection:
                self.forgiven = True  # no fault of the files
                raise
        if items[0].kind == "rest":
            purge_if_alone(self._store)
        return done

    def is_done(self) -> bool:
        """Whether nothing is left of what this worker can do, also not with others."""
        return self._table.is_empty(self.possible()) if self._table.exists() else True

    def possible(self) -> list[int]:
        """The unfinished ingests in which this worker can take part."""
        if not self._table.exists():
            return []
        running = self._table.running()
        self._addresses = {one.id: one.paths for one in running}
        obstacles = {one.id: self._obstacle(one) for one in running}
        why = next(filter(None, obstacles.values()), "")
        if why and why != self._said:
            self._say(why)
        self._said = why
        return [id_ for id_, obstacle in obstacles.items() if not obstacle]

    def _obstacle(self, ingest: RunningIngest) -> str:
        if ingest.recipe != self._recipe:
            return _(
                "Ingest {number} is for workers of the same version and settings as where it was asked for"
                " (embedder, chunk_tokens, overlap, OCR).",
                number=ingest.id,
            )
        if not sees(ingest.paths):
            return _(
                "This machine doesn't see {paths}; mount it under the same path.", paths=", ".join(ingest.paths)
            )
        return self._buckets.obstacle(ingest.paths)

    def _park(self, ingests: Sequence[int]) -> None:
        for item in self._table.lost(ingests):
            persistently(lambda item=item: self._park_one(item))  # type: ignore[misc]

    def _park_one(self, item: WorkItem) -> None:
        """Settle a file that workers don't survive; its last version stays."""
        from kb_assistant.store.postgres_work import park

        reason = _(
            "{count} workers ended while they had it; `kb jobs --retry` tries it again.", count=item.attempts
        )
        with self._store.write() as transaction:
            known = transaction.source(item.path)
            row = FileResult(item.path, "failed", known.chunks if known else 0, reason)
            if park(transaction.database, item, outcome_of(row)) and (known is None or known.failed):
                digest = "" if object_of(item) else item.digest
                source = Source(item.path, digest, self._recipe, "", reason, True, now())
                transaction.put_source(source, [], {})

    def _do_files(self, items: Sequence[WorkItem]) -> Share:
        began, careful = time.monotonic(), Careful(self._pool, {item.path: item for item in items})
        settling = Settling(self.id, {item.path: item for item in items}, careful)
        stepping_back = SteppingBack(self._store, self._stop, settling)
        plan = Plan(tasks={item.path: task_of(item) for item in items if object_of(item) is None})
        request = IngestRequest(stop=stepping_back)
        run = Run(self._store, self._embedder, self._splitter, self._recipe, plan, request, began)
        run.may_commit, settling.cut = settling.settle, run.cut
        run.read_and_commit(careful)
        embedded = run.embedded
        left = set[str]()
        if (objects := [item for item in items if object_of(item)]) and not stepping_back():
            fetched = self._fetched(objects, settling, careful, request)
            plan.rows |= fetched.plan.rows
            embedded, left = embedded + fetched.embedded, fetched.left
        for path, row in plan.rows.items():
            if path not in settling.settled:
                persistently(lambda row=row: self._settle_alone(settling, row))  # type: ignore[misc]
        settled = list(settling.settled.values())
        persistently(lambda: self._table.count(self.id, items[0].ingest, len(settled), embedded))
        if left or stepping_back():
            persistently(lambda: self._table.give_back(self.id))
        return Share(
            len(settled),
            sum(row.status == "failed" for row in settled),
            sum(row.chunks for row in settled),
            embedded,
            len(careful.given_back | left),
            time.monotonic() - began,
        )

    def _fetched(
        self, items: Sequence[WorkItem], settling: Settling, careful: Careful, request: IngestRequest
    ) -> ObjectSync:
        """Objects fetched, read and committed; but for those left because their bucket can't be read here now."""
        addresses = {item.path: self._addresses[item.ingest] for item in items}
        fetched = ObjectSync(self._store, self._embedder, self._settings, request)
        fetched.may_commit = settling.settle
        fetched.is_left = lambda source: bool(self._buckets.obstacle(addresses[source], 1.0, readable_s=0))
        found = [(item.path, one) for item in items if (one := object_of(item))]
        fetched.fetch = [(self._buckets.holding(path, addresses[path]), *one) for path, one in found]
        fetched.run(self._store, careful)
        return fetched

    def _settle_alone(self, settling: Settling, row: FileResult) -> None:
        """Settle a file of which nothing was stored."""
        with self._store.write() as transaction:
            settling.settle(transaction, row)

    def _do_rest(self, item: WorkItem) -> Share:
        began = time.monotonic()
        plan, cut = rest_of(item, self._table.outcomes(item.ingest, troubled=True))
        known = set(plan.rows)
        persistently(lambda: note_archives(self._store, plan, cut))
        persistently(lambda: remove_moved(self._store, plan))
        rows = {path: outcome_of(row) for path, row in plan.rows.items() if path not in known}
        outcome = {"rows": rows, "kept": list(plan.missing.gone)}
        persistently(lambda: self._table.end(item, self.id, outcome))
        return Share(seconds=time.monotonic() - began)
