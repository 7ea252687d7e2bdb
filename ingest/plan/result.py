"""What an ingest is going to do, before any file is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ingest.archives import MemberPlace
from ingest.plan.moves import Move
from kb_assistant.messages import _, join
from kb_assistant.store import Source
from kb_assistant.types import FileResult, MissingFiles, Status


@dataclass(slots=True)
class Task:
    """A source to read: a file, or the member at `places` of an archive."""

    status: Status
    reason: str
    digest: str
    size: int
    file: str
    places: tuple[MemberPlace, ...] = ()


@dataclass(slots=True)
class Archive:
    """An archive to record once all its members are committed; `source` is final except for the seal."""

    source: Source
    status: Status
    reason: str


@dataclass(slots=True)
class Plan:
    """The plan, before any file is read.

    Attributes:
        tasks: Sources to read, by source path.
        archives: Archives whose contents were listed again.
        remove: Sources to remove, with the reason.
        moved: Those of them that are elsewhere now, with the source there: removed once that is committed.
        forget: Sources to remove whose row reports something else.
        rows: Report rows of files that need no reading.
        skipped: Number of files without a reader, by suffix.
        missing: Sources that stay though they have no file now.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    archives: dict[str, Archive] = field(default_factory=dict)
    remove: dict[str, str] = field(default_factory=dict)
    moved: dict[str, Move] = field(default_factory=dict)
    forget: list[str] = field(default_factory=list)
    rows: dict[str, FileResult] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    missing: MissingFiles = field(default_factory=MissingFiles)


def cut_recipe(recipe: str, pages: int, seconds: float) -> str:
    """The recipe of a source of which OCR left pages, because it may read no more or for no longer: another limit
    reads it again."""
    return f"{recipe}; {pages} pages, {seconds:g} s of OCR"


def kept_note(known: Source | None) -> str:
    return _("its last version stays in the index") if known and known.chunks else ""


def unreadable(error: OSError, known: Source | None) -> str:
    """Why a file can't be read, and what stays of it."""
    return join((_("can't be read: {reason}", reason=error), kept_note(known)), "; ")
