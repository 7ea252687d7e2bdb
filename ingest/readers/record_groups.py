"""Which objects of nested data are groups of records: alike, or rows under a header."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from ingest.readers.record_names import cut
from ingest.readers.table_cells import Cell
from ingest.readers.table_headers import has_contrast, header_of, names_fields

_MOST_COMPARED = 20  # members of an object that are compared with the first
_SMALL = 8  # values of an object that needs no section
_SHORT = 40  # characters of a value in a list of short words
_DEEPEST_LIST = 5  # lists within lists that are looked into


def said(value: Any) -> str:
    """A scalar in one line."""
    if isinstance(value, str):
        return " ".join(value.split())
    return "" if value is None else json.dumps(value)


def members_of(value: Any) -> list[tuple[str, Any]]:
    """The members of a group of records, with their keys; none if it isn't one: a list of objects, or an object
    whose members are alike, so that its keys are names."""
    if isinstance(value, list):
        if names := _column_names(value):
            return [("", dict(zip(names, row, strict=False))) for row in value[1:]]
        objects = [member for member in value if isinstance(member, dict | list) and member]
        return [("", member) for member in value] if objects and not _is_plain(objects) else []
    if not isinstance(value, dict) or len(value) < 2:
        return []
    compared = list(islice(value.values(), _MOST_COMPARED))
    are_lists = all(isinstance(member, list) and _holds_objects(member) for member in compared)
    if (are_lists and any(map(members_of, compared))) or all(_are_alike(compared[0], one) for one in compared):
        return [(cut(str(key)), member) for key, member in value.items()]
    return []


def row_text(values: list[Any]) -> str:
    """Values that stand side by side in a list within a list; empty if there are others."""
    is_plain = len(values) > 1 and not any(isinstance(one, dict | list) for one in values)
    return ", ".join(word for one in values if (word := said(one))) if is_plain else ""


def _column_names(rows: list[Any]) -> list[str]:
    """The first of several rows, if it names the columns of the others: `[["item", "price"], ["pump", 12]]`."""
    first, *others = rows[: _MOST_COMPARED + 1] or [None]
    if not (isinstance(first, list) and others and len(first) > 1 and all(isinstance(one, str) for one in first)):
        return []
    if not all(isinstance(row, list) and len(row) <= len(first) for row in rows[1:]):
        return []
    grid = [[Cell(said(one)) for one in row if not isinstance(one, dict | list)] for row in (first, *others)]
    if any(len(cells) < len(row) for cells, row in zip(grid, (first, *others), strict=True)):
        return []
    is_told = has_contrast(grid[0], grid[1:]) or names_fields(grid[0])
    is_header = is_told and len(set(first)) == len(first) and header_of(grid) == (0, 1, False)
    return [cut(name) for name in first] if is_header else []


def _is_plain(objects: Sequence[Any]) -> bool:
    """Whether objects are but short words, or lists of values: `[{"name": "a"}, {"name": "b"}]`."""
    if all(isinstance(one, list) for one in objects):
        return not _holds_objects(objects)
    return len(objects) <= _MOST_COMPARED and all(
        isinstance(one, dict) and len(one) == 1 and all(_is_short(member) for member in one.values())
        for one in objects
    )


def _holds_objects(values: Sequence[Any]) -> bool:
    """Whether lists within lists hold an object, judged by the first of each."""
    for _level in range(_DEEPEST_LIST):
        values = [
            member
            for one in values[:_MOST_COMPARED]
            for member in (one[:_MOST_COMPARED] if isinstance(one, list) else (one,))
        ]
    return any(isinstance(one, dict) for one in values)


def _is_short(value: Any) -> bool:
    return not isinstance(value, dict | list) and len(said(value)) <= _SHORT


def _are_alike(first: Any, other: Any) -> bool:
    """Whether two objects share half of their keys, or hold nothing but objects."""
    if not isinstance(first, dict) or not isinstance(other, dict) or not first or not other:
        return False
    shared = len(first.keys() & other.keys())
    if 2 * shared >= min(len(first), len(other)):
        return True
    return all(isinstance(member, dict | list) for member in (*first.values(), *other.values()))


def is_section(value: Any) -> bool:
    """Whether it gets a section: records, or an object with objects in it or many values."""
    if isinstance(value, dict):
        return len(value) > _SMALL or any(isinstance(one, dict | list) for one in value.values())
    return isinstance(value, list) and bool(any(isinstance(one, dict) for one in value) or _column_names(value))
