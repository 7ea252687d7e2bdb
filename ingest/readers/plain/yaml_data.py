"""YAML: lists of records as nested data is told, each with its lines and comments; anything else as settings.

Settings, scripts in literal blocks, anchors, tags and files of several documents are read as they are written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ingest.readers.blocks import Block, Content, Context
from ingest.readers.encoding import decode
from ingest.readers.nested import Record, has_records, records_of
from ingest.readers.plain import code

_DEEPEST = 100
_NULLS = ("", "~", "null", "Null", "NULL")
_COMMENT = re.compile(r"""(?:^|[^'"\n]*\s)#\s?(.*)""")

Line = int
"""A line of the file, from 0."""


def read(data: bytes, context: Context) -> Content:
    """The records, or the text as settings."""
    text = decode(data)
    try:
        value, places = _tree(text)
    except _AsWritten:
        return code.read(data, context)
    records = list(records_of(value)) if has_records(value) else []
    return Content("", tuple(_blocks(text.split("\n"), records, places))) if records else code.read(data, context)


class _AsWritten(Exception):
    """The text has more than data in it, or isn't YAML."""


def _tree(text: str) -> tuple[Any, dict[int, Line]]:
    """The document as dicts, lists and texts, and the line where each dict and list begins, by its id. It is built
    from events, which needs no recursion.

    Raises:
        _AsWritten: it is to be read as it is written.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    root: list[Any] = []
    places: dict[int, Line] = {}
    around: list[Any] = [root]
    keys: list[str | None] = [None]
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionEndEvent):
                around.pop()
                keys.pop()
            elif isinstance(event, yaml.NodeEvent):
                value = _value(event, yaml)
                if not isinstance(value, dict | list) and isinstance(around[-1], dict) and keys[-1] is None:
                    keys[-1] = _key(value, around[-1])
                    continue
                _put(around[-1], keys, value)
                if isinstance(value, dict | list):
                    places[id(value)] = event.start_mark.line
                    around.append(value)
                    keys.append(None)
                    if len(around) > _DEEPEST:
                        raise _AsWritten
    except (yaml.YAMLError, ValueError) as error:
        raise _AsWritten from error
    if len(root) != 1:
        raise _AsWritten
    return root[0], places


def _value(event: Any, yaml: Any) -> Any:
    if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag:
        raise _AsWritten
    if isinstance(event, yaml.ScalarEvent):
        if event.style == "|" and "\n" in event.value.rstrip("\n"):
            raise _AsWritten
        return None if event.implicit[0] and event.value in _NULLS else event.value
    return {} if isinstance(event, yaml.MappingStartEvent) else []


def _key(value: Any, around: dict[str, Any]) -> str:
    key = str(value or "")
    if key in around:
        raise _AsWritten
    return key


def _put(around: Any, keys: list[str | None], value: Any) -> None:
    if isinstance(around, list):
        around.append(value)
    elif keys[-1] is None:  # a list or an object as a key
        raise _AsWritten
    else:
        around[keys[-1]], keys[-1] = value, None


def _blocks(lines: list[str], records: list[Record], places: dict[int, Line]) -> Iterator[Block]:
    """A block for each record, from its line to that of the next, with the comments there."""
    starts: list[Line] = []
    for record in records:
        starts.append(max(places.get(id(record.source), 0), starts[-1] if starts else 0))
    starts = [0, *starts[1:], len(lines)]
    for record, (start, end) in zip(records, pairwise(starts), strict=True):
        first, last = _filled(lines, start, max(end, start + 1))
        comments = [
            f"# {match[1].strip()}"
            for line in lines[start:end]
            if "#" in line and (match := _COMMENT.fullmatch(line)) and match[1].strip()
        ]
        if text := "\n".join([*comments, *record.lines]):
            yield Block(text, "table", lines=(first + 1, last + 1))
        for name, value in record.texts:
            yield Block(value, lines=(first + 1, last + 1), heading=name)


def _filled(lines: list[str], start: Line, end: Line) -> tuple[Line, Line]:
    """First and last line that isn't empty."""
    places = [place for place in range(start, min(end, len(lines))) if lines[place].strip()]
    return (places[0], places[-1]) if places else (start, start)
