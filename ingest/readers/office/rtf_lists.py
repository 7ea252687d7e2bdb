"""The lists of an RTF document, from its list table (RTF specification 1.9.1, "List Tables"): the numbers that
programs compute for items, where the file doesn't say them itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.readers.office.numbering import Level, next_label

_MOST_LEVELS = 9
_LARGEST = 99_999  # a larger start of a list is damage
# The styles of numbers (\levelnfc) by the names of numerals.py.
_FORMATS = {
    0: "decimal", 1: "upperRoman", 2: "lowerRoman", 3: "upperLetter", 4: "lowerLetter", 5: "ordinal",
    6: "cardinalText", 7: "ordinalText", 10: "ideographDigital", 11: "japaneseCounting", 12: "aiueo", 13: "iroha",
    14: "decimalFullWidth", 16: "japaneseLegal", 17: "japaneseDigitalTenThousand", 18: "decimalEnclosedCircle",
    20: "aiueoFullWidth", 21: "irohaFullWidth", 22: "decimalZero", 23: "bullet", 24: "ganada", 25: "chosung",
    26: "decimalEnclosedFullstop", 27: "decimalEnclosedParen", 28: "decimalEnclosedCircleChinese",
    29: "ideographEnclosedCircle", 30: "ideographTraditional", 31: "ideographZodiac", 33: "taiwaneseCounting",
    34: "ideographLegalTraditional", 35: "taiwaneseCountingThousand", 36: "taiwaneseDigital",
    37: "chineseCounting", 38: "chineseLegalSimplified", 39: "chineseCountingThousand", 41: "koreanDigital",
    42: "koreanCounting", 43: "koreanLegal", 255: "none",
}  # fmt: skip


@dataclass(slots=True)
class _List:
    levels: dict[int, Level]
    counts: dict[int, int] = field(default_factory=dict)


class RtfLists:
    """Takes the control words of the list table and of its overrides, in order, then counts the items."""

    def __init__(self) -> None:
        self._levels: list[Level] = []
        self._lists: dict[int, _List] = {}  # by \listid
        self._places: dict[int, int] = {}  # the \listid of each \ls
        self._starts: dict[int, dict[int, int]] = {}  # the numbers that an \ls begins with, by level
        self._list = 0
        self._in_overrides = False
        self._changed: dict[int, int] = {}

    def control(self, name: str, number: int | None) -> None:
        """A control word within the two tables."""
        value = min(max(number or 0, 0), _LARGEST)
        if name == "list":
            self._levels, self._in_overrides = [], False
        elif name in ("listoverride", "listoverridetable"):
            self._changed, self._levels, self._in_overrides = {}, [], True
        elif name == "listlevel":
            self._levels.append(Level())
        elif name == "lfolevel":
            self._changed[len(self._changed)] = -1
        elif name == "levelstartat" and self._in_overrides and self._changed:
            self._changed[len(self._changed) - 1] = value
        elif name == "listid":
            self._list = number or 0
            if not self._in_overrides:
                self._lists[self._list] = _List(dict(enumerate(self._levels[:_MOST_LEVELS])))
        elif name == "ls" and self._in_overrides:
            self._places[value] = self._list
            self._starts[value] = {depth: start for depth, start in self._changed.items() if start >= 0}
        elif self._levels:
            self._levels[-1] = _with(self._levels[-1], name, value, number)

    def level_text(self, text: str) -> None:
        """The text of the level (\\leveltext): its length, then the text, in which the characters 0 to 8 stand for
        the numbers of the levels."""
        if self._levels and text:
            shown = "".join(
                f"%{ord(one) + 1}" if ord(one) < _MOST_LEVELS else one for one in text[1 : 1 + ord(text[0])]
            )
            self._levels[-1] = self._levels[-1]._replace(text=shown)

    def label(self, place: int, depth: int) -> str:
        """The number before the next item of an \\ls; empty for a bullet."""
        found = self._lists.get(self._places.get(place, 0))
        if found is None:
            return ""
        return next_label(found.levels, found.counts, depth, self._starts[place].pop(depth, None))


def _with(level: Level, name: str, value: int, number: int | None) -> Level:
    """The level with what a control word says of it."""
    if name in ("levelnfc", "levelnfcn"):
        return level._replace(format=_FORMATS.get(value, "decimal"))
    if name == "levelstartat":
        return level._replace(start=value)
    if name == "levellegal":
        return level._replace(all_decimal=number != 0)
    if name == "levelnorestart" and number != 0:
        return level._replace(restart=0)
    return level
