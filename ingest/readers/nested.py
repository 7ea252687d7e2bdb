"""Nested data (JSON, YAML, XML) as rows: a line for each record, `plant: Gdansk | line: L17 | rate: 351`.

A record bears the names of the records around it, so that it can stand alone in a piece, wherever a long list is
cut. Named objects that aren't records are sections under their path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ingest.readers.blocks import HEADING_CHARS, Outline
from ingest.readers.table_cells import Cell
from ingest.readers.table_headers import has_contrast, header_of, names_fields
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_DEEPEST = 200
_LONGEST_ROW = 400  # characters; a longer record takes several lines, each with its names
_LONGEST_VALUE = 600  # characters; a longer text is a block of its own, under the record's names
_LONGEST_NAME = 80  # of a value that names a record
_LONGEST_KEY = 200  # a question of a survey may be one
_LONGEST_PATH = 2 * _LONGEST_KEY
_MOST_PARENTS = 5
_MOST_COMPARED = 20  # members of an object that are compared with the first
_SMALL = 8  # values of an object that needs no section

_NAMING = (
    "name full_name fullname title label display_name displayname id code key number no sku slug uid uuid "
    "名称 姓名 标题 编号 代码 名稱 標題 編號"
).split()
_NAME_ENDS = ("name", "id", "no", "号", "名", "名称", "号码", "號", "名稱")
_SAYS_NOTHING = frozenset(
    "version schema $schema type kind format encoding generated generator created updated modified date timestamp "
    "status count total page pages size language lang copyright license success ok error message url href".split()
)


class Pair(NamedTuple):
    """A value under its name; a name alone, such as the key of a record, has no `name`."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.name else self.value


class Record(NamedTuple):
    """A record's lines, its long texts under all its names, and the object that it was made from."""

    lines: list[str]
    texts: list[Pair]
    source: Any


class _Waiting(NamedTuple):
    """An object that has to be told: the names of the records around it, its key there, the name that its own key
    gives it, and its depth."""

    value: Any
    parents: tuple[Pair, ...] = ()
    key: str = ""
    name: Pair | None = None
    depth: int = 0


def too_deep() -> ReadError:
    return ReadError(_("The data is nested too deep."), _("Save the part that counts by itself."))


def records_of(value: Any) -> Iterator[Record]:
    """The records in an object or a list, outer ones first.

    Args:
        value: Objects as dicts, lists, and texts, numbers, booleans and None.

    Raises:
        ReadError: it is nested too deep.
    """
    yield from _records(_Waiting(value))


