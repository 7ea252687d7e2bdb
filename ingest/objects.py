"""Synchronizes the store with objects of an S3-compatible store, as `ingest.sync` does with files.

A source's path is the object's address. The object's version (its etag) is kept with the source, so that only new
and changed objects are fetched: some at a time into memory, never onto the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import PurePosixPath

from ingest.archives import is_archive
from ingest.discover import Choice, is_hidden
from ingest.finish import purge, remove_vanished
from ingest.object_store import Bucket, Found, TooLarge
from ingest.plan import Plan, cut_recipe, kept_note, plan_documents
from ingest.readers import SUFFIXES
from ingest.run import PassageEmbedder, Reading, Run, report_of
from ingest.sandbox.confine import MEGABYTE
from ingest.sandbox.pool import ReaderPool
from ingest.sync import recipe_of
from kb_assistant.errors import KBError
from kb_assistant.messages import _, join
from kb_assistant.settings import Settings
from kb_assistant.store import KnowledgeStore, Snapshot, Source, Transaction
from kb_assistant.types import FileResult, IngestRequest, Report

AT_ONCE = 16
"""Objects in memory at the same time, and as many requests."""

_BYTES_AT_ONCE = 256 * MEGABYTE


class ObjectSync:
    """One ingest of addresses."""

    def __init__(
        self, store: KnowledgeStore | None, embedder: PassageEmbedder, settings: Settings, request: IngestRequest
    ) -> None:
        self.store, self.embedder, self.settings, self.request = store, embedder, settings, request
        self.splitter, self.recipe = recipe_of(embedder, settings)
        self.choice = Choice(tuple(request.include), tuple(request.exclude), request.prune)
        self.plan = Plan()  # of all; each window of objects has one of its own
        self.fetch: list[tuple[Bucket, Found, str]] = []
        self.may_commit: Callable[[Transaction, FileResult], bool] = lambda _transaction, _row: True  # as in Run
        self.is_left: Callable[[str], bool] = lambda _source: False  # for another try, where it can't be read
        self.left = set[str]()
        self.embedded, self.started = 0, time.monotonic()

    def look_at(self, snapshot: Snapshot | None, bucket: Bucket) -> None:
        """Compare the objects below an address with what is known.

        Raises:
            KBError: the store can't be read, or nothing lies there.
        """
        known = {one.path: one for one in snapshot.sources_under(bucket.source)} if snapshot else {}
        met, left_out = set[str](), set[str]()
        for one in bucket.objects():
            met.add(one.source)
            relative = one.key.removeprefix(bucket.prefix).lstrip("/") or PurePosixPath(one.key).name
            if self.choice.leaves_out(relative):
                left_out.add(one.source)
            else:
                self._decide(bucket, one, relative, known.get(one.source))
        if not met and not (self.request.prune and known):
            stay = _("Its {count} sources stay; --prune removes them.", count=len(known))
            raise KBError(_("No object lies at {address}.", address=bucket.source), stay if known else "")
        for path in known:
            if path not in met:
                self.plan.remove[path] = _("no longer there")
            elif path in left_out and self.request.prune:
                self.plan.remove[path] = _("left out by filters or ignore files")

    def _decide(self, bucket: Bucket, one: Found, relative: str, known: Source | None) -> None:
        """Add a row if it needs no reading, else add it to the objects to fetch."""
        name = PurePosixPath(relative)
        if one.key.endswith("/") or any(map(is_hidden, name.parts)):
            return
        if name.suffix.lower() not in SUFFIXES or is_archive(name.name):
            self.plan.skipped[name.suffix.lower() or "no suffix"] += 1
        elif one.size > self.settings.file_megabytes * MEGABYTE:
            self._fail(one.source, self._too_large(), known)
        elif known and self._is_same(one, known):
            self.plan.rows[one.source] = FileResult(one.source, "unchanged", known.chunks, known.reason)
        else:
            self.fetch.append((bucket, one, "updated" if known else "added"))

    def _is_same(self, one: Found, known: Source) -> bool:
        limits = self.settings.ocr_pages, self.settings.ocr_seconds
        recipes = (self.recipe, cut_recipe(self.recipe, *limits))
        return known.metadata.get("etag") == one.version and known.recipe in recipes and not known.failed

    def _fail(self, path: str, reason: str, known: Source | None) -> None:
        kept = known.chunks if known else 0
        self.plan.rows[path] = FileResult(path, "failed", kept, join((reason, kept_note(known)), "; "))

    def _too_large(self) -> str:
        return _("It is larger than {megabytes} MB.", megabytes=self.settings.file_megabytes)

    def windows(self) -> Iterator[list[tuple[Bucket, Found]]]:
        """The objects to fetch, so many at a time that they fit into memory."""
        window, size = list[tuple[Bucket, Found]](), 0
        for bucket, one, _status in self.fetch:
            if window and (len(window) == AT_ONCE or size + one.size > _BYTES_AT_ONCE):
                yield window
                window, size = [], 0
            window.append((bucket, one))
            size += one.size
        if window:
            yield window

    def run(self, store: KnowledgeStore, pool: Reading) -> bool:
        """Fetch, read and commit. Returns True if it was stopped before the end."""
        done = [0, 0, 0, 0]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetch") as threads:
            for window in self.windows():
                if self.request.stop():
                    return True
                contents = list(threads.map(self._bytes, window))
                data = {
                    one.source: read for (_b, one), read in zip(window, contents, strict=True) if read is not None
                }
                run = self._window(store, [one for _b, one in window if one.source in data], data)
                run.files, run.bytes, run.chunks, run.embedded = done
                stopped = run.read_and_commit(pool, data)
                done = [run.files, run.bytes, run.chunks, run.embedded]
                self.plan.rows |= run.plan.rows
                self.embedded = run.embedded
                if stopped:
                    return True
        return False

    def _bytes(self, wanted: tuple[Bucket, Found]) -> bytes | None:
        """An object's content; None where there is none, which the report says unless it is left."""
        bucket, one = wanted
        try:
            return bucket.read(one, self.settings.file_megabytes)
        except TooLarge:
            reason = self._too_large()
        except FileNotFoundError:
            reason = _("vanished while it was being read")
        except KBError as error:
            if self.is_left(one.source):
                self.left.add(one.source)
                return None
            reason = error.message
        with self.store.read() as snapshot:  # type: ignore[union-attr]
            self._fail(one.source, reason, snapshot.source(one.source))
        return None

    def _window(self, store: KnowledgeStore, found: Sequence[Found], data: dict[str, bytes]) -> Run:
        """A run over the objects of a window. Those whose content is known keep their chunks."""
        from hashlib import sha256

        facts = {one.source: (sha256(data[one.source]).hexdigest(), one.size) for one in found}
        with store.read() as snapshot:
            plan = plan_documents(snapshot, facts, self.recipe, self.settings)
        for one in found:
            if one.source in plan.rows:
                with store.write() as transaction:
                    known = transaction.source(one.source)
                    if known and self.may_commit(transaction, plan.rows[one.source]):
                        metadata = {**known.metadata, **one.facts}
                        transaction.update_source(replace(known, metadata=metadata))
        run = Run(store, self.embedder, self.splitter, self.recipe, plan, self.request, self.started)
        run.facts, run.may_commit = {one.source: one.facts for one in found}, self.may_commit
        run.all_files, run.all_bytes = len(self.fetch), sum(one.size for _b, one, _s in self.fetch)
        return run

    def remove_vanished(self, store: KnowledgeStore) -> None:
        remove_vanished(store, self.plan)
        purge(store)

    def report(self, stopped: bool, dry_run: bool = False) -> Report:
        return report_of(self.plan.rows, self.plan, self.embedded, self.started, stopped, dry_run)


def sync_objects(
    store: KnowledgeStore | None,
    embedder: PassageEmbedder,
    settings: Settings,
    request: IngestRequest,
    addresses: Sequence[str],
    pool: ReaderPool,
) -> Report:
    """Bring the store in step with the objects at and below the addresses. A dry run needs no store.

    Raises:
        KBError: an address can't be read, or nothing lies there. Objects that can't be read are rows instead.
    """
    work = ObjectSync(store, embedder, settings, request)
    if store is None:
        for address in addresses:
            work.look_at(None, Bucket(address))
    else:
        with store.read() as snapshot:
            for address in addresses:
                work.look_at(snapshot, Bucket(address))
    if request.dry_run or store is None:
        for _bucket, one, status in work.fetch:
            work.plan.rows[one.source] = FileResult(one.source, "updated" if status == "updated" else "added")
        for path, reason in work.plan.remove.items():
            work.plan.rows[path] = FileResult(path, "removed", 0, reason)
        return work.report(stopped=False, dry_run=True)
    stopped = work.run(store, pool)
    if not stopped:
        work.remove_vanished(store)
    return work.report(stopped)
