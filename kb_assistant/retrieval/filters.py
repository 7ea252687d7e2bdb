"""Conditions on sources: `--where type=pdf`, `--where "path=handbook/*.md"`, `--where "date>=2024-05"`.

A condition names a field, a comparison and a value. `path` and `type` every source has; other fields are looked up
in its metadata (`title`, `tags`, `date`, …). Several conditions must all hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any

from kb_assistant.errors import QuestionError
from kb_assistant.messages import _
from kb_assistant.store import Source
from kb_assistant.text.analyzer import fold

_CONDITION = re.compile(r"\s*([\w.-]+)\s*(!=|>=|<=|=|>|<|~)\s*(.*?)\s*", re.DOTALL)
_HINT = _('Write FIELD=VALUE (or != >= <= > <, ~ for "holds"), such as type=pdf or "path=handbook/*.md".')


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `=` on a path takes * and ?, on a list it asks for one of its members."""

    field: str
    operator: str
    value: str

    def holds(self, source: Source) -> bool:
        """Whether the source fulfils it. What it doesn't have fulfils nothing but !=."""
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
        """A pattern that doesn't begin at the root may begin at any folder."""
        if self.operator == "=":
            return fnmatchcase(path, self.value) or fnmatchcase(path, f"*/{self.value}")
        return self._compare(path, self.value)

    def _compare(self, found: str, wanted: str) -> bool:
        if self.operator == "=":
            return found == wanted
        if self.operator == "~":
            return wanted in found
        order = _order(found, wanted)
        return order >= 0 if self.operator == ">=" else order <= 0 if self.operator == "<=" else (
            order > 0 if self.operator == ">" else order < 0
        )  # fmt: skip


def parse_conditions(texts: Iterable[str]) -> tuple[Condition, ...]:
    """Conditions as a user writes them.

    Raises:
        QuestionError: one has the wrong form.
    """
    conditions = []
    for text in texts:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise QuestionError(_("{text!r} is no condition.", text=text), _HINT)
        conditions.append(Condition(*match.groups()))
    return tuple(conditions)


def _folded(text: str) -> str:
    return fold(text).casefold()


def _order(found: str, wanted: str) -> int:
    """Numbers by size, everything else as text, so that dates written as 2024-05-01 are ordered too."""
    try:
        one, other = float(found), float(wanted)
    except ValueError:
        return (found > wanted) - (found < wanted)
    return (one > other) - (one < other)
