"""Bring the store in step with folders: what is new, changed, vanished, and nothing else.

Files are read in subprocesses, their new texts embedded in windows, and each source committed in a transaction of
its own. Files outside the given paths are left alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ingest.plan import Plan, kept_note, make_plan
from ingest.readers import Content, nest, ocr
from ingest.sandbox import Outcome, ReaderPool, hash_file
from ingest.split import Piece, Splitter
from kb_assistant.settings import Settings
from kb_assistant.store import Chunk, KnowledgeStore, NewChunk, Source, Text
from kb_assistant.types import FileResult, Report, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

READERS_VERSION = 2
"""Grows when a reader gives other text for the same bytes, so that files are read again."""

WINDOW = 128
"""New texts embedded together: enough to sort by length, few enough to lose little to a kill."""


class Embedder(Protocol):
    """What ingest needs of an embedding model; embed.LocalEmbeddings has it."""

    @property
    def fingerprint(self) -> dict[str, str | int]: ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]: ...

    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], NDArray[np.float32]]]: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ingest is. Bytes are those of the files that have to be read."""

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


@dataclass(frozen=True, slots=True)
class Job:
    """What to do: see KnowledgeBase.ingest for the meaning of each."""

    paths: Sequence[Path]
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    prune: bool = False
    dry_run: bool = False
    passwords: Sequence[str] = ()
    stop: Callable[[], bool] = field(default=lambda: False)
    progress: Callable[[Progress], None] = field(default=lambda _: None)


def sync(store: KnowledgeStore | None, embedder: Embedder, settings: Settings, job: Job) -> Report:
    """Do the job and report on every file. A dry run needs no store where there is none yet.

    Raises:
        KBError: a path doesn't exist, or the store can't be written. Files that can't be read are rows instead.
    """
    started = time.monotonic()
    splitter, recipe = recipe_of(embedder, settings)
    plan = make_plan(known_sources(store), job.paths, job.include, job.exclude, job.prune, recipe)
    if job.dry_run or store is None:
        rows = plan.rows | {
            path: FileResult(path, status, 0, reason) for path, (status, reason) in plan.read.items()
        }
        rows |= {path: FileResult(path, "removed", 0, reason) for path, reason in plan.remove.items()}
        return report_of(rows, plan, 0, started, stopped=False, dry_run=True)
    run = Run(store, embedder, splitter, recipe, plan, job, started)
    stopped = run.read_and_commit(settings)
    if not stopped:
        run.remove_vanished()
        with store.write() as transaction:
            transaction.purge_retired()
    return report_of(plan.rows, plan, run.embedded, started, stopped, dry_run=False)


def recipe_of(embedder: Embedder, settings: Settings) -> tuple[Splitter, str]:
    splitter = Splitter(embedder.count_tokens, settings.chunk_tokens)
    readers = f"readers {READERS_VERSION}{' with OCR' if ocr.available() else ''}"
    return splitter, f"{readers}; {splitter.fingerprint}; {embedder.fingerprint['sha256']}"


def report_of(
    rows: dict[str, FileResult], plan: Plan, embedded: int, started: float, stopped: bool, dry_run: bool
) -> Report:
    return Report(
        files=tuple(rows[path] for path in sorted(rows)),
        embedded=embedded,
        seconds=time.monotonic() - started,
        stopped=stopped,
        dry_run=dry_run,
        skipped=dict(plan.skipped.most_common()),
    )


def known_sources(store: KnowledgeStore | None) -> dict[str, Source]:
    if store is None:
        return {}
    with store.read() as snapshot:
        return {source.path: source for source in snapshot.sources()}


@dataclass(slots=True)
class _Ready:
    """A source that was read and waits for its new texts to be embedded. `reason` is for the report alone."""

    source: Source
    chunks: list[NewChunk]
    status: Status
    reason: str


