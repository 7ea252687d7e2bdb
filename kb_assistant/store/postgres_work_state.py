"""What the table of work tells: how far each ingest is, which workers there are, and what is parked."""

from __future__ import annotations

import json
from typing import Any

from psycopg import Connection

from kb_assistant.messages import from_json
from kb_assistant.store.database import Row
from kb_assistant.store.postgres_work import LIVE, WorkTable
from kb_assistant.store.work import IngestState, ParkedFile, SharedWorkState, WorkerState

_MOST = 100
"""Parked files and workers that are told of at once."""

_UTC = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')"""

_INGESTS = f"""
SELECT i.id, i.state, i.paths, {_UTC.format("i.asked_at")}, i.asked_by, i.embedded,
    count(work.id), count(work.id) FILTER (WHERE work.state = 'done'),
    count(work.id) FILTER (WHERE work.failed = 1),
    count(work.id) FILTER (WHERE work.state = 'taken' AND EXISTS ({LIVE})),
    count(work.id) FILTER (WHERE work.state = 'waiting' OR work.state = 'taken' AND NOT EXISTS ({LIVE})),
    count(work.id) FILTER (WHERE work.attempts > 0
        AND (work.state = 'waiting' OR work.state = 'taken' AND NOT EXISTS ({LIVE}))),
    count(work.id) FILTER (WHERE work.state = 'parked'),
    coalesce(sum(work.size) FILTER (WHERE work.state IN ('done', 'parked')), 0)::bigint,
    coalesce(sum(work.size), 0)::bigint, coalesce(sum(work.chunks), 0)::bigint
FROM work_ingests i LEFT JOIN work ON work.ingest = i.id AND work.kind = 'file'
WHERE i.id = %(one)s OR %(one)s = 0 GROUP BY i.id ORDER BY i.id DESC
"""

_WORKERS = f"""
SELECT id, host, pid, {_UTC.format("since")}, files, extract(epoch FROM clock_timestamp() - seen)::float8,
    lease_until < clock_timestamp()
FROM workers ORDER BY since DESC LIMIT {_MOST}
"""


def shared_state(table: WorkTable) -> SharedWorkState:
    """All that the table tells; nothing where nothing was ever ordered."""
    if not table.exists():
        return SharedWorkState()
    with table.changing() as db:
        workers = [WorkerState(*row) for row in db.execute(_WORKERS)]
        query = f"SELECT path, attempts, outcome FROM work WHERE state = 'parked' ORDER BY path LIMIT {_MOST}"
        parked = [ParkedFile(path, attempts, _reason(row)) for path, attempts, row in db.execute(query)]
        return SharedWorkState(tuple(_ingests(db, 0)), tuple(workers), tuple(parked))


def ingest_state(table: WorkTable, ingest: int) -> tuple[IngestState | None, int]:
    """How far an ingest is, None if it isn't known any more; and how many workers are at work."""
    with table.changing() as db:
        found = _ingests(db, ingest)
        [(workers,)] = db.execute("SELECT count(*) FROM workers WHERE lease_until > clock_timestamp()").fetchall()
        return (found[0] if found else None), workers


def retry(table: WorkTable) -> int:
    """Put what is parked on the table again. Returns the number of files."""
    with table.changing() as db:
        again = db.execute(
            "UPDATE work SET state = 'waiting', attempts = 0, outcome = NULL, failed = 0 WHERE state = 'parked'"
            " RETURNING ingest"
        ).fetchall()
        ingests = sorted({row[0] for row in again})
        db.execute(
            "UPDATE work SET state = 'waiting', attempts = 0 WHERE kind = 'rest' AND ingest = ANY(%s)", (ingests,)
        )
        db.execute("UPDATE work_ingests SET state = 'running' WHERE id = ANY(%s)", (ingests,))
        return len(again)


def _ingests(db: Connection[Row], one: int) -> list[IngestState]:
    found = list[IngestState]()
    for row in db.execute(_INGESTS.encode(), {"one": one}):
        id_, state, paths, at, by, embedded, *counts = row
        names = "files", "done", "failed", "reading", "waiting", "lost", "parked", "bytes", "all_bytes", "chunks"
        numbers: dict[str, Any] = dict(zip(names, counts, strict=True))
        found.append(IngestState(id_, state, tuple(json.loads(paths)), at, by, embedded=embedded, **numbers))
    return found


def _reason(outcome: str | None) -> str:
    reason: str = json.loads(outcome or "{}", object_hook=from_json).get("reason", "")
    return reason
