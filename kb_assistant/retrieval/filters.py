"""Conditions on sources: `--where type=pdf`, `--where "path=handbook/*.md"`, `--where "date>=2024-05"`.

A condition has a field, a comparison and a value. Every source has `path` and `type`; other fields are looked up
in its metadata (`title`, `tags`, `date`, …). Several conditions must all hold. In code, `AnyOf`, `AllOf` and `Not`
join them in other ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol

from kb_assistant.errors import QuestionError
from kb_assistant.messages import _
from kb_assistant.retrieval.file_states import there_first
from kb_assistant.store import Chunk, Snapshot, Source
from kb_assistant.store.readers import Sees
from kb_assistant.text.analyzer import fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CONDITION = re.compile(r"\s*([\w.-]+)\s*(!=|>=|<=|=|>|<|~)\s*(.*?)\s*", re.DOTALL)
_HINT = _('Write FIELD=VALUE (or != >= <= > <, ~ for "holds"), such as type=pdf or "path=handbook/*.md".')


class Filter(Protocol):
    """Chooses sources."""

    def holds(self, source: Source) -> bool: ...


@dataclass(frozen=True, slots=True)
class AllOf:
    """Chooses what all of the filters choose."""

    filters: tuple[Filter, ...]

    def holds(self, source: Source) -> bool:
        return all(one.holds(source) for one in self.filters)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Chooses what any of the filters chooses."""

    filters: tuple[Filter, ...]

    def holds(self, source: Source) -> bool:
        return any(one.holds(source) for one in self.filters)


@dataclass(frozen=True, slots=True)
class Not:
    """Chooses what the filter doesn't."""

    filter: Filter

    def holds(self, source: Source) -> bool:
        return not self.filter.holds(source)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `=` accepts * and ? for a path, and matches any member of a list. Users write those of
    `_CONDITION`; `^=` (begins with) and `$=` (ends with) exist in code alone."""

    field: str
    operator: str
    value: str

    def holds(self, source: Source) -> bool:
        """Whether the source fulfils it. A missing field fulfils only !=."""
        if self.operator == "!=":
            return not Condition(self.field, "=", self.value).holds(source)
        if self.field == "path":
            return self._of_path(source.path)
        found = self._values(source)
        return any(self._compare(_folded(str(one)), _folded(self.value)) for one in found)

    def _values(self, source: Source) -> Sequence[Any]:
        if self.field == "type":
            return [PurePath(source.path).suffix.removeprefix(".")]
        if self.field == "title" and "title" not in source.metadata:
            return [source.title]
        found = source.metadata.get(self.field)
        return found if isinstance(found, list) else [] if found is None else [found]

    def _of_path(self, path: str) -> bool:
        """Match a pattern that isn't absolute from any folder."""
        if self.operator == "=":
            return fnmatchcase(path, self.value) or fnmatchcase(path, f"*/{self.value}")
        return self._compare(path, self.value)

    def _compare(self, found: str, wanted: str) -> bool:
        if self.operator == "=":
            return found == wanted
        if self.operator == "~":
            return wanted in found
        if self.operator in ("^=", "$="):
            return found.startswith(wanted) if self.operator == "^=" else found.endswith(wanted)
        order = _order(found, wanted)
        return order >= 0 if self.operator == ">=" else order <= 0 if self.operator == "<=" else (
            order > 0 if self.operator == ">" else order < 0
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search may find and name: the whole store, or the sources that fulfil all conditions.

    Equal texts are stored once for all their sources, so restricting the texts isn't enough: the chunks of a text
    must also come from allowed sources only. All chunks of a search come from here.

    Attributes:
        paths: The allowed sources; None for all.
        text_ids: Ids of their texts, ascending, each once, int64; None for all.
    """

    snapshot: Snapshot
    paths: frozenset[str] | None = None
    text_ids: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, snapshot: Snapshot, where: Sequence[Filter], sight: Sight | None = None) -> Scope:
        """The part of a state of the store that may be seen and fulfils the conditions."""
        if not where:
            return sight.scope(snapshot) if sight else cls(snapshot)
        fit = [
            source.path
            for source in snapshot.sources()
            if (sight is None or sight.sees(source.path)) and all(one.holds(source) for one in where)
        ]
        return cls(snapshot, frozenset(fit), snapshot.text_ids_of(fit))

    def chunks_of_texts(self, text_ids: Sequence[int]) -> dict[int, list[Chunk]]:
        """The chunks of allowed sources with each of the texts, in path order, first those whose file is there;
        texts without such chunks are left out.

        Raises:
            StoreError: a text or a path was altered.
        """
        found = self.snapshot.chunks_of_texts(text_ids)
        if self.paths is None:
            return there_first(self.snapshot, found)
        inside = {
            text_id: [chunk for chunk in chunks if chunk.source in self.paths] for text_id, chunks in found.items()
        }
        return there_first(self.snapshot, {text_id: chunks for text_id, chunks in inside.items() if chunks})

    def chunks(self, ids: Sequence[str]) -> list[Chunk]:
        """The chunks of allowed sources with these ids that are still there."""
        found = self.snapshot.chunks(ids) if ids else []
        return [chunk for chunk in found if self.paths is None or chunk.source in self.paths]


class Sight:
    """The sources that somebody may see; remembers what they are in the last state of the store. Threads may share
    it."""

    def __init__(self, sees: Sees) -> None:
        self.sees = sees
        self._last: tuple[str, frozenset[str], NDArray[np.int64]] | None = None

    def scope(self, snapshot: Snapshot) -> Scope:
        """All of them."""
        state, last = snapshot.revision_id, self._last
        if last is None or last[0] != state:
            paths = frozenset(path for path in snapshot.paths() if self.sees(path))
            last = self._last = (state, paths, snapshot.text_ids_of(paths))
        return Scope(snapshot, last[1], last[2])


def parse_conditions(where: Iterable[str | Filter]) -> tuple[Filter, ...]:
    """Parse conditions written by a user; filters stay as they are.

    Raises:
        QuestionError: one has the wrong form.
    """
    return tuple(_parsed(one) if isinstance(one, str) else one for one in where)


def _parsed(text: str) -> Filter:
    """A condition; of a value of several lines any may hold, and of several that it must not be, all."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise QuestionError(_("{text!r} is no condition.", text=text), _HINT)
    field, operator, value = match.groups()
    values = [one.strip() for one in value.splitlines() if one.strip()]
    if len(values) < 2:
        return Condition(field, operator, value.strip() if values else value)
    join = AllOf if operator == "!=" else AnyOf
    return join(tuple(Condition(field, operator, one) for one in values))


def _folded(text: str) -> str:
    return fold(text).casefold()


def _order(found: str, wanted: str) -> int:
    """Compare numbers by value, everything else as text, so that dates such as 2024-05-01 are ordered too."""
    try:
        one, other = float(found), float(wanted)
    except ValueError:
        return (found > wanted) - (found < wanted)
    return (one > other) - (one < other)
