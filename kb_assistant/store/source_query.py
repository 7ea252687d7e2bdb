"""Which sources are listed, and in which order."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Literal, get_args

Order = Literal["path", "name", "kind", "folder", "chunks", "date", "state"]

ORDERS: tuple[Order, ...] = get_args(Order)

_EXPRESSIONS: dict[Order, str] = {
    "path": "path",
    "name": "name_of(path)",
    "kind": "kind_of(path)",
    "folder": "folder_of(path)",
    "chunks": "chunks",
    "date": "ingested_at",
    "state": "failed",
}


@dataclass(frozen=True, slots=True)
class SourceQuery:
    """What is empty allows everything; the rest must all hold.

    Attributes:
        contains: A text in path or title, ignoring case.
        failed: Only sources that couldn't be read (True), or only the others (False).
        kind: The suffix, without its dot, in small letters.
        folder: The folder that they lie in, or in a folder of it.
        since: Read at this moment or later, ISO 8601 in UTC.
    """

    contains: str = ""
    failed: bool | None = None
    kind: str = ""
    folder: str = ""
    since: str = ""
    order: Order = "path"
    descending: bool = False

    def conditions(self, db: sqlite3.Connection) -> tuple[str, list[str | int]]:
        """The WHERE part and its values."""
        found, values = ["1"], list[str | int]()
        if self.contains:
            # SQLite's own lower() handles ASCII only.
            db.create_function("casefold", 1, str.casefold, deterministic=True)
            found.append("instr(casefold(path || ' ' || title), ?)")
            values.append(self.contains.casefold())
        if self.failed is not None:
            found.append("failed = ?")
            values.append(int(self.failed))
        if self.kind:
            db.create_function("kind_of", 1, kind_of, deterministic=True)
            found.append("kind_of(path) = ?")
            values.append(self.kind)
        if self.folder:
            found.append("path >= ? AND path < ?")
            values += [f"{self.folder}/", f"{self.folder}0"]  # 0 is the letter after /
        if self.since:
            found.append("ingested_at >= ?")
            values.append(self.since)
        return f"WHERE {' AND '.join(found)}", values

    def ordering(self, db: sqlite3.Connection) -> str:
        """The ORDER BY part; equal ones are in path order."""
        for name, function in (("name_of", name_of), ("kind_of", kind_of), ("folder_of", folder_of)):
            db.create_function(name, 1, function, deterministic=True)
        return f"ORDER BY {_EXPRESSIONS[self.order]} {'DESC' if self.descending else 'ASC'}, path"


def name_of(path: str) -> str:
    return path.rsplit("/", 1)[-1].casefold()


def kind_of(path: str) -> str:
    """
    >>> kind_of("/docs/Plan.PDF"), kind_of("/docs/README")
    ('pdf', '')
    """
    stem, dot, suffix = path.rsplit("/", 1)[-1].rpartition(".")
    return suffix.casefold() if dot and stem.strip(".") else ""


def folder_of(path: str) -> str:
    return path.rpartition("/")[0]
