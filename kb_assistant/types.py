"""The values of the public API: frozen, small, without behaviour beyond their JSON form."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from kb_assistant.messages import _

Status = Literal["added", "updated", "unchanged", "duplicate", "removed", "failed"]

FileState = Literal["there", "gone", "unreachable"]
"""Where a source's file is: `unreachable` if it may be there, such as on a drive that isn't mounted now."""


@dataclass(frozen=True, slots=True)
class Locator:
    """The place of a chunk in its source, as far as its reader knows it. Unknown fields are None.

    Attributes:
        page: Page number, from 1 (PDF).
        lines: First and last line in the file, from 1, both included (Markdown, text, HTML source);
            for DOCX, paragraphs counted from 1; for a sheet, its rows.
        heading: Headings above the chunk, outermost first, joined by " > ".
        slide: Number of the slide, from 1.
        sheet: Name of the sheet.
        attachment: Name of a file inside the file, such as a mail's attachment; page, lines etc. refer to it.
    """

    page: int | None = None
    lines: tuple[int, int] | None = None
    heading: str | None = None
    slide: int | None = None
    sheet: str | None = None
    attachment: str | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"lines": list(self.lines) if self.lines else None}

    def is_beside(self, other: Locator) -> bool:
        """Whether both lie in one section: everything but the lines is equal."""
        return replace(self, lines=None) == replace(other, lines=None)

    def reaches(self, other: Locator) -> bool:
        """Whether the next chunk may begin with the end of this one: both lie in one section, and no line
        separates them."""
        apart = self.lines and other.lines and self.lines[1] < other.lines[0]
        return self.is_beside(other) and not apart

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Locator:
        """The inverse of to_json; fields that an earlier version didn't have may be missing."""
        lines = value["lines"]
        return cls(
            value["page"],
            (lines[0], lines[1]) if lines else None,
            value["heading"],
            value.get("slide"),
            value.get("sheet"),
            value.get("attachment"),
        )

    @property
    def parts(self) -> list[str]:
        """What it says, part by part: messages, and names of the document's own."""
        parts = [self.attachment] if self.attachment else []
        if self.page is not None:
            parts.append(_("p. {page}", page=self.page))
        if self.slide is not None:
            parts.append(_("slide {slide}", slide=self.slide))
        if self.sheet is not None:
            parts.append(_("sheet {sheet}", sheet=self.sheet))
        if self.lines is not None:
            parts.append(_lines(*self.lines) if self.sheet is None else _rows(*self.lines))
        if self.heading:
            parts.append(self.heading)
        return parts

    def __str__(self) -> str:
        return ", ".join(self.parts)


def _lines(first: int, last: int) -> str:
    return _("line {n}", n=first) if first == last else _("lines {first}–{last}", first=first, last=last)


def _rows(first: int, last: int) -> str:
    return _("row {n}", n=first) if first == last else _("rows {first}–{last}", first=first, last=last)


