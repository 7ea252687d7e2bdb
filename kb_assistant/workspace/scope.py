"""Where a question is searched, as it is chosen from lists: as conditions on sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from glob import escape
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.store.readers import Sees


MOST_TAGS = 50
"""Most tags that are offered to choose from."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a knowledge base. What is empty allows everything; the rest must all hold.

    Attributes:
        types: Any of these, such as "pdf".
        paths: Any of these sources.
        name: A text within the path: of a folder, or of a file.
        tags: Any of these, as the documents tell them.
        since, until: First and last day of the documents' own dates, ISO 8601. Those without a date are left out.
    """

    types: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    name: str = ""
    tags: tuple[str, ...] = ()
    since: str = ""
    until: str = ""

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
        if self.name:
            found.append(f"path=*{escape(self.name)}*")
        if self.tags:
            found.append("tags=" + "\n".join(self.tags))
        return found + [f"date{sign}{day}" for sign, day in ((">=", self.since), ("<=", self.until)) if day]


def types_of(base: KnowledgeBase, sees: Sees | None = None) -> list[str]:
    """The types of the sources of a knowledge base: their suffixes, without a dot.

    Args:
        sees: Which sources may be read; None for all.
    """
    with base.store.read() as snapshot:
        paths = [path for path in snapshot.paths() if sees is None or sees(path)]
    return sorted({suffix[1:] for path in paths if len(suffix := PurePath(path).suffix) > 1})


def tags_of(base: KnowledgeBase, sees: Sees | None = None) -> list[str]:
    """The tags that documents of a knowledge base tell, the most frequent first, at most MOST_TAGS.

    Args:
        sees: Which sources may be read; None for all.
    """
    found: Counter[str] = Counter()
    with base.store.read() as snapshot:
        for source in snapshot.sources():
            tags = source.metadata.get("tags")
            if tags and (sees is None or sees(source.path)):
                found.update(str(tag) for tag in (tags if isinstance(tags, list) else [tags]))
    return [tag for tag, _ in found.most_common(MOST_TAGS) if "\n" not in tag]
