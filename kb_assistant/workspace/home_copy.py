"""Copies a whole home into another store: all its knowledge bases, users with their tokens and rights,
conversations with votes, and shared links. Settings of the machine, models, jobs and signed-in browsers stay.

Each document and each conversation is one transaction. A copy that was stopped or killed goes on where it was. One
that is complete may have been used since, and is written over only where that is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from kb_assistant.base_settings import FILE as OWN_SETTINGS
from kb_assistant.errors import StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store.database import Row, Statements
from kb_assistant.store.home import HomeStore, update_json
from kb_assistant.store.opening import open_home
from kb_assistant.workspace import access, bases, folders, shared_links, told_ids

_MARK = "copied.json"
_PRIVATE = {access.FILE: '{"version": 2}', access.USES: "{}", shared_links.FILE: "[]", told_ids.FILE: None}
"""The home's small files; and what one becomes that only the copy has."""

_OF_A_BASE = (OWN_SETTINGS, folders.LIST)
_CHAT = "id, owner, kb, title, created_at, changed_at, deleted_at"
_TURN = "asked_at, question, answer, state, reply, rating, replaced, process, reason"


@dataclass(frozen=True, slots=True)
class HomeCopied:
    """What a copy did.

    Attributes:
        bases: How many knowledge bases the home has, those of conversations' own files included.
        copied: How many of their sources were written; the others were there already, as they are.
        conversations: How many were written.
        stopped: Whether it ended early.
    """

    bases: int
    copied: int = 0
    conversations: int = 0
    stopped: bool = False

    def to_json(self) -> dict[str, int | bool]:
        return asdict(self)


def copy_home(
    settings: Settings,
    store: str,
    *,
    replacing: bool = False,
    progress: Callable[[float], None] = lambda _share: None,
    stop: Callable[[], bool] = lambda: False,
) -> HomeCopied:
    """Make another store hold what the settings' home does. What is changed in either meanwhile may be missing.

    Args:
        store: As the setting of this name.
        replacing: Whether users and conversations that are there may go, and the documents of other knowledge
            bases of the same names.
        progress: Called with the share that is done.

    Raises:
        StoreError: both are the same, one can't be read or written, or users or conversations are there.
        EmbedderMismatch, BusyError: as for KnowledgeBase.copy.
    """
    home, target = open_home(settings.store, settings.home), open_home(store, settings.home)
    if home.place == target.place:
        raise StoreError(_("The home is in {path} already.", path=home.place), _("Name another store with --to."))
    if not replacing:
        _require_free(target, str(home.place))
    names = [*bases.list_bases(settings), *bases.list_attached(settings)]
    _mark(target, str(home.place), whole=False)
    for name, empty in _PRIVATE.items():  # rights first: nobody sees a document before they are there
        _copy_file(home, target, name, empty, mode=0o600)
    done = HomeCopied(len(names))
    for number, name in enumerate(names):
        sources, stopped = _copy_base(settings.but(kb=name), store, replacing, stop)
        done = replace(done, copied=done.copied + sources, stopped=stopped)
        if stopped:
            return done
        for file in _OF_A_BASE:
            _copy_file(home, target, f"kbs/{name}/{file}")
        progress((number + 1) / len(names))
    done = _copy_conversations(home, target, done, stop)
    if not done.stopped:
        _mark(target, str(home.place), whole=True)
    return done


def _require_free(target: HomeStore, origin: str) -> None:
    """Refuse what isn't empty, and no unfinished copy of this home."""
    with target.read() as db:
        used = db is not None and any(db.rows("SELECT 1 FROM chats LIMIT 1"))
    mark = target.text(_MARK)
    begun = mark is not None and json.loads(mark.text) == _marked(origin, whole=False)
    if (used or target.text(access.FILE)) and not begun:
        raise StoreError(
            _("{path} has users or conversations already.", path=target.place),
            _("Add --replace: then they go, and what was changed there since an earlier copy."),
        )


def _mark(target: HomeStore, origin: str, whole: bool) -> None:
    update_json(target, _MARK, lambda _: _marked(origin, whole), what=_MARK)


def _marked(origin: str, whole: bool) -> dict[str, str | bool]:
    return {"of": origin, "whole": whole}


def _copy_file(
    home: HomeStore, target: HomeStore, name: str, empty: str | None = None, mode: int | None = None
) -> None:
    kept = home.text(name)
    text = kept.text if kept else empty
    if text is not None and (kept or target.text(name)):
        target.update(name, lambda _: text, what=name, mode=mode)


def _copy_base(settings: Settings, store: str, replacing: bool, stop: Callable[[], bool]) -> tuple[int, bool]:
    """Returns how many sources were written, and whether it was stopped."""
    with KnowledgeBase(settings) as base:
        done = base.copy(store, replace=replacing, stop=stop)
    return done.copied, done.stopped


def _copy_conversations(
    home: HomeStore, target: HomeStore, done: HomeCopied, stop: Callable[[], bool]
) -> HomeCopied:
    wanted, there = _chats(home), _chats(target)
    for chat in wanted:
        if stop():
            return replace(done, stopped=True)
        with home.read() as db:
            rows = _rows(db, chat)
        with target.read() as db:
            same = _rows(db, chat) == rows
        if rows and not same:
            with target.write() as db:
                _put(db, rows)
            done = replace(done, conversations=done.conversations + 1)
    with home.read() as db:
        deleted = list(db.rows("SELECT chat FROM deleted")) if db else []
    with target.write() as db:
        db.run_many("INSERT INTO deleted VALUES (?) ON CONFLICT (chat) DO NOTHING", deleted)
        for chat in set(there) - set(wanted):
            db.run("DELETE FROM chats WHERE id = ?", (chat,))
    return done


def _chats(home: HomeStore) -> list[str]:
    with home.read() as db:
        return [row[0] for row in db.rows("SELECT id FROM chats ORDER BY changed_at, id")] if db else []


def _rows(db: Statements | None, chat: str) -> list[Row]:
    """A conversation, then its turns, each with what the chat model was given. An answer in progress counts as
    interrupted: nobody ends it where it is copied to."""
    if db is None:
        return []
    turns = db.rows(
        f"SELECT {_TURN}, prompt FROM turns LEFT JOIN prompts ON turn = turns.id WHERE chat = ? ORDER BY turns.id",
        (chat,),
    )
    ended = [(*row[:3], "interrupted" if row[3] == "answering" else row[3], *row[4:]) for row in turns]
    return [*db.rows(f"SELECT {_CHAT} FROM chats WHERE id = ?", (chat,)), *ended]


def _put(db: Statements, rows: list[Row]) -> None:
    chat, *turns = rows
    db.run("DELETE FROM chats WHERE id = ?", (chat[0],))
    db.run(f"INSERT INTO chats ({_CHAT}) VALUES (?, ?, ?, ?, ?, ?, ?)", chat)
    put = f"INSERT INTO turns (chat, {_TURN}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"
    for *turn, prompt in turns:
        [(id_,)] = db.rows(put, (chat[0], *turn))
        if prompt is not None:
            db.run("INSERT INTO prompts (turn, prompt) VALUES (?, ?)", (id_, prompt))
