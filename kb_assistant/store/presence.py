"""Whether the files of sources are still there.

A file is gone only if that is certain. What lies on a drive that isn't mounted now, behind a broken link, or where
nothing can be looked at, is unreachable: it may come back, and must not be taken for deleted.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from kb_assistant.store.snapshot import Snapshot
from kb_assistant.types import FileState, MissingFiles

MOUNTS = "mounts"
"""Name of the stored list of mount points on which sources lay when they were read."""

PATIENCE_S = 1.0
"""How long a search waits for drives to answer, and a check for the answer to one look."""

DRIVES_IN = tuple(map(Path, ("/media", "/mnt", "/Volumes")))
"""Folders in which systems mount drives."""

DRIVES_OF_USERS_IN = tuple(map(Path, ("/media", "/run/media")))
"""Folders in which systems mount drives in a folder for each user."""

MOST_LINKS = 40
"""Most links that are followed on the way to one folder, as by Linux."""


class FilePresence:
    """Looks for files. It remembers which folders are missing: one is for one ingest or one check.

    Args:
        mounts: Mount points on which the files lay when they were read.
    """

    def __init__(self, mounts: Sequence[str] = ()) -> None:
        self._mounts = [Path(mount) for mount in mounts]
        self._missing: dict[Path, Path] = {}
        self._places: dict[Path, Path] = {}

    @classmethod
    def of(cls, snapshot: Snapshot | None) -> FilePresence:
        """With the mount points that the store knows."""
        return cls((snapshot.meta(MOUNTS) if snapshot else None) or ())

    def state(self, source: str) -> FileState:
        """Where the file of a source is. Documents without a file are there, members of an archive while it is."""
        path = Path(source)
        if not path.is_absolute():
            return "there"
        if path.parent not in self._missing:
            try:
                path.stat()
                return "there"
            except FileNotFoundError:
                pass
            except NotADirectoryError:
                return "there"  # in an archive
            except (OSError, ValueError):
                return "unreachable"
        return "unreachable" if self._may_come_back(path) else "gone"

    def missing_part(self, path: Path) -> Path:
        """The uppermost file or folder on the way to a missing file that is missing itself."""
        folder = path.parent
        if folder == path or folder.exists():
            return path
        if folder not in self._missing:
            self._missing[folder] = self.missing_part(folder)
        return self._missing[folder]

    def drive_of(self, folder: Path) -> Path | None:
        """The known mount point that it lies on, also through links; None for the system's own drive. No drive is
        looked at."""
        if not (self._mounts and folder.is_absolute()):
            return None
        place = self._place(folder)
        return max((mount for mount in self._mounts if place.is_relative_to(mount)), default=None, key=_depth)

    def is_unmounted(self, path: Path) -> bool:
        """Whether it lies on a drive that was mounted when it was read and isn't now, or in a folder for drives on
        which none is mounted."""
        places = {self._place(path.parent), Path(os.path.realpath(path.parent))}
        known = {mount for mount in self._mounts for place in places if place.is_relative_to(mount)}
        return not all(mount.is_mount() for mount in known) or any(map(_lacks_its_drive, places))

    def _place(self, folder: Path) -> Path:
        """Where a folder really is. Links behind known mount points aren't followed: a drive may not answer."""
        if folder not in self._places:
            self._places[folder] = _followed(folder, set(self._mounts))
        return self._places[folder]

    def _may_come_back(self, path: Path) -> bool:
        return self.missing_part(path).is_symlink() or self.is_unmounted(path)


def _followed(folder: Path, ends: set[Path]) -> Path:
    """The folder without the links on the way to it, up to the first of the ends."""
    real, rest, links = Path(folder.anchor), [*folder.parts[1:]][::-1], 0
    while rest and real not in ends:
        real = real.parent if rest[-1] == os.pardir else real / rest[-1]
        rest.pop()
        try:
            target = Path(os.readlink(real))  # noqa: PTH115 - as quick as can be: called for every folder
        except (OSError, ValueError):
            continue
        if (links := links + 1) > MOST_LINKS:
            break
        real = real.parent
        if target.is_absolute():
            real = Path(target.anchor)
        rest += [part for part in target.parts if part != target.anchor][::-1]
    return real.joinpath(*reversed(rest))


