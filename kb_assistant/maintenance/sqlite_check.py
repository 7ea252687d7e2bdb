"""Checks and repairs the file of an SQLite store.

A repair copies every completely sound source into a new file and swaps that in. The damaged file is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from kb_assistant.errors import CorruptStore, EmbedderMismatch, StoreError
from kb_assistant.index.dense_index import DenseIndex
from kb_assistant.lock import writing
from kb_assistant.maintenance.soundness import content_faults, is_whole, meta_faults, sound_parts
from kb_assistant.maintenance.verify import VerifyReport
from kb_assistant.messages import _
from kb_assistant.retrieval import thresholds
from kb_assistant.store import KnowledgeStore, Snapshot, Source, SQLiteStore
from kb_assistant.store.faults import CorruptRow, explained, map_sqlite_errors
from kb_assistant.store.presence import MOUNTS
from kb_assistant.store.records import read_reason
from kb_assistant.store.sqlite_database import TOKENIZER, SQLiteDatabase

_COUNTERS_MS = 3000
"""How long the check that needs a write waits for another transaction."""

MOST_FAULTS = 20
"""Most listed faults of one kind; a damaged page can cause thousands."""


class SQLiteCheck:
    """An SQLite store as it is checked; see Checkable.

    Args:
        path: The store's file.
        open_store: Opens the store.
    """

    def __init__(self, path: Path, open_store: Callable[[], KnowledgeStore]) -> None:
        self._path, self._open = path, open_store

    def writing(self, patience: float) -> AbstractContextManager[None]:
        """See Checkable."""
        return writing(self._path.parent, patience)

    def check(self, index: DenseIndex) -> VerifyReport:
        """See Checkable."""
        return _check(self._path, self._open, index)

    def repair(self) -> tuple[str, ...]:
        """See Checkable."""
        with contextlib.suppress(CorruptStore):
            self._open().close()
        return _repair(self._path)


def _check(path: Path, open_store: Callable[[], KnowledgeStore], index: DenseIndex) -> VerifyReport:
    """All disagreements.

    Raises:
        StoreError: the file can't be read now, which says nothing about its content.
    """
    try:
        open_store()
    except CorruptStore as error:
        return VerifyReport((error.message,))
    try:
        with contextlib.closing(_raw(path)) as db:
            db.execute("BEGIN")  # one view for all queries, whatever is written meanwhile
            database = SQLiteDatabase(path, db)
            snapshot = Snapshot(database)
            faults = [*_database_faults(db), *meta_faults(database)] or list(content_faults(database, snapshot))
            faults = faults or _postings_faults(db) or index.check(snapshot)
            db.execute("ROLLBACK")
            unchecked = [] if faults else _check_counters(path, db)
    except CorruptStore as error:
        return VerifyReport((error.message,))
    except (sqlite3.Error, CorruptRow, ValueError, TypeError) as error:
        if isinstance(error, sqlite3.Error) and not _is_damage(path, error):
            raise explained(path, error) from error
        return VerifyReport((_("the database can't be read: {reason}", reason=error),))
    return VerifyReport(tuple(faults), unchecked=tuple(unchecked))


def _is_damage(path: Path, error: sqlite3.Error) -> bool:
    """Whether the file is the cause, not a lock, a full disk or missing permissions."""
    return isinstance(explained(path, error), CorruptStore)


def _raw(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def _database_faults(db: sqlite3.Connection) -> Iterator[str]:
    for (line,) in db.execute(f"PRAGMA integrity_check({MOST_FAULTS})"):
        if line != "ok":
            yield _("database: {reason}", reason=line)
    for table, rowid, *_rest in db.execute("PRAGMA foreign_key_check"):
        yield _("database: row {row} of {table} points nowhere", row=rowid, table=table)


def _postings_faults(db: sqlite3.Connection) -> list[str]:
    """Compare the keyword index with a new one. SQLite's own check xors weak hashes: a byte that alters a word in
    two texts often goes unnoticed."""
    db.execute(f"CREATE VIRTUAL TABLE temp.anew USING fts5 (tokens, content = '', tokenize = \"{TOKENIZER}\")")
    db.execute("INSERT INTO temp.anew (rowid, tokens) SELECT rowid, tokens FROM keywords")
    sums = []
    for index in ("main, keywords", "temp, anew"):
        db.execute(f"CREATE VIRTUAL TABLE temp.places USING fts5vocab ({index}, instance)")
        query = "SELECT term, count(*), sum(doc), sum(offset), sum(doc * offset) FROM temp.places GROUP BY term"
        sums.append(db.execute(query).fetchall())
        db.execute("DROP TABLE temp.places")
    return [] if sums[0] == sums[1] else [_("keywords: the index disagrees with its text")]


def _check_counters(path: Path, db: sqlite3.Connection) -> list[str]:
    """SQLite's own check of the keyword index, for its counters. It is a write, so it can't be part of the view.
    Returns what stays unchecked if nothing can be written now; words and positions were compared before.

    Raises:
        CorruptStore: the index disagrees with its text.
    """
    try:
        db.execute(f"PRAGMA busy_timeout = {_COUNTERS_MS}")
        db.execute("INSERT INTO keywords (keywords) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        cause = explained(path, error)
        if isinstance(cause, CorruptStore):
            found = _("keywords: the index disagrees with its text: {reason}", reason=error)
            raise CorruptStore(found, cause.hint) from error
        return [_("keywords: the counters of the index: {reason}", reason=cause.message)]
    return []


def _repair(path: Path) -> tuple[str, ...]:
    """Swap in a new file with everything sound. Returns the sources that are lost until they are read again.

    The caller holds the writer's lock. A kill at any moment leaves all of the old state or all of the new one.

    Raises:
        StoreError: the disk is full, the folder can't be written, or another program holds the file open.
    """
    fresh = path.with_name(path.name + ".repair")
    try:
        with map_sqlite_errors(fresh):
            for leftover in _with_side_files(fresh):
                leftover.unlink(missing_ok=True)
            to_reingest = _copy_sound(path, fresh)
            _move_log_into(fresh, keep=False)
            _swap(path, fresh)
    except OSError as error:
        raise StoreError(
            _("{path} can't be written: {reason}.", path=path.parent, reason=error),
            _("Check its permissions and the free space."),
        ) from error
    return to_reingest


def _copy_sound(path: Path, fresh: Path) -> tuple[str, ...]:
    to_reingest: list[str] = []
    with contextlib.closing(SQLiteStore(fresh, create=True)) as new, contextlib.closing(_raw(path)) as old:
        known = _copy_meta(old, new, "embedder")
        _copy_meta(old, new, thresholds.META)
        _copy_meta(old, new, MOUNTS)
        with new.read() as snapshot:
            embedder = snapshot.meta("embedder")
        for source_id, source in _sources(old):
            if not known:  # vectors of an unknown model are useless
                to_reingest.append(source.path)
                continue
            try:
                chunks, vectors = sound_parts(SQLiteDatabase(path, old), source_id, source)
            except (sqlite3.Error, ValueError, TypeError):
                to_reingest.append(source.path)
                continue
            try:
                with new.write(embedder) as transaction:
                    transaction.put_source(source, chunks, vectors)
            except EmbedderMismatch:  # vectors of another length
                to_reingest.append(source.path)
    return tuple(to_reingest)


def _copy_meta(old: sqlite3.Connection, new: SQLiteStore, key: str) -> bool:
    """Copy a meta value to the new file. Returns False if the old file lacks it or can't be read."""
    try:
        value, crc = old.execute("SELECT value, crc FROM meta WHERE key = ?", (key,)).fetchone()
    except (sqlite3.Error, ValueError, TypeError):
        return False
    if not is_whole(value, crc):
        return False
    with new.write() as transaction:
        transaction.put_meta(key, json.loads(value))
    return True


