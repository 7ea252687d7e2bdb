"""Known files beside the searched places that are gone: followed to where they moved, or told.

A folder that got another name lies outside the paths of the next ingest, which names the new one. Its sources are
removed only if their content was found again: byte by byte in any place, or, as its files may have been edited, as
new files at the same relative paths for most of the folder. Anything else stays: nobody asked to forget it.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from kb_assistant.messages import _
from kb_assistant.store import DOCUMENT_PREFIX, Snapshot
from kb_assistant.store.presence import FilePresence

MOST_NAMESAKES = 50
"""Most files of one name that are compared with a missing one."""


def moved_files(snapshot: Snapshot, presence: FilePresence, new: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Missing files whose content is new elsewhere, with the reason to remove them.

    Args:
        new: Path and digest of each new source.
    """
    found: dict[str, str] = {}
    for path, digest in new:
        for holder in snapshot.holders_of(digest):
            if holder not in found and presence.state(holder) == "gone":
                found[holder] = _("moved to {path}", path=path)
    return found


def gone_files(snapshot: Snapshot, presence: FilePresence, roots: Sequence[Path]) -> tuple[list[str], list[str]]:
    """The known files outside of the roots that are gone: those in the folders that hold the roots, and those in
    vanished folders elsewhere. Other drives aren't looked at: they may not answer."""
    inside = tuple(f"{str(root).rstrip(os.sep)}{os.sep}" for root in roots)
    around = tuple(f"{str(root.parent).rstrip(os.sep)}{os.sep}" for root in roots)
    drives = {presence.drive_of(root) for root in roots}
    there: dict[str, bool] = {}
    beside, elsewhere = list[str](), list[str]()
    for path in snapshot.paths():
        folder = path.rpartition(os.sep)[0]
        if f"{path}{os.sep}".startswith(inside) or not folder or path.startswith(DOCUMENT_PREFIX):
            continue
        if folder not in there:
            there[folder] = presence.drive_of(Path(folder)) not in drives or _exists(Path(folder))
        if path.startswith(around):
            if presence.drive_of(Path(folder)) in drives and presence.state(path) == "gone":
                beside.append(path)
        elif not there[folder] and presence.state(path) == "gone":
            elsewhere.append(path)
    return beside, elsewhere


def _exists(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError:
        return True


def followed(
    snapshot: Snapshot, presence: FilePresence, gone: Collection[str], new: Collection[str]
) -> dict[str, str]:
    """The gone files to remove, with the reason.

    Args:
        gone: Paths of sources without a file.
        new: Paths of the sources that this ingest found and that weren't known before.
    """
    removed: dict[str, str] = {}
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in map(Path, gone):
        folders[presence.missing_part(path)].append(path)
    names: dict[str, list[Path]] = defaultdict(list)
    for path in map(Path, new):
        namesakes = names[path.name]
        if len(namesakes) < MOST_NAMESAKES:
            namesakes.append(path)
    for folder, paths in folders.items():
        if now := _new_name(folder, paths, names):
            removed |= {str(path): _("its folder is {path} now", path=now) for path in paths}
            continue
        for path in paths:
            source = snapshot.source(str(path))
            holders = snapshot.holders_of(source.digest) if source else ()
            if twin := next((holder for holder in holders if presence.state(holder) == "there"), ""):
                removed[str(path)] = _("moved to {path}", path=twin)
    return removed


def _new_name(folder: Path, paths: Sequence[Path], names: Mapping[str, Sequence[Path]]) -> Path | None:
    """The folder that has at least half of the missing folder's files at the same relative paths. A single file is
    a sign only beside the missing folder: many folders have a README."""
    votes: Counter[Path] = Counter()
    for path in paths:
        tail = path.relative_to(folder).parts
        for other in names.get(path.name, ()) if tail else ():
            if other.parts[-len(tail) :] == tail:
                votes[Path(*other.parts[: -len(tail)])] += 1
    for best, count in votes.most_common(1):
        if 2 * count >= len(paths) and (count > 1 or best.parent == folder.parent):
            return best
    return None