def _lacks_its_drive(folder: Path) -> bool:
    """Whether it lies where drives are mounted, and none is mounted there now."""
    places = [above for above in (folder, *folder.parents) if _is_for_a_drive(above)]
    return any(map(_is_void, places)) and not any(place.is_mount() for place in places)


def _is_for_a_drive(folder: Path) -> bool:
    return folder.parent in DRIVES_IN or folder.parent.parent in DRIVES_OF_USERS_IN


def _is_void(folder: Path) -> bool:
    try:
        return next(folder.iterdir(), None) is None
    except NotADirectoryError:
        return False
    except OSError:
        return True


def _depth(path: Path) -> int:
    return len(path.parts)


def missing_files(snapshot: Snapshot) -> MissingFiles:
    """The sources without a file. Looks for each, which takes a second for some 100,000 on a local disk; a drive
    that doesn't answer is given up."""
    states = _look(FilePresence.of(snapshot), snapshot.paths(), hurry=False)
    return MissingFiles(
        tuple(path for path, state in states.items() if state == "gone"),
        tuple(path for path, state in states.items() if state == "unreachable"),
    )


def file_states(snapshot: Snapshot, sources: Iterable[str]) -> dict[str, FileState]:
    """Where the files of these sources are. What doesn't answer in time, as a network drive that is away, is
    unreachable."""
    return _look(FilePresence.of(snapshot), sources, hurry=True)


def _look(presence: FilePresence, sources: Iterable[str], hurry: bool) -> dict[str, FileState]:
    """Look for files on all drives at once, so that one that hangs holds no other up.

    Args:
        hurry: Wait so long for all; else so long for each file.
    """
    drives: dict[Path | None, dict[str, FileState | None]] = defaultdict(dict)
    order = dict.fromkeys(sources)
    for source in order:
        drives[presence.drive_of(Path(source).parent)][source] = None
    looks = [_Look(presence, drive, states) for drive, states in drives.items()]
    for look in looks:
        look.start()
    until = time.monotonic() + PATIENCE_S
    for look in looks:
        look.wait(until if hurry else None)
    found = {source: state for look in looks for source, state in look.answers().items()}
    return {source: found[source] for source in order}


class _Look(threading.Thread):
    """Looks for the files on one drive."""

    def __init__(self, presence: FilePresence, drive: Path | None, states: dict[str, FileState | None]) -> None:
        super().__init__(name="file-presence", daemon=True)
        self._presence, self._drive, self._states = presence, drive, states
        self._done = 0

    def run(self) -> None:
        for source in self._states:
            self._states[source] = self._presence.state(source)
            self._done += 1

    def wait(self, until: float | None) -> None:
        """Until the end or that time; None: until a single look takes too long."""
        if until is not None:
            self.join(max(0.0, until - time.monotonic()))
            return
        done = -1
        while self.is_alive() and done != self._done:
            done = self._done
            self.join(PATIENCE_S)

    def answers(self) -> dict[str, FileState]:
        """What is known by now. A drive that hangs is unreachable. On the system's own one only the file is at
        which it hangs: that lies on a drive that isn't known, and nothing is known of the others."""
        states = dict(self._states)
        late: dict[str, FileState] = {source: "unreachable" for source, state in states.items() if state is None}
        if self._drive is None:
            late = {source: "unreachable" if n == 0 else "there" for n, source in enumerate(late)}
        return {source: state or late[source] for source, state in states.items()}


def mount_points(folders: Iterable[Path]) -> set[Path]:
    """The mount points on which the folders lie, but for that of the system; missing folders have none."""
    known: dict[Path, Path] = {}
    for folder in folders:
        try:
            real = folder.resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # RuntimeError: a circle of links
            continue
        way = []
        for above in (real, *real.parents):
            way.append(above)
            if above in known or above.is_mount():
                break
        known |= dict.fromkeys(way, known.get(way[-1], way[-1]))
    return {mount for mount in known.values() if mount != mount.parent}
