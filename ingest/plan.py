"""What an ingest has to do, found by comparing the files that are there with the sources that are known.

Reads no document and writes nothing: a dry run ends here.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.discover import Found, discover
from ingest.sandbox import hash_file
from kb_assistant.errors import KBError
from kb_assistant.store import Source
from kb_assistant.types import FileResult, Status


@dataclass(slots=True)
class Plan:
    """What discovery found, before any file is read."""

    known: dict[str, Source]
    read: dict[str, tuple[Status, str]] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    remove: dict[str, str] = field(default_factory=dict)
    rows: dict[str, FileResult] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)


def make_plan(
    known: dict[str, Source],
    paths: Sequence[Path],
    include: Sequence[str],
    exclude: Sequence[str],
    prune: bool,
    recipe: str,
) -> Plan:
    """What to do about each file at or under `paths`. Hashes files, reads none.

    Raises:
        KBError: a path doesn't exist, or can't be named in UTF-8.
    """
    plan = Plan(known)
    folders = []
    for root in paths:
        absolute = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links
        under = {path for path in plan.known if Path(path).is_relative_to(absolute)}
        there = _exists(absolute)
        if not there and not (prune and under):
            hint = f"Its {len(under)} sources stay; `kb rm {root}` or --prune removes them." if under else ""
            raise KBError(f"{_printable(root)} doesn't exist.", hint or "Check the path.")
        if str(absolute) != _printable(absolute):
            raise KBError(f"{_printable(root)} is no valid UTF-8 name.", "Rename it, then run the command again.")
        found = list(discover(absolute, include, exclude)) if there else []
        _plan_removals(plan, under, found, prune)
        folders.append((absolute, found))
    for absolute, found in folders:
        for item in found:
            if str(item.path) not in plan.rows and str(item.path) not in plan.digests:
                _plan_file(plan, item, recipe, named=item.path == absolute)
    _plan_changes(plan)
    return plan


def plan_documents(known: dict[str, Source], given: Mapping[str, tuple[str, int]], recipe: str) -> Plan:
    """What to do about documents that are handed in: digest and size by the path of their source."""
    plan = Plan(known)
    for path, (digest, size) in given.items():
        _plan_content(plan, path, digest, size, recipe)
    _plan_changes(plan)
    return plan


def _exists(path: Path) -> bool:
    """False only where that is certain: what is there but closed to us must not look as if it had vanished."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def _printable(path: Path) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _plan_removals(plan: Plan, under: set[str], found: list[Found], prune: bool) -> None:
    on_disk = {str(item.path) for item in found if not (prune and item.ignored)}
    closed = tuple(f"{item.path}{os.sep}" for item in found if item.problem)
    for path in under - on_disk:
        if not path.startswith(closed or ("\0",)):
            plan.remove[path] = "left out by filters or ignore files" if _exists(Path(path)) else "no longer there"


def _plan_file(plan: Plan, item: Found, recipe: str, named: bool) -> None:
    """One found file: a row where it needs no reading, else a place among those to read."""
    path = str(item.path)
    known = plan.known.get(path)
    chunks = known.chunks if known else 0
    if path in plan.remove:
        return
    if item.problem:
        printable = _printable(item.path)
        plan.rows[printable] = FileResult(printable, "failed", chunks, item.problem + kept_note(known))
    elif item.ignored:
        if known:
            reason = "left out by filters or ignore files, kept in the index; --prune removes it"
            plan.rows[path] = FileResult(path, "unchanged", chunks, reason)
    elif item.unsupported:
        if named:
            plan.rows[path] = FileResult(path, "failed", 0, f"no reader for {item.path.suffix or 'this'} files")
        else:
            plan.skipped[item.path.suffix.lower() or "no suffix"] += 1
    else:
        _plan_reading(plan, item.path, known, recipe)


def kept_note(known: Source | None) -> str:
    return "; its last version stays in the index" if known and known.chunks else ""


def _plan_reading(plan: Plan, path: Path, known: Source | None, recipe: str) -> None:
    try:
        digest, size = hash_file(path), path.stat().st_size
    except OSError as error:
        reason = f"can't be read: {error.strerror}{kept_note(known)}"
        plan.rows[str(path)] = FileResult(str(path), "failed", known.chunks if known else 0, reason)
        return
    _plan_content(plan, str(path), digest, size, recipe)


def _plan_content(plan: Plan, path: str, digest: str, size: int, recipe: str) -> None:
    """A row where the content is known already, else a place among those to read."""
    known = plan.known.get(path)
    if known and known.digest == digest and known.recipe == recipe and not known.failed:
        plan.rows[path] = FileResult(path, "unchanged", known.chunks, known.reason)
        return
    plan.digests[path] = digest
    plan.sizes[path] = size


def _plan_changes(plan: Plan) -> None:
    """Say of each file to read what it is, now that it's known which others hold the same content."""
    sound = {path: source.digest for path, source in reversed(plan.known.items()) if not source.failed}
    gone = {digest: path for path, digest in sound.items() if path in plan.remove}
    owners = {
        digest: path
        for path, digest in sound.items()
        if path not in plan.remove and plan.digests.get(path, digest) == digest
    }
    for path, digest in plan.digests.items():
        if path in plan.known:
            plan.read[path] = "updated", ""
        elif digest in owners:
            plan.read[path] = "duplicate", f"same content as {owners[digest]}"
        elif digest in gone:
            plan.read[path] = "added", f"moved from {gone[digest]}"
        else:
            plan.read[path] = "added", ""
        owners.setdefault(digest, path)
