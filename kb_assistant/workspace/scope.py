"""Where a question is searched, as it is chosen from lists: as conditions on sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from glob import escape
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.store.readers import Sees


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a knowledge base. What is empty allows everything; the rest must all hold.

    Attributes:
        types: Any of these, such as "pdf".
        paths: Any of these sources.
        name: A text within the path: of a folder, or of a file.
    """

    types: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    name: str = ""

    def conditions(self, naming: Callable[[str], str] = str) -> list[str]:
        """
        Args:
            naming: How sources' paths are told to who asks.

        >>> Scope(("md", "pdf"), name="plans").conditions()
        ['type=md\\npdf', 'path=*plans*']
        """
        found = ["type=" + "\n".join(self.types)] if self.types else []
        if self.paths:
            found.append("path=" + "\n".join(escape(naming(path)) for path in self.paths))
        return [*found, f"path=*{escape(self.name)}*"] if self.name else found


def types_of(base: KnowledgeBase, sees: Sees | None = None) -> list[str]:
    """The types of the sources of a knowledge base: their suffixes, without a dot.

    Args:
        sees: Which sources may be read; None for all.
    """
    with base.store.read() as snapshot:
        paths = [path for path in snapshot.paths() if sees is None or sees(path)]
    return sorted({suffix[1:] for path in paths if len(suffix := PurePath(path).suffix) > 1})