class Run:
    """One ingest on its way: reads, embeds and commits; keeps the counts."""

    def __init__(
        self,
        store: KnowledgeStore,
        embedder: Embedder,
        splitter: Splitter,
        recipe: str,
        plan: Plan,
        job: Job,
        started: float,
    ) -> None:
        self.store, self.embedder, self.splitter = store, embedder, splitter
        self.recipe, self.plan, self.job, self.started = recipe, plan, job, started
        self.files = self.bytes = self.chunks = self.embedded = 0
        self.all_bytes = sum(plan.sizes.values())
        self.waiting: list[_Ready] = []
        self.missing: dict[bytes, str] = {}

    def read_and_commit(self, settings: Settings) -> bool:
        """Read and commit what is planned. Returns True where it was stopped before the end."""
        if not self.plan.read:
            return False
        workers = min(settings.readers or os.cpu_count() or 1, len(self.plan.read))
        limits = (settings.read_seconds, settings.read_megabytes, settings.file_megabytes)
        with ReaderPool(workers, *limits, passwords=self.job.passwords) as pool:
            for outcome in pool.read(Path(path) for path in self.plan.read):
                self._take(outcome)
                if self._stopped_after_flush():
                    break
        self._flush()
        return self.job.stop()

    def commit_all(self, contents: Iterable[tuple[str, Content, Mapping[str, Any]]]) -> bool:
        """Commit what needs no reading: source path, content, metadata. Returns True where it was stopped before
        the end."""
        for path, content, metadata in contents:
            self._prepare(path, self.plan.digests[path], content, "", metadata)
            if self._stopped_after_flush():
                break
        self._flush()
        return self.job.stop()

    def _stopped_after_flush(self) -> bool:
        """Flush where a window is full. Returns whether to stop."""
        if len(self.missing) >= WINDOW or len(self.waiting) >= WINDOW:
            self._flush()
        return self.job.stop()

    def remove_vanished(self) -> None:
        for path, reason in self.plan.remove.items():
            with self.store.write() as transaction:
                transaction.remove_source(path)
            self.plan.rows[path] = FileResult(path, "removed", 0, reason)

    def _take(self, outcome: Outcome) -> None:
        path = str(outcome.path)
        status, _ = self.plan.read[path]
        if outcome.gone and status == "updated":
            self.plan.remove[path] = outcome.error
            return
        digest = outcome.sha256 or _hash_now(outcome.path)
        if outcome.content is None and (not digest or (not outcome.sha256 and self._holds(path, digest))):
            known = self.plan.known.get(path)
            kept = known.chunks if known else 0
            self._done(FileResult(path, "failed", kept, f"{outcome.error}{kept_note(known)}"))
            return
        self._prepare(path, digest, outcome.content, outcome.error, {})

    def _prepare(
        self, path: str, digest: str, content: Content | None, error: str, metadata: Mapping[str, Any]
    ) -> None:
        """Split what was read and put it among what waits for vectors."""
        status, reason = self.plan.read[path]
        chunks: list[NewChunk] = []
        title, lasting = "", error
        if content is not None:
            chunks = [_new_chunk(piece, content.title) for piece in self.splitter.split(content)]
            title, metadata = content.title, {**content.metadata, **metadata}
            lasting = " ".join(content.notes) or ("" if chunks else "no text in it")
        failed = content is None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        source = Source(path, digest, self.recipe, _clean(title), lasting, failed, now, len(chunks), metadata)
        self.waiting.append(_Ready(source, chunks, "failed" if failed else status, lasting or reason))
        self._note_missing(chunks)

    def _holds(self, path: str, digest: str) -> bool:
        """Whether the chunks in the store are those of this very content."""
        known = self.plan.known.get(path)
        return known is not None and not known.failed and known.digest == digest

    def _note_missing(self, chunks: list[NewChunk]) -> None:
        texts = {chunk.text.hash: chunk.text.embedded for chunk in chunks}
        with self.store.read() as snapshot:
            known = snapshot.known_vectors(texts)
        self.missing.update({key: text for key, text in texts.items() if key not in known})

    def _flush(self) -> None:
        """Embed what is missing, then commit every waiting source whose texts all have vectors."""
        vectors = self._embed()
        for ready in self.waiting:
            keys = {chunk.text.hash for chunk in ready.chunks}
            if keys & self.missing.keys() <= vectors.keys():
                self._commit(ready, vectors)
        self.waiting, self.missing = [], {}

    def _embed(self) -> dict[bytes, bytes]:
        keys, texts = list(self.missing), list(self.missing.values())
        vectors: dict[bytes, bytes] = {}
        if texts and not self.job.stop():
            for places, batch in self.embedder.encode_batches(texts):
                vectors.update(
                    (keys[i], row.astype("<f4").tobytes()) for i, row in zip(places, batch, strict=True)
                )
                self.embedded += len(places)
                self._tell()
                if self.job.stop():
                    break
        return vectors

    def _commit(self, ready: _Ready, vectors: dict[bytes, bytes]) -> None:
        path = ready.source.path
        with self.store.write() as transaction:
            old = transaction.source(path)
            before = [_as_it_was(chunk) for chunk in transaction.chunks_of_source(path)]
            same = old and old.digest == ready.source.digest and old.metadata == ready.source.metadata
            if same and before == ready.chunks:
                transaction.relabel(ready.source)
                status: Status = "failed" if ready.source.failed else "unchanged"
            else:
                transaction.put_source(ready.source, ready.chunks, vectors)
                status = ready.status
        self._done(FileResult(path, status, len(ready.chunks), ready.reason))

    def _done(self, row: FileResult) -> None:
        self.plan.rows[row.path] = row
        self.files += 1
        self.bytes += self.plan.sizes[row.path]
        self.chunks += row.chunks
        self._tell(row.path)

    def _tell(self, path: str = "") -> None:
        seconds = time.monotonic() - self.started
        self.job.progress(
            Progress(
                files=self.files,
                all_files=len(self.plan.read),
                bytes=self.bytes,
                all_bytes=self.all_bytes,
                chunks=self.chunks,
                embedded=self.embedded,
                seconds=seconds,
                path=path,
            )
        )


def _new_chunk(piece: Piece, title: str) -> NewChunk:
    """A piece under its headings; the document's title stands above them where they don't say it themselves."""
    first = piece.heading.partition(" > ")[0]
    says_it = first and (first in title or title in first)
    heading = piece.heading if says_it else nest((title, piece.heading))
    sheet, attachment = (None if name is None else _clean(name) for name in (piece.sheet, piece.attachment))
    text = Text(_clean(heading), _clean(piece.text))
    return NewChunk(text, piece.page, piece.lines, piece.slide, sheet, attachment)


def _as_it_was(chunk: Chunk) -> NewChunk:
    place = chunk.locator
    return NewChunk(chunk.text, place.page, place.lines, place.slide, place.sheet, place.attachment)


def _hash_now(path: Path) -> str:
    """The file's hash, or nothing where it can't be opened at the moment."""
    try:
        return hash_file(path)
    except OSError:
        return ""


def _clean(text: str) -> str:
    """Without lone surrogates, which UTF-8 can't hold."""
    return text.encode("utf-8", "replace").decode()
