"""A knowledge base on a PostgreSQL server: a schema of its own, which several machines may read and fill."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, errors, sql

from kb_assistant.errors import BusyError, StoreError, hint_for, how_to_make
from kb_assistant.lock import survive_forks, writing
from kb_assistant.messages import _
from kb_assistant.store.database import Row
from kb_assistant.store.postgres_changes import CHANNEL
from kb_assistant.store.postgres_connections import Connections
from kb_assistant.store.postgres_database import PostgresDatabase
from kb_assistant.store.postgres_faults import map_postgres_errors
from kb_assistant.store.postgres_schema import TABLES, VERSION, described, lock_of, schema_of
from kb_assistant.store.postgres_work import WorkTable
from kb_assistant.store.snapshot import Snapshot
from kb_assistant.store.transaction import Transaction

BUSY_SECONDS = 30
"""How long a transaction waits for that of another writer."""

IDLE_SECONDS = 300
"""How long a writer's transaction may stand still, as in a stopped process, before the server ends it."""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_FOUND = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s"
_OF_LOCK: LiteralString = (
    "l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND l.classid::bigint = %s AND l.objid::bigint = %s"
)
_WAITING: LiteralString = (
    f"SELECT 1 FROM pg_locks l WHERE NOT l.granted AND l.mode = 'ExclusiveLock' AND {_OF_LOCK}"
)


