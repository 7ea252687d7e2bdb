"""Which rows of a table name its columns, judged by cells, their kinds and their looks; the same for all formats.

A name differs from what stands below it: a text above numbers, a year above yields, a bold cell above plain ones.
Where nothing differs, the first row of several short texts counts as names, as people write tables.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from itertools import islice, pairwise
from typing import NamedTuple

from ingest.readers.table_words import FIELD_NAMES, UNITS

MOST_HEADER_ROWS = 4

_LONGEST_NAME = 80  # characters of a column's name
_TITLE_ROWS = 5  # most rows of one or two cells above the names of the columns
_SAMPLE = 20  # rows below a name that are looked at
_LONGEST_LABEL = 40
_MOST_CARD_ROWS = 100
_MOST_NUMBERS = 0.25  # largest share of values in a row of names
_YEARS = range(1800, 2201)

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


class Header(NamedTuple):
    """Rows of a table before its first record.

    Attributes:
        titles: Number of rows above the names.
        rows: Number of rows of names; 0 without names.
        is_card: Each row is a name and its value, or several such pairs.
    """

    titles: int = 0
    rows: int = 0
    is_card: bool = False


def header_of(rows: Sequence[Row], marked: int | None = None) -> Header:
    """The header of a table without empty rows.

    Args:
        marked: Number of rows that the document itself marks as names; rows of names below them, such as units,
            are found all the same.
    """
    if marked:
        return Header(0, _extended(rows, marked) if marked < len(rows) else 0)
    if is_card(rows):
        return Header(is_card=True)
    found = Header()
    for index in range(min(_TITLE_ROWS + 1, len(rows))):
        if index and _filled(rows[index - 1]) > 2 and not _is_title(rows[index - 1], rows[index]):
            break
        count = _header_rows(rows, index)
        if count and (not found.rows or _filled(rows[index]) > 2):
            found = Header(index, count)
        if found.rows and (_filled(rows[index]) != 2 or not rows[index][0].text):
            break  # two cells may still be a name and a value above a wider table
    return found


def _extended(rows: Sequence[Row], count: int) -> int:
    while count < min(MOST_HEADER_ROWS, len(rows) - 1) and _stands_over(
        rows[count - 1], rows[count], rows[count + 1 : count + 1 + _SAMPLE]
    ):
        count += 1
    return count


def value_of(cell: Cell) -> Value:
    """What the text of a cell says."""
    text = cell.text
    if not text or text.lower() in _NOTHING:
        return Value(Kind.EMPTY)
    if not any(letter.isdigit() for letter in text[:_LONGEST_LABEL]):
        return Value(Kind.TEXT)
    if _DATE_OR_TIME.fullmatch(text):
        return Value(Kind.DATE)
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_LABEL else None
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


def has_contrast(names: Row, below: Sequence[Row]) -> bool:
    """Whether a name stands over values of another kind, or is the only one in bold."""
    return any(_contrasts(cell, _column(below, place)) for place, cell in enumerate(names)) or (
        _is_strong(names) and bool(below) and not _is_strong(below[0])
    )


def is_names(row: Row, below: Sequence[Row], may_repeat: bool = False) -> bool:
    """Whether a row looks like column names: several short texts, all different but over values, values only where
    they can be names, and nearly as many as the row below has cells."""
    names = [cell.text for cell in row if cell.text and cell.first]
    if not below or len(names) < 2 or len(names) < _filled(below[0]) - 1:
        return False
    if not may_repeat and not _may_repeat(row, below):
        return False
    plain = _plain_values(row, below)
    return (
        max(map(len, names)) <= _LONGEST_NAME
        and len(plain) <= _MOST_NUMBERS * len(names)
        and not any(_column(below[:1], place)[0].kind is value_of(row[place]).kind for place in plain)
    )


def _may_repeat(row: Row, below: Sequence[Row]) -> bool:
    """Whether names that stand there twice stand over values, as in `Date | Value | Value`, or there are none."""
    counts = Counter(cell.text for cell in row if cell.text and cell.first)
    return all(
        _contrasts(cell, _column(below, place))
        for place, cell in enumerate(row)
        if cell.first and counts[cell.text] > 1
    )


def column_names(rows: Sequence[Row]) -> list[str]:
    """A name for each column from the header rows: `Sales / 2024` if one name stands over several columns."""
    stack = _reaching(rows)
    width = max(map(len, stack), default=0)
    names = []
    for column in range(width):
        parts = [row[column].text for row in stack if row[column].text]
        names.append(" / ".join(dict.fromkeys(parts)))
    return names


def names_fields(row: Row) -> bool:
    """Whether half of its cells are words that name fields everywhere, such as Name and Price."""
    texts = [cell.text for cell in row if cell.text and cell.first]
    return 2 * sum(_bare(text) in FIELD_NAMES for text in texts) >= len(texts) > 1


def pairs(row: Row) -> list[tuple[Cell, Cell]]:
    """The names and values of a card's row."""
    cells = [cell for cell in row if cell.text and cell.first]
    return list(zip(cells[::2], cells[1::2], strict=False))


