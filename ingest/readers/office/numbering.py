"""The numbers that word processors compute for headings and list items, and the lists of a Word document (ECMA-376
Part 1, 17.9)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from ingest.readers.numerals import numeral
from ingest.readers.office.ooxml import number
from kb_assistant.text.boundaries import is_list_item

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEVELS = 9  # of a list: w:ilvl is 0 to 8
_NO_NUMBER = ("bullet", "none")
_NO_BLANK_AFTER = ("、", "）", "．", "。", "：")


class Level(NamedTuple):
    """How the items of one level of a list are numbered.

    Attributes:
        format: Style of the number: see numerals.py; "bullet" gives no label, "none" one without its number.
        text: The text of the number, in which %1 to %9 stand for the numbers of the levels.
        all_decimal: All the numbers in it are decimal, whatever their own formats.
        restart: Starts again after an item of one of so many levels from the top; None: of any level above.
    """

    start: int = 1
    format: str = "decimal"
    text: str = ""
    all_decimal: bool = False
    restart: int | None = None


def next_label(levels: Mapping[int, Level], counts: dict[int, int], depth: int, start: int | None = None) -> str:
    """Count an item and return the number before it, such as "2.1."; empty for a bullet.

    Args:
        counts: The last number of each level, by depth from 0. It is brought up to date.
        start: The number of this item, if it doesn't follow on the one before.
    """
    if depth not in levels:
        return ""
    level = levels[depth]
    counts[depth] = counts.get(depth, level.start - 1) + 1 if start is None else start
    for deeper in [one for one in counts if one > depth]:
        restart = levels[deeper].restart if deeper in levels else None
        if restart is None or depth < restart:
            del counts[deeper]
    if level.format == "bullet":
        return ""

    def said(match: re.Match[str]) -> str:
        place = int(match[1]) - 1
        if place not in levels:
            return ""
        count = counts.setdefault(place, levels[place].start)
        style = levels[place].format
        if level.all_decimal and style not in (*_NO_NUMBER, "decimalZero"):
            style = "decimal"
        return "" if style in _NO_NUMBER else numeral(count, style)

    return re.sub("%([1-9])", said, level.text).strip()


def labelled(label: str, text: str) -> str:
    """The text behind its number."""
    return f"{label}{'' if label.endswith(_NO_BLANK_AFTER) or not label else ' '}{text}"


def blocks_of_items(items: Sequence[str]) -> Iterator[list[str]]:
    """The items of a list by blocks: consecutive ones are one block, but one whose number doesn't show that it is
    an item, such as 3.2 or 第二条, is a paragraph by itself."""
    for listed, group in groupby(items, is_list_item):
        found = list(group)
        yield from [found] if listed else ([item] for item in found)


@dataclass(slots=True)
class _List:
    """A list (w:num): its levels, those that start anew at its first item, and what it counts together with the
    lists of the same definition."""

    levels: Mapping[int, Level]
    starts: dict[int, int]
    styles: Mapping[str, int]  # the level of each paragraph style that brings its own
    counts: dict[int, int] = field(default_factory=dict)


class _Styled(NamedTuple):
    """A level, and the paragraph style that brings it; empty if none does."""

    level: Level
    style: str


class Numbering:
    """Counts the items of all lists of a Word document, in order."""

    def __init__(self, roots: list[Any]) -> None:
        self._lists: dict[str, _List] = {}
        definitions = {
            one.get(f"{_W}abstractNumId", ""): one for root in roots for one in root.iter(f"{_W}abstractNum")
        }
        levels = {name: _levels(one) for name, one in definitions.items()}
        by_style = {_value(one, "styleLink"): name for name, one in definitions.items()}
        by_style.pop("", None)
        linked = {
            name: levels[by_style.get(_value(one, "numStyleLink"), name)] for name, one in definitions.items()
        }
        counts: dict[str, dict[int, int]] = {}
        for made in (one for root in roots for one in root.iter(f"{_W}num")):
            name = _value(made, "abstractNumId")
            if name in linked:
                self._lists[made.get(f"{_W}numId", "")] = _list(linked[name], made, counts.setdefault(name, {}))

    def depth(self, name: str, style: str) -> int | None:
        """The level of a list that belongs to a paragraph style, if one does."""
        found = self._lists.get(name)
        return None if found is None else found.styles.get(style)

    def label(self, name: str, depth: int) -> str:
        """The number before the next item of a list, such as "2.1."; empty for a bullet."""
        found = self._lists.get(name)
        if found is None:
            return ""
        return next_label(found.levels, found.counts, depth, found.starts.pop(depth, None))


def _list(defined: Mapping[int, _Styled], made: Any, counts: dict[int, int]) -> _List:
    levels = dict(defined)
    starts = {}
    for change in made.iterchildren(f"{_W}lvlOverride"):
        depth = number(change.get(f"{_W}ilvl"))
        if depth >= _LEVELS:
            continue
        if change.find(f"{_W}startOverride") is not None:
            starts[depth] = number(_value(change, "startOverride"))
        level = change.find(f"{_W}lvl")
        if level is not None:
            levels[depth] = _styled(level)
    for depth, start in starts.items():
        if depth in levels:
            levels[depth] = levels[depth]._replace(level=levels[depth].level._replace(start=start))
    styles = {one.style: depth for depth, one in levels.items() if one.style}
    return _List({depth: one.level for depth, one in levels.items()}, starts, styles, counts)


def _levels(definition: Any) -> dict[int, _Styled]:
    found = ((number(element.get(f"{_W}ilvl")), element) for element in definition.iterchildren(f"{_W}lvl"))
    return {depth: _styled(element) for depth, element in found if depth < _LEVELS}


def _styled(element: Any) -> _Styled:
    return _Styled(_level(element), _value(element, "pStyle"))


def _level(element: Any) -> Level:
    start, restart = _value(element, "start"), _value(element, "lvlRestart")
    legal = element.find(f"{_W}isLgl")
    return Level(
        number(start) if start else 1,
        _format(element),
        _value(element, "lvlText"),
        legal is not None and legal.get(f"{_W}val") not in ("0", "false"),
        number(restart) if restart else None,
    )


def _format(element: Any) -> str:
    """The format's name; of several, as newer programs write them for a format of one's own, the usual one."""
    found = element.find(f"{_W}numFmt")
    if found is None:
        found = next((one for one in element.iter(f"{_W}numFmt") if one.get(f"{_W}val") != "custom"), None)
    return "decimal" if found is None else str(found.get(f"{_W}val", ""))


def _value(element: Any, child: str) -> str:
    found = element.find(f"{_W}{child}")
    return "" if found is None else str(found.get(f"{_W}val", ""))
