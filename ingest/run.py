"""A running ingest: files are read, their new texts embedded in windows, and the sources of a window are committed
in one transaction, each as a whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ingest.finish import now
from ingest.plan import Plan, Task, cut_recipe, kept_note
from ingest.readers.blocks import Content, nest, says_title, title_above
from ingest.sandbox.pool import Item, Outcome, hash_file
from ingest.split import Piece, Splitter
from kb_assistant import telemetry
from kb_assistant.errors import KBError, LostConnection
from kb_assistant.messages import _, join
from kb_assistant.store import Chunk, KnowledgeStore, NewChunk, Source, Text, Transaction, persistently
from kb_assistant.types import FileResult, IngestRequest, Progress, Report, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW = 128
"""New texts embedded together: enough to sort by length, few enough to lose little to a kill."""


class PassageEmbedder(Protocol):
    """The embedding interface that ingest needs; LocalEmbeddings implements it."""

    @property
    def fingerprint(self) -> dict[str, str | int]: ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]: ...

    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], NDArray[np.float32]]]: ...


class Reading(Protocol):
    """Reads files; ReaderPool implements it."""

    def read(self, items: Iterable[Item]) -> Iterator[Outcome]: ...


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
        missing=plan.missing,
    )


@dataclass(slots=True)
class _Ready:
    """A source that was read and waits for the embedding of its new texts. `reason` is only for the report."""

    source: Source
    chunks: list[NewChunk]
    status: Status
    reason: str
    size: int
    watched: telemetry.Operation


class Run:
    """One running ingest: reads, embeds and commits; keeps the counts.

    Attributes:
        may_commit: Asked with what becomes of a source, within the transaction that stores it; False for nothing
            to be stored.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        embedder: PassageEmbedder,
        splitter: Splitter,
        recipe: str,
        plan: Plan,
        request: IngestRequest,
        started: float,
    ) -> None:
        self.store, self.embedder, self.splitter = store, embedder, splitter
        self.recipe, self.plan, self.request, self.started = recipe, plan, request, started
        self.files = self.bytes = self.chunks = self.embedded = 0
        self.ocr_pages, self.ocr_seconds = 0, 0.0
        self.facts: Mapping[str, Mapping[str, Any]] = {}  # metadata of sources, beside what their readers find
        self.cut: set[str] = set()  # sources of which OCR left pages
        self.may_commit: Callable[[Transaction, FileResult], bool] = lambda _transaction, _row: True
        self.all_files = len(plan.tasks)
        self.all_bytes = sum(task.size for task in plan.tasks.values())
        self.waiting: list[_Ready] = []
        self.missing: dict[bytes, str] = {}

    def report(self, stopped: bool) -> Report:
        done = report_of(self.plan.rows, self.plan, self.embedded, self.started, stopped, dry_run=False)
        return replace(done, ocr_pages=self.ocr_pages, ocr_seconds=self.ocr_seconds)

    def read_and_commit(self, pool: Reading, data: Mapping[str, bytes] | None = None) -> bool:
        """Read and commit the planned sources. Returns True if it was stopped before the end.

        Args:
            data: The bytes of sources that aren't files.
        """
        if not self.plan.tasks:
            return False
        given = data or {}
        items = (
            Item(path, task.file, task.places, given.get(path)) for path, task in list(self.plan.tasks.items())
        )
        for outcome in pool.read(items):
            self._take(outcome, outcome.source in given)
            if self._stopped_after_flush():
                break
        self._flush()
        return self.request.stop()

    def commit_all(self, contents: Iterable[tuple[str, Content, Mapping[str, Any]]]) -> bool:
        """Commit sources that need no reading: source path, content, metadata. Returns True if it was stopped
        before the end."""
        for path, content, metadata in contents:
            task = self.plan.tasks.pop(path)
            self._prepare(path, task, task.digest, content, "", metadata)
            if self._stopped_after_flush():
                break
        self._flush()
        return self.request.stop()

    def _stopped_after_flush(self) -> bool:
        """Flush if a window is full. Returns whether to stop."""
        if len(self.missing) >= WINDOW or len(self.waiting) >= WINDOW:
            self._flush()
        return self.request.stop()

    def _take(self, outcome: Outcome, given: bool) -> None:
        path = outcome.source
        task = self.plan.tasks.pop(path)
        if outcome.gone and task.status == "updated" and not task.places:
            self.plan.remove[path] = outcome.error
            return
        digest = outcome.sha256 or (task.digest if task.places or given else _hash_now(path))
        if outcome.content is None:
            with self.store.read() as snapshot:
                known = snapshot.source(path)
            holds = known is not None and not known.failed and known.digest == digest
            if not digest or (not outcome.sha256 and holds):
                kept = known.chunks if known else 0
                self._done(
                    FileResult(path, "failed", kept, join((outcome.error, kept_note(known)), "; ")), task.size
                )
                return
        self._prepare(
            path, task, digest, outcome.content, outcome.error, self.facts.get(path, {}), outcome.seconds
        )

    def _prepare(
        self,
        path: str,
        task: Task,
        digest: str,
        content: Content | None,
        error: str,
        metadata: Mapping[str, Any],
        seconds: float = 0.0,
    ) -> None:
        """Split the content, read in so many seconds, and add it to the sources that wait for vectors."""
        chunks: list[NewChunk] = []
        watched, began = telemetry.document(path, seconds), time.monotonic()
        title, lasting, recipe = "", error, self.recipe
        if content is not None:
            above = title_above(content.title, content.blocks)
            chunks = [_new_chunk(piece, above) for piece in self.splitter.split(content)]
            watched.step("split", time.monotonic() - began)
            title, metadata = content.title, {**content.metadata, **metadata}
            lasting = join(content.notes) or ("" if chunks else _("no text in it"))
            self.ocr_pages += content.ocr.pages
            self.ocr_seconds += content.ocr.seconds
            if content.ocr.left:
                recipe = cut_recipe(recipe, content.ocr.most, content.ocr.most_seconds)
                self.cut.add(path)
        failed = content is None
        title, metadata = _without_surrogates(title), _written_anew(metadata)
        source = Source(path, digest, recipe, title, lasting, failed, now(), len(chunks), metadata)
        status: Status = "failed" if failed else task.status
        self.waiting.append(_Ready(source, chunks, status, lasting or task.reason, task.size, watched))
        self._note_missing(chunks)

    def _note_missing(self, chunks: list[NewChunk]) -> None:
        texts = {chunk.text.hash: chunk.text.embedded for chunk in chunks}
        known = persistently(lambda: self._known_vectors(texts))
        self.missing.update({key: text for key, text in texts.items() if key not in known})

    def _known_vectors(self, keys: Iterable[bytes]) -> set[bytes]:
        with self.store.read() as snapshot:
            return snapshot.known_vectors(keys)

    def _flush(self) -> None:
        """Embed missing texts, then commit the waiting sources whose texts all have vectors."""
        vectors = self._embed()
        left = self.missing.keys() - vectors.keys()
        ready = [one for one in self.waiting if left.isdisjoint(chunk.text.hash for chunk in one.chunks)]
        if ready:
            self._commit(ready, vectors)
        self.waiting, self.missing = [], {}

    def _embed(self) -> dict[bytes, bytes]:
        keys, texts = list(self.missing), list(self.missing.values())
        vectors: dict[bytes, bytes] = {}
        if texts and not self.request.stop():
            with telemetry.embeddings(str(self.embedder.fingerprint["name"]), len(texts)):
                for places, batch in self.embedder.encode_batches(texts):
                    vectors.update(
                        (keys[i], row.astype("<f4").tobytes()) for i, row in zip(places, batch, strict=True)
                    )
                    self.embedded += len(places)
                    self._tell()
                    if self.request.stop():
                        break
        return vectors

    def _commit(self, ready: Sequence[_Ready], vectors: Mapping[bytes, bytes]) -> None:
        """Store sources together or, where one of them can't be stored, one after the other up to that one."""
        began = time.monotonic()
        try:
            done = persistently(lambda: self._put(ready, vectors))
        except LostConnection:
            raise
        except (KBError, ValueError, TypeError):
            if len(ready) == 1:
                raise
            for one in ready:
                self._commit([one], vectors)
            return
        for one, status in done:
            one.watched.step("commit", (time.monotonic() - began) / len(done))
            one.watched.became(status, len(one.chunks))
            self._done(FileResult(one.source.path, status, len(one.chunks), one.reason), one.size)

    def _put(self, ready: Sequence[_Ready], vectors: Mapping[bytes, bytes]) -> list[tuple[_Ready, Status]]:
        """Store sources in one transaction. Returns what became of those that may be stored."""
        done, changed = list[tuple[_Ready, Status]](), list[tuple[Source, list[NewChunk]]]()
        with self.store.write(self.embedder.fingerprint) as transaction:
            known = transaction.known_sources(one.source.path for one in ready)
            for one in ready:
                path = one.source.path
                same = _is_alike(known.get(path), one.source) and one.chunks == [
                    _as_it_was(chunk) for chunk in transaction.chunks_of_source(path)
                ]
                status: Status = "unchanged" if same and not one.source.failed else one.status
                if not self.may_commit(transaction, FileResult(path, status, len(one.chunks), one.reason)):
                    continue
                done.append((one, status))
                if same:
                    transaction.update_source(one.source)
                else:
                    changed.append((one.source, one.chunks))
            transaction.put_sources(changed, vectors)
        return done

    def _done(self, row: FileResult, size: int) -> None:
        self.plan.rows[row.path] = row
        self.files += 1
        self.bytes += size
        self.chunks += row.chunks
        self._tell(row.path)

    def _tell(self, path: str = "") -> None:
        seconds = time.monotonic() - self.started
        self.request.on_progress(
            Progress(
                files=self.files,
                all_files=self.all_files,
                bytes=self.bytes,
                all_bytes=self.all_bytes,
                chunks=self.chunks,
                embedded=self.embedded,
                seconds=seconds,
                path=path,
            )
        )


