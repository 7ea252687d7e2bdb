"""A knowledge base in one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from kb_assistant.errors import CorruptStore, StoreError, hint_for, how_to_make
from kb_assistant.lock import no_fork, survive_forks, writing
from kb_assistant.messages import _
from kb_assistant.store.faults import map_sqlite_errors
from kb_assistant.store.snapshot import Snapshot
from kb_assistant.store.source_query import folder_of, kind_of, name_of
from kb_assistant.store.sqlite_database import TOKENIZER, SQLiteDatabase
from kb_assistant.store.transaction import Transaction

SCHEMA_VERSION = 2

BUSY_SECONDS = 30.0
"""How long a connection waits for the transaction of another."""

FORK_SECONDS = 5.0
"""How long a fork waits for a connection in use."""

_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE sources (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, recipe TEXT NOT NULL,
    title TEXT NOT NULL, reason TEXT NOT NULL, failed INTEGER NOT NULL, ingested_at TEXT NOT NULL,
    metadata TEXT NOT NULL, chunks INTEGER NOT NULL, seal INTEGER NOT NULL DEFAULT 0);
CREATE INDEX sources_digest ON sources (digest);
CREATE TABLE texts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE,
    heading TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE vectors (text_id INTEGER PRIMARY KEY, vector BLOB NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE chunks (
    id TEXT PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL, text_id INTEGER NOT NULL REFERENCES texts (id),
    page INTEGER, first_line INTEGER, last_line INTEGER, part TEXT);
CREATE INDEX chunks_source ON chunks (source_id, seq);
CREATE INDEX chunks_text ON chunks (text_id);
CREATE VIRTUAL TABLE keywords USING fts5 (
    tokens, tokenize = "{TOKENIZER}");
"""


class _Held:
    """A thread's connection to the file with this inode. It closes when the thread ends.

    Attributes:
        using: Held while the connection is used: closing it meanwhile would crash the process.
        in_use: How many times the holding thread uses it.
    """

    def __init__(self, path: Path) -> None:
        self.using, self.in_use, self.closed = threading.RLock(), 0, False
        self.connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS
        )
        _use_wal(self.connection)
        # NORMAL loses nothing to kill -9; a power cut may undo the last files, which the next ingest redoes.
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.execute("PRAGMA cell_size_check = ON")
        # SQLite's own lower() handles ASCII only.
        for name, function in (("casefold", str.casefold), ("name_of", name_of), ("kind_of", kind_of),
                               ("folder_of", folder_of)):  # fmt: skip
            self.connection.create_function(name, 1, function, deterministic=True)
        self.inode = _inode(path)

    def close(self) -> None:
        """Close it as soon as it isn't in use."""
        with self.using:
            self.closed = True
            self.connection.close()

    def close_for_fork(self, seconds: float) -> None:
        """Close it, unless it is in use and stays so."""
        if self.using.acquire(timeout=seconds):
            try:
                if not self.in_use:
                    self.closed = True
                    self.connection.close()
            finally:
                self.using.release()

    def __del__(self) -> None:
        if connection := getattr(self, "connection", None):
            connection.close()


_left_open: dict[int, _Held] = {}
"""Connections to files, by inode, that a forked child inherited from its parent."""


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode. SQLite's timeout doesn't cover this; two processes may do it at once on a new file."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _add_parts(connection: sqlite3.Connection) -> None:
    """Stores of version 1 had no slides, sheets and attachments. Adding the column changes no row."""
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
        connection.execute("ALTER TABLE chunks ADD COLUMN part TEXT")
        connection.execute("PRAGMA user_version = 2")
    connection.execute("COMMIT")


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return -1


