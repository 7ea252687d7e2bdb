"""Long-running work on knowledge bases, in threads: it runs without being watched, and its outcome is kept.

A knowledge base runs one job at a time in a process. The last ones are kept with it (job_list), so that a report
survives a restart, other machines see what goes on, and interrupted work is shown as such.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.errors import BusyError, KBError
from kb_assistant.messages import _
from kb_assistant.priority import lower_priority
from kb_assistant.workspace.folders import left_out
from kb_assistant.workspace.job_list import KEPT, Job, JobKind, JobList, JobState, unread_paths

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.types import Progress

_log = logging.getLogger(__name__)

__all__ = ["KEPT", "Job", "JobKind", "JobState", "Jobs", "Reading", "unread_paths"]

TOLD_EVERY_S = 2.0
"""How often the list of jobs, which other machines read, is told how far one is; less often where writing it takes
long."""
_WRITING_SHARE = 20


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the documents of a knowledge base are read that are being read now.

    Attributes:
        files: Files done, of `all_files`; 0 of 0 while they are still being looked for.
        chunks: Chunks embedded.
        share: Of the bytes, from 0 to 1; None if unknown.
        path: The file in progress, or "".
    """

    files: int = 0
    all_files: int = 0
    chunks: int = 0
    share: float | None = None
    seconds_left: float | None = None
    path: str = ""

    @property
    def left(self) -> int:
        return self.all_files - self.files

    def to_json(self) -> dict[str, int]:
        return {"files": self.files, "all_files": self.all_files}


_Work = Callable[[Job, threading.Event], JobState]