def _new_chunk(piece: Piece, title: str) -> NewChunk:
    """A piece under its headings; the title above the document stands above them unless they contain it."""
    first = piece.heading.partition(" > ")[0]
    heading = piece.heading if first and says_title(first, title) else nest((title, piece.heading))
    sheet, attachment = (
        None if name is None else _without_surrogates(name) for name in (piece.sheet, piece.attachment)
    )
    text = Text(heading, piece.text)
    return NewChunk(text, piece.page, piece.lines, piece.slide, sheet, attachment)


def _is_alike(known: Source | None, source: Source) -> bool:
    """Whether a known source had the same bytes and metadata."""
    return known is not None and (known.digest, known.metadata) == (source.digest, source.metadata)


def _as_it_was(chunk: Chunk) -> NewChunk:
    place = chunk.locator
    return NewChunk(chunk.text, place.page, place.lines, place.slide, place.sheet, place.attachment)


def _hash_now(path: str) -> str:
    """The file's hash, or nothing if it can't be opened at the moment."""
    try:
        return hash_file(Path(path))[0]
    except OSError:
        return ""


def _written_anew(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as they are stored: JSON values without lone surrogates."""
    stored: dict[str, Any] = json.loads(_without_surrogates(json.dumps(dict(metadata), ensure_ascii=False)))
    return stored


def _without_surrogates(text: str) -> str:
    """The text without lone surrogates, which UTF-8 can't encode."""
    return text.encode("utf-8", "replace").decode()
