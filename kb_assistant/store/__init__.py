"""The store: sources, chunks, texts, vectors and keyword postings in one SQLite file, the only truth.

One source changes in one transaction, so a kill at any moment leaves the last complete state. Equal texts are
kept once, with one vector, however many files hold them. A text that no chunk uses any more is "retired": out
of every search at once, its vector kept until the end of the ingest in case the text comes back elsewhere.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kb_assistant.errors import StoreError
from kb_assistant.store.faults import damaged, translated
from kb_assistant.store.records import Chunk, NewChunk, Source, Text, chunk_id
from kb_assistant.store.snapshot import Snapshot, seal_of
from kb_assistant.store.transaction import Transaction

__all__ = [
    "TOKENIZER",
    "Chunk",
    "KnowledgeStore",
    "NewChunk",
    "Snapshot",
    "Source",
    "Text",
    "Transaction",
    "chunk_id",
    "damaged",
    "seal_of",
    "translated",
]

SCHEMA_VERSION = 1

TOKENIZER = "unicode61 remove_diacritics 0 tokenchars '-_.''/:@+#'"

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
    page INTEGER, first_line INTEGER, last_line INTEGER);
CREATE INDEX chunks_source ON chunks (source_id, seq);
CREATE INDEX chunks_text ON chunks (text_id);
CREATE VIRTUAL TABLE keywords USING fts5 (
    tokens, tokenize = "{TOKENIZER}");
CREATE VIRTUAL TABLE keyword_counts USING fts5vocab (keywords, 'row');
"""


class _Connection(sqlite3.Connection):
    """Closed when the thread it was made for ends."""

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # it never opened
            self.close()


class KnowledgeStore:
    """One knowledge base's SQLite file. Threads may share it: each gets its own connection.

    Args:
        path: The file; made with its schema when `create` is true and it doesn't exist.

    Raises:
        StoreError: no such file, a damaged one, one of a newer version, or no permission.
    """

    def __init__(self, path: Path, create: bool = False) -> None:
        self.path = path
        self._local = threading.local()
        self._all: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._lock = threading.Lock()
        if not create and not path.exists():
            raise StoreError(f"There is no knowledge base at {path.parent}.", "Make it with `kb ingest FOLDER`.")
        if create:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"{path.parent} can't be made: {error.strerror}.",
                    "Check the folder's permissions, or choose another --home.",
                ) from error
        with translated(path):
            self._prepare(self._connection(), create)

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection; a new one where the file was replaced by a repair."""
        inode = self.path.stat().st_ino if self.path.exists() else -1
        held: tuple[int, _Connection] | None = getattr(self._local, "held", None)
        if held and held[0] == inode:
            return held[1]
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=30, factory=_Connection
        )
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL loses nothing to kill -9; a power cut may undo the last files, which the next ingest redoes.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cell_size_check = ON")
        self._local.held = (self.path.stat().st_ino, connection)
        with self._lock:
            self._all.add(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection, create: bool) -> None:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise StoreError(f"{self.path} was made by a newer version.", "Upgrade kb-assistant.")
        if found:
            return
        if not create:
            raise StoreError(f"{self.path} holds no knowledge base.", "Fill it with `kb ingest FOLDER`.")
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            Transaction(self.path, connection).begin_lineage()
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """A consistent view: what is committed meanwhile shows in the next one."""
        with translated(self.path):
            connection = self._connection()
            if connection.in_transaction:
                yield Snapshot(self.path, connection)
                return
            connection.execute("BEGIN")
            try:
                yield Snapshot(self.path, connection)
            finally:
                connection.execute("ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction: all of it is kept, or, after an error or a kill, none."""
        with translated(self.path):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self.path, connection)
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._lock:
            for connection in list(self._all):
                connection.close()
            self._all.clear()
        self._local = threading.local()
