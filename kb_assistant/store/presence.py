"""Whether the files of sources are still there.

A file is gone only if that is certain. What lies on a drive that isn't mounted now, behind a broken link, or where
nothing can be looked at, is unreachable: it may come back, and must not be taken for deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from kb_assistant.store.snapshot import Snapshot
from kb_assistant.types import FileState, MissingFiles

MOUNTS = "mounts"
"""Name of the stored list of mount points on which sources lay when they were read."""

PATIENCE_S = 1.0
"""How long a search waits for drives to answer."""


class FilePresence:
    """Looks for files. It remembers which folders are missing: one is for one ingest or one check.

    Args:
        mounts: Mount points on which the files lay when they were read.
    """

    def __init__(self, mounts: Sequence[str] = ()) -> None:
        self._mounts = [Path(mount) for mount in mounts]
        self._missing: dict[Path, Path] = {}

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

    def drive_of(self, path: Path) -> Path | None:
        """The known mount point that it lies on; None for the system's own drive."""
        return max((mount for mount in self._mounts if path.is_relative_to(mount)), default=None, key=_depth)

    def is_unmounted(self, path: Path) -> bool:
        """Whether it lies on a drive that was mounted when it was read and isn't now."""
        return any(path.is_relative_to(mount) and not mount.is_mount() for mount in self._mounts)

    def _may_come_back(self, path: Path) -> bool:
        return self.missing_part(path).is_symlink() or self.is_unmounted(path)


def _depth(path: Path) -> int:
    return len(path.parts)


def missing_files(snapshot: Snapshot) -> MissingFiles:
    """The sources without a file. Looks for each, which takes a second for some 100,000 on a local disk."""
    presence = FilePresence.of(snapshot)
    found: dict[FileState, list[str]] = {"gone": [], "unreachable": []}
    for path in snapshot.paths():
        if (state := presence.state(path)) != "there":
            found[state].append(path)
    return MissingFiles(tuple(found["gone"]), tuple(found["unreachable"]))


def file_states(snapshot: Snapshot, sources: Iterable[str]) -> dict[str, FileState]:
    """Where the files of these sources are. What doesn't answer in time, as a network drive that is away, is
    unreachable."""
    presence = FilePresence.of(snapshot)
    found: dict[str, FileState] = dict.fromkeys(sources, "unreachable")

    def look() -> None:
        for source in found:
            found[source] = presence.state(source)

    looking = threading.Thread(target=look, name="file-presence", daemon=True)
    looking.start()
    looking.join(PATIENCE_S)
    return dict(found)


def mount_points(folders: Iterable[Path]) -> set[Path]:
    """The mount points on which the folders lie, but for that of the system; missing folders have none."""
    known: dict[int, Path] = {}
    for folder in folders:
        try:
            device = folder.stat().st_dev
        except (OSError, ValueError):
            continue
        if device not in known:
            real = folder.resolve()
            known[device] = next(above for above in (real, *real.parents) if above.is_mount())
    return {mount for mount in known.values() if mount != mount.parent}
