"""What an ingest does beside reading: it removes what is gone, records archives, and forgets unused texts.

Each source is removed or recorded in a transaction of its own; all of it may be done twice.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from ingest.plan import Plan, seal
from kb_assistant.errors import BusyError
from kb_assistant.store import KnowledgeStore, persistently
from kb_assistant.types import FileResult


def finish(store: KnowledgeStore, plan: Plan, cut: Collection[str]) -> None:
    """All of it, once every file is read.

    Args:
        cut: Sources of which OCR left pages.
    """
    for step in (
        lambda: remove_vanished(store, plan),
        lambda: note_archives(store, plan, cut),
        lambda: remove_moved(store, plan),
        lambda: purge(store),
    ):
        persistently(step)


def remove_vanished(store: KnowledgeStore, plan: Plan) -> None:
    """Remove what is no longer there or left out, but for what moved."""
    for path, reason in plan.remove.items():
        if path not in plan.moved:
            with store.write() as transaction:
                transaction.remove_source(path)
            plan.rows[path] = FileResult(path, "removed", 0, reason)
    for path in plan.forget:
        with store.write() as transaction:
            transaction.remove_source(path)


def note_archives(store: KnowledgeStore, plan: Plan, cut: Collection[str]) -> None:
    """Record archives, now that all their members are committed: after an earlier stop they are listed again."""
    failed = [row.path for row in plan.rows.values() if row.status == "failed"] + list(cut)
    for path, archive in plan.archives.items():
        with store.write() as transaction:
            facts = {
                "again": any(name.startswith(f"{path}{os.sep}") for name in failed),
                "seal": seal(source for source in transaction.sources_under(path) if source.path != path),
            }
            source = replace(archive.source, metadata=facts | dict(archive.source.metadata), ingested_at=now())
            known = transaction.source(path)
            if known is None or replace(known, ingested_at=source.ingested_at) != source:
                transaction.put_source(source, [], {})
        plan.rows[path] = FileResult(path, archive.status, 0, archive.reason)


def remove_moved(store: KnowledgeStore, plan: Plan) -> None:
    """Remove sources that are elsewhere now, once they are committed there. One that couldn't be read there stays:
    nothing else holds its text."""
    kept = list[str]()
    for path, move in plan.moved.items():
        row = plan.rows.get(move.to)
        with store.write() as transaction:
            old, there = transaction.source(path), transaction.source(move.to)
            lost = there is None or there.failed or (row is not None and row.status == "failed")
            if lost or (move.same and old and there and old.digest != there.digest):
                kept.append(path)
                continue
            transaction.remove_source(path)
        plan.rows[path] = FileResult(path, "removed", 0, plan.remove[path])
    missing = plan.missing
    plan.missing = replace(missing, gone=tuple(sorted({*missing.gone, *kept})))


def purge(store: KnowledgeStore) -> None:
    """Forget texts that no source uses."""
    with store.write() as transaction:
        transaction.purge_orphaned()


def purge_if_alone(store: KnowledgeStore) -> None:
    """Forget texts that no source uses, unless others are writing: they may be about to use them."""
    with suppress(BusyError), store.writing(0):
        persistently(lambda: purge(store))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
