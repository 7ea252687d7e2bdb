"""Known files beside the searched places that are gone: followed to where they moved, or told.

A folder that got another name lies outside the paths of the next ingest, which names the new one. Its sources are
removed only if they were found again: byte by byte in any place, or, as files may have been edited, as new files
at the same relative paths, if most of the folder is found so. Anything else stays: nobody asked to forget it.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kb_assistant.messages import _
from kb_assistant.store import DOCUMENT_PREFIX, Snapshot
from kb_assistant.store.presence import FilePresence

MOST_NAMESAKES = 50
"""Most files of one name that are compared with a missing one."""


class Move(NamedTuple):
    """The source that holds what a missing one held, and the reason to remove the missing one.

    Attributes:
        same: Whether its content must be the same: it may have been edited where its whole folder moved.
    """

    to: str
    reason: str
    same: bool = True


def drives_of(presence: FilePresence, roots: Sequence[Path]) -> set[Path | None]:
    """The drives that the roots lie on. Others aren't looked at: they may not answer."""
    return {presence.drive_of(root) for root in roots}


def moved_files(
    snapshot: Snapshot, presence: FilePresence, drives: Collection[Path | None], new: Mapping[str, str]
) -> dict[str, Move]:
    """Missing files whose content is new elsewhere.

    Args:
        drives: The drives on which missing files are looked for, beside the system's own.
        new: The path of a new source by its digest.
    """
    found: dict[str, Move] = {}
    for digest, path in new.items():
        for holder in _holders(snapshot, presence, drives, digest):
            if presence.state(holder) == "gone":
                found[holder] = Move(path, _("moved to {path}", path=path))
    return found


def _holders(
    snapshot: Snapshot, presence: FilePresence, drives: Collection[Path | None], digest: str
) -> Iterator[str]:
    """Known sources with this content whose files may be looked for."""
    for holder in snapshot.holders_of(digest):
        drive = presence.drive_of(Path(holder).parent)
        if drive is None or drive in drives:
            yield holder


def gone_files(
    snapshot: Snapshot, presence: FilePresence, drives: Collection[Path | None], roots: Sequence[Path]
) -> tuple[list[str], list[str]]:
    """The known files outside of the roots that are gone: those in the folders that hold the roots, and those in
    vanished folders elsewhere, on these drives."""
    inside = tuple(f"{str(root).rstrip(os.sep)}{os.sep}" for root in roots)
    around = tuple(f"{str(root.parent).rstrip(os.sep)}{os.sep}" for root in roots)
    there: dict[str, bool] = {}
    beside, elsewhere = list[str](), list[str]()
    for path in snapshot.paths():
        folder = path.rpartition(os.sep)[0]
        if f"{path}{os.sep}".startswith(inside) or not folder or path.startswith(DOCUMENT_PREFIX):
            continue
        if folder not in there:
            there[folder] = presence.drive_of(Path(folder)) not in drives or presence.state(folder) != "gone"
        if path.startswith(around):
            if presence.drive_of(Path(folder)) in drives and presence.state(path) == "gone":
                beside.append(path)
        elif not there[folder] and presence.state(path) == "gone":
            elsewhere.append(path)
    return beside, elsewhere


def followed(
    snapshot: Snapshot,
    presence: FilePresence,
    drives: Collection[Path | None],
    gone: Collection[str],
    moved: Collection[str],
    new: Mapping[str, str],
) -> dict[str, Move]:
    """Those of the gone files that are found elsewhere.

    Args:
        gone: Paths of sources without a file.
        moved: Such sources that `moved_files` found.
        new: Digests by path of the sources that this ingest found and that weren't known before.
    """
    found: dict[str, Move] = {}
    twins: dict[str, str] = {}
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in map(Path, (*gone, *moved)):
        folders[presence.missing_part(path)].append(path)
    names = _namesakes(new)
    for folder, paths in folders.items():
        now = _new_name(snapshot, folder, paths, names, new)
        for path in paths:
            name, source = str(path), snapshot.source(str(path))
            if source is None or name in moved:
                continue
            there = str(now / path.relative_to(folder)) if now else ""
            if there in new:
                found[name] = Move(there, _("its folder is {path} now", path=now), same=False)
                continue
            if source.digest not in twins:
                holders = _holders(snapshot, presence, drives, source.digest)
                twins[source.digest] = next((one for one in holders if presence.state(one) == "there"), "")
            if twin := twins[source.digest]:
                found[name] = Move(twin, _("moved to {path}", path=twin))
    return found


def _namesakes(new: Collection[str]) -> dict[str, list[Path]]:
    names: dict[str, list[Path]] = defaultdict(list)
    for path in map(Path, new):
        namesakes = names[path.name]
        if len(namesakes) < MOST_NAMESAKES:
            namesakes.append(path)
    return names


def _new_name(
    snapshot: Snapshot,
    folder: Path,
    paths: Sequence[Path],
    names: Mapping[str, Sequence[Path]],
    new: Mapping[str, str],
) -> Path | None:
    """The folder that has most of the missing folder's files at the same relative paths. Names alone are a sign
    only beside the missing folder, elsewhere one of the files must be the same: many projects have a README and a
    LICENSE."""
    votes: Counter[Path] = Counter()
    for path in paths:
        tail = path.relative_to(folder).parts
        for other in names.get(path.name, ()) if tail else ():
            if other.parts[-len(tail) :] == tail:
                votes[Path(*other.parts[: -len(tail)])] += 1
    for best, count in votes.most_common(1):
        if 2 * count <= len(paths):
            return None
        if best.parent == folder.parent or any(
            source.digest == new.get(str(best / path.relative_to(folder)))
            for path in paths
            if (source := snapshot.source(str(path)))
        ):
            return best
    return None
