"""The cells of tables, and what they hold: texts, numbers with units, dates, years."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from ingest.readers.table_words import UNITS

LONGEST_LABEL = 40
YEARS = range(1800, 2201)
_NOTHING = frozenset("- – — / … n/a na nil none null . 无 暂无 空".split())
_DATE_OR_TIME = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?:[ T]\d{1,2}(?::\d{2}){1,2})?|\d{1,3}(?::\d{2}){1,2}"
    r"|\d{4}年\d{1,2}月\d{1,2}[日号]"
)
_NUMBER = re.compile(r"([-+−±~≈<>≤≥$€¥£₩￥(]*)\s*(\d[\d,.' ]*)\s*([^\d\s][^\d]{0,7})?")
_BRACKETED = re.compile(r"[(（\[［][^()（）\[\]［］]{1,15}[)）\]］]")
_YEAR = re.compile(r"(?:FY\s?)?(\d{4})\s?(?:年度?|E|A|F)?")


class Cell(NamedTuple):
    """A field of the grid.

    Attributes:
        first: False if a merged cell continues from the left or from above.
        strong: Whether it looks or is marked like a name: bold, or a header cell.
    """

    text: str
    first: bool = True
    strong: bool = False


Row = Sequence[Cell]


class Kind(Enum):
    """What a cell holds."""

    EMPTY = 0  # nothing, or a mark for it
    TEXT = 1
    NUMBER = 2
    DATE = 3


class Value(NamedTuple):
    """A cell's kind, and of a number its size and unit."""

    kind: Kind
    number: float = 0.0
    unit: str = ""


def value_of(cell: Cell) -> Value:
    """What the text of a cell says."""
    text = cell.text
    if not text or text.lower() in _NOTHING:
        return Value(Kind.EMPTY)
    if not any(letter.isdigit() for letter in text[:LONGEST_LABEL]):
        return Value(Kind.TEXT)
    if _DATE_OR_TIME.fullmatch(text):
        return Value(Kind.DATE)
    match = _NUMBER.fullmatch(text) if len(text) <= LONGEST_LABEL else None
    if match is None:
        return Value(Kind.TEXT)
    sign, digits, unit = match[1].strip("()"), match[2], (match[3] or "").strip(" )")
    if unit and not is_unit(unit):
        return Value(Kind.TEXT)
    bare = digits.rstrip(" .,'").replace(",", "").replace("'", "").replace(" ", "")
    if bare.count(".") > 1:
        return Value(Kind.TEXT)
    return Value(Kind.NUMBER, float(bare), f"{sign.strip('+-−')}{unit.lower()}")


def is_unit(text: str) -> bool:
    """Whether it is a unit, also of several: kg, (mm), t/ha, 万元."""
    bare = text.strip("()（）[]［］ ").lower()
    if _BRACKETED.fullmatch(text.strip()):
        return True
    parts = re.split(r"[/·*×]|\bper\b", bare)
    return bool(bare) and all(part.strip() in UNITS for part in parts)


def year_of(text: str) -> int | None:
    match = _YEAR.fullmatch(text)
    return int(match[1]) if match and int(match[1]) in YEARS else None


def filled(row: Row) -> int:
    return sum(bool(cell.text) for cell in row)


def is_strong(row: Row) -> bool:
    cells = [cell for cell in row if cell.text]
    return bool(cells) and all(cell.strong for cell in cells)


def bare_label(text: str) -> str:
    return text.strip(" :：*").lower()
