"""Nested data (JSON, YAML, XML) as rows: a line for each record, `plant: Gdansk | line: L17 | rate: 351`.

A record bears the names of the records around it, so that it can stand alone in a piece, wherever a long list is
cut. Named objects that aren't records are sections under their path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ingest.readers.blocks import HEADING_CHARS, Outline
from ingest.readers.record_groups import is_section, members_of, row_text, said
from ingest.readers.record_names import (
    LONGEST_KEY,
    LONGEST_ROW,
    Pair,
    cut,
    names_of,
    with_names,
)
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_DEEPEST = 200
_LONGEST_VALUE = 600  # characters; a longer text is a block of its own, under the record's names
_LONGEST_PATH = 2 * LONGEST_KEY


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
        members = members_of(one)
        if len(members) > 1 and (isinstance(one, list) or any(members_of(inner) for __, inner in members)):
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
        if not isinstance(one.value, dict) or members_of(one.value):
            _add_records(outline, one)
            continue
        pairs, __ = _parts({key: member for key, member in one.value.items() if not is_section(member)}, one.depth)
        if pairs:
            outline.add("\n".join(map(str, pairs)), "table")
        names = [pair for pair in names_of(pairs, one.key) if pair.name != "title"]
        parents = with_names(one.parents, names)
        waiting += [
            _Waiting(member, parents, str(key), None, one.depth + 1)
            for key, member in reversed(one.value.items())
            if is_section(member)
        ]


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
        if one.depth and isinstance(one.value, list) and (row := row_text(one.value)):
            yield _record(one, [Pair("", row)])
            continue
        groups = [("", one.value)]
        if not (isinstance(one.value, list) or members_of(one.value)):
            pairs, groups = _parts(one.value, one.depth)
            pairs = [*([one.name] if one.name else []), *pairs]
            if pairs:
                yield _record(one, pairs)
            parents = with_names(one.parents, [one.name] if one.name else names_of(pairs, one.key, True))
        else:
            parents = with_names(one.parents, [one.name] if one.name else [])
        waiting += [
            _Waiting(member, parents, key or one.key, name and Pair(key or cut(one.key), name), one.depth + 1)
            for key, group in reversed(groups)
            for name, member in reversed(members_of(group) or [("", inner) for inner in group])
        ]


def _record(one: _Waiting, pairs: Sequence[Pair]) -> Record:
    """The lines of a record. A long one takes several, each with its own name and those of the records around."""
    texts = [pair for pair in pairs if len(pair.value) > _LONGEST_VALUE]
    short = [pair for pair in pairs if len(pair.value) <= _LONGEST_VALUE]
    own = [one.name] if one.name else names_of(short, one.key, True)
    names = list(map(str, (*one.parents, *own)))
    head = list(map(str, one.parents))
    lines: list[str] = []
    longest = max(LONGEST_ROW, 2 * sum(map(len, names)))  # names are at most half of what is repeated
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
        if one is not value and members_of(one):
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
    path = f"{path}.{cut(key)}" if path and key else path or cut(key)
    if len(path) <= _LONGEST_PATH:
        return path
    end = path[-_LONGEST_PATH:]
    return f"….{end.partition('.')[2] or end}"


def _joined(texts: Sequence[str]) -> str:
    return ("; " if any(", " in text for text in texts) else ", ").join(texts)
