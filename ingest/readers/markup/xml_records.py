"""XML that holds records, such as exports of programs: elements as objects and lists, as JSON would write them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ingest.readers.blocks import one_line

_DEEPEST = 150
# Feeds have a reader's layout of their own; in the others names and values don't stand in elements and attributes.
_OTHER_ROOTS = frozenset("rss feed rdf channel schema stylesheet transform plist html svg".split())

Pair = tuple[str, str]


def records_in(root: Any) -> dict[str, Any] | None:
    """The tree as dicts, lists and texts; None if it holds no records or is a text with markup in it.

    Records are elements with at least two values, attributes or elements with a text, that stand beside others of
    their name. An element that does so anywhere is a member of a list everywhere.
    """
    if local(root).lower() in _OTHER_ROOTS:
        return None
    repeated: set[Pair] = set()
    has_records = False
    for element, depth in _walk(root):
        children = [child for child in element if isinstance(child.tag, str)]
        if depth > _DEEPEST or (children and _has_text_between(element, children)):
            return None
        names = Counter(map(local, children))
        again = {name for name, count in names.items() if count > 1}
        repeated |= {(local(element), name) for name in again}
        has_records = has_records or any(local(child) in again and _values(child) > 1 for child in children)
    return _converted(root, repeated) if has_records else None


def local(element: Any) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _walk(root: Any) -> list[tuple[Any, int]]:
    """All elements with their depth, parents first."""
    found: list[tuple[Any, int]] = []
    waiting = [(root, 0)]
    while waiting:
        element, depth = waiting.pop()
        found.append((element, depth))
        waiting += [(child, depth + 1) for child in reversed(element) if isinstance(child.tag, str)]
    return found


def _converted(root: Any, repeated: set[Pair]) -> dict[str, Any]:
    made: dict[Any, dict[str, Any]] = {}
    for element, _depth in _walk(root):
        name, parent = local(element), element.getparent()
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        text = one_line(element.text or "")
        value: Any = {**attributes, **({"": text} if text else {})} if attributes or len(element) else text
        if isinstance(value, dict):
            made[element] = value
        if element is root:
            continue
        around = made[parent]
        if (local(parent), name) in repeated:
            members = around.setdefault(name, [])
            if isinstance(members, list):
                members.append(value)
                continue
        while name in around:  # an attribute bears the same name
            name += " "
        around[name] = value
    return made.get(root, {})


def _values(element: Any) -> int:
    return len(element.attrib) + sum(
        isinstance(child.tag, str) and not len(child) and bool((child.text or "").strip() or child.attrib)
        for child in element
    )


def _has_text_between(element: Any, children: list[Any]) -> bool:
    return bool((element.text or "").strip() or any((child.tail or "").strip() for child in children))
