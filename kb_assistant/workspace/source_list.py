"""A knowledge base's sources as a list for people: where they lie, in words, and what they can be chosen by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from kb_assistant.store import DOCUMENT_PREFIX, ORDERS, Order, SourceQuery
from kb_assistant.store.readers import Sees
from kb_assistant.store.source_query import folder_of, kind_of

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.workspace.folders import Folders

__all__ = ["ORDERS", "Facets", "Order", "SourceQuery", "facets", "place_of"]

MOST_FOLDERS = 300
"""Most folders that are offered to choose from; those with the most sources come first."""


@dataclass(frozen=True, slots=True)
class Facets:
    """What the sources of a knowledge base can be chosen by.

    Attributes:
        kinds: Suffixes without their dots, the most frequent first.
        folders: The folders that they lie in, in order.
    """

    kinds: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


def facets(base: KnowledgeBase, sees: Sees | None = None) -> Facets:
    """
    Args:
        sees: Which sources may be read; None for all.
    """
    with base.store.read() as snapshot:
        paths = [path for path in snapshot.paths() if sees is None or sees(path)]
    kinds = Counter(kind for path in paths if (kind := kind_of(path)))
    folders = Counter(folder for path in paths if (folder := folder_of(path)))
    most = sorted(folder for folder, _ in folders.most_common(MOST_FOLDERS))
    return Facets(tuple(kind for kind, _ in kinds.most_common()), tuple(most))


def name_in(known: Sequence[Folders], path: str) -> str:
    """How a source is named to who isn't told of this machine's folders: by its place below a followed folder or
    the uploads, else by the file's name alone. Documents that aren't files keep their names.

    >>> from pathlib import Path
    >>> from kb_assistant.workspace.folders import Folders
    >>> known = [Folders(Path("/home/uploads/0"), (Path("/data/plans"),))]
    >>> name_in(known, "/data/plans/2026/roof.md"), name_in(known, "/home/ann/cv.md"), name_in(known, "document:a")
    ('plans/2026/roof.md', 'cv.md', 'document:a')
    """
    if path.startswith(DOCUMENT_PREFIX):
        return path
    given = PurePath(path)
    for folders in known:
        if given.is_relative_to(folders.uploads):
            return given.relative_to(folders.uploads).as_posix()
    watched = {folder for folders in known for folder in folders.watched if given.is_relative_to(folder)}
    nearest = max(watched, key=lambda one: len(one.parts), default=given)
    return PurePath(nearest.name, given.relative_to(nearest)).as_posix()


def size_of(path: str) -> int | None:
    """Bytes of a source's file; None if it isn't a file that is there."""
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return None


def place_of(path: str, folders: Folders) -> str:
    """Where a source or a folder lies, for people: below the followed folder, or below the uploads (""). Of other
    places only the last two folders are named: the rest is the machine's.

    >>> from pathlib import Path
    >>> from kb_assistant.workspace.folders import Folders
    >>> known = Folders(Path("/home/uploads/0"), (Path("/data/plans"),))
    >>> place_of("/data/plans/2026/may", known), place_of("/home/uploads/0", known), place_of("/a/b/c/d", known)
    ('plans/2026/may', '', '…/c/d')
    """
    if path.startswith(DOCUMENT_PREFIX):
        return ""
    given = PurePath(path)
    if given.is_relative_to(folders.uploads):
        below = given.relative_to(folders.uploads).as_posix()
        return "" if below == "." else below
    for folder in sorted(folders.watched, key=lambda one: -len(one.parts)):
        if given.is_relative_to(folder):
            return PurePath(folder.name, given.relative_to(folder)).as_posix()
    parts = [part for part in given.parts if part != given.anchor]
    return "/".join(parts if len(parts) <= 2 else ("…", *parts[-2:]))
