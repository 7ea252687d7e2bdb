"""Reports changes in folders and files as they happen. `sync` processes them.

The system reports changes in folders (watchfiles: inotify, FSEvents, ReadDirectoryChangesW); files named
individually are checked by modification time. Changes that a system doesn't report, such as on network drives or
after an overflow, are found by a full comparison from time to time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from watchfiles import Change, watch

from ingest.discover import IGNORE_FILES, is_hidden, is_homes_own
from kb_assistant.errors import BusyError
from kb_assistant.messages import _
from kb_assistant.types import Changes, Report

TICK = 0.2
"""Seconds between two checks whether to stop and whether the watched paths still exist."""


COMPARE_SECONDS = 600.0
"""Seconds between two full comparisons; longer if one takes long."""

BUSY_SECONDS = 2.0
"""Seconds until the next try after another process was writing."""

_GATHER_MS, _QUIET_MS, _POLL_MS = 400, 50, 1000
_SHARE_COMPARING = 0.01
_BY_EVENTS, _POLLING, _COMPARING = range(3)
_Identity = tuple[int, ...] | None


class Watcher:
    """Watches from the first call of `changes()` on.

    Args:
        roots: Absolute paths of folders and files.
        stop: Called every TICK; once it returns true, the changes end.
        on_message: Called with what the user should know.
        home: Home of knowledge bases: what the program writes there is no change.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        stop: Callable[[], bool],
        on_message: Callable[[str], None],
        home: Path | None = None,
    ) -> None:
        self._homes = set() if home is None else {home.absolute(), home.resolve()}
        self._folders = [root for root in roots if not root.is_file()]
        self._files = [root for root in roots if root.is_file()]
        self._stop, self._on_message = stop, on_message
        self._seen: dict[Path, _Identity] = {}
        self._way = _BY_EVENTS
        self._gone: set[Path] = set()
        self._compare_at = 0.0

    @property
    def present(self) -> list[Path]:
        """The roots that exist now."""
        return [root for root in (*self._folders, *self._files) if _state(root) is not None]

    def compared(self, seconds: float) -> None:
        """Record that a full comparison took this long."""
        self._compare_at = time.monotonic() + max(COMPARE_SECONDS, seconds / _SHARE_COMPARING)

    def changes(self) -> Iterator[Changes]:
        """Changes since the last one, at least every TICK; mostly empty. The first is everything."""
        self._seen = {file: _state(file) for file in self._files}
        while not self._stop():
            folders = {folder: _identity(folder) for folder in self._folders}
            self._tell_of_gone(folders)
            first = True
            for changes in self._changes_in([folder for folder, identity in folders.items() if identity]):
                changes.everything |= first or time.monotonic() > self._compare_at
                first = False
                changes.paths |= self._changed_files()
                yield changes
                if any(_identity(folder) != identity for folder, identity in folders.items()):
                    break

    def _tell_of_gone(self, folders: dict[Path, _Identity]) -> None:
        gone = {folder for folder, identity in folders.items() if identity is None}
        for folder in sorted(gone - self._gone):
            self._on_message(
                _(
                    "{folder} isn't there any more. What is known of it stays; it is compared when it is back.",
                    folder=folder,
                )
            )
        self._gone = gone

    def _changed_files(self) -> set[Path]:
        """Changes of the files named individually."""
        states = {file: _state(file) for file in self._files}
        changed = {file for file, state in states.items() if state != self._seen[file]}
        self._seen = states
        return changed

    def _changes_in(self, folders: list[Path]) -> Iterator[Changes]:
        if not folders or self._way == _COMPARING:
            while not self._stop():
                yield Changes()
                time.sleep(TICK)
            return
        try:
            for events in watch(
                *folders,
                watch_filter=None,
                debounce=_GATHER_MS,
                step=_QUIET_MS,
                rust_timeout=int(TICK * 1000),
                yield_on_timeout=True,
                stop_event=_Asked(self._stop),
                force_polling=True if self._way == _POLLING else None,
                poll_delay_ms=_POLL_MS,
                ignore_permission_denied=True,
            ):
                changes = Changes()
                for event in events:
                    if not any(is_homes_own(Path(event[1]), home) for home in self._homes):
                        changes.add(_concern(event, folders))
                yield changes
        except FileNotFoundError:
            time.sleep(TICK)  # it disappeared at this very moment
        except (RuntimeError, OSError) as error:  # watchfiles' own error class, a RuntimeError, is private
            self._watch_otherwise(error)

    def _watch_otherwise(self, error: Exception) -> None:
        """Continue with the next simpler method."""
        if self._way == _BY_EVENTS:
            self._way = _POLLING
            self._on_message(
                _(
                    "The system can't watch these folders ({error}); they are looked through every second.",
                    error=error,
                )
            )
        else:
            self._way = _COMPARING
            self._on_message(
                _("These folders can't be watched ({error}); they are compared now and then.", error=error)
            )


def follow(
    watcher: Watcher, bring_in_step: Callable[[Changes, bool], Report], on_message: Callable[[str], None]
) -> Iterator[Report]:
    """Process changes as they come. While another process writes, changes wait.

    Args:
        bring_in_step: Processes changes; called with the changes, and whether it is the first call.

    Yields:
        The first report, then those with news, without rows that report nothing new.
    """
    waiting, first, not_before = Changes(), True, 0.0
    failures: dict[str, str] = {}
    for changes in watcher.changes():
        waiting.add(changes)
        if not waiting or time.monotonic() < not_before:
            continue
        try:
            report = bring_in_step(waiting, first)
        except BusyError as error:
            on_message(_("{problem} Trying again.", problem=error.message))
            not_before = time.monotonic() + BUSY_SECONDS
            continue
        if waiting.everything:
            watcher.compared(report.seconds)
        news = tuple(row for row in report if row.status != "unchanged" and failures.get(row.path) != row.reason)
        for row in report:
            failures.pop(row.path, None)
            if row.status == "failed":
                failures[row.path] = row.reason
        if first or news:
            yield report if first else replace(report, files=news)
        waiting, first = Changes(), False


@dataclass(frozen=True, slots=True)
class _Asked:
    """A function in the form that watchfiles requires."""

    is_set: Callable[[], bool]


def _concern(event: tuple[Change, str], folders: Sequence[Path]) -> Changes:
    """The path affected by an event: none for a hidden file, the folder of an ignore file, everything behind a
    link."""
    path = Path(event[1])
    root = next((folder for folder in folders if path.is_relative_to(folder)), None)
    if root is None or path == root:
        return Changes(everything=True)
    if path.name in IGNORE_FILES:
        path = path.parent
    between = [path, *path.parents][: len(path.relative_to(root).parts)]
    if any(is_hidden(part) for part in path.relative_to(root).parts):
        return Changes()
    if path == root or any(part.is_symlink() for part in between):
        return Changes(everything=True)
    return Changes({path})


def _identity(folder: Path) -> _Identity:
    """The folder's identity; None if it is missing or isn't a folder."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if folder.is_dir() else None


def _state(path: Path) -> _Identity:
    """A stamp that changes with the file; None if it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
