"""What workers share: files to read, each with its state, and what is left to do when all are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kb_assistant.messages import _

Kind = Literal["file", "rest"]
"""A file to read; or what an ingest does once all its files are read."""

MOST_ATTEMPTS = 3
"""A file that so many workers didn't survive is parked."""


@dataclass(frozen=True, slots=True)
class WorkFile:
    """A file as it is ordered. `digest` changes with its content; `task` says how it is read, as JSON values."""

    path: str
    digest: str
    size: int
    task: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """An ingest that workers carry out.

    Attributes:
        paths: What was given, as absolute paths or addresses: a worker must see all of them.
        recipe: Names the readers, the splitter and the embedder that a worker must have, too.
        asked_by: The machine.
        rest: What is to be done after the last file, as JSON values.
    """

    paths: Sequence[str]
    recipe: str
    asked_by: str
    files: Sequence[WorkFile]
    rest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A piece of work that a worker has taken. `attempts` counts this one."""

    id: int
    ingest: int
    kind: Kind
    path: str
    digest: str
    size: int
    attempts: int
    task: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker did with what it took. `lost` were given back for another attempt."""

    files: int = 0
    failed: int = 0
    chunks: int = 0
    embedded: int = 0
    lost: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __add__(self, other: Share) -> Share:
        return Share(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class RunningIngest:
    """An unfinished ingest, for a worker to know whether it can take part."""

    id: int
    paths: tuple[str, ...]
    recipe: str


@dataclass(frozen=True, slots=True)
class IngestState:
    """How far an ingest by workers is. Bytes are those of its files.

    Attributes:
        state: "running", "done", or "cancelled".
        files: All files to read; of them `done` (as many `failed`), `reading`, `waiting` and `parked`.
        lost: Those that wait because a worker that had them ended.
    """

    id: int
    state: str
    paths: tuple[str, ...]
    asked_at: str
    asked_by: str
    files: int = 0
    done: int = 0
    failed: int = 0
    reading: int = 0
    waiting: int = 0
    lost: int = 0
    parked: int = 0
    bytes: int = 0
    all_bytes: int = 0
    chunks: int = 0
    embedded: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"paths": list(self.paths)}


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker that has been heard of. `seen` is how many seconds ago; `lost` where that is too long."""

    id: str
    host: str
    pid: int
    since: str
    files: int
    seen: float
    lost: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ParkedFile:
    """A file that no worker takes any more, until it changes or is asked for again."""

    path: str
    attempts: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SharedWorkState:
    """All of it; ingests and workers with the latest first."""

    ingests: tuple[IngestState, ...] = ()
    workers: tuple[WorkerState, ...] = ()
    parked: tuple[ParkedFile, ...] = ()

    @property
    def summary(self) -> str:
        """What goes on, in a line; empty if nothing does."""
        running = [one for one in self.ingests if one.state == "running"]
        workers = sum(not one.lost for one in self.workers)
        if not (running or workers or self.parked):
            return ""
        left = sum(one.waiting + one.reading for one in running)
        return _(
            "{left} files to read, {workers} workers, {parked} files parked",
            left=left,
            workers=workers,
            parked=len(self.parked),
        )

    def to_json(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "ingests": [one.to_json() for one in self.ingests],
            "workers": [one.to_json() for one in self.workers],
            "parked": [one.to_json() for one in self.parked],
        }
