"""Answers on their way: each in a thread of its own, saved as it grows, whoever watches it.

So an answer goes on when the page that asked for it is reloaded or closed, and what was said is never lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from kb_assistant.chats import ChatStore, State
from kb_assistant.errors import KBError

if TYPE_CHECKING:
    from kb_assistant.chain import Reply
    from kb_assistant.knowledge import KnowledgeBase

_log = logging.getLogger(__name__)

SAVED_EVERY_S = 0.5

Stage = Literal["waiting", "searching", "answering"]


@dataclass(slots=True)
class Running:
    """An answer that isn't finished.

    Attributes:
        stage: "waiting" for files that have to be read first, "searching", then "answering".
        text: What was said so far.
        hits: How many passages were found.
        started: time.monotonic() when it was asked.
    """

    chat: str
    turn: int
    question: str
    stage: Stage = "searching"
    text: str = ""
    hits: int = 0
    started: float = field(default_factory=time.monotonic)
    stopped: bool = False
    _reply: Reply | None = None

    def stop(self) -> None:
        """End it after the token in work; what was said stays."""
        self.stopped = True
        if self._reply is not None:
            self._reply.stop()


class Answering:
    """The answers that are being made, at most one a conversation.

    Args:
        chats: Where they are saved.
    """

    def __init__(self, chats: ChatStore) -> None:
        self.chats = chats
        self._lock = threading.Lock()
        self._running: dict[str, Running] = {}

    def running(self, chat: str) -> Running | None:
        """The unfinished answer of a conversation."""
        return self._running.get(chat)

    def ask(
        self,
        base: KnowledgeBase,
        chat: str,
        question: str,
        *,
        beside: Sequence[KnowledgeBase] = (),
        after: Callable[[], object] | None = None,
    ) -> int:
        """Save a question and begin its answer. Returns the turn's id.

        Args:
            beside: Knowledge bases that are searched, too.
            after: Called before the search, to wait for what must be there first.

        Raises:
            KBError: this conversation waits for an answer already, or nothing can be saved.
        """
        with self._lock:
            if chat in self._running:
                raise KBError("This conversation waits for an answer.", "Wait for it, or stop it.")
            history = [turn.turn for turn in self.chats.turns(chat) if turn.state in ("done", "stopped")]
            turn = self.chats.begin(chat, question)
            running = Running(chat, turn, question, "waiting" if after else "searching")
            self._running[chat] = running

        def work() -> None:
            try:
                if after is not None:
                    after()
                    running.stage = "searching"
                self._answer(running, lambda: base.ask(question, history, beside=beside))
            finally:
                with self._lock:
                    del self._running[chat]

        threading.Thread(target=work, name=f"answer-{turn}", daemon=True).start()
        return turn

    def _answer(self, running: Running, ask: Callable[[], Reply]) -> None:
        state: State = "done"
        try:
            if running.stopped:
                reply: dict[str, Any] = {}
            else:
                reply = self._stream(running, ask())
            state = "stopped" if running.stopped else "done"
        except KBError as error:
            state, reply = "failed", {"error": error.message, "hint": error.hint}
        except Exception as error:
            _log.exception("An answer failed.")
            state, reply = "failed", {"error": f"{type(error).__name__}: {error}", "hint": ""}
        reply["seconds"] = reply.get("seconds", {}) | {"total": round(time.monotonic() - running.started, 3)}
        try:
            self.chats.save(running.turn, running.text.strip(), state, reply)
        except KBError as error:
            _log.error("An answer can't be saved: %s", error.message)

    def _stream(self, running: Running, reply: Reply) -> dict[str, Any]:
        running._reply = reply
        if running.stopped:
            reply.stop()
        found = round(time.monotonic() - running.started, 3)
        running.hits, running.stage = len(reply.hits), "answering"
        saved = time.monotonic()
        for piece in reply:
            running.text += piece
            if time.monotonic() - saved > SAVED_EVERY_S:
                self.chats.save(running.turn, running.text, "answering", {})
                saved = time.monotonic()
        whole = reply.to_json()
        running.text = whole.pop("answer")
        return whole | {"seconds": {"found": found}}
