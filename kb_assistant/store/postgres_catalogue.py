"""The knowledge bases of a PostgreSQL database: which there are, and their new names and ends."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from psycopg import Connection, sql

from kb_assistant.store.database import Row
from kb_assistant.store.postgres_connections import Connections
from kb_assistant.store.postgres_faults import map_postgres_errors
from kb_assistant.store.postgres_schema import HOME, PREFIX, described, lock_of, schema_of

_LEFT = "deleted/"

_WAIT = "SET LOCAL lock_timeout = '30s'"
"""How long a change waits for readers of the knowledge base."""


def names_in(address: str) -> list[str]:
    """The names of the knowledge bases, in the order of their bytes.

    Raises:
        StoreError: the server can't be reached.
    """
    query = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE starts_with(nspname, %s)"
    with _begun(address, "BEGIN READ ONLY") as connection:
        found = [described(row[0]) for row in connection.execute(query, (PREFIX,))]
    return sorted(str(one["kb"]) for one in found if one and not one.get("unfinished"))


def rename_in(address: str, name: str, new: str) -> None:
    """Give a knowledge base a name that no other has."""
    before, after = sql.Identifier(schema_of(name)), sql.Identifier(schema_of(new))
    with _changing(address, name) as connection:
        [(comment,)] = connection.execute(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", (schema_of(name),)
        )
        renamed = json.dumps((described(comment) or {}) | {"kb": new}, ensure_ascii=False)
        connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(before, after))
        connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(after, renamed))
        _move_files(connection, _folder(new), f"{_LEFT}{uuid.uuid4().hex}")
        _move_files(connection, _folder(name), _folder(new))


def drop_in(address: str, name: str) -> None:
    """Delete a knowledge base. Its small files are left, see `left_in`."""
    with _changing(address, name) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema_of(name))))
        _move_files(connection, _folder(name), f"{_LEFT}{uuid.uuid4().hex}")


def left_in(address: str) -> list[str]:
    """The folders of the small files that deleted knowledge bases left: they name what else is to be deleted."""
    with _begun(address, "BEGIN READ ONLY") as connection:
        if not _has_files(connection):
            return []
        rows = connection.execute(
            f"SELECT name FROM {HOME}.files WHERE starts_with(name, %s)", (_LEFT,)
        ).fetchall()
    return sorted({name.rpartition("/")[0] for (name,) in rows})


def forget_in(address: str, left: str) -> None:
    """Delete such a folder."""
    with _begun(address, "BEGIN") as connection:
        connection.execute(f"DELETE FROM {HOME}.files WHERE starts_with(name, %s)", (f"{left}/",))
        connection.execute("COMMIT")


def _folder(name: str) -> str:
    return f"kbs/{name}"


def _move_files(connection: Connection[Row], old: str, new: str) -> None:
    """Give the small files of a folder the names of another."""
    if _has_files(connection):
        moved = f"UPDATE {HOME}.files SET name = %s || substr(name, %s) WHERE starts_with(name, %s)"
        connection.execute(moved, (new, len(old) + 1, f"{old}/"))


def _has_files(connection: Connection[Row]) -> bool:
    return connection.execute("SELECT to_regclass(%s)", (f"{HOME}.files",)).fetchone() != (None,)


@contextmanager
def _changing(address: str, name: str) -> Iterator[Connection[Row]]:
    """A transaction beside no other writer of the knowledge base."""
    begin = f"BEGIN; {_WAIT}; SELECT pg_advisory_xact_lock({lock_of(schema_of(name), 'transaction')})"
    with _begun(address, begin) as connection:
        yield connection
        connection.execute("COMMIT")


@contextmanager
def _begun(address: str, begin: str) -> Iterator[Connection[Row]]:
    with map_postgres_errors(address.partition("?")[0]), _connections(address).begun(begin) as connection:
        yield connection


@cache
def _connections(address: str) -> Connections:
    return Connections(address, "pg_catalog")
