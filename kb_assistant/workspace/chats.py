"""Saved conversations: every turn is on disk before its answer begins, and again as the answer grows.

They lie with what the home keeps (store.home). Owners and knowledge bases are only names here; the caller checks
that they exist.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kb_assistant.messages import from_json, to_json
from kb_assistant.store.home import HomeStore
from kb_assistant.store.knowledge_store import persistently
from kb_assistant.store.local_home import LocalHome
from kb_assistant.types import Hit, Turn

if TYPE_CHECKING:
    from kb_assistant.answering.citations import Mark

TurnState = Literal["answering", "done", "stopped", "failed", "interrupted"]

TITLE_CHARACTERS = 60

_CHAT = "id, owner, kb, title, created_at, changed_at"
_TURN = "id, chat, asked_at, question, answer, state, reply, rating, reason, process"


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
    """The conversations of one home. Threads and processes, also forked ones, may share it.

    Args:
        home: What the home keeps; or a file of conversations on this machine.
    """

    def __init__(self, home: HomeStore | Path) -> None:
        self._home: HomeStore = LocalHome(home.parent, home.name) if isinstance(home, Path) else home

    @property
    def file(self) -> Path | str:
        """Where they lie: a file, or an address without a password."""
        return self._home.place

    def close(self) -> None:
        """Close the connections that stay open between calls. A later call opens another."""
        self._home.close()

    def create(self, owner: str, kb: str) -> Chat:
        """Create a conversation without a title: its first question gives the title."""
        now = _now()
        chat = Chat(uuid.uuid4().hex, owner, kb, "", now, now)
        with self._home.write() as db:
            db.run(
                "INSERT INTO chats (id, owner, kb, title, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?)",
                (chat.id, owner, kb, chat.title, now, now),
            )
        return chat

    def of(self, owner: str, search: str = "") -> list[Chat]:
        """An owner's conversations, latest first; with `search`, those that contain all its words."""
        query = f"SELECT {_CHAT} FROM chats WHERE owner = ? AND deleted_at = ''"
        values: list[str] = [owner]
        for word in search.split():
            has = f"{self._home.like} ? ESCAPE '\\'"
            query += (
                f" AND (title {has} OR EXISTS (SELECT 1 FROM turns WHERE chat = chats.id"
                f" AND replaced = 0 AND (question {has} OR answer {has})))"
            )
            values += [f"%{_literal(word)}%"] * 3
        with self._home.read() as db:
            rows = list(db.rows(f"{query} ORDER BY changed_at DESC, id", values)) if db else []
        return [Chat(*row) for row in rows]

    def get(self, owner: str, id_: str, *, hidden: bool = False) -> Chat | None:
        """A conversation, or a hidden one; None if the owner has none with this id."""
        query = f"SELECT {_CHAT} FROM chats WHERE id = ? AND owner = ? AND deleted_at {'!=' if hidden else '='} ''"
        with self._home.read() as db:
            row = next(db.rows(query, (id_, owner)), None) if db else None
        return Chat(*row) if row else None

    def deleted(self) -> set[str]:
        """The ids of the conversations that were deleted for good. One that this file never held isn't among
        them."""
        with self._home.read() as db:
            rows = list(db.rows("SELECT chat FROM deleted")) if db else []
        return {row[0] for row in rows}

    def ids(self) -> set[str]:
        """The ids of all conversations of all owners."""
        with self._home.read() as db:
            rows = list(db.rows("SELECT id FROM chats")) if db else []
        return {row[0] for row in rows}

    def rename(self, chat: str, title: str) -> None:
        with self._home.write() as db:
            db.run("UPDATE chats SET title = ? WHERE id = ?", (" ".join(title.split()), chat))

    def move(self, old: str, new: str) -> None:
        """Move the conversations of a renamed knowledge base to its new name."""
        with self._home.write() as db:
            db.run("UPDATE chats SET kb = ? WHERE kb = ?", (new, old))

    def delete(self, chat: str) -> None:
        with self._home.write() as db:
            db.run("INSERT INTO deleted VALUES (?) ON CONFLICT (chat) DO NOTHING", (chat,))
            db.run("DELETE FROM chats WHERE id = ?", (chat,))

    def hide(self, chat: str, hidden: bool = True) -> None:
        """Take a conversation out of all lists, to be deleted later; or bring it back."""
        with self._home.write() as db:
            db.run("UPDATE chats SET deleted_at = ? WHERE id = ?", (_now() if hidden else "", chat))

    def hidden_before(self, moment: str) -> list[str]:
        """The conversations that were hidden before a moment (ISO 8601 in UTC)."""
        query = "SELECT id FROM chats WHERE deleted_at != '' AND deleted_at < ?"
        with self._home.read() as db:
            rows = list(db.rows(query, (moment,))) if db else []
        return [row[0] for row in rows]

    def turns(self, chat: str) -> list[SavedTurn]:
        """The turns of a conversation, oldest first, without turns replaced by a retry."""
        query = f"SELECT {_TURN} FROM turns WHERE chat = ? AND replaced = 0 ORDER BY id"
        with self._home.read() as db:
            rows = list(db.rows(query, (chat,))) if db else []
        return [self._turn(row) for row in rows]

    def begin(self, chat: str, question: str, instead_of: int | None = None) -> int:
        """Save a question before it is answered. Returns the turn's id.

        Args:
            instead_of: A turn that is asked again: it is removed from the conversation, but not from the file.
        """
        now, process = _now(), self._home.process()
        with self._home.write() as db:
            db.run("UPDATE turns SET replaced = 1 WHERE id = ? AND chat = ?", (instead_of, chat))
            db.run(
                "UPDATE chats SET changed_at = ?, title = CASE title WHEN '' THEN ? ELSE title END WHERE id = ?",
                (now, _shortened(question), chat),
            )
            [(turn,)] = db.rows(
                "INSERT INTO turns (chat, asked_at, question, process) VALUES (?, ?, ?, ?) RETURNING id",
                (chat, now, question, process),
            )
        return int(turn)

    def save(self, turn: int, answer: str, state: TurnState, reply: Mapping[str, Any]) -> bool:
        """Save the current state of an answer. Returns whether it is to stop."""
        written = json.dumps(to_json(reply), ensure_ascii=False)

        def work() -> bool:
            with self._home.write() as db:
                rows = list(db.rows(
                    "UPDATE turns SET answer = ?, state = ?, reply = ? WHERE id = ? RETURNING stopping",
                    (answer, state, written, turn),
                ))  # fmt: skip
            return any(row[0] for row in rows)

        return persistently(work)

    def stop(self, turn: int) -> None:
        """Tell the process that answers, wherever it runs, to stop."""
        with self._home.write() as db:
            db.run("UPDATE turns SET stopping = 1 WHERE id = ?", (turn,))

    def answered_elsewhere(self, chat: str) -> list[SavedTurn]:
        """The turns of a conversation that another process is answering now, oldest first."""
        query = f"SELECT {_TURN} FROM turns WHERE chat = ? AND state = 'answering' AND replaced = 0"
        with self._home.read() as db:
            rows = list(db.rows(f"{query} ORDER BY id", (chat,))) if db else []
        others = [row for row in rows if row[-1] != self._home.process()]
        return [turn for turn in map(self._turn, others) if turn.state == "answering"]

    def keep_prompt(self, turn: int, messages: Sequence[tuple[str, str]]) -> None:
        """Save what the chat model was given: roles and texts."""
        written = json.dumps(list(messages), ensure_ascii=False)
        with self._home.write() as db:
            db.run(
                "INSERT INTO prompts (turn, prompt) VALUES (?, ?)"
                " ON CONFLICT (turn) DO UPDATE SET prompt = excluded.prompt",
                (turn, written),
            )

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
        with self._home.read() as db:
            row = next(db.rows(query, (turn, chat)), None) if db else None
        if not row or not row[0].startswith("["):  # an earlier version's text begins with "---"
            return row[0] if row else ""
        return [(role, text) for role, text in json.loads(row[0])]

    def rate(self, chat: str, turn: int, rating: int, reason: str = "") -> None:
        """Save a thumb up (1), down (-1) or none (0) for a turn, and why."""
        with self._home.write() as db:
            db.run(
                "UPDATE turns SET rating = ?, reason = ? WHERE id = ? AND chat = ?", (rating, reason, turn, chat)
            )

    def rated_bad(self, kb: str, limit: int = 50) -> list[Criticism]:
        """The answers about a knowledge base with a thumb down, of all owners, latest first."""
        query = (
            "SELECT owner, asked_at, question, reason FROM turns JOIN chats ON chats.id = chat"
            " WHERE kb = ? AND rating < 0 AND replaced = 0 AND deleted_at = ''"
            " ORDER BY asked_at DESC, turns.id DESC LIMIT ?"
        )
        with self._home.read() as db:
            rows = list(db.rows(query, (kb, limit))) if db else []
        return [Criticism(*row) for row in rows]

    def replace(self, chat: str, turn: int) -> None:
        """Remove a turn from its conversation. It stays in the file. For asking again, see `begin`."""
        with self._home.write() as db:
            db.run("UPDATE turns SET replaced = 1 WHERE id = ? AND chat = ?", (turn, chat))

    def _turn(self, row: tuple[Any, ...]) -> SavedTurn:
        id_, chat, asked_at, question, answer, state, reply, rating, reason, process = row
        if state == "answering" and not self._home.lives(process):
            state = "interrupted"
        told = json.loads(reply, object_hook=from_json)
        return SavedTurn(id_, chat, asked_at, question, answer, state, told, rating, reason)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _shortened(question: str) -> str:
    line = " ".join(question.split())
    return line if len(line) <= TITLE_CHARACTERS else f"{line[: TITLE_CHARACTERS - 1]}…"


def _literal(word: str) -> str:
    """A word for LIKE, with its wildcards escaped."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
