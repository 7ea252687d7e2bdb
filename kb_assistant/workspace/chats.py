"""Saved conversations: every turn is on disk before its answer begins, and again as the answer grows.

One SQLite file per home. Owners and knowledge bases are only names here; the caller checks that they exist.
"""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kb_assistant.errors import StoreError
from kb_assistant.messages import _, from_json, to_json
from kb_assistant.types import Hit, Turn

if TYPE_CHECKING:
    from kb_assistant.answering.citations import Mark

TurnState = Literal["answering", "done", "stopped", "failed", "interrupted"]

TITLE_CHARACTERS = 60

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
_COLUMNS = {
    "turns": ("reason", "TEXT NOT NULL DEFAULT ''"),
    "chats": ("deleted_at", "TEXT NOT NULL DEFAULT ''"),
}
"""Columns that came later: added to a file that lacks them. Earlier versions still read it."""
_PROMPTS = """CREATE TABLE IF NOT EXISTS prompts (
    turn INTEGER PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE, prompt TEXT NOT NULL)"""
"""What chat models were given, by turn: seldom looked at, and as long as the rest."""
_DELETED = "CREATE TABLE IF NOT EXISTS deleted (chat TEXT PRIMARY KEY) WITHOUT ROWID"
"""The same for a table: the ids of conversations that were deleted, whose files may be deleted, too."""

_CHAT = "id, owner, kb, title, created_at, changed_at"
_TURN = "id, chat, asked_at, question, answer, state, reply, rating, reason, process"
_BUSY_SECONDS = 10.0
_IDLE = 2
"""Most connections that stay open between calls."""


@dataclass(frozen=True, slots=True)
class SavedTurn:
    """A question with its outcome.

    Attributes:
        state: "interrupted" if the answering process is gone.
        reply: `Reply.to_json()` without the answer, and "seconds"; for a failed turn "error" and "hint".
        rating: 1 for a thumb up, -1 for one down, 0 for none.
        reason: Why, in the reader's words, or "".
    """

    id: int
    chat: str
    asked_at: str
    question: str
    answer: str = ""
    state: TurnState = "answering"
    reply: Mapping[str, Any] = field(default_factory=dict)
    rating: int = 0
    reason: str = ""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The passages given to the model, or the nearest ones."""
        return tuple(Hit.from_json(hit) for hit in self.reply.get("hits", ()))

    @property
    def marks(self) -> list[Mark]:
        """The checked citations of the answer; none for a refusal, which only shows the nearest passages."""
        from kb_assistant.answering.citations import marks

        return [] if self.reply.get("refused") else marks(self.answer, self.hits)

    @property
    def turn(self) -> Turn:
        """The turn as history for the next question, with the passages that the answer cites."""
        hits = self.hits
        cited = tuple(citation["n"] for citation in self.reply.get("citations", ()))
        cut = self.state == "stopped" or bool(self.reply.get("cut"))
        asked = (self.reply.get("origin"), self.reply.get("kind")) == ("documents", "answer")
        return Turn(
            self.question, self.answer, tuple(hits[n - 1] for n in cited), cited, cut, hits if asked else ()
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "asked_at": self.asked_at,
            "question": self.question,
            "answer": self.answer,
            "state": self.state,
            "rating": self.rating,
            **self.reply,
        }


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation in a list. Times are ISO 8601 in UTC; `changed_at` is the time of the last turn."""

    id: str
    owner: str
    kb: str
    title: str
    created_at: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class Criticism:
    """An answer with a thumb down, for who manages the knowledge base. It isn't told what it said, which may rest
    on a conversation's own files.

    Attributes:
        reason: Why, in the reader's words, or "".
    """

    owner: str
    asked_at: str
    question: str
    reason: str


