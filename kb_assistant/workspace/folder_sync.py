"""Keeps knowledge bases synchronized with their watched folders while the process runs.

One thread watches all folders. It receives changes as they happen (see ingest.watch, also for unreported
changes) and leaves the work to `Jobs`, one scan at a time for each knowledge base; later changes wait. A fault of
one folder or knowledge base doesn't affect the others; `FolderSync.problems` lists what isn't watched.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from kb_assistant.errors import KBError
from kb_assistant.ingestion import import_ingest
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.messages import _
from kb_assistant.types import Changes
from kb_assistant.workspace.folders import folders_of
from kb_assistant.workspace.jobs import Job, Jobs

_log = logging.getLogger(__name__)

NAMED_S = 1.0
"""Seconds between two readings of the lists of watched folders."""

RETRY_S = 60.0
"""Seconds until a failed scan is repeated."""

UNWATCHED_S = 600.0
"""Seconds between two full comparisons while the folders can't be watched."""

_TICK_S = 0.2


class Watcher(Protocol):
    """The required interface of ingest's watcher."""

    def changes(self) -> Iterator[Changes]: ...

    def compared(self, seconds: float) -> None: ...


_Watched = Mapping[KnowledgeBase, tuple[Path, ...]]


class FolderSync:
    """The thread that watches folders.

    Args:
        jobs: Does the work.
        open_bases: Returns the knowledge bases whose folders are watched; called every NAMED_S.
    """

    def __init__(self, jobs: Jobs, open_bases: Callable[[], Iterable[KnowledgeBase]]) -> None:
        self._jobs, self._open_bases = jobs, open_bases
        self._ended = threading.Event()
        self._lists: dict[Path, list[KBError]] = {}
        self._looks: dict[KnowledgeBase, _Looks] = {}
        self._listing: KBError | None = None
        self._watching: KBError | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="folder-sync", daemon=True).start()

    def stop(self) -> None:
        """End it within about a second; a running scan continues."""
        self._ended.set()

    def problems(self, base: KnowledgeBase) -> list[KBError]:
        """Which of the knowledge base's folders aren't watched now, and why."""
        look = self._looks.get(base)
        found = [*self._lists.get(base.settings.kb_dir, ()), look and look.problem, self._listing, self._watching]
        return [problem for problem in found if problem]

    def _run(self) -> None:
        watched: _Watched = {}
        while not self._ended.is_set():
            try:
                watched = self._named(watched)
                self._follow(watched, _seldom(partial(self._is_over, watched)))
            except Exception:
                _log.exception("Folders couldn't be followed; trying again.")
                self._ended.wait(RETRY_S)

    def _is_over(self, watched: _Watched) -> bool:
        return self._ended.is_set() or self._named(watched) != watched

    def _named(self, before: _Watched) -> _Watched:
        """The readable folders of each knowledge base; the previous ones if that can't be found out."""
        try:
            bases = list(self._open_bases())
        except (KBError, OSError) as error:
            self._listing = KBError(
                _("The knowledge bases can't be listed now: {reason}", reason=_reason(error)),
                _("Those that were listed before are followed."),
            )
            return before
        self._listing = None
        problems: dict[Path, list[KBError]] = {}
        watched = {base: _reachable(base, problems.setdefault(base.settings.kb_dir, [])) for base in bases}
        self._lists = problems
        return watched

    def _follow(self, watched: _Watched, stop: Callable[[], bool]) -> None:
        self._looks = {base: _Looks(self._jobs, base, folders) for base, folders in watched.items()}
        roots = list(dict.fromkeys(folder for folders in watched.values() for folder in folders))
        home = next((base.settings.home for base in watched), None)
        for changes, compared in self._changes(roots, stop, home):
            if changes.everything:
                compared(0)
            for look in self._looks.values():
                look.step(changes, compared)

    def _note(self, roots: Sequence[Path], message: str) -> None:
        """Log the watcher's message. While all folders exist, it is about how well they can be watched."""
        _log.warning(message)
        if all(root.is_dir() for root in roots):
            self._watching = KBError(message)

    def _changes(
        self, roots: Sequence[Path], stop: Callable[[], bool], home: Path | None
    ) -> Iterator[tuple[Changes, Callable[[float], None]]]:
        """Changes, each with the function to call after a full comparison. If the watcher fails, everything counts
        as changed from time to time, until it works again."""
        while not stop():
            try:
                self._watching = None
                note = partial(self._note, roots)
                watcher: Watcher = import_ingest("watch").Watcher(roots, stop, note, home)
                for changes in watcher.changes():
                    yield changes, watcher.compared
            except Exception as error:
                _log.exception("The folders can't be watched.")
                self._watching = KBError(
                    _("The folders can't be watched: {reason}", reason=_reason(error)),
                    _("They are compared every ten minutes."),
                )
            else:
                return
            yield Changes(everything=True), _ignore
            again = time.monotonic() + UNWATCHED_S
            while not stop() and time.monotonic() < again:
                yield Changes(), _ignore
                time.sleep(_TICK_S)


