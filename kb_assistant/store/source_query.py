"""Which sources are listed, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from kb_assistant.store.database import SourceFact, Value

Order = Literal["path", "name", "kind", "folder", "chunks", "date", "state"]

ORDERS: tuple[Order, ...] = get_args(Order)

_COLUMNS: dict[Order, str] = {"path": "path", "chunks": "chunks", "date": "ingested_at", "state": "failed"}
_FACTS: dict[Order, SourceFact] = {"name": "name", "kind": "kind", "folder": "folder"}


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

    def conditions(self, facts: Mapping[SourceFact, str]) -> tuple[str, list[Value]]:
        """The WHERE part and its values; `facts` as in Database."""
        found, values = ["1 = 1"], list[Value]()
        if self.contains:
            found.append(facts["contains"])
            values.append(self.contains.casefold())
        if self.failed is not None:
            found.append("failed = ?")
            values.append(int(self.failed))
        if self.kind:
            found.append(f"{facts['kind']} = ?")
            values.append(self.kind)
        if self.folder:
            found.append("path >= ? AND path < ?")
            values += [f"{self.folder}/", f"{self.folder}0"]  # 0 is the letter after /
        if self.since:
            found.append("ingested_at >= ?")
            values.append(self.since)
        return f"WHERE {' AND '.join(found)}", values

    def ordering(self, facts: Mapping[SourceFact, str]) -> str:
        """The ORDER BY part; equal ones are in path order."""
        expression = facts[_FACTS[self.order]] if self.order in _FACTS else _COLUMNS[self.order]
        return f"ORDER BY {expression} {'DESC' if self.descending else 'ASC'}, path"


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