def is_card(rows: Sequence[Row]) -> bool:
    """Whether each row is a name and its value, rather than a record below names of columns. Told by colons, by
    names in bold, by values of many kinds, and by words that name fields everywhere."""
    if not 2 <= len(rows) <= _MOST_CARD_ROWS or (_is_strong(rows[0]) and not _is_strong(rows[1])):
        return False
    counts = [sum(bool(cell.text and cell.first) for cell in row) for row in rows]
    even = [pairs(row) for row, count in zip(rows, counts, strict=True) if count and count % 2 == 0]
    if len(even) < 2 or len(even) < 0.75 * sum(count > 1 for count in counts):
        return False
    said = [pair for row in even for pair in row]
    labels = [label.text for label, _ in said]
    if (
        max(map(len, labels)) > _LONGEST_LABEL
        or len(set(labels)) < len(labels)
        or any(value_of(label).kind is not Kind.TEXT for label, _ in said)
    ):
        return False
    return _says_card(said, is_wide=max(map(len, even)) > 1)


def _says_card(said: Sequence[tuple[Cell, Cell]], is_wide: bool) -> bool:
    """Whether labels and values of two columns, or of pairs of columns side by side, belong together by rows."""
    count = len(said)
    if sum(label.text.endswith((":", "：")) for label, _ in said) > count / 2:
        return True
    if sum(label.strong and not value.strong for label, value in said) >= 0.8 * count:
        return True
    known = sum(_bare(label.text) in FIELD_NAMES for label, _ in said)
    if known >= max(2, 0.4 * count) and (not is_wide or not any(_bare(v.text) in FIELD_NAMES for _, v in said)):
        return True
    if is_wide:
        return False
    (_, first), *others = said
    kinds = Counter(value_of(value).kind for _, value in others if value.text)
    units = {value_of(value).unit for _, value in others if value_of(value).kind is Kind.NUMBER}
    if value_of(first).kind in (Kind.NUMBER, Kind.DATE):
        is_year = _year(first.text) is not None
        return not is_year or len(kinds) > 1 or _bare(said[0][0].text) in ("year", "年份", "年度", "年")
    if _bare(first.text) in FIELD_NAMES:
        return False
    if len(others) >= 2 and (len(units) > 1 or _is_sentence(first.text)):
        return True
    return len(others) >= 3 and kinds[Kind.TEXT] >= 0.5 * len(others) and kinds[Kind.TEXT] <= 0.75 * len(others)


def _header_rows(rows: Sequence[Row], start: int) -> int:
    """Number of rows of names from `start` on, the most that make sense."""
    for count in range(min(MOST_HEADER_ROWS, len(rows) - start - 1), 0, -1):
        stack, below = rows[start : start + count], rows[start + count : start + count + _SAMPLE]
        if all(map(_stands_over, stack, _reaching(stack)[1:], [below] * count)):
            names = [Cell(name) for name in column_names(stack)] if count > 1 else stack[0]
            if is_names(names, below) and (count == 1 or not _plain_values(stack[-1], below)):
                return count
    return 0


def _stands_over(row: Row, lower: Row, below: Sequence[Row]) -> bool:
    """Whether a row of names stands over another one: it spans or leaves out columns that the lower one names, or
    the lower one holds units."""
    if _plain_values(lower, below) or _filled(row) == 0:
        return False
    names = {place: cell for place, cell in enumerate(lower) if cell.text and not _goes_on(row, lower, place)}
    if not names or _is_title(row, lower):
        return False
    if all(is_unit(cell.text) for cell in names.values()):
        return True
    grouped = _groups(row, lower)
    over_values = [_contrasts(cell, _column(below, place)) for place, cell in names.items() if place]
    has_values = sum(over_values) * 2 >= len(over_values) > 0
    clashes = {place for place in names if place < len(row) and row[place].text and place not in grouped}
    if grouped:
        return not clashes or has_values or 0 not in names
    return has_values and 0 not in names


def _is_title(row: Row, lower: Row) -> bool:
    """Whether it says one thing, in the first column or over all of them."""
    said = [place for place, cell in enumerate(row) if cell.text and cell.first]
    return len(said) == 1 and (said[0] == 0 or _filled(row) >= _filled(lower))


def _groups(row: Row, lower: Row) -> set[int]:
    """Columns below a name that stands over several: it is merged, or the fields right of it are empty."""
    found: set[int] = set()
    for place in range(1, len(lower)):
        cell = row[place] if place < len(row) else Cell("")
        before = row[place - 1] if place - 1 < len(row) else Cell("")
        merged = bool(cell.text) and not cell.first and cell.text == before.text
        left_out = not cell.text and bool(lower[place].text) and bool(lower[place - 1].text)
        if merged or (left_out and (before.text or place - 1 in found)):
            found |= {place - 1, place}
    return found


def _goes_on(row: Row, lower: Row, place: int) -> bool:
    """Whether a cell is merged with the one above it."""
    return not lower[place].first and place < len(row) and row[place].text == lower[place].text