class Jobs:
    """The unfinished jobs of this process, by knowledge base.

    Attributes:
        outcomes: How many files of this process' ingests had each outcome, such as "added".
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._live: dict[JobList, list[Job]] = {}
        self._ends: dict[str, threading.Event] = {}
        self._stops: dict[str, threading.Event] = {}
        self._tell_after: dict[JobList, float] = {}
        self._queues: dict[JobList, deque[tuple[Job, _Work, bool]]] = {}

    def of(self, base: KnowledgeBase) -> list[Job]:
        """Its jobs, latest first: those of this process, then the stored ones."""
        place = JobList.of(base.settings)
        with self._lock:
            live = list(self._live.get(place, ()))
        known = {job.id for job in live}
        every = [*reversed(live), *(job for job in place.read(known) if job.id not in known)]
        return sorted(every, key=lambda job: job.asked_at, reverse=True)[:KEPT]

    def busy(self, base: KnowledgeBase) -> bool:
        """Whether a job of this process waits or runs."""
        with self._lock:
            return any(not job.finished for job in self._live.get(JobList.of(base.settings), ()))

    def reading(self, base: KnowledgeBase) -> Reading | None:
        """The progress of its unfinished ingests together; None if there are none."""
        with self._lock:
            live = [job for job in self._live.get(JobList.of(base.settings), ()) if not job.finished]
        ingests = [job for job in live if job.kind == "ingest"]
        if not ingests:
            return None
        now = next((job for job in ingests if job.state == "running"), ingests[0])
        note, behind = now.note, sum(len(job.paths) for job in ingests if job is not now)
        return Reading(
            files=note.get("files", 0),
            all_files=note.get("all_files", 0) + behind,
            chunks=note.get("chunks", 0),
            share=now.share,
            seconds_left=note.get("seconds_left"),
            path=note.get("path", ""),
        )

    def ingest(
        self,
        base: KnowledgeBase,
        paths: Sequence[str | Path],
        quiet: bool = False,
        changed: Sequence[Path] | None = None,
        passwords: Sequence[str] = (),
    ) -> Job:
        """Synchronize it with files and folders.

        Args:
            quiet: Drop the job if it has nothing new to report.
            changed, passwords: As for KnowledgeBase.ingest.
        """

        place = JobList.of(base.settings)

        def work(job: Job, stop: threading.Event) -> JobState:
            def told(now: Progress) -> None:
                job.share = now.bytes / now.all_bytes if now.all_bytes else None
                job.note = {
                    "files": now.files,
                    "all_files": now.all_files,
                    "chunks": now.embedded,
                    "seconds_left": now.seconds_left,
                    "path": now.path or job.note.get("path", ""),
                }
                if not quiet:
                    self._tell(place)

            report = base.ingest(
                [Path(path) for path in job.paths],
                changed=changed,
                passwords=passwords,
                left_out=left_out(base.settings),
                on_progress=told,
                stop=stop.is_set,
            )
            job.result = report.to_json()
            with self._lock:
                self.outcomes.update(row.status for row in report)
            return "stopped" if report.stopped else "done"

        return self._begin(base, "ingest", [str(path) for path in paths], work, quiet)

    def verify(self, base: KnowledgeBase, repair: bool = False) -> Job:
        """Check that everything agrees, or repair what doesn't."""

        def work(job: Job, _: threading.Event) -> JobState:
            job.result = base.verify(repair).to_json()
            return "done"

        return self._begin(base, "repair" if repair else "verify", [], work)

    def rebuild(self, base: KnowledgeBase) -> Job:
        """Embed all texts again."""

        place = JobList.of(base.settings)

        def work(job: Job, stop: threading.Event) -> JobState:
            def told(done: int, total: int) -> None:
                job.share = done / total if total else None
                job.note = {"texts": done, "all_texts": total}
                self._tell(place)

            return "done" if base.rebuild(told, stop.is_set) else "stopped"

        return self._begin(base, "rebuild", [], work)

    def stop(self, job: str, base: KnowledgeBase | None = None) -> None:
        """End a job after its current step; finished work stays. Unknown ids are ignored.

        Args:
            base: Its knowledge base: then also the job of another process, of any machine, ends.
        """
        if event := self._stops.get(job):
            event.set()
        elif base is not None:
            with suppress(KBError):
                JobList.of(base.settings).ask_to_stop(job)

    def wait(self, job: str) -> None:
        """Wait until a job of this process is finished."""
        if event := self._ends.get(job):
            event.wait()

    def end(self, base: KnowledgeBase, seconds: float) -> None:
        """Stop all jobs of a knowledge base, and wait until they have ended.

        Raises:
            BusyError: one still runs after that many seconds.
        """
        with self._lock:
            ends = {job.id: self._ends[job.id] for job in self._live.get(JobList.of(base.settings), ())}
        for job in ends:
            self.stop(job)
        deadline = time.monotonic() + seconds
        for end in ends.values():
            if not end.wait(max(0.0, deadline - time.monotonic())):
                raise BusyError(
                    _("Work on this knowledge base goes on."), _("Wait until it is done, then try again.")
                )

    def _begin(
        self,
        base: KnowledgeBase,
        kind: JobKind,
        paths: list[str],
        work: _Work,
        quiet: bool = False,
    ) -> Job:
        place = JobList.of(base.settings)
        job = Job(uuid.uuid4().hex, kind, paths, asked_at=datetime.now(UTC).isoformat(timespec="seconds"))
        with self._lock:
            self._live.setdefault(place, []).append(job)
            self._ends[job.id], self._stops[job.id] = threading.Event(), threading.Event()
        if not quiet:
            self._keep(place)
        with self._lock:
            first = place not in self._queues
            self._queues.setdefault(place, deque()).append((job, work, quiet))
        if first:
            # The thread doesn't keep the program alive: interrupted work is consistent as far as it got.
            threading.Thread(
                target=self._work, args=(place,), name=f"job-{place.folder.name}", daemon=True
            ).start()
        return job

    def _work(self, place: JobList) -> None:
        """Run the waiting jobs of a knowledge base until none is left, behind what people wait for."""
        lower_priority()
        while True:
            with self._lock:
                if not self._queues[place]:
                    del self._queues[place]
                    return
                job, work, quiet = self._queues[place].popleft()
            self._run(place, job, work, quiet)

    def _run(self, place: JobList, job: Job, work: _Work, quiet: bool) -> None:
        started = time.monotonic()
        stop = self._stops[job.id]
        state: JobState = "failed"
        try:
            job.state = "running"
            if not quiet:
                self._keep(place)
            state = "stopped" if stop.is_set() else work(job, stop)
        except KBError as error:
            job.error, job.hint = error.message, error.hint
        except Exception as error:
            _log.exception("A job failed.")
            job.error = _("{type}: {reason}", type=type(error).__name__, reason=str(error))
        finally:
            job.seconds = round(time.monotonic() - started, 2)
            job.state = state
            ended = self._ends[job.id]
            tells_nothing = quiet and _is_old_news(job, self._before(place, job))
            written = self._keep(place, without=job if tells_nothing else None)
            self._let_go(place, job if tells_nothing or written else None)
            ended.set()

    def _before(self, place: JobList, job: Job) -> Job | None:
        """The last job finished before this one."""
        with self._lock:
            finished = [one for one in self._live[place] if one.finished and one is not job]
        return next((one for one in [*reversed(finished), *place.read()] if one.id != job.id), None)

    def _let_go(self, place: JobList, done: Job | None) -> None:
        """Release a job that is stored or has nothing to report, and the oldest of too many."""
        with self._lock:
            live = self._live[place]
            old = [job for job in live if job.finished][:-KEPT]
            for job in [job for job in live if job is done or job in old]:
                live.remove(job)
                del self._ends[job.id], self._stops[job.id]
            if not live:
                del self._live[place]
                self._tell_after.pop(place, None)

    def _keep(self, place: JobList, without: Job | None = None) -> bool:
        """Write the last jobs beside the knowledge base, best effort: a full disk is no reason to fail. Returns
        whether they can be released: they are written, or the knowledge base is gone."""
        with self._lock:
            live = [job for job in self._live.get(place, ()) if job is not without]
        try:
            wanted = place.write(live[::-1], without.id if without else "")
        except KBError:
            return False
        for job in wanted & self._stops.keys():
            self.stop(job)
        return True

    def _tell(self, place: JobList) -> None:
        """Keep how far its jobs are, unless that was done a moment ago."""
        began = time.monotonic()
        if began > self._tell_after.get(place, 0.0):
            self._keep(place)
            took = time.monotonic() - began
            self._tell_after[place] = began + max(TOLD_EVERY_S, _WRITING_SHARE * took)


def _is_old_news(job: Job, before: Job | None) -> bool:
    """Whether it changed nothing, or failed like the job before it."""
    if job.state == "done":
        return all(row["status"] in ("unchanged", "duplicate") for row in job.result["files"])
    return job.state == "failed" and before is not None and before.error == job.error