class SQLiteStore:
    """One knowledge base's SQLite file. Threads may share it: each gets its own connection.

    Args:
        path: The file; created with its schema if `create` is true and it doesn't exist.

    Raises:
        StoreError: the file is missing, damaged or of a newer version, or permission is missing.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        self.path = path
        self.place: Path | str = path
        self._local = threading.local()
        self._all: weakref.WeakSet[_Held] = weakref.WeakSet()
        self._lock = threading.Lock()
        survive_forks(self)
        if not create:
            self.require()
        else:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    _("{path} can't be made: {reason}.", path=path.parent, reason=error),
                    hint_for(error, _("Check the folder's permissions, or choose another --home.")),
                ) from error
        with map_sqlite_errors(path):
            self._prepare(self._held(create).connection, create)

    def require(self) -> None:
        """Check that it wasn't deleted.

        Raises:
            StoreError: it was deleted, or never existed.
        """
        if not self.path.exists():
            raise StoreError(
                _("There is no knowledge base at {path}.", path=self.path.parent),
                how_to_make(self.path.parent.name),
            )

    def _held(self, create: bool = False) -> _Held:
        """This thread's connection; a new one if a repair replaced the file."""
        held: _Held | None = getattr(self._local, "held", None)
        if held is not None and not held.closed and held.inode == _inode(self.path):
            return held
        with no_fork:
            if not create:  # SQLite would create an empty file
                self.require()
            if _inode(self.path) in _left_open:
                raise StoreError(
                    _("This process was forked while {path} was being read or written.", path=self.path),
                    _("Fork before the first search or between two, or start a new process."),
                )
            self._local.held = held = _Held(self.path)
            with self._lock:
                self._all.add(held)
        return held

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, protected from being closed meanwhile."""
        held = self._held()
        held.using.acquire()
        while held.closed:  # closed between the two lines above
            held.using.release()
            held = self._held()
            held.using.acquire()
        held.in_use += 1
        try:
            yield held.connection
        finally:
            held.in_use -= 1
            held.using.release()

    def _prepare(self, connection: sqlite3.Connection, create: bool) -> None:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise StoreError(_("{path} was made by a newer version.", path=self.path), _("Upgrade kb-assistant."))
        if found == 1:
            _add_parts(connection)
        if found:
            return
        if not create:
            raise CorruptStore(
                _("{path} holds no knowledge base.", path=self.path), _("Fill it with `kb ingest FOLDER`.")
            )
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            first = Transaction(SQLiteDatabase(self.path, connection))
            first.begin_vector_epoch()
            first.renew_keywords()
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """A consistent view: later commits appear in the next one."""
        with map_sqlite_errors(self.path), self._connection() as connection:
            if connection.in_transaction:
                yield Snapshot(SQLiteDatabase(self.path, connection))
                return
            connection.execute("BEGIN")
            try:
                yield Snapshot(SQLiteDatabase(self.path, connection))
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self, embedder: Mapping[str, str | int] | None = None) -> Iterator[Transaction]:
        """One transaction: committed as a whole, or, after an error or a kill, not at all.

        Args:
            embedder: Fingerprint of the model whose vectors are written; without it no vectors are accepted.
        """
        with map_sqlite_errors(self.path), self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(SQLiteDatabase(self.path, connection), embedder)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def writing(self, patience: float) -> AbstractContextManager[None]:
        """Hold the lock of the file's folder over several transactions; see KnowledgeStore."""
        return writing(self.path.parent, patience)

    def before_fork(self) -> None:
        """Close all connections: a SQLite connection must not be carried into a child, which lacks its locks. One
        in use for longer than FORK_SECONDS, or by the forking thread, stays open; the child refuses its file."""
        with self._lock:
            known = list(self._all)
        deadline = time.monotonic() + FORK_SECONDS
        for held in known:
            held.close_for_fork(max(0.0, deadline - time.monotonic()))

    def after_fork(self) -> None:
        """Start anew in a forked child."""
        for held in list(self._all):
            if not held.closed:
                _left_open[held.inode] = held  # never close it here: that would release the parent's locks
        self._local, self._all, self._lock = threading.local(), weakref.WeakSet(), threading.Lock()

    def close(self) -> None:
        """Close all connections, those in use as soon as they no longer are. A later read opens a new one."""
        with self._lock:
            known = list(self._all)
            self._all.clear()
            self._local = threading.local()
        for held in known:
            held.close()