def _reaching(rows: Sequence[Row]) -> list[list[Cell]]:
    """Header rows of equal length; a name reaches over the empty fields right of it that have names below."""
    width = max(map(len, rows), default=0)
    found: list[list[Cell]] = []
    for row in reversed(rows):
        cells = [*row, *[Cell("")] * (width - len(row))]
        for place in range(1, width):
            if found and not cells[place].text and found[-1][place].text and found[-1][place - 1].text:
                cells[place] = cells[place - 1]._replace(first=False)
        found.append(cells)
    return found[::-1]


def _plain_values(row: Row, below: Sequence[Row]) -> list[int]:
    """Columns in which the row has numbers or dates that can't be names, such as a record's."""
    values = {
        place: value
        for place, cell in enumerate(row)
        if cell.text and cell.first and (value := value_of(cell)).kind in (Kind.NUMBER, Kind.DATE)
    }
    if not values:
        return []
    for kind in (Kind.NUMBER, Kind.DATE):
        places = [place for place, value in values.items() if value.kind is kind]
        if places and _are_names(row, places, below):
            values = {place: value for place, value in values.items() if value.kind is not kind}
    return list(values)


def _are_names(row: Row, places: Sequence[int], below: Sequence[Row]) -> bool:
    """Whether numbers or dates of a row are names: years, periods or sizes in order, and not so in the rows
    below."""
    if not below:
        return False
    columns = [value for place in places for value in _column(below, place)]
    said = [value_of(row[place]) for place in places]
    if said[0].kind is Kind.DATE:
        return len({row[place].text for place in places}) == len(places) and not any(
            value.kind is Kind.DATE for value in columns
        )
    rows = [[row[place] if place < len(row) else Cell("") for place in places] for row in (row, *below[:5])]
    if all(_year(cell.text) is not None for cell in rows[0]):
        is_even = len(places) > 2 and _has_equal_steps(rows[0])
        return _has_order(rows[0]) and not all(
            all(_year(cell.text) is not None for cell in one)
            and (_has_equal_steps if is_even else _has_order)(one)
            for one in rows[1:]
        )
    if said[0].unit and len({value.unit for value in said}) == 1 and len(said) > 1:
        return _has_order(rows[0]) and not any(value.unit for value in columns)
    return len(places) > 2 and _is_scale(rows[0]) and not any(_is_scale(one) for one in rows[1:])


def _has_order(cells: Sequence[Cell]) -> bool:
    """Whether numbers rise or fall throughout, or do so again from a name on: 2023, 2024, 2023, 2024."""
    numbers = [_year(cell.text) or value_of(cell).number for cell in cells]
    period = next((place for place, one in enumerate(numbers) if place and one == numbers[0]), len(numbers))
    once = numbers[:period]
    repeats = len(numbers) % period == 0 and once * (len(numbers) // period) == numbers
    steps = [later - earlier for earlier, later in pairwise(once)]
    return repeats and (all(step > 0 for step in steps) or all(step < 0 for step in steps))


def _is_scale(cells: Sequence[Cell]) -> bool:
    """Whether numbers count up in equal steps, from 0 or 1 or in round ones: 1, 2, 3; 100, 200, 300."""
    values = [value_of(cell) for cell in cells]
    if any(value.kind is not Kind.NUMBER for value in values) or not _has_equal_steps(cells):
        return False
    step = round(values[1].number - values[0].number, 9)
    return step > 0 and (
        values[0].number in (0, 1) or (step > 1 and all(value.number % step == 0 for value in values))
    )


def _has_equal_steps(cells: Sequence[Cell]) -> bool:
    numbers = [_year(cell.text) or value_of(cell).number for cell in cells]
    return len({round(later - earlier, 9) for earlier, later in pairwise(numbers)}) == 1


def _year(text: str) -> int | None:
    match = _YEAR.fullmatch(text)
    return int(match[1]) if match and int(match[1]) in _YEARS else None


def _contrasts(name: Cell, column: Sequence[Value]) -> bool:
    """Whether a text stands over numbers or dates, or a year over numbers that aren't years."""
    values = [value for value in column if value.kind is not Kind.EMPTY]
    if not name.text or not values:
        return False
    of_values = [value for value in values if value.kind in (Kind.NUMBER, Kind.DATE)]
    if 2 * len(of_values) < len(values):
        return False
    if value_of(name).kind is Kind.TEXT:
        return True
    return _year(name.text) is not None and not all(value.number in _YEARS for value in of_values)


def _column(rows: Sequence[Row], place: int) -> list[Value]:
    return [value_of(row[place]) if place < len(row) else Value(Kind.EMPTY) for row in islice(rows, _SAMPLE)]


def _filled(row: Row) -> int:
    return sum(bool(cell.text) for cell in row)


def _is_strong(row: Row) -> bool:
    cells = [cell for cell in row if cell.text]
    return bool(cells) and all(cell.strong for cell in cells)


def _bare(text: str) -> str:
    return text.strip(" :：*").lower()


def _is_sentence(text: str) -> bool:
    return len(text) > _LONGEST_LABEL or "@" in text or "://" in text
