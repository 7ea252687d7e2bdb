"""Plans an ingest by comparing existing files with known sources. Reads no document, writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.discover import Choice
from ingest.plan.archives import ArchivePlanner
from ingest.plan.files import FilePlanner
from ingest.plan.known import Known
from ingest.plan.origins import tell_origins
from ingest.plan.removals import look_beside, plan_removals
from ingest.plan.result import Plan
from ingest.sandbox.pool import ReaderPool
from kb_assistant.settings import Settings
from kb_assistant.store import Snapshot
from kb_assistant.store.presence import FilePresence


def make_plan(
    snapshot: Snapshot | None,
    paths: Sequence[Path],
    choice: Choice,
    recipe: str,
    settings: Settings,
    pool: ReaderPool,
    changed: Sequence[Path] | None = None,
) -> Plan:
    """Plan what to do about each file at or under `paths`. Hashes files, reads none.

    Args:
        snapshot: The current store; None if there is none yet.
        changed: Check only files at or under one of these; None for all.

    Raises:
        KBError: a path doesn't exist, or can't be encoded in UTF-8.
    """
    files, presence = FilePlanner(Known(snapshot), choice, recipe, settings), FilePresence.of(snapshot)
    for root in paths:
        files.look_at(root, changed)
    ArchivePlanner(files).look_into(pool)
    plan_removals(files, presence)
    if snapshot and changed is None:
        look_beside(files.plan, files.scopes, snapshot, presence)
    tell_origins(files.plan, files.known)
    return files.plan


def plan_documents(
    snapshot: Snapshot, given: Mapping[str, tuple[str, int]], recipe: str, settings: Settings
) -> Plan:
    """Plan what to do about given documents: digest and size by source path."""
    files = FilePlanner(Known(snapshot), Choice(), recipe, settings)
    for path, (digest, size) in given.items():
        files.look_at_content(path, digest, size, path)
    tell_origins(files.plan, files.known)
    return files.plan