def _sources(db: sqlite3.Connection) -> list[tuple[int, Source]]:
    """The readable sources: from the first forward, and from the last backward, up to a damaged page."""
    found: dict[int, Source] = {}
    for order in ("ASC", "DESC"):
        query = (
            "SELECT id, path, digest, recipe, title, reason, failed, ingested_at, metadata, chunks"
            f" FROM sources NOT INDEXED ORDER BY id {order}"
        )
        with contextlib.suppress(sqlite3.Error, ValueError, TypeError):
            for row in db.execute(query):
                id_, path, digest, recipe, title, reason, failed, at, metadata, chunks = row
                meta = json.loads(metadata)
                found[id_] = Source(
                    path, digest, recipe, title, read_reason(reason), bool(failed), at, chunks, meta
                )
    return sorted(found.items())


def _with_side_files(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))]


def _move_log_into(path: Path, keep: bool) -> None:
    """Move everything from the write-ahead log into the main file, which is then complete without it.

    Args:
        keep: Keep the file's mode; else it changes to one without a log.
    """
    with contextlib.closing(_raw(path)) as db:
        db.execute("PRAGMA synchronous = FULL")
        _, pages, moved = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if pages != moved:
            raise sqlite3.OperationalError("database is locked")
        if not keep:
            db.execute("PRAGMA journal_mode = DELETE")


def _swap(path: Path, fresh: Path) -> None:
    """Replace the old file by the new one. The old one needs its log until all of it is in the main file: a log
    beside the new file would be applied to that, and the old file without its log is an older state."""
    try:
        _move_log_into(path, keep=True)
    except sqlite3.Error as error:
        if not _is_damage(path, error):
            raise
    kept = path.with_name(path.name + ".damaged")
    for old in _with_side_files(kept):
        old.unlink(missing_ok=True)
    try:
        os.link(path, kept)
    except OSError:  # no hard links here, as on exFAT
        shutil.copyfile(path, kept)
    for side, aside in zip(_with_side_files(path)[1:], _with_side_files(kept)[1:], strict=True):
        with contextlib.suppress(FileNotFoundError):
            side.replace(aside)
    fresh.replace(path)
    for aside in _with_side_files(kept)[1:]:
        if aside.exists() and (aside.name.endswith("-shm") or not aside.stat().st_size):
            aside.unlink()
