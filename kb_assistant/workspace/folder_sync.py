"""Keeps knowledge bases in step with the folders that were named for them, while the process lives.

One thread for all of them: it is told of changes as they happen (see ingest.watch, also for what a system doesn't
tell), and leaves the work to `Jobs`, one look at a time for each knowledge base; what changes meanwhile waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from kb_assistant.errors import KBError
from kb_assistant.knowledge import KnowledgeBase, import_ingest
from kb_assistant.types import Changes
from kb_assistant.workspace.folders import folders_of
from kb_assistant.workspace.jobs import Job, Jobs

_log = logging.getLogger(__name__)

NAMED_S = 1.0
"""Between two looks at which folders are named."""

RETRY_S = 60.0
"""Until a look that failed is tried again."""


class Watcher(Protocol):
    """What is needed of ingest's watcher."""

    def changes(self) -> Iterator[Changes]: ...

    def compared(self, seconds: float) -> None: ...


_Named = dict[KnowledgeBase, tuple[Path, ...]]


def keep_in_step(jobs: Jobs, open_bases: Callable[[], Sequence[KnowledgeBase]]) -> Callable[[], None]:
    """Begin to follow the folders of these knowledge bases, those that are named later, too.

    Returns:
        What ends it.
    """
    ended = threading.Event()

    def is_over(named: _Named) -> bool:
        return ended.is_set() or _named(open_bases()) != named

    def follow() -> None:
        while not ended.is_set():
            named = _named(open_bases())
            _Following(jobs, named).run(_seldom(partial(is_over, named)))

    threading.Thread(target=follow, name="in-step", daemon=True).start()
    return ended.set


class _Following:
    """Follows the folders that are named now.

    Attributes:
        waiting: What changed, and wasn't looked at yet.
        looks: The last look at each, with what it is about.
    """

    def __init__(self, jobs: Jobs, named: _Named) -> None:
        self.jobs, self.named = jobs, named
        self.waiting: dict[KnowledgeBase, Changes] = {base: Changes() for base in named}
        self.looks: dict[KnowledgeBase, tuple[Job, Changes]] = {}
        self.not_before: dict[KnowledgeBase, float] = {}

    def run(self, stop: Callable[[], bool]) -> None:
        roots = list(dict.fromkeys(folder for folders in self.named.values() for folder in folders))
        watcher: Watcher = import_ingest("watch").Watcher(roots, stop, _log.warning)
        for changes in watcher.changes():
            if changes.everything:
                watcher.compared(0)
            for base, folders in self.named.items():
                near = {path for path in changes.paths if any(path.is_relative_to(one) for one in folders)}
                self.waiting[base].add(Changes(near, changes.everything))
                self._take_note(base, watcher)
                self._look(base, [folder for folder in folders if folder.is_dir()])

    def _take_note(self, base: KnowledgeBase, watcher: Watcher) -> None:
        """What became of its last look."""
        job, about = self.looks.get(base, (None, Changes()))
        if job is None or not job.finished:
            return
        del self.looks[base]
        if job.state == "failed":
            self.waiting[base].add(about)
            self.not_before[base] = time.monotonic() + RETRY_S
        elif about.everything:
            watcher.compared(job.seconds)

    def _look(self, base: KnowledgeBase, folders: Sequence[Path]) -> None:
        """Bring it in step with what waits, unless it has other work, or shall wait."""
        about = self.waiting[base]
        if not about or not folders or self.jobs.busy(base) or time.monotonic() < self.not_before.get(base, 0.0):
            return
        changed = None if about.everything else sorted(about.paths)
        self.looks[base] = (self.jobs.ingest(base, folders, quiet=True, changed=changed), about)
        self.waiting[base] = Changes()


def _named(open_bases: Sequence[KnowledgeBase]) -> _Named:
    """The folders of each. A list that can't be read now is none."""
    named: _Named = {}
    for base in open_bases:
        with suppress(KBError):
            named[base] = folders_of(base.settings).kept
    return named


def _seldom(ask: Callable[[], bool]) -> Callable[[], bool]:
    """Asks at most every NAMED_S, and says what it heard last."""
    heard, at = False, time.monotonic() + NAMED_S

    def asked() -> bool:
        nonlocal heard, at
        if time.monotonic() > at:
            heard, at = ask(), time.monotonic() + NAMED_S
        return heard

    return asked
