"""The last jobs of a knowledge base, as they are kept with it: what runs, on any machine, and what has ended."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from kb_assistant.errors import KBError
from kb_assistant.messages import _, from_json, to_json
from kb_assistant.settings import Settings
from kb_assistant.store.home import HomeStore
from kb_assistant.store.opening import open_home

JobKind = Literal["ingest", "verify", "repair", "rebuild"]
JobState = Literal["waiting", "running", "done", "stopped", "failed", "interrupted"]

KEPT = 20
"""Jobs kept for each knowledge base."""

_PROCESS, _STOP = "process", "stop"
"""What the list has of a job besides: which process does it, and whether another one wants it to stop."""


@dataclass(slots=True)
class Job:
    """One piece of work.

    Attributes:
        paths: The paths of an ingest.
        share: How much is done, from 0 to 1; None if unknown.
        note: Its progress, for people: counts and the current file.
        result: The report or verdict as JSON, at the end.
        error, hint: Why it failed.
    """

    id: str
    kind: JobKind
    paths: list[str]
    state: JobState = "waiting"
    share: float | None = None
    note: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    hint: str = ""
    asked_at: str = ""
    seconds: float = 0.0

    @property
    def finished(self) -> bool:
        return self.state not in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class JobList:
    """The list of one knowledge base; equal ones are of the same.

    Attributes:
        folder: Of the knowledge base, on this machine.
    """

    folder: Path
    _home: HomeStore = field(compare=False)

    @classmethod
    def of(cls, settings: Settings) -> JobList:
        return cls(settings.kb_dir, open_home(settings.store, settings.home))

    def read(self, own: Collection[str] = ()) -> list[Job]:
        """The jobs, latest first. Unfinished ones whose process is gone were interrupted.

        Args:
            own: The unfinished ones of this process; others of it were interrupted, too.
        """
        try:
            written = self._home.text(self._name)
        except (KBError, OSError, ValueError):
            return []
        entries = _entries(written.text) if written else []
        return [job for entry in entries if (job := self._job(entry, own)) is not None]

    def write(self, jobs: Sequence[Job], without: str = "") -> set[str]:
        """Put these jobs of this process, latest first, into the list in place of what it has of them. Nothing
        happens where the knowledge base is gone.

        Args:
            without: The id of a job that is taken out.

        Returns:
            The ids of those that another process wants to stop.

        Raises:
            KBError: it can't be written.
        """
        wanted: set[str] = set()
        if not self._home.holds(self.folder.name):
            return wanted
        process = self._home.process()
        own = [asdict(job) | {_PROCESS: process} for job in jobs]
        known = {job.id for job in jobs} | {without}

        def latest(before: str | None) -> str:
            entries = _entries(before or "[]")
            wanted.update(str(one["id"]) for one in entries if one.get(_STOP) and one.get("id") in known)
            others = [one for one in entries if one.get("id") not in known]
            return _text([*own, *others][:KEPT])

        self._home.update(self._name, latest, what=_("the list of jobs"))
        return wanted

    def ask_to_stop(self, job: str) -> None:
        """Tell the process that does a job, on whichever machine, to end it.

        Raises:
            KBError: the list can't be written.
        """

        def marked(before: str | None) -> str | None:
            entries = _entries(before or "[]")
            return _text([one | {_STOP: True} if one.get("id") == job else one for one in entries])

        if self._home.holds(self.folder.name):
            self._home.update(self._name, marked, what=_("the list of jobs"))

    @property
    def _name(self) -> str:
        return f"kbs/{self.folder.name}/jobs.json"

    def _job(self, entry: dict[str, Any], own: Collection[str]) -> Job | None:
        process = entry.get(_PROCESS, "")
        try:
            job = Job(**{name: value for name, value in entry.items() if name not in (_PROCESS, _STOP)})
        except TypeError:
            return None
        if not job.finished and job.id not in own:
            elsewhere = process and process != self._home.process() and self._home.lives(process)
            job.state = job.state if elsewhere else "interrupted"
        return job


def unread_paths(jobs: Iterable[Job]) -> list[str]:
    """What the last ingests were to read that failed as a whole, as for want of a model; jobs latest first."""
    failed = takewhile(lambda job: (job.kind, job.state) == ("ingest", "failed"), jobs)
    return list(dict.fromkeys(path for job in reversed(list(failed)) for path in job.paths))


def _entries(text: str) -> list[dict[str, Any]]:
    """The jobs in their stored form; none if it is damaged."""
    try:
        found = json.loads(text, object_hook=from_json)
    except ValueError:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(entries: list[dict[str, Any]]) -> str:
    return json.dumps(to_json(entries), ensure_ascii=False)