def follow_folders(jobs: Jobs, open_bases: Callable[[], Iterable[KnowledgeBase]]) -> FolderSync:
    """Start watching the folders of these knowledge bases, including folders added later."""
    sync = FolderSync(jobs, open_bases)
    sync.start()
    return sync


class _Looks:
    """The changes in the folders of one knowledge base, and its scans.

    Attributes:
        problem: Why no scan can start now.
    """

    def __init__(self, jobs: Jobs, base: KnowledgeBase, folders: Sequence[Path]) -> None:
        self._jobs, self._base, self._folders = jobs, base, folders
        self.problem: KBError | None = None
        self._waiting = Changes()
        self._look: tuple[Job, Changes] | None = None
        self._not_before = 0.0

    def step(self, changes: Changes, compared: Callable[[float], None]) -> None:
        """Record changes and the outcome of the last scan; start the next one if there is something to do.

        Args:
            compared: Called with the seconds that a full comparison took.
        """
        near = {path for path in changes.paths if any(path.is_relative_to(one) for one in self._folders)}
        self._waiting.add(Changes(near, changes.everything))
        try:
            self._take_note(compared)
            self._begin()
        except Exception as error:
            _log.exception("The folders of %s couldn't be looked at; trying again.", self._base.settings.kb)
            self.problem = KBError(
                _("The folders can't be compared now: {reason}", reason=_reason(error)),
                _("It is tried again every minute."),
            )
            self._not_before = time.monotonic() + RETRY_S

    def _take_note(self, compared: Callable[[float], None]) -> None:
        if self._look is None or not self._look[0].finished:
            return
        job, about = self._look
        self._look = None
        if job.state == "failed":
            self._waiting.add(about)
            self._not_before = time.monotonic() + RETRY_S
        elif about.everything:
            compared(job.seconds)

    def _begin(self) -> None:
        """Scan the waiting changes, unless the knowledge base is busy or has to wait."""
        about, folders = self._waiting, [folder for folder in self._folders if folder.is_dir()]
        if not about or not folders or time.monotonic() < self._not_before or self._jobs.busy(self._base):
            return
        changed = None if about.everything else sorted(about.paths)
        self._look = self._jobs.ingest(self._base, folders, quiet=True, changed=changed), about
        self._waiting, self.problem = Changes(), None


def _reachable(base: KnowledgeBase, problems: list[KBError]) -> tuple[Path, ...]:
    """The watched folders that can be read; for the others the reason is added to the problems. A missing folder
    stays included: the watcher resumes when it is back."""
    try:
        named = folders_of(base.settings).watched
    except KBError as error:
        problems.append(error)
        return ()
    found = []
    for folder in named:
        try:
            folder.stat()
        except FileNotFoundError:
            problems.append(
                KBError(_("{folder} isn't there now.", folder=folder), _("It is compared when it is back."))
            )
        except (OSError, ValueError) as error:  # ValueError: a NUL character in a list edited by hand
            problems.append(
                KBError(
                    _("{path} can't be read: {reason}.", path=folder, reason=error),
                    _("Check the folder's permissions."),
                )
            )
            continue
        found.append(folder)
    return tuple(found)


def _reason(error: Exception) -> str:
    return (
        error.message
        if isinstance(error, KBError)
        else _("{type}: {reason}", type=type(error).__name__, reason=str(error))
    )


def _ignore(seconds: float) -> None:
    """For comparisons that no watcher has to be told of."""


def _seldom(ask: Callable[[], bool]) -> Callable[[], bool]:
    """Calls the function at most every NAMED_S, and returns the last result in between."""
    heard, at = False, time.monotonic() + NAMED_S

    def asked() -> bool:
        nonlocal heard, at
        if time.monotonic() > at:
            heard, at = ask(), time.monotonic() + NAMED_S
        return heard

    return asked