class ChatStore:
    """The conversations of one home. Threads and processes, also forked ones, may share it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._idle: dict[int, list[_Connection]] = {}  # by process: a connection must not cross a fork

    def close(self) -> None:
        """Close the connections that stay open between calls. A later call opens another."""
        for held in self._idle.pop(os.getpid(), ()):
            held.db.close()

    def create(self, owner: str, kb: str) -> Chat:
        """Create a conversation without a title: its first question gives the title."""
        now = _now()
        chat = Chat(uuid.uuid4().hex, owner, kb, "", now, now)
        with self._write() as db:
            db.execute(
                "INSERT INTO chats (id, owner, kb, title, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?)",
                (chat.id, owner, kb, chat.title, now, now),
            )
        return chat

    def of(self, owner: str, search: str = "") -> list[Chat]:
        """An owner's conversations, latest first; with `search`, those that contain all its words."""
        query = f"SELECT {_CHAT} FROM chats WHERE owner = ? AND deleted_at = ''"
        values: list[str] = [owner]
        for word in search.split():
            query += (
                " AND (title LIKE ? ESCAPE '\\' OR EXISTS (SELECT 1 FROM turns WHERE chat = chats.id"
                " AND NOT replaced AND (question LIKE ? ESCAPE '\\' OR answer LIKE ? ESCAPE '\\')))"
            )
            values += [f"%{_literal(word)}%"] * 3
        with self._read() as db:
            rows = db.execute(f"{query} ORDER BY changed_at DESC, id", values).fetchall() if db else []
        return [Chat(*row) for row in rows]

    def get(self, owner: str, id_: str, *, hidden: bool = False) -> Chat | None:
        """A conversation, or a hidden one; None if the owner has none with this id."""
        query = f"SELECT {_CHAT} FROM chats WHERE id = ? AND owner = ? AND (deleted_at != '') = ?"
        with self._read() as db:
            row = db.execute(query, (id_, owner, hidden)).fetchone() if db else None
        return Chat(*row) if row else None

    def deleted(self) -> set[str]:
        """The ids of the conversations that were deleted for good. One that this file never held isn't among
        them."""
        with self._read() as db:
            rows = db.execute("SELECT chat FROM deleted").fetchall() if db else []
        return {row[0] for row in rows}

    def ids(self) -> set[str]:
        """The ids of all conversations of all owners."""
        with self._read() as db:
            rows = db.execute("SELECT id FROM chats").fetchall() if db else []
        return {row[0] for row in rows}

    def rename(self, chat: str, title: str) -> None:
        with self._write() as db:
            db.execute("UPDATE chats SET title = ? WHERE id = ?", (" ".join(title.split()), chat))

    def move(self, old: str, new: str) -> None:
        """Move the conversations of a renamed knowledge base to its new name."""
        with self._write() as db:
            db.execute("UPDATE chats SET kb = ? WHERE kb = ?", (new, old))

    def delete(self, chat: str) -> None:
        with self._write() as db:
            db.execute("INSERT OR IGNORE INTO deleted (chat) VALUES (?)", (chat,))
            db.execute("DELETE FROM chats WHERE id = ?", (chat,))

    def hide(self, chat: str, hidden: bool = True) -> None:
        """Take a conversation out of all lists, to be deleted later; or bring it back."""
        with self._write() as db:
            db.execute("UPDATE chats SET deleted_at = ? WHERE id = ?", (_now() if hidden else "", chat))

    def hidden_before(self, moment: str) -> list[str]:
        """The conversations that were hidden before a moment (ISO 8601 in UTC)."""
        query = "SELECT id FROM chats WHERE deleted_at != '' AND deleted_at < ?"
        with self._read() as db:
            rows = db.execute(query, (moment,)).fetchall() if db else []
        return [row[0] for row in rows]

    def turns(self, chat: str) -> list[SavedTurn]:
        """The turns of a conversation, oldest first, without turns replaced by a retry."""
        query = f"SELECT {_TURN} FROM turns WHERE chat = ? AND NOT replaced ORDER BY id"
        with self._read() as db:
            rows = db.execute(query, (chat,)).fetchall() if db else []
        return [_turn(row) for row in rows]

    def begin(self, chat: str, question: str, instead_of: int | None = None) -> int:
        """Save a question before it is answered. Returns the turn's id.

        Args:
            instead_of: A turn that is asked again: it is removed from the conversation, but not from the file.
        """
        now = _now()
        with self._write() as db:
            db.execute("UPDATE turns SET replaced = 1 WHERE id = ? AND chat = ?", (instead_of, chat))
            db.execute(
                "UPDATE chats SET changed_at = ?, title = CASE title WHEN '' THEN ? ELSE title END WHERE id = ?",
                (now, _shortened(question), chat),
            )
            cursor = db.execute(
                "INSERT INTO turns (chat, asked_at, question, process) VALUES (?, ?, ?, ?)",
                (chat, now, question, _this_process()),
            )
        return int(cursor.lastrowid or 0)

    def save(self, turn: int, answer: str, state: TurnState, reply: Mapping[str, Any]) -> None:
        """Save the current state of an answer."""
        written = json.dumps(to_json(reply), ensure_ascii=False)
        with self._write() as db:
            db.execute(
                "UPDATE turns SET answer = ?, state = ?, reply = ? WHERE id = ?", (answer, state, written, turn)
            )

    def keep_prompt(self, turn: int, messages: Sequence[tuple[str, str]]) -> None:
        """Save what the chat model was given: roles and texts."""
        written = json.dumps(list(messages), ensure_ascii=False)
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO prompts (turn, prompt) VALUES (?, ?)", (turn, written))

    def prompt(self, chat: str, turn: int) -> str:
        """What the chat model was given for a turn, as one text for people; "" if none was asked."""
        kept = self._kept_prompt(chat, turn)
        return kept if isinstance(kept, str) else "\n".join(f"--- {role}\n{text}" for role, text in kept)

    def prompt_messages(self, chat: str, turn: int) -> list[tuple[str, str]]:
        """The same as roles and texts; none if no model was asked, or an earlier version kept the text alone."""
        kept = self._kept_prompt(chat, turn)
        return [] if isinstance(kept, str) else kept

    def _kept_prompt(self, chat: str, turn: int) -> str | list[tuple[str, str]]:
        query = "SELECT prompt FROM prompts JOIN turns ON turns.id = turn WHERE turn = ? AND chat = ?"
        with self._read() as db:
            row = db.execute(query, (turn, chat)).fetchone() if db else None
        if not row or not row[0].startswith("["):  # an earlier version's text begins with "---"
            return row[0] if row else ""
        return [(role, text) for role, text in json.loads(row[0])]

    def rate(self, chat: str, turn: int, rating: int, reason: str = "") -> None:
        """Save a thumb up (1), down (-1) or none (0) for a turn, and why."""
        with self._write() as db:
            db.execute(
                "UPDATE turns SET rating = ?, reason = ? WHERE id = ? AND chat = ?", (rating, reason, turn, chat)
            )

    def rated_bad(self, kb: str, limit: int = 50) -> list[Criticism]:
        """The answers about a knowledge base with a thumb down, of all owners, latest first."""
        query = (
            "SELECT owner, asked_at, question, reason FROM turns JOIN chats ON chats.id = chat"
            " WHERE kb = ? AND rating < 0 AND NOT replaced AND deleted_at = '' ORDER BY turns.id DESC LIMIT ?"
        )
        with self._read() as db:
            rows = db.execute(query, (kb, limit)).fetchall() if db else []
        return [Criticism(*row) for row in rows]

    def replace(self, chat: str, turn: int) -> None:
        """Remove a turn from its conversation. It stays in the file. For asking again, see `begin`."""
        with self._write() as db:
            db.execute("UPDATE turns SET replaced = 1 WHERE id = ? AND chat = ?", (turn, chat))

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection | None]:
        """A connection, or None if nothing was ever saved."""
        if not self.file.exists():
            yield None
            return
        with self._write() as db:
            yield db

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements are committed together, or not at all."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                _("{path} can't be made: {reason}.", path=self.file.parent, reason=error),
                _("Check the folder's permissions."),
            ) from error
        try:
            held = self._take()
            try:
                with held.db:
                    yield held.db
            except BaseException:
                held.db.close()
                raise
            self._give(held)
        except sqlite3.Error as error:
            raise StoreError(
                _("The conversations in {path} can't be used: {reason}.", path=self.file, reason=error),
                _("Check the disk's space and the file's permissions; a damaged file can be moved away."),
            ) from error

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
    for table, (column, kind) in _COLUMNS.items():
        if column not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}:
            with suppress(sqlite3.OperationalError):  # another process added it meanwhile
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    db.execute(_DELETED)
    db.execute(_PROMPTS)
    # FULL: in WAL mode NORMAL syncs only at checkpoints, and a power cut would undo the last turns.
    db.execute("PRAGMA synchronous = FULL")
    return db


def _turn(row: tuple[Any, ...]) -> SavedTurn:
    *fields, process = row
    id_, chat, asked_at, question, answer, state, reply, rating, reason = fields
    if state == "answering" and not _lives(process):
        state = "interrupted"
    return SavedTurn(
        id_, chat, asked_at, question, answer, state, json.loads(reply, object_hook=from_json), rating, reason
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _shortened(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1]}…"


def _literal(word: str) -> str:
    """A word for LIKE, with its wildcards escaped."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


@cache
def _this_process() -> str:
    """A name of this process that no later one gets: process ids are reused."""
    import psutil

    return f"{os.getpid()} {psutil.Process().create_time():.2f}"


def _lives(process: str) -> bool:
    import psutil

    number, started = process.split()
    try:
        return bool(abs(psutil.Process(int(number)).create_time() - float(started)) < 1.0)
    except psutil.Error:
        return False