@dataclass(frozen=True, slots=True)
class AnswerSpan:
    """Where a passage answers the question, by the reader.

    Attributes:
        start: First character of the answer, in the passage's text.
        end: The character after its last one.
        score: How sure the reader is that the passage holds the answer, from 0 to 1.
        also: Start and end of another answer in the passage, where the reader is nearly as sure of that one.
    """

    start: int
    end: int
    score: float
    also: tuple[int, int] | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AnswerSpan:
        also = value.get("also")
        return cls(value["start"], value["end"], value["score"], tuple(also) if also else None)

    def to_json(self) -> dict[str, Any]:
        told = {"start": self.start, "end": self.end, "score": round(self.score, 4)}
        return told | ({"also": list(self.also)} if self.also else {})


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found.

    Attributes:
        id: The chunk's id: stable while source and text stay as they are.
        text: The passage, as in the source.
        source: Absolute path of the file.
        locator: Place in the file.
        score: Larger is better; comparable only within one search.
        similarity: Cosine of question and passage in [-1, 1]; None if only the keyword side found it.
        also_in: Other files that contain exactly the same passage.
        near_in: Files that contain nearly the same passage, such as other versions; they get no hit of their own.
        answer: Where it answers the question; None if nothing was read, or it doesn't seem to.
        file: Whether the file was there when it was found.
    """

    id: str
    text: str
    source: str
    locator: Locator
    score: float
    similarity: float | None = None
    also_in: tuple[str, ...] = ()
    near_in: tuple[str, ...] = ()
    answer: AnswerSpan | None = None
    file: FileState = "there"

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Hit:
        """The hit that `to_json` wrote."""
        return cls(
            id=value["id"],
            text=value["text"],
            source=value["source"],
            locator=Locator.from_json(value["locator"]),
            score=value["score"],
            similarity=value["similarity"],
            also_in=tuple(value["also_in"]),
            near_in=tuple(value["near_in"]),
            answer=AnswerSpan.from_json(value["answer"]) if value.get("answer") else None,
            file=value.get("file", "there"),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "score": self.score,
            "similarity": self.similarity,
            "source": self.source,
            "also_in": list(self.also_in),
            "near_in": list(self.near_in),
            "locator": self.locator.to_json(),
            "text": self.text,
            "answer": self.answer.to_json() if self.answer else None,
            "file": self.file,
        }


@dataclass(frozen=True, slots=True)
class Citation:
    """A mark `[n]` in an answer, checked against the passage it points to.

    Attributes:
        n: The number in the answer: passage n of the prompt, from 1.
        hit: The passage.
        supported: True if the passage contains the words of every sentence that cites it.
    """

    n: int
    hit: Hit
    supported: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "source": self.hit.source,
            "locator": self.hit.locator.to_json(),
            "supported": self.supported,
            "file": self.hit.file,
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer, as history for the next question.

    Attributes:
        hits: The passages that the answer cites.
        cited: The numbers of its marks `[n]`, in the order of `hits`; None if unknown.
        cut: Whether the answer ended early and can go on: see kb_assistant.answering.history.unfinished.
        shown: The passages that the model was given, in the order of their numbers; empty if unknown.
    """

    question: str
    answer: str
    hits: tuple[Hit, ...] = ()
    cited: tuple[int, ...] | None = field(default=None, compare=False)
    cut: bool = field(default=False, compare=False)
    shown: tuple[Hit, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What didn't fit the model's context, in whole turns and whole passages.

    Attributes:
        shortened: Turns that keep only the first sentence of their answer.
    """

    turns: int = 0
    passages: int = 0
    shortened: int = 0

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    def __bool__(self) -> bool:
        return bool(self.turns or self.passages or self.shortened)


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of an answer. Seconds are wall time; a count is None if the model doesn't report it.

    Attributes:
        reused_tokens: Prompt tokens that the model kept from an earlier turn and didn't process again.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    reused_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FileResult:
    """The outcome for one file. `reason` says why, if there is a reason."""

    path: str
    status: Status
    chunks: int = 0
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class MissingFiles:
    """Sources that have no file now.

    Attributes:
        gone: The file is certainly gone: deleted, renamed or moved.
        unreachable: It may still be there: its drive isn't mounted, or can't be looked at.
    """

    gone: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.gone or self.unreachable)

    def to_json(self) -> dict[str, list[str]]:
        return {"gone": list(self.gone), "unreachable": list(self.unreachable)}


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of an ingest: one row for every file.

    Attributes:
        files: One row per file, in path order.
        embedded: Passages embedded by this ingest (known passages keep their vectors).
        seconds: Wall time.
        stopped: True if it was stopped before the end; the reported files are committed.
        dry_run: True if nothing was written and the rows say what would be done.
        skipped: Number of files of types without a reader, by suffix; they aren't documents and get no row.
        ocr_pages: Pages read by OCR.
        ocr_seconds: Time that OCR took, summed over all reader processes.
        missing: Sources that stay though they have no file now: at and under the paths those that are unreachable,
            beside the paths those that are gone.
    """

    files: tuple[FileResult, ...] = field(default_factory=tuple)
    embedded: int = 0
    seconds: float = 0.0
    stopped: bool = False
    dry_run: bool = False
    skipped: dict[str, int] = field(default_factory=dict)
    ocr_pages: int = 0
    ocr_seconds: float = 0.0
    missing: MissingFiles = field(default_factory=MissingFiles)

    def count(self, status: Status) -> int:
        return sum(row.status == status for row in self.files)

    @property
    def added(self) -> int:
        return self.count("added")

    @property
    def updated(self) -> int:
        return self.count("updated")

    @property
    def unchanged(self) -> int:
        return self.count("unchanged")

    @property
    def duplicate(self) -> int:
        return self.count("duplicate")

    @property
    def removed(self) -> int:
        return self.count("removed")

    @property
    def failed(self) -> int:
        return self.count("failed")

    @property
    def chunks(self) -> int:
        """Chunks of all reported files that are in the index."""
        return sum(row.chunks for row in self.files if row.status != "removed")

    def __iter__(self) -> Iterator[FileResult]:
        return iter(self.files)

    @property
    def ocr_pages_per_s(self) -> float | None:
        """Pages a second of OCR in each reader process; None where it read none."""
        return self.ocr_pages / max(self.ocr_seconds, 0.001) if self.ocr_pages else None

    def to_json(self) -> dict[str, Any]:
        rate = self.ocr_pages_per_s
        return {
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "duplicate": self.duplicate,
            "removed": self.removed,
            "failed": self.failed,
            "chunks": self.chunks,
            "embedded": self.embedded,
            "seconds": round(self.seconds, 3),
            "stopped": self.stopped,
            "dry_run": self.dry_run,
            "skipped": self.skipped,
            "ocr_pages": self.ocr_pages,
            "ocr_seconds": round(self.ocr_seconds, 3),
            "ocr_pages_per_s": rate and round(rate, 3),
            "missing": self.missing.to_json(),
            "files": [row.to_json() for row in self.files],
        }


BlockKind = Literal["prose", "code", "table"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an ingest. Bytes are those of the files that have to be read."""

    files: int
    all_files: int
    bytes: int
    all_bytes: int
    chunks: int
    embedded: int
    seconds: float
    path: str = ""

    @property
    def seconds_left(self) -> float | None:
        return self.seconds * (self.all_bytes - self.bytes) / self.bytes if self.bytes else None


MOST_PATHS = 1000
"""Most paths of one burst; with more, everything is compared, because events may have been lost."""


@dataclass(frozen=True, slots=True)
class IngestRequest:
    """What an ingest is asked to do; see KnowledgeBase.ingest for the meaning of each field."""

    paths: Sequence[Path] = ()
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    prune: bool = False
    dry_run: bool = False
    passwords: Sequence[str] = ()
    changed: Sequence[Path] | None = None
    on_progress: Callable[[Progress], None] = lambda _now: None
    stop: Callable[[], bool] = lambda: False
    left_out: Collection[Path] = ()


@dataclass(slots=True)
class Changes:
    """What may have changed: `everything`, or all files at or under `paths`."""

    paths: set[Path] = field(default_factory=set)
    everything: bool = False

    def __bool__(self) -> bool:
        return self.everything or bool(self.paths)

    def add(self, other: Changes) -> None:
        self.paths |= other.paths
        self.everything |= other.everything or len(self.paths) > MOST_PATHS
