"""A queue of requests for one model. Each runs in a thread; its reader gets the pieces as they are made."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kb_assistant.errors import ModelError
from kb_assistant.lock import in_forked_child
from kb_assistant.messages import _

T = TypeVar("T")
Emit = Callable[[T], bool]
"""Gives a piece to the reader. Returns True if the reader wants no more."""

_POLL_SECONDS = 0.05
_STOP_SECONDS = 2.0
_EXIT_SECONDS = 30.0

_queues: weakref.WeakSet[RequestQueue[Any]] = weakref.WeakSet()


def never() -> bool:
    """For requests that can't be cancelled."""
    return False


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class _Done:
    """Marks the end of a request."""


class RequestQueue(Generic[T]):
    """Runs requests one at a time, first come, first served.

    Each request runs in its own thread: a reader that pauses, or drops its stream, doesn't block others.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.clear()
        _queues.add(self)

    def clear(self) -> None:
        """Drop all requests. For a forked child, where their threads don't exist."""
        self._line: deque[threading.Event] = deque()
        self._moved = threading.Condition()
        self._running: dict[threading.Thread, threading.Event] = {}

    def stream(self, work: Callable[[Emit[T]], None], cancelled: Callable[[], bool] = never) -> Iterator[T]:
        """The pieces that `work` produces, as they are made. Closing the iterator ends the request.

        Args:
            work: Called when it is this request's turn, unless the request has ended by then.
            cancelled: Called often, also while the request waits; once it returns True, the stream ends.

        Raises:
            Exception: what `work` raises.
            ModelError: a process forked meanwhile continues to read the stream.
        """
        pieces: queue.SimpleQueue[T | _Failed | _Done] = queue.SimpleQueue()
        gone = threading.Event()

        def emit(piece: T) -> bool:
            pieces.put(piece)
            return gone.is_set()

        def run() -> None:
            try:
                with self._turn(gone):
                    if not gone.is_set():
                        work(emit)
            except Exception as error:
                pieces.put(_Failed(error))
            finally:
                self._running.pop(threading.current_thread(), None)
                pieces.put(_Done())

        thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._running[thread] = gone
        thread.start()
        try:
            yield from _until_done(pieces, cancelled)
        finally:
            gone.set()
            thread.join(_STOP_SECONDS)

    def stop(self, seconds: float) -> None:
        """Ask every request to end, and wait for it."""
        running = dict(self._running)
        for gone in running.values():
            gone.set()
        for thread in running:
            thread.join(seconds)

    @contextmanager
    def _turn(self, gone: threading.Event) -> Iterator[None]:
        """Wait until this request is the first in the queue, or gone."""
        with self._moved:
            self._line.append(gone)
            while self._line[0] is not gone and not gone.is_set():
                self._moved.wait(_POLL_SECONDS)
        try:
            yield
        finally:
            with self._moved:
                self._line.remove(gone)
                self._moved.notify_all()


def _until_done(pieces: queue.SimpleQueue[T | _Failed | _Done], cancelled: Callable[[], bool]) -> Iterator[T]:
    process = os.getpid()
    while not cancelled():
        if os.getpid() != process:
            raise ModelError(
                _("A forked process can't go on with its parent's answer."), _("Ask again in that process.")
            )
        try:
            piece = pieces.get(timeout=None if cancelled is never else _POLL_SECONDS)
        except queue.Empty:
            continue
        if isinstance(piece, _Done):
            return
        if isinstance(piece, _Failed):
            raise piece.error
        yield piece


def _clear_all() -> None:
    for requests in list(_queues):
        requests.clear()


in_forked_child(_clear_all)


# A thread inside an engine that outlives the interpreter would abort() the process.
@atexit.register
def _stop_all() -> None:
    for requests in list(_queues):
        requests.stop(_EXIT_SECONDS)
