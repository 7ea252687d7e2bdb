"""Synchronizes the store with folders: only new, changed and deleted files are processed.

Files are read in subprocesses, their new texts are embedded in windows, and each source is committed in its own
transaction. Sources outside the given paths stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from ingest.discover import Choice
from ingest.finish import finish
from ingest.plan import Plan, make_plan
from ingest.readers.image import ocr
from ingest.run import PassageEmbedder, Run, report_of
from ingest.sandbox.pool import ReaderPool
from ingest.split import Splitter
from kb_assistant.settings import Settings
from kb_assistant.store import KnowledgeStore
from kb_assistant.store.presence import MOUNTS, mount_points
from kb_assistant.store.readers import ANYONE
from kb_assistant.store.shared_rules import rules_at, set_rules_at
from kb_assistant.types import FileResult, IngestRequest, Report

READERS_VERSION = 10
"""Incremented when a reader gives other text for the same bytes, so that files are read again."""


def sync(
    store: KnowledgeStore | None,
    embedder: PassageEmbedder,
    settings: Settings,
    request: IngestRequest,
    pool: ReaderPool,
) -> Report:
    """Carry out the request and report on every file. A dry run needs no store.

    Raises:
        KBError: a path doesn't exist, or the store can't be written. Files that can't be read are rows instead.
    """
    started = time.monotonic()
    splitter, recipe = recipe_of(embedder, settings)
    choice = Choice(
        tuple(request.include),
        tuple(request.exclude),
        request.prune,
        settings.home,
        frozenset(map(str, request.left_out)),
    )
    with nullcontext(None) if store is None else store.read() as snapshot:
        plan = make_plan(snapshot, request.paths, choice, recipe, settings, pool, request.changed)
    if request.dry_run or store is None:
        return report_of(_foretold(plan), plan, 0, started, stopped=False, dry_run=True)
    note_mounts(store, plan)
    keep_readers(store, settings.kb_dir, plan)
    run = Run(store, embedder, splitter, recipe, plan, request, started)
    stopped = run.read_and_commit(pool)
    if not stopped:
        finish(store, plan, run.cut)
    return run.report(stopped)


def note_mounts(store: KnowledgeStore, plan: Plan) -> None:
    """Record the drives that the files lie on, so that one that is away isn't taken for deleted files. This comes
    before the first of them is committed: a drive can be taken out while it is read."""
    folders = {Path(path).parent for path in (*plan.rows, *plan.archives)}
    folders |= {Path(task.file).parent for task in plan.tasks.values()}
    mounts = set(map(str, mount_points(folders)))
    with store.read() as snapshot:
        known = set(snapshot.meta(MOUNTS) or ())
    if mounts - known:
        with store.write() as transaction:
            transaction.put_meta(MOUNTS, sorted(mounts.union(transaction.meta(MOUNTS) or ())))


def keep_readers(store: KnowledgeStore, folder: Path, plan: Plan) -> None:
    """Give what moved out of a rule on who reads it a rule of its own, before it is found at its new place."""
    rules = rules_at(store, folder)
    if not rules or not plan.remove:
        return
    with store.read() as snapshot:
        gone = {source.digest: path for path in plan.remove if (source := snapshot.source(path))}
    new = {path: task.digest for path, task in plan.tasks.items() if task.status in ("added", "duplicate")}
    came = {path: gone[digest] for path, digest in new.items() if digest in gone}
    came |= {move.to: path for path, move in plan.moved.items() if move.to in new}
    for path, before in came.items():
        readers = rules.readers_of(before)
        if readers != (ANYONE,) and rules.readers_of(path) == (ANYONE,):
            set_rules_at(store, folder, [path], readers)


def open_pool(settings: Settings, passwords: Sequence[str] = ()) -> ReaderPool:
    """Readers with the configured limits; the passwords are tried on encrypted files."""
    return ReaderPool(
        settings.readers,
        settings.read_seconds,
        settings.read_megabytes,
        settings.file_megabytes,
        archive_megabytes=settings.archive_megabytes,
        archive_members=settings.archive_members,
        passwords=passwords,
        ocr_pages=settings.ocr_pages,
        ocr_seconds=settings.ocr_seconds,
    )


def _foretold(plan: Plan) -> dict[str, FileResult]:
    """Report rows of what would be done."""
    rows = dict(plan.rows)
    for path, task in plan.tasks.items():
        rows[path] = FileResult(path, task.status, 0, task.reason)
    for path, archive in plan.archives.items():
        rows[path] = FileResult(path, archive.status, 0, archive.reason)
    return rows | {path: FileResult(path, "removed", 0, reason) for path, reason in plan.remove.items()}


def recipe_of(embedder: PassageEmbedder, settings: Settings) -> tuple[Splitter, str]:
    splitter = Splitter(embedder.count_tokens, settings.chunk_tokens, settings.overlap)
    readers = f"readers {READERS_VERSION}{' with OCR' if ocr.available() else ''}"
    return splitter, f"{readers}; {splitter.fingerprint}; {embedder.fingerprint['sha256']}"
