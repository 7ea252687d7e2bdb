"""The numbers that Word puts before list items (ECMA-376 Part 1, 17.9)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ingest.readers.office.ooxml import number

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip
_DIGITS = "零一二三四五六七八九"
_LARGEST = 4999  # larger numbers use digits, as no list is so long


class _Level(NamedTuple):
    start: int
    format: str
    text: str


class Numbering:
    """Counts the items of all lists of a document, in order."""

    def __init__(self, roots: list[Any]) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}
        self._lists: dict[str, str] = {}  # the abstract list of each list
        self._restarts: dict[str, dict[int, int]] = {}
        self._counts: dict[str, dict[int, int]] = {}
        for root in roots:
            for abstract in root.iter(f"{_W}abstractNum"):
                levels = {number(level.get(f"{_W}ilvl")): _level(level) for level in abstract.iter(f"{_W}lvl")}
                self._levels[abstract.get(f"{_W}abstractNumId", "")] = levels
            for made in root.iter(f"{_W}num"):
                name = made.get(f"{_W}numId", "")
                self._lists[name] = _value(made, "abstractNumId")
                self._restarts[name] = {
                    number(change.get(f"{_W}ilvl")): number(_value(change, "startOverride"))
                    for change in made.iter(f"{_W}lvlOverride")
                    if change.find(f"{_W}startOverride") is not None
                }

    def label(self, name: str, depth: int) -> str:
        """The number before the next item of a list, such as "2.1."; empty for a bullet."""
        abstract = self._lists.get(name, "")
        levels = self._levels.get(abstract, {})
        if depth not in levels:
            return ""
        counts = self._counts.setdefault(abstract, {})
        if depth in self._restarts.get(name, {}):
            counts[depth] = self._restarts[name].pop(depth) - 1
        counts[depth] = counts.get(depth, levels[depth].start - 1) + 1
        for deeper in [level for level in counts if level > depth]:
            del counts[deeper]
        if levels[depth].format in ("bullet", "none"):
            return ""

        def said(match: re.Match[str]) -> str:
            level = int(match[1]) - 1
            if level not in levels:
                return ""
            return _shown(counts.setdefault(level, levels[level].start), levels[level].format)

        return re.sub(r"%([1-9])", said, levels[depth].text).strip()


def _level(element: Any) -> _Level:
    start = _value(element, "start")
    return _Level(number(start) if start else 1, _value(element, "numFmt"), _value(element, "lvlText"))


def _shown(count: int, style: str) -> str:
    if not 0 < count <= _LARGEST:
        return str(count)
    if style in ("lowerLetter", "upperLetter"):
        letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letters.upper() if style == "upperLetter" else letters
    if style in ("lowerRoman", "upperRoman"):
        roman, left = "", count
        for value, letters in _ROMAN:
            roman += letters * (left // value)
            left %= value
        return roman.upper() if style == "upperRoman" else roman
    if style.startswith(("chineseCounting", "taiwaneseCounting", "japaneseCounting")) and count < 100:
        tens, ones = divmod(count, 10)
        before = "" if tens < 2 else _DIGITS[tens]
        return f"{before}{'十' if tens else ''}{_DIGITS[ones] if ones else ''}"
    return f"{count:02}" if style == "decimalZero" else str(count)


def _value(element: Any, child: str) -> str:
    found = element.find(f"{_W}{child}")
    return "" if found is None else str(found.get(f"{_W}val", ""))
