"""The sources that the store knows, beside the files there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from kb_assistant.store import Snapshot, Source
from kb_assistant.store.presence import FilePresence


def seal(members: Iterator[Source]) -> str:
    """A hash of an archive's members in the store: other members or contents give another seal."""
    hashed = hashlib.sha256()
    for member in members:
        hashed.update(f"{member.path}\0{member.digest}\0{member.failed}\0{member.recipe}\n".encode())
    return hashed.hexdigest()


class Known:
    """The store's sources, queried one by one: there may be more than fit into memory."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot

    def source(self, path: str) -> Source | None:
        return self._snapshot.source(path) if self._snapshot and printable(path) == path else None

    def under(self, path: str) -> Iterator[Source]:
        """The source at this path and those below it, in path order."""
        yield from self._snapshot.sources_under(path) if self._snapshot else ()

    def members(self, archive: str) -> Iterator[Source]:
        return (source for source in self.under(archive) if source.path != archive)

    def on_drive(self, drive: Path, presence: FilePresence) -> Iterator[str]:
        for path in self._snapshot.paths() if self._snapshot else ():
            if presence.drive_of(Path(path).parent) == drive:
                yield path

    def is_stored_on(self, drive: Path, presence: FilePresence) -> bool:
        place = None if self._snapshot is None else self._snapshot.place
        return isinstance(place, Path) and presence.drive_of(place.absolute().parent) == drive

    def holders(self, digest: str) -> list[str]:
        """Sound sources with this content, in path order."""
        return self._snapshot.holders_of(digest) if self._snapshot else []


def printable(path: Path | str) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def is_printable(path: Path | str) -> bool:
    return printable(path) == str(path)
