"""One writer at a time for a folder: threads wait in a queue, processes for a file lock.

The system frees the file lock when its holder dies. A forked child holds nothing that its parent holds.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from weakref import WeakSet, WeakValueDictionary

from kb_assistant.errors import BusyError, StoreError, hint_for
from kb_assistant.messages import _

_POLL_S = 0.02


class FairLock:
    """A reentrant lock that threads acquire in the order of their requests.

    Attributes:
        depth: How many times the holding thread has acquired it.
        since: Local time when the holding thread acquired it first; for messages.
    """

    def __init__(self) -> None:
        self.depth, self.since = 0, ""
        self._owner = 0
        self._waiting: deque[object] = deque()
        self._freed = threading.Condition()

    def acquire(self, patience: float) -> bool:
        """Acquire the lock. Returns False if one other thread held it for `patience` seconds: the time restarts
        whenever the lock passes on, so that many short holders never exhaust it."""
        me, place = threading.get_ident(), object()
        with self._freed:
            if self._owner == me:
                self.depth += 1
                return True
            self._waiting.append(place)
            try:
                while self._owner or self._waiting[0] is not place:
                    if not self._freed.wait(patience):
                        return False
                self._owner, self.depth, self.since = me, 1, time.strftime("%H:%M:%S")
                return True
            finally:  # also after Ctrl-C: who leaves must not be waited for
                self._waiting.remove(place)
                if not self._owner:
                    self._freed.notify_all()

    def release(self) -> None:
        """Undo one acquisition; after the last one the first waiting thread gets the lock."""
        with self._freed:
            self.depth -= 1
            if not self.depth:
                self._owner = 0
                self._freed.notify_all()


_queues: WeakValueDictionary[Path, FairLock] = WeakValueDictionary()
_queues_lock = threading.Lock()


@contextmanager
def writing(
    folder: Path, patience: float, what: str = _("this knowledge base"), name: str = "writer"
) -> Iterator[None]:
    """Hold the writer's lock of the knowledge base (or other files) in `folder`.

    The thread that holds it may acquire it again.

    Args:
        patience: Seconds to wait for one other writer; 0 doesn't wait at all.
        what: What is written, for the message.
        name: Name of the lock; other names in the folder are other locks.

    Raises:
        BusyError: another process, or another thread of this one, still writes after that time; the message says
            which.
        StoreError: the folder can't be written.
    """
    here = Path(os.path.realpath(folder)) / name
    with _queues_lock:
        queue = _queues.setdefault(here, FairLock())
    if not queue.acquire(patience):
        raise BusyError(
            _("This process is writing to {what} already, since {since}.", what=what, since=queue.since),
            _("Wait until it is done, or stop it; searching works meanwhile."),
        )
    process = os.getpid()
    try:
        if queue.depth > 1:
            yield
        else:
            with _file_lock(here, patience, what):
                yield
    finally:
        if os.getpid() == process:  # a forked child holds nothing
            queue.release()


@contextmanager
def _file_lock(path: Path, patience: float, what: str) -> Iterator[None]:
    """Hold the lock `path`.lock. A process that waits for it holds `path`.next, which each process must acquire
    first: so a process whose threads write all the time lets others have their turn."""
    from filelock import FileLock, Timeout

    folder = path.parent
    lock, first, note = FileLock(f"{path}.lock"), FileLock(f"{path}.next"), Path(f"{path}.json")
    if not folder.is_dir():  # FileLock would create it
        raise StoreError(_("There is no folder {path}.", path=folder), _("Make it, or choose another --home."))
    try:
        with first.acquire(timeout=patience, poll_interval=_POLL_S):
            lock.acquire(timeout=patience, poll_interval=_POLL_S)
    except Timeout:
        raise BusyError(
            _busy(what, note),
            _("Wait until it is done, or stop it; searching works meanwhile."),
        ) from None
    except OSError as error:
        raise StoreError(
            _("{path} can't be written: {reason}.", path=folder, reason=error),
            hint_for(error, _("Check the folder's permissions, or choose another --home.")),
        ) from error
    process = os.getpid()
    try:
        with suppress(OSError):  # the note is a courtesy to a waiting process
            note.write_text(json.dumps({"pid": process, "since": time.strftime("%H:%M:%S")}))
        yield
    finally:
        if os.getpid() == process:
            with suppress(OSError):
                note.unlink(missing_ok=True)
            lock.release()


def _busy(what: str, note: Path) -> str:
    try:
        who = json.loads(note.read_text())
        if who["pid"] != os.getpid():
            return _(
                "Another process is writing to {what}: process {pid}, since {since}.",
                what=what,
                pid=who["pid"],
                since=who["since"],
            )
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return _("Another process is writing to {what}.", what=what)


class Forkable(Protocol):
    """An object that must prepare when this process is forked."""

    def before_fork(self) -> None:
        """Prepare; called in the process that forks."""

    def after_fork(self) -> None:
        """Continue in the child: with new locks, because a missing thread may hold the old ones, and without
        anything that two processes must not share."""


no_fork = threading.RLock()
"""Held by a thread that opens anything that must be closed during a fork, and by the forking thread."""

_forkable: WeakSet[Forkable] = WeakSet()


def survive_forks(one: Forkable) -> None:
    """Call the object's `before_fork` and `after_fork` as long as it exists."""
    with no_fork:  # a fork in another thread goes through them
        _forkable.add(one)


def _before_fork() -> None:
    no_fork.acquire()
    for one in list(_forkable):
        one.before_fork()


def _after_fork() -> None:
    global _queues_lock
    _queues_lock = threading.Lock()
    _queues.clear()
    no_fork.release()
    for one in list(_forkable):
        one.after_fork()


def in_forked_child(renew: Callable[[], object]) -> None:
    """Call `renew` in each forked child before it continues; do nothing on systems without fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=no_fork.release, after_in_child=_after_fork)
