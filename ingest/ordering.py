"""Orders an ingest from workers, and follows it to its end.

The plan is made once, here. What is gone is removed at once; what is to be read goes onto the table of work, with
what is left to do afterwards, so that workers finish it also where nobody follows it any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ingest.discover import Choice
from ingest.finish import note_archives, purge_if_alone, remove_moved, remove_vanished
from ingest.object_store import Bucket
from ingest.objects import ObjectSync
from ingest.orders import order_of, row_of
from ingest.plan import Plan, make_plan
from ingest.run import PassageEmbedder, report_of
from ingest.sandbox.pool import ReaderPool
from ingest.sync import keep_readers, note_mounts, recipe_of
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store import persistently
from kb_assistant.store.work import IngestState
from kb_assistant.types import FileResult, IngestRequest, Progress, Report

if TYPE_CHECKING:
    from kb_assistant.store.postgres_store import PostgresStore

_LOOK_S = 0.3
_ALONE_S = 3.0
"""After so long without a worker it is said that there is none."""


@dataclass(slots=True)
class Ordered:
    """An ingest that was ordered. `number` is None if nothing is left to do."""

    plan: Plan
    number: int | None = None
    started: float = field(default_factory=time.monotonic)


def order(
    store: PostgresStore,
    embedder: PassageEmbedder,
    settings: Settings,
    request: IngestRequest,
    addresses: list[str],
    pool: ReaderPool,
) -> Ordered:
    """Plan an ingest and put it onto the table of work.

    Args:
        addresses: Those of objects, in place of the request's paths.

    Raises:
        KBError: as for `sync` and `sync_objects`.
    """
    started = time.monotonic()
    _splitter, recipe = recipe_of(embedder, settings)
    objects = ObjectSync(store, embedder, settings, request) if addresses else None
    with store.read() as snapshot:
        if objects:
            for address in addresses:
                objects.look_at(snapshot, Bucket(address))
            plan = objects.plan
        else:
            choice = Choice(tuple(request.include), tuple(request.exclude), request.prune, settings.home)
            plan = make_plan(snapshot, request.paths, choice, recipe, settings, pool)
    if not objects:
        note_mounts(store, plan)
        keep_readers(store, settings.kb_dir, plan)
    persistently(lambda: remove_vanished(store, plan))
    ordered = Ordered(plan, None, started)
    found = [(one, status) for _bucket, one, status in objects.fetch] if objects else []
    if plan.tasks or found:
        paths = addresses or [str(path.absolute()) for path in request.paths]
        wanted = order_of(paths, recipe, plan, found)
        with store.write() as transaction:
            ordered.number, parked = store.work.order(transaction.database, wanted)
        for path, reason in parked.items():
            plan.rows[path] = FileResult(path, "failed", 0, reason)
    else:
        persistently(lambda: note_archives(store, plan, ()))
        persistently(lambda: remove_moved(store, plan))
    return ordered


def follow(store: PostgresStore, ordered: Ordered, request: IngestRequest, say: Callable[[str], None]) -> Report:
    """Wait until the workers are done. A stop ends the waiting, not the work.

    Args:
        say: Called with what the user should know.
    """
    if ordered.number is None:  # not before: who orders is writing, too
        purge_if_alone(store)
    alone, told = time.monotonic(), False
    while ordered.number is not None:
        began = time.monotonic()
        state, workers = persistently(lambda: _state(store, ordered))
        if state is None or state.state != "running":
            break
        request.on_progress(_progress(state, began - ordered.started))
        alone = began if workers else alone
        if began - alone > _ALONE_S and not told:
            told = True
            say(_("No worker is at work: run `kb worker` here or on any machine that sees these files."))
        if request.stop():
            return _report(store, ordered, stopped=True)
        time.sleep(max(_LOOK_S, 10 * (time.monotonic() - began)))
    return _report(store, ordered, stopped=False)


def _state(store: PostgresStore, ordered: Ordered) -> tuple[IngestState | None, int]:
    from kb_assistant.store.postgres_work_state import ingest_state

    return ingest_state(store.work, ordered.number or 0)


def _progress(state: IngestState, seconds: float) -> Progress:
    return Progress(
        files=state.done + state.parked,
        all_files=state.files,
        bytes=state.bytes,
        all_bytes=state.all_bytes,
        chunks=state.chunks,
        embedded=state.embedded,
        seconds=seconds,
    )


def _report(store: PostgresStore, ordered: Ordered, stopped: bool) -> Report:
    """The plan's rows, and what the workers did."""
    plan, embedded = ordered.plan, 0
    rows = dict(plan.rows)
    if ordered.number is not None:
        state, _workers = persistently(lambda: _state(store, ordered))
        embedded = state.embedded if state else 0
        stopped = stopped or state is None or state.state != "done"
        number = ordered.number
        for path, outcome in persistently(lambda: store.work.outcomes(number)):
            if "rows" not in outcome:
                rows[path] = row_of(path, outcome)
                continue
            rows |= {name: row_of(name, one) for name, one in outcome["rows"].items()}
            gone = {*plan.missing.gone, *outcome["kept"]}
            plan.missing = replace(plan.missing, gone=tuple(sorted(gone)))
    return report_of(rows, plan, embedded, ordered.started, stopped, dry_run=False)
