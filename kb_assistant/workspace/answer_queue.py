"""Answers in progress: each runs in its own thread and is saved as it grows, whether or not a page shows it.

So an answer continues when its page is reloaded or closed, and no text is lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from kb_assistant.errors import KBError
from kb_assistant.messages import _
from kb_assistant.workspace.chats import ChatStore, SavedTurn, TurnState

if TYPE_CHECKING:
    from kb_assistant.answering.reply import Reply
    from kb_assistant.types import Turn
    from kb_assistant.workspace.jobs import Reading

_log = logging.getLogger(__name__)

SAVED_EVERY_S = 0.5

Stage = Literal["queued", "waiting", "searching", "answering"]


class Answering(Protocol):
    """A knowledge base, or what somebody may see of one."""

    def ask(
        self,
        question: str,
        history: Sequence[Turn],
        *,
        where: Sequence[str],
        beside: Sequence[Any],
        answers: str,
        model: str,
        stop: Callable[[], bool],
    ) -> Reply: ...


@dataclass(slots=True)
class PendingAnswer:
    """An answer that isn't finished.

    Attributes:
        reading: The documents that were still being read when the search began.
        asked: How it was asked apart from the settings: "where", "model".
        stage: "queued" behind another answer, "waiting" for files that have to be read first, "searching", then
            "answering".
        text: The text so far.
        hits: Number of passages found.
        started: time.monotonic() when it was asked, or when the answers before it were done.
    """

    chat: str
    turn: int
    question: str
    stage: Stage = "searching"
    text: str = ""
    hits: int = 0
    started: float = field(default_factory=time.monotonic)
    stopped: bool = False
    reading: Reading | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    _reply: Reply | None = None
    _may_begin: threading.Event = field(default_factory=threading.Event)
    _waited: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End it after the current token; its text stays. A queued answer, or one that waits for files, ends at
        once, without a search."""
        self.stopped = True
        self._may_begin.set()
        self._waited.set()
        if self._reply is not None:
            self._reply.stop()


@dataclass(slots=True)
class AnswerElsewhere(PendingAnswer):
    """An answer that another process gives."""

    chats: ChatStore | None = None

    @classmethod
    def of(cls, turn: SavedTurn, chats: ChatStore) -> AnswerElsewhere:
        asked = datetime.fromisoformat(turn.asked_at)
        since = time.monotonic() - max(0.0, (datetime.now(UTC) - asked).total_seconds())
        stage: Stage = "answering" if turn.answer else "searching"
        return cls(turn.chat, turn.id, turn.question, stage, turn.answer, started=since, chats=chats)

    def stop(self) -> None:
        """Ask for its end: the process that gives it looks when it next saves its text."""
        self.stopped = True
        if self.chats is not None:
            self.chats.stop(self.turn)


