"""The table of work that machines share: each takes what no other has, and holds it as long as it is heard of.

A worker's lease is one row that it renews. What it has taken is free again for others once its lease has run out,
however it ended. It may only settle what is still its own, and does so in the transaction that stores the source:
so a file is read twice at worst, and never stored twice or by who has lost it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Connection

from kb_assistant.messages import from_json, to_json
from kb_assistant.store.database import Database, Row
from kb_assistant.store.postgres_connections import Connections
from kb_assistant.store.postgres_faults import map_postgres_errors
from kb_assistant.store.work import MOST_ATTEMPTS, RunningIngest, WorkItem, WorkOrder

MOST_FILES = 32
MOST_BYTES = 4_000_000
"""Most that a worker takes at once; a larger file comes alone."""

KEPT = 20
"""Finished ingests that are still told of."""

TABLES = """
CREATE TABLE IF NOT EXISTS work_ingests (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, paths text NOT NULL, recipe text NOT NULL,
    asked_by text NOT NULL, asked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'running', embedded bigint NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS workers (
    id text PRIMARY KEY, host text NOT NULL, pid bigint NOT NULL, files bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT clock_timestamp(), seen timestamptz NOT NULL,
    lease_until timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS work (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ingest bigint NOT NULL REFERENCES work_ingests (id) ON DELETE CASCADE,
    kind text NOT NULL DEFAULT 'file', path text NOT NULL,
    path_hash bytea, digest text NOT NULL, size bigint NOT NULL, task text NOT NULL,
    state text NOT NULL DEFAULT 'waiting', attempts bigint NOT NULL DEFAULT 0, worker text,
    outcome text, failed smallint NOT NULL DEFAULT 0, chunks bigint NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX IF NOT EXISTS work_path ON work (path_hash) WHERE state <> 'done';
CREATE INDEX IF NOT EXISTS work_of ON work (ingest, state);
CREATE INDEX IF NOT EXISTS work_open ON work (ingest, size DESC, id) WHERE state IN ('waiting', 'taken');
CREATE INDEX IF NOT EXISTS work_taken ON work (worker) WHERE state = 'taken';
CREATE INDEX IF NOT EXISTS work_again ON work (attempts, id) WHERE state IN ('waiting', 'taken') AND attempts > 0;
"""

LIVE = "SELECT 1 FROM workers k WHERE k.id = work.worker AND k.lease_until > clock_timestamp()"
FREE = f"state IN ('waiting', 'taken') AND (state = 'waiting' OR NOT EXISTS ({LIVE}))"

_COLUMNS = "id, ingest, kind, path, digest, size, attempts, task"


class WorkTable:
    """The shared work of one knowledge base. Threads may share it.

    Every method raises StoreError where the server can't be reached or refuses.
    """

    def __init__(self, connections: Connections, place: str) -> None:
        self._connections, self._place = connections, place

    def exists(self) -> bool:
        """Whether anything was ever ordered here."""
        with self.changing() as db:
            return bool(db.execute("SELECT to_regclass('work') IS NOT NULL").fetchone() == (True,))

    def prepare(self, database: Database) -> None:
        """Create the table, where there is none, in a transaction of the store."""
        if next(database.rows("SELECT to_regclass('work') IS NULL"))[0]:
            for statement in TABLES.strip().split(";\n"):
                database.run(statement)

    def order(self, database: Database, order: WorkOrder) -> tuple[int, dict[str, str]]:
        """Put an ingest on the table, in a transaction of the store. Files that another ingest ordered and that
        aren't read yet pass over to this one; parked ones that haven't changed stay parked.

        Returns:
            The ingest's number, and the parked files with their reasons.
        """
        self.prepare(database)
        [(ingest,)] = database.rows(
            "INSERT INTO work_ingests (paths, recipe, asked_by) VALUES (?, ?, ?) RETURNING id",
            (json.dumps(list(order.paths)), order.recipe, order.asked_by),
        )
        hashes = {_hash(file.path): file for file in order.files}
        known = database.rows_among(
            "SELECT path_hash, digest, outcome FROM work WHERE state = 'parked' AND path_hash {among}", hashes
        )
        parked = {key: _outcome(row)["reason"] for key, digest, row in known if hashes[key].digest == digest}
        new = [(key, file) for key, file in hashes.items() if key not in parked]
        passed_over = "DELETE FROM work WHERE state <> 'done' AND path_hash {among} RETURNING id"
        list(database.rows_among(passed_over, [key for key, _ in new]))
        database.run_many(
            "INSERT INTO work (ingest, path, path_hash, digest, size, task) VALUES (?, ?, ?, ?, ?, ?)",
            [(ingest, one.path, key, one.digest, one.size, _json(one.task)) for key, one in new],
        )
        database.run(
            "INSERT INTO work (ingest, kind, path, digest, size, task) VALUES (?, 'rest', '', '', 0, ?)",
            (ingest, _json(order.rest)),
        )
        database.run(
            "DELETE FROM work_ingests i WHERE state <> 'running' AND id <= ?"
            " AND NOT EXISTS (SELECT 1 FROM work w WHERE w.ingest = i.id AND w.state = 'parked')",
            (ingest - KEPT,),
        )
        return ingest, {hashes[key].path: reason for key, reason in parked.items()}

    def running(self) -> list[RunningIngest]:
        """The unfinished ingests, in their order."""
        with self.changing() as db:
            rows = db.execute("SELECT id, paths, recipe FROM work_ingests WHERE state = 'running' ORDER BY id")
            return [RunningIngest(row[0], tuple(json.loads(row[1])), row[2]) for row in rows]

    def renew(self, worker: str, host: str, pid: int, seconds: float) -> None:
        """Begin or renew a worker's lease."""
        with self.changing() as db:
            db.execute(
                "INSERT INTO workers (id, host, pid, seen, lease_until) VALUES (%s, %s, %s, clock_timestamp(),"
                " clock_timestamp() + make_interval(secs => %s)) ON CONFLICT (id) DO UPDATE"
                " SET seen = excluded.seen, lease_until = excluded.lease_until",
                (worker, host, pid, seconds),
            )

    def leave(self, worker: str, forgive: bool) -> None:
        """End a worker's lease; what it still has is free, and with `forgive` doesn't count as an attempt."""
        with self.changing() as db:
            _release(db, worker, forgive)
            db.execute("DELETE FROM workers WHERE id = %s", (worker,))
            db.execute("DELETE FROM workers WHERE lease_until < clock_timestamp() - interval '1 day'")

    def give_back(self, worker: str) -> None:
        """Free what a worker still has, through no fault of the files: it doesn't count as an attempt."""
        with self.changing() as db:
            _release(db, worker, forgive=True)

    def take(self, worker: str, ingests: Sequence[int], forgive: bool = False) -> list[WorkItem]:
        """Take files of these ingests that nobody has: a share of those left, the largest first. What a worker was
        lost with comes last, and alone, so that it costs no others; then the rest of an ingest whose files are all
        read. Whatever the worker still had is given back first, as in `leave`."""
        chosen = list(ingests)
        with self.changing() as db:
            _release(db, worker, forgive)
            found = self._new_files(db, chosen) or _locked(
                db, "kind = 'file' AND attempts > 0", "attempts, id", chosen, 1
            )
            found = found or _locked(
                db,
                "kind = 'rest' AND NOT EXISTS (SELECT 1 FROM work o WHERE o.ingest = work.ingest"
                " AND o.kind = 'file' AND o.state IN ('waiting', 'taken'))",
                "id", chosen, 1,
            )  # fmt: skip
            taken = db.execute(
                "UPDATE work SET state = 'taken', worker = %s, attempts = attempts + 1 WHERE id = ANY(%s)"
                f" RETURNING {_COLUMNS}",
                (worker, found),
            )
            return [_item(row) for row in taken]

    def _new_files(self, db: Connection[Row], ingests: list[int]) -> list[int]:
        """Lock the next files that nobody has tried: fewer the fewer there are for each worker, so that all end at
        about the same time."""
        counts = db.execute(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM work WHERE ingest = ANY(%s) AND state = 'waiting'"
            " AND attempts = 0 LIMIT 10000) w),"
            " (SELECT count(*) FROM workers WHERE lease_until > clock_timestamp())",
            (ingests,),
        ).fetchone()
        waiting, workers = counts or (0, 0)
        share = min(MOST_FILES, -(-waiting // (2 * max(1, workers))))
        return _locked(db, "kind = 'file' AND attempts = 0", "ingest, size DESC, id", ingests, max(1, share))

    def lost(self, ingests: Sequence[int]) -> list[WorkItem]:
        """Free files that have cost MOST_ATTEMPTS workers; see `settle` for parking them."""
        with self.changing() as db:
            rows = db.execute(
                f"SELECT {_COLUMNS} FROM work WHERE ingest = ANY(%s) AND kind = 'file'"
                f" AND attempts >= {MOST_ATTEMPTS} AND {FREE}",
                (list(ingests),),
            )
            return [_item(row) for row in rows]

    def is_empty(self, ingests: Sequence[int]) -> bool:
        """Whether nothing of these ingests is left, also not in other workers' hands."""
        with self.changing() as db:
            query = "SELECT 1 FROM work WHERE ingest = ANY(%s) AND state IN ('waiting', 'taken') LIMIT 1"
            return db.execute(query, (list(ingests),)).fetchone() is None

    def outcomes(self, ingest: int, troubled: bool = False) -> list[tuple[str, dict[str, Any]]]:
        """What became of an ingest's files, by path, and as the last what its rest gave; with `troubled` only what
        failed or is to be read again."""
        chosen = "AND (failed = 1 OR outcome LIKE '%%\"cut\": true%%')" if troubled else ""
        with self.changing() as db:
            query = f"SELECT path, outcome FROM work WHERE ingest = %s AND outcome IS NOT NULL {chosen}"
            return [(path, _outcome(row)) for path, row in db.execute(f"{query} ORDER BY kind, id", (ingest,))]

    def count(self, worker: str, ingest: int, files: int, embedded: int) -> None:
        """Count what a worker has done."""
        with self.changing() as db:
            db.execute("UPDATE workers SET files = files + %s WHERE id = %s", (files, worker))
            db.execute("UPDATE work_ingests SET embedded = embedded + %s WHERE id = %s", (embedded, ingest))

    def end(self, item: WorkItem, worker: str, outcome: Mapping[str, Any]) -> bool:
        """Settle the rest of an ingest, which is finished then. Returns whether it was still the worker's."""
        with self.changing() as db:
            mine = db.execute(
                "UPDATE work SET state = 'done', outcome = %s WHERE id = %s AND state = 'taken' AND worker = %s",
                (_json(outcome), item.id, worker),
            ).rowcount
            if mine:
                db.execute("UPDATE work_ingests SET state = 'done' WHERE id = %s", (item.ingest,))
            return bool(mine)

    def cancel(self) -> int:
        """Take off what no worker has yet. Returns the number of files."""
        with self.changing() as db:
            gone = db.execute("DELETE FROM work WHERE state = 'waiting' AND kind = 'file'").rowcount
            db.execute("DELETE FROM work WHERE state = 'waiting'")
            db.execute("UPDATE work_ingests SET state = 'cancelled' WHERE state = 'running'")
            return gone

    @contextmanager
    def changing(self) -> Iterator[Connection[Row]]:
        """A transaction of its own, beside those of the store."""
        with map_postgres_errors(self._place), self._connections.begun("BEGIN") as connection:
            yield connection
            connection.execute("COMMIT")


def settle(database: Database, item: WorkItem, worker: str, state: str, outcome: Mapping[str, Any]) -> bool:
    """Record what became of a file, in the transaction that stores it. Returns whether it was still the worker's:
    if not, nothing may be stored. `state` is "done" or "parked"."""
    changed = database.run(
        "UPDATE work SET state = ?, outcome = ?, failed = ?, chunks = ? WHERE id = ? AND state = 'taken'"
        " AND worker = ?",
        (state, _json(outcome), int(outcome["status"] == "failed"), outcome["chunks"], item.id, worker),
    )
    return changed == 1


def park(database: Database, item: WorkItem, outcome: Mapping[str, Any]) -> bool:
    """Park a file that `lost` told of, unless another took it meanwhile."""
    changed = database.run(
        f"UPDATE work SET state = 'parked', outcome = ?, failed = 1 WHERE id = ? AND attempts >= ? AND {FREE}",
        (_json(outcome), item.id, MOST_ATTEMPTS),
    )
    return changed == 1


def _locked(db: Connection[Row], which: str, order: str, ingests: list[int], most: int) -> list[int]:
    """Lock free rows that nobody else is taking. Returns the ids of as many as fit into MOST_BYTES."""
    rows = db.execute(
        f"SELECT id, size FROM work WHERE ingest = ANY(%s) AND {which} AND {FREE}"
        f" AND (attempts < {MOST_ATTEMPTS} OR kind = 'rest')"
        f" ORDER BY {order} LIMIT %s FOR UPDATE OF work SKIP LOCKED".encode(),
        (ingests, most),
    ).fetchall()
    found, size = list[int](), 0
    for id_, bytes_ in rows:
        size += bytes_
        if found and size > MOST_BYTES:
            break
        found.append(id_)
    return found


def _release(db: Connection[Row], worker: str, forgive: bool) -> None:
    db.execute(
        "UPDATE work SET state = 'waiting', worker = NULL, attempts = attempts - %s"
        " WHERE worker = %s AND state = 'taken'",
        (int(forgive), worker),
    )


def _item(row: Row) -> WorkItem:
    id_, ingest, kind, path, digest, size, attempts, task = row
    return WorkItem(id_, ingest, kind, path, digest, size, attempts, json.loads(task, object_hook=from_json))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(to_json(value))


def _outcome(written: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written, object_hook=from_json)
    return found


def _hash(path: str) -> bytes:
    return hashlib.sha256(path.encode()).digest()
