"""What a home keeps on one machine: files in its folder, and one SQLite file with the conversations."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kb_assistant.errors import StoreError, hint_for
from kb_assistant.messages import _
from kb_assistant.small_file import update_text
from kb_assistant.store.database import Statements
from kb_assistant.store.home import SmallFile
from kb_assistant.store.sqlite_database import SQLiteDatabase

CHATS = "chats.sqlite"

_VERSION = 1
_SCHEMA = """
CREATE TABLE chats (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, kb TEXT NOT NULL, title TEXT NOT NULL,
    created_at TEXT NOT NULL, changed_at TEXT NOT NULL,
    deleted_at TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE INDEX chats_owner ON chats (owner, changed_at);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT, chat TEXT NOT NULL REFERENCES chats (id) ON DELETE CASCADE,
    asked_at TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'answering', reply TEXT NOT NULL DEFAULT '{}',
    rating INTEGER NOT NULL DEFAULT 0, replaced INTEGER NOT NULL DEFAULT 0, process TEXT NOT NULL,
    reason TEXT NOT NULL DEFAULT '');
CREATE INDEX turns_chat ON turns (chat, id);
"""
_COLUMNS = (
    ("turns", "reason", "TEXT NOT NULL DEFAULT ''"),
    ("turns", "stopping", "INTEGER NOT NULL DEFAULT 0"),
    ("chats", "deleted_at", "TEXT NOT NULL DEFAULT ''"),
)
"""Columns that came later: added to a file that lacks them. Earlier versions still read it."""
_PROMPTS = """CREATE TABLE IF NOT EXISTS prompts (
    turn INTEGER PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE, prompt TEXT NOT NULL)"""
"""What chat models were given, by turn: seldom looked at, and as long as the rest."""
_DELETED = "CREATE TABLE IF NOT EXISTS deleted (chat TEXT PRIMARY KEY) WITHOUT ROWID"
"""The ids of conversations that were deleted, whose files may be deleted, too."""

_BUSY_SECONDS = 10.0
_IDLE = 2
"""Most connections that stay open between calls."""


class LocalHome:
    """A home in a folder; see HomeStore. Forked processes may share it.

    Args:
        chats: Name of the file of the conversations.
    """

    is_shared = False
    like = "LIKE"

    def __init__(self, folder: Path, chats: str = CHATS) -> None:
        self.folder, self.file = folder, folder / chats
        self.place: Path | str = self.file
        self._idle: dict[int, list[_Connection]] = {}  # by process: a connection must not cross a fork

    def place_of(self, name: str) -> Path | str:
        return self.folder / name

    def text(self, name: str, known: SmallFile | None = None) -> SmallFile | None:
        file = self.folder / name
        try:
            now = file.stat()
            stamp = now.st_ino, now.st_mtime_ns, now.st_size  # each change replaces the file
            if known is not None and known.stamp == stamp:
                return known
            return SmallFile(stamp, file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def update(
        self, name: str, change: Callable[[str | None], str | None], *, what: str, mode: int | None = None
    ) -> None:
        update_text(self.folder / name, change, what=what, mode=mode)

    def holds(self, base: str) -> bool:
        return (self.folder / "kbs" / base).is_dir()

    @contextmanager
    def read(self) -> Iterator[Statements | None]:
        if not self.file.exists():
            yield None
            return
        with self.write() as database:
            yield database

    @contextmanager
    def write(self) -> Iterator[Statements]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                _("{path} can't be made: {reason}.", path=self.folder, reason=error),
                hint_for(error, _("Check the folder's permissions.")),
            ) from error
        try:
            held = self._take()
            try:
                with held.db:
                    yield SQLiteDatabase(self.file, held.db)
            except BaseException:
                held.db.close()
                raise
            self._give(held)
        except sqlite3.Error as error:
            raise StoreError(
                _("The conversations in {path} can't be used: {reason}.", path=self.file, reason=error),
                _("Check the disk's space and the file's permissions; a damaged file can be moved away."),
            ) from error

    def process(self) -> str:
        return _this_process()

    def lives(self, process: str) -> bool:
        import psutil

        number, _space, started = process.partition(" ")
        try:
            return bool(abs(psutil.Process(int(number)).create_time() - float(started)) < 1.0)
        except (psutil.Error, ValueError):
            return False

    def close(self) -> None:
        for held in self._idle.pop(os.getpid(), ()):
            held.db.close()

    def _take(self) -> _Connection:
        """An idle connection to the current file, else a new one."""
        idle = self._idle.setdefault(os.getpid(), [])
        while True:
            try:
                held = idle.pop()
            except IndexError:
                return _Connection(_connect(self.file), _inode(self.file))
            if held.inode == _inode(self.file):
                return held
            held.db.close()

    def _give(self, held: _Connection) -> None:
        """Keep a working connection for the next call."""
        idle = self._idle.setdefault(os.getpid(), [])
        if len(idle) < _IDLE:
            idle.append(held)
        else:
            held.db.close()


@dataclass(frozen=True, slots=True)
class _Connection:
    """A connection to the file that had this inode on opening."""

    db: sqlite3.Connection
    inode: int


def _inode(file: Path) -> int:
    try:
        return file.stat().st_ino
    except OSError:
        return -1


def _connect(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, timeout=_BUSY_SECONDS, check_same_thread=False)
    db.execute("PRAGMA foreign_keys = ON")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found > _VERSION:
        db.close()
        raise StoreError(_("{path} was made by a newer version.", path=file), _("Upgrade kb-assistant."))
    if found == 0:
        file.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        with db:
            db.execute("BEGIN IMMEDIATE")
            if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {_VERSION}")
    for table, column, kind in _COLUMNS:
        if column not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}:
            with suppress(sqlite3.OperationalError):  # another process added it meanwhile
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    db.execute(_DELETED)
    db.execute(_PROMPTS)
    # FULL: in WAL mode NORMAL syncs only at checkpoints, and a power cut would undo the last turns.
    db.execute("PRAGMA synchronous = FULL")
    return db


@cache
def _this_process() -> str:
    """Process ids are reused: the time of its start is part of the name."""
    import psutil

    return f"{os.getpid()} {psutil.Process().create_time():.2f}"