class AnswerQueue:
    """The answers in progress: those of one conversation run one after another, in the order of the questions.

    Args:
        chats: The conversations in which they are saved.
    """

    def __init__(self, chats: ChatStore) -> None:
        self.chats = chats
        self._lock = threading.Lock()
        self._running: dict[str, list[PendingAnswer]] = {}

    def running(self, chat: str) -> tuple[PendingAnswer, ...]:
        """The unfinished answers of a conversation: the running one, then the queued ones."""
        with self._lock:
            return tuple(self._running.get(chat, ()))

    def everywhere(self, chat: str) -> tuple[PendingAnswer, ...]:
        """The same with those of other processes, of any machine, first: as far as they are saved."""
        elsewhere = [AnswerElsewhere.of(turn, self.chats) for turn in self.chats.answered_elsewhere(chat)]
        return (*elsewhere, *self.running(chat))

    def busy(self) -> bool:
        """Whether any answer is in progress."""
        with self._lock:
            return bool(self._running)

    def ask(
        self,
        base: Answering,
        chat: str,
        question: str,
        *,
        beside: Sequence[Any] = (),
        after: Callable[[], object] | None = None,
        instead_of: int | None = None,
        answers: str = "",
        turns: Callable[[], Sequence[SavedTurn]] | None = None,
        where: Sequence[str] = (),
        model: str = "",
        reading: Callable[[], Reading | None] = lambda: None,
    ) -> int:
        """Save a question and start its answer, or queue it behind earlier ones. Returns the turn's id.

        Args:
            beside: Other knowledge bases, or views, as `base` is, to search as well.
            after: Called in a thread before the search; returns once the prerequisites of the search are met. A
                stop doesn't wait for it.
            instead_of: The turn that is asked again; it is removed from the conversation.
            answers: Instead of the knowledge base's setting of this name.
            turns: Returns the conversation's turns as far as they may be known; None for all as they are saved.
            where: Conditions on sources, as for KnowledgeBase.ask; the saved reply's "where" keeps them.
            model: Instead of the knowledge base's setting of this name; the saved reply's "model" keeps it.
            reading: Tells, when the search begins, which documents are still being read; the saved reply's
                "reading" keeps it.

        What a chat model is given is saved, too, see ChatStore.prompt; then "prompted" is true.

        Raises:
            StoreError: the question can't be saved.
        """
        begins: Stage = "waiting" if after else "searching"
        with self._lock:
            turn = self.chats.begin(chat, question, instead_of)
            queue = self._running.setdefault(chat, [])
            running = PendingAnswer(chat, turn, question, "queued" if queue else begins)
            queue.append(running)
            if len(queue) == 1:
                running._may_begin.set()

        def ask() -> Reply | None:
            """The reply; None if it was stopped before the search."""
            if after is not None and not running.stopped:
                _wait(running, after)
            if running.stopped:
                return None
            running.stage = "searching"
            running.reading = reading()
            running.asked = {name: value for name, value in (("where", list(where)), ("model", model)) if value}
            return base.ask(
                question,
                self._history(running, turns),
                where=where,
                beside=beside,
                answers=answers,
                model=model,
                stop=lambda: running.stopped,  # also before the first word: a long document is read in parts
            )

        def work() -> None:
            running._may_begin.wait()
            running.stage, running.started = begins, time.monotonic()
            try:
                self._answer(running, ask)
            finally:
                self._done(running)

        threading.Thread(target=work, name=f"answer-{turn}", daemon=True).start()
        return turn

    def _history(self, running: PendingAnswer, turns: Callable[[], Sequence[SavedTurn]] | None) -> list[Turn]:
        """The turns before it."""
        saved = turns() if turns else self.chats.turns(running.chat)
        before = (turn for turn in saved if turn.id < running.turn)
        return [turn.turn for turn in before if turn.state in ("done", "stopped")]

    def _done(self, running: PendingAnswer) -> None:
        """Remove it from its queue; the next one starts."""
        with self._lock:
            queue = self._running[running.chat]
            queue.remove(running)
            if queue:
                queue[0]._may_begin.set()
            else:
                del self._running[running.chat]

    def _answer(self, running: PendingAnswer, ask: Callable[[], Reply | None]) -> None:
        state: TurnState = "done"
        try:
            begun = ask()
            reply: dict[str, Any] = self._stream(running, begun) if begun else {}
            state = "stopped" if running.stopped else "done"
        except KBError as error:
            state, reply = "failed", {"error": error.message, "hint": error.hint}
        except Exception as error:
            _log.exception("An answer failed.")
            state, reply = (
                "failed",
                {"error": _("{type}: {reason}", type=type(error).__name__, reason=str(error)), "hint": ""},
            )
        reply["seconds"] = reply.get("seconds", {}) | {"total": round(time.monotonic() - running.started, 3)}
        try:
            self.chats.save(running.turn, running.text.strip(), state, reply)
        except KBError as error:
            _log.error("An answer can't be saved: %s", error.message)

    def _stream(self, running: PendingAnswer, reply: Reply) -> dict[str, Any]:
        running._reply = reply
        if running.stopped:
            reply.stop()
        found = round(time.monotonic() - running.started, 3)
        running.hits, running.stage = len(reply.hits), "answering"
        saved = time.monotonic()
        for piece in reply:
            running.text += piece
            if time.monotonic() - saved > SAVED_EVERY_S:
                if self.chats.save(running.turn, running.text, "answering", {}):
                    running.stop()
                saved = time.monotonic()
        whole = reply.to_json()
        running.text = whole.pop("answer")
        prompted = {}
        if reply.prompt:
            told = [("assistant" if one.type == "ai" else "user", str(one.text)) for one in reply.prompt]
            self.chats.keep_prompt(running.turn, told)
            prompted = {"prompted": True}
        unread = {"reading": running.reading.to_json()} if running.reading else {}
        return whole | running.asked | unread | prompted | {"seconds": {"found": found}}


def _wait(running: PendingAnswer, after: Callable[[], object]) -> None:
    """Return when `after` has returned or the answer is stopped. Raises what `after` raises."""
    outcome: Future[object] = Future()

    def work() -> None:
        try:
            outcome.set_result(after())
        except Exception as error:
            outcome.set_exception(error)

    outcome.add_done_callback(lambda _: running._waited.set())
    threading.Thread(target=work, name=f"before-{running.turn}", daemon=True).start()
    running._waited.wait()
    if outcome.done():
        outcome.result()