class PostgresStore:
    """One knowledge base's schema; see KnowledgeStore.

    Args:
        address: Of the database, as libpq takes it, without a password.
        name: The knowledge base's.
        folder: A folder of this machine for the writer's lock and what is derived; it is created.
        create: Whether the schema is created if it doesn't exist.

    Raises:
        StoreError: the server can't be reached, the schema is missing or of a newer version.
    """

    def __init__(self, address: str, name: str, folder: Path, create: bool = False) -> None:
        self.name, self.schema, self._folder = name, schema_of(name), folder
        self.place: Path | str = f"{address.partition('?')[0]}#{name}"
        self._connections = Connections(address, self.schema)
        told = sql.SQL("SELECT pg_notify({}, {}); COMMIT")
        self._commit = told.format(sql.Literal(CHANNEL), sql.Literal(name))  # together: one journey
        self._local = threading.local()
        self._held: Connection[Row] | None = None
        survive_forks(self)
        with self._errors():
            self._prepare(create)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                _("{path} can't be made: {reason}.", path=folder, reason=error),
                hint_for(error, _("Check the folder's permissions, or choose another --home.")),
            ) from error

    def require(self) -> None:
        with self._errors(), self._connections.begun(_READ) as connection:
            if not self._description(connection):
                raise self._missing()

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        current: Snapshot | None = getattr(self._local, "current", None)
        if current is not None:
            yield current
            return
        with self._errors(), self._connections.begun(_READ) as connection:
            snapshot = Snapshot(PostgresDatabase(str(self.place), connection))
            with self._being_current(snapshot):
                yield snapshot

    @contextmanager
    def write(self, embedder: Mapping[str, str | int] | None = None) -> Iterator[Transaction]:
        """See KnowledgeStore. Writers of all machines wait for one another."""
        begin = (
            f"BEGIN; SET LOCAL lock_timeout = '{BUSY_SECONDS}s';"
            f" SET LOCAL idle_in_transaction_session_timeout = '{IDLE_SECONDS}s';"
            f" SELECT pg_advisory_xact_lock({lock_of(self.schema, 'transaction')})"
        )
        with self._errors(), self._connections.begun(begin) as connection:
            transaction = Transaction(PostgresDatabase(str(self.place), connection), embedder)
            with self._being_current(transaction):
                yield transaction
            connection.execute(self._commit)

    @property
    def work(self) -> WorkTable:
        """The work that machines share."""
        return WorkTable(self._connections, str(self.place))

    @contextmanager
    def writing_beside_others(self, patience: float) -> Iterator[None]:
        """Hold the writer's lock as one of several that each store sources of their own; whoever holds it alone
        waits for all of them, and they for it: the server gives it in the order of the requests.

        Raises:
            BusyError: somebody still holds it alone after that time.
        """
        with self._errors(), closing(self._connections.open()) as connection:
            self._take_lock(connection, patience, "pg_advisory_lock_shared")
            try:
                yield
            finally:
                _end_writing(connection)

    @contextmanager
    def writing(self, patience: float) -> Iterator[None]:
        """See KnowledgeStore. The lock of the folder keeps this machine's threads and processes in order, the
        server's the machines."""
        with writing(self._folder, patience):
            if self._held is not None:  # by this thread
                yield
                return
            with self._errors(), closing(self._connections.open()) as connection:
                self._take_lock(connection, patience)
                self._held, process = connection, os.getpid()
                try:
                    yield
                finally:
                    if os.getpid() == process:
                        self._held = None
                        _end_writing(connection)

    def is_awaited(self) -> bool:
        """Whether somebody waits to write alone: then those who write beside others let it."""
        with self._errors(), self._connections.begun(_READ) as connection:
            waiting = connection.execute(_WAITING, _halves(lock_of(self.schema, "writer"))).fetchone()
            return waiting is not None

    def close(self) -> None:
        self._connections.close()

    def before_fork(self) -> None:
        """Do nothing: the parent goes on."""

    def after_fork(self) -> None:
        """Begin anew in a forked child: it reads and holds nothing."""
        self._local, self._held = threading.local(), None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with map_postgres_errors(str(self.place)):
            yield

    @contextmanager
    def _being_current(self, snapshot: Snapshot) -> Iterator[None]:
        """What this thread reads until the end, also where it asks again."""
        before = getattr(self._local, "current", None)
        self._local.current = snapshot
        try:
            yield
        finally:
            self._local.current = before

    def _take_lock(
        self, connection: Connection[Row], patience: float, take: LiteralString = "pg_advisory_lock"
    ) -> None:
        number = lock_of(self.schema, "writer")
        try:
            connection.execute(f"SET lock_timeout = {max(1, round(1000 * patience))}".encode())
            connection.execute(f"SELECT {take}(%s)", (number,))
        except errors.LockNotAvailable as error:
            raise BusyError(
                _("Another machine is writing to this knowledge base: {who}.", who=_holder(connection, number)),
                _("Wait until it is done, or stop it; searching works meanwhile."),
            ) from error

    def _prepare(self, create: bool) -> None:
        with self._connections.begun(_READ) as connection:
            found = self._description(connection)
            encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                _("{path} keeps texts as {encoding}.", path=self.place, encoding=str(encoding)),
                _("Make a database with the encoding UTF8."),
            )
        if found and found["version"] > VERSION:
            raise StoreError(_("{path} was made by a newer version.", path=self.place), _("Upgrade kb-assistant."))
        if found:
            return
        if not create:
            raise self._missing()
        self._create()

    def _create(self) -> None:
        number = lock_of(self.schema, "transaction")
        with self._connections.begun(f"BEGIN; SELECT pg_advisory_xact_lock({number})") as connection:
            if self._description(connection) is None:
                schema = sql.Identifier(self.schema)
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
                connection.execute(TABLES.encode())
                described = json.dumps({"kb": self.name, "version": VERSION}, ensure_ascii=False)
                connection.execute(sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, described))
                first = Transaction(PostgresDatabase(str(self.place), connection))
                first.begin_vector_epoch()
                first.renew_keywords()
            connection.execute("COMMIT")

    def _description(self, connection: Connection[Row]) -> dict[str, Any] | None:
        """What the schema says of itself; None if there is none, or it isn't a knowledge base."""
        row = connection.execute(_FOUND, (self.schema,)).fetchone()
        return described(row[0]) if row else None

    def _missing(self) -> StoreError:
        return StoreError(_("There is no knowledge base at {path}.", path=self.place), how_to_make(self.name))


def _end_writing(connection: Connection[Row]) -> None:
    """Sort the last tokens into their index, so that searches needn't read them one by one, and free the locks at
    once: the server sees that a connection was closed a little later."""
    for statement in ("SELECT gin_clean_pending_list('keywords_tokens')", "SELECT pg_advisory_unlock_all()"):
        with suppress(psycopg.Error):
            connection.execute(statement)


def _holder(connection: Connection[Row], number: int) -> str:
    """The address of the client that holds an advisory lock, and since when it is connected."""
    query = (
        "SELECT coalesce(host(a.client_addr), 'localhost'), a.backend_start::time(0)::text FROM pg_locks l"
        f" JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND {_OF_LOCK}"
    )
    with suppress(psycopg.Error):
        if row := connection.execute(query, _halves(number)).fetchone():
            return f"{row[0]}, {row[1]}"
    return "?"


def _halves(number: int) -> tuple[int, int]:
    """The number of an advisory lock as pg_locks shows it."""
    return divmod(number % 2**64, 2**32)