def has_records(value: Any) -> bool:
    """Whether there is a list of at least two records in it, or records by their keys within others."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        members = _members(one)
        if len(members) > 1 and (isinstance(one, list) or any(_members(inner) for __, inner in members)):
            return True
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
    return False


def add_nested(outline: Outline, root: Any) -> None:
    """Add the sections and records of a tree to an outline. For `root` see records_of().

    Raises:
        ReadError: it is nested too deep.
    """
    waiting = [_Waiting(root)]
    while waiting:
        one = waiting.pop()
        if one.depth > _DEEPEST:
            raise too_deep()
        if one.key:
            outline.heading(one.depth, one.key, None)
        if not isinstance(one.value, dict) or _members(one.value):
            _add_records(outline, one)
            continue
        pairs, __ = _parts(
            {key: member for key, member in one.value.items() if not _is_section(member)}, one.depth
        )
        if pairs:
            outline.add("\n".join(map(str, pairs)), "table")
        names = [pair for pair in _names_of(pairs, one.key) if pair.name != "title"]
        parents = _with_names(one.parents, names)
        waiting += [
            _Waiting(member, parents, str(key), None, one.depth + 1)
            for key, member in reversed(one.value.items())
            if _is_section(member)
        ]


def said(value: Any) -> str:
    """A scalar in one line."""
    if isinstance(value, str):
        return " ".join(value.split())
    return "" if value is None else json.dumps(value)


def _add_records(outline: Outline, waiting: _Waiting) -> None:
    run: list[str] = []
    for record in _records(waiting):
        run += record.lines
        for pair in record.texts:
            if run:
                outline.add("\n".join(run), "table")
            run = []
            outline.heading(_DEEPEST + 1, pair.name, None)
            outline.add(pair.value)
            outline.heading(_DEEPEST + 1, "", None)
    if run:
        outline.add("\n".join(run), "table")


def _records(start: _Waiting) -> Iterator[Record]:
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if one.depth > _DEEPEST:
            raise too_deep()
        if one.depth and isinstance(one.value, list) and (row := _row(one.value)):
            yield _record(one, [Pair("", row)])
            continue
        groups = [("", one.value)]
        if not (isinstance(one.value, list) or _members(one.value)):
            pairs, groups = _parts(one.value, one.depth)
            pairs = [*([one.name] if one.name else []), *pairs]
            if pairs:
                yield _record(one, pairs)
            parents = _with_names(one.parents, [one.name] if one.name else _names_of(pairs, one.key, True))
        else:
            parents = _with_names(one.parents, [one.name] if one.name else [])
        waiting += [
            _Waiting(member, parents, key or one.key, name and Pair(key or _cut(one.key), name), one.depth + 1)
            for key, group in reversed(groups)
            for name, member in reversed(_members(group) or [("", inner) for inner in group])
        ]


def _record(one: _Waiting, pairs: Sequence[Pair]) -> Record:
    """The lines of a record. A long one takes several, each with its own name and those of the records around."""
    texts = [pair for pair in pairs if len(pair.value) > _LONGEST_VALUE]
    short = [pair for pair in pairs if len(pair.value) <= _LONGEST_VALUE]
    own = [one.name] if one.name else _names_of(short, one.key, True)
    names = list(map(str, (*one.parents, *own)))
    head = list(map(str, one.parents))
    lines: list[str] = []
    longest = max(_LONGEST_ROW, 2 * sum(map(len, names)))  # names are at most half of what is repeated
    run, length = list(head), sum(map(len, head))
    for part in map(str, short):
        if len(run) > len(head) and length + len(part) > longest:
            lines.append(" | ".join(run))
            head = names
            run, length = list(head), sum(map(len, head))
        run.append(part)
        length += len(part)
    if short:
        lines.append(" | ".join(run))
    long = [Pair(" | ".join([*names, pair.name])[:HEADING_CHARS].strip(" |"), pair.value) for pair in texts]
    return Record(lines, long, one.value)


def _parts(value: Any, depth: int) -> tuple[list[Pair], list[tuple[str, Any]]]:
    """The values of an object under their paths, and the groups of records in it by their keys."""
    values: dict[str, list[str]] = {}
    groups: list[tuple[str, Any]] = []
    waiting: list[tuple[str, Any, int]] = [("", value, depth)]
    while waiting:
        path, one, level = waiting.pop()
        if level > _DEEPEST:
            raise too_deep()
        if one is not value and _members(one):
            groups.append((path.rpartition(".")[2], one))
        elif isinstance(one, dict):
            waiting += [(_path(path, str(key)), member, level + 1) for key, member in reversed(one.items())]
        elif isinstance(one, list) and any(isinstance(member, dict | list) for member in one):
            waiting += [(path, member, level + 1) for member in reversed(one)]
        elif isinstance(one, list):
            if text := ", ".join(word for member in one if (word := said(member))):
                values.setdefault(path, []).append(text)
        elif text := said(one):
            values.setdefault(path, []).append(text)
    return [Pair(path, _joined(texts)) for path, texts in values.items()], groups


def _path(path: str, key: str) -> str:
    """The path of a member; of a long one its end, from a full key on where that is possible."""
    path = f"{path}.{_cut(key)}" if path and key else path or _cut(key)
    if len(path) <= _LONGEST_PATH:
        return path
    end = path[-_LONGEST_PATH:]
    return f"….{end.partition('.')[2] or end}"


def _cut(key: str) -> str:
    """A key as it stands in paths and names: rows repeat it, so it is bounded."""
    return key if len(key) <= _LONGEST_KEY else f"{key[: _LONGEST_KEY - 1].rstrip()}…"


def _joined(texts: Sequence[str]) -> str:
    return ("; " if any(", " in text for text in texts) else ", ").join(texts)


def _members(value: Any) -> list[tuple[str, Any]]:
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
    if (are_lists and any(map(_members, compared))) or all(_are_alike(compared[0], one) for one in compared):
        return [(_cut(str(key)), member) for key, member in value.items()]
    return []


def _row(values: list[Any]) -> str:
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
    return [_cut(name) for name in first] if is_header else []


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
    for _level in range(_MOST_PARENTS):
        values = [
            member
            for one in values[:_MOST_COMPARED]
            for member in (one[:_MOST_COMPARED] if isinstance(one, list) else (one,))
        ]
    return any(isinstance(one, dict) for one in values)


def _is_short(value: Any) -> bool:
    return not isinstance(value, dict | list) and len(said(value)) <= _LONGEST_NAME // 2


def _are_alike(first: Any, other: Any) -> bool:
    """Whether two objects share half of their keys, or hold nothing but objects."""
    if not isinstance(first, dict) or not isinstance(other, dict) or not first or not other:
        return False
    shared = len(first.keys() & other.keys())
    if 2 * shared >= min(len(first), len(other)):
        return True
    return all(isinstance(member, dict | list) for member in (*first.values(), *other.values()))


def _is_section(value: Any) -> bool:
    """Whether it gets a section: records, or an object with objects in it or many values."""
    if isinstance(value, dict):
        return len(value) > _SMALL or any(isinstance(one, dict | list) for one in value.values())
    return isinstance(value, list) and bool(any(isinstance(one, dict) for one in value) or _column_names(value))


def _with_names(parents: tuple[Pair, ...], names: Sequence[Pair]) -> tuple[Pair, ...]:
    """The innermost names, at most a row's length of them; always the last one."""
    kept: list[Pair] = []
    room = _LONGEST_ROW
    for pair in reversed((*parents, *names)[-_MOST_PARENTS:]):
        room -= len(str(pair))
        if kept and room < 0:
            break
        kept.append(pair)
    return tuple(reversed(kept))


def _names_of(pairs: Sequence[Pair], key: str, always: bool = False) -> list[Pair]:
    """The pairs that name a record: `plant` among `plants`, else its name or number, else its first words; with
    `always` its first value if there is nothing better."""
    own = [pair for pair in pairs if "." not in pair.name and len(pair.value) <= _LONGEST_NAME]
    for pair in own:
        if len(pair.name) > 2 and key.lower().startswith(pair.name.lower()[:-1]):
            return [pair]
    naming = {pair.name.lower(): pair for pair in reversed(own)}
    for name in _NAMING:
        if name in naming:
            return [Pair(_cut(key) or naming[name].name, naming[name].value)]
    telling = [pair for pair in own if pair.name.lower() not in _SAYS_NOTHING]
    for pair in telling:
        if pair.name.lower().endswith(_NAME_ENDS):
            return [pair]
    word = next((place for place, pair in enumerate(telling) if _is_word(pair.value)), None)
    if word is not None:  # what stands before the first word may be a number that counts, such as an order's
        return [*telling[: min(word, 1)], telling[word]]
    return telling[:1] or (own[:1] if always else [])


def _is_word(value: str) -> bool:
    return any(map(str.isalpha, value)) and value not in ("true", "false")
