"""Which rows of a table name its columns, judged by cells, their kinds and their looks; the same for all formats.

A name differs from what stands below it: a text above numbers, a year above yields, a bold cell above plain ones.
Where nothing differs, the first row of several short texts counts as names, as people write tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from ingest.readers.table_cards import is_card
from ingest.readers.table_cells import (
    YEARS,
    Cell,
    Kind,
    Row,
    Value,
    bare_label,
    filled,
    is_strong,
    is_unit,
    value_of,
    year_of,
)
from ingest.readers.table_words import FIELD_NAMES

MOST_HEADER_ROWS = 4

_LONGEST_NAME = 80  # characters of a column's name
_TITLE_ROWS = 5  # most rows of one or two cells above the names of the columns
_SAMPLE = 20  # rows below a name that are looked at
_MOST_NUMBERS = 0.25  # largest share of values in a row of names


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
        if index and filled(rows[index - 1]) > 2 and not _is_title(rows[index - 1], rows[index]):
            break
        count = _header_rows(rows, index)
        if count and (not found.rows or filled(rows[index]) > 2):
            found = Header(index, count)
        if found.rows and (filled(rows[index]) != 2 or not rows[index][0].text):
            break  # two cells may still be a name and a value above a wider table
    return found


def _extended(rows: Sequence[Row], count: int) -> int:
    while count < min(MOST_HEADER_ROWS, len(rows) - 1) and _stands_over(
        rows[count - 1], rows[count], rows[count + 1 : count + 1 + _SAMPLE]
    ):
        count += 1
    return count


def has_contrast(names: Row, below: Sequence[Row]) -> bool:
    """Whether a name stands over values of another kind, or is the only one in bold."""
    return any(_contrasts(cell, _column(below, place)) for place, cell in enumerate(names)) or (
        is_strong(names) and bool(below) and not is_strong(below[0])
    )


def is_names(row: Row, below: Sequence[Row], may_repeat: bool = False) -> bool:
    """Whether a row looks like column names: several short texts, all different but over values, values only where
    they can be names, and nearly as many as the row below has cells."""
    names = [cell.text for cell in row if cell.text and cell.first]
    if not below or len(names) < 2 or len(names) < filled(below[0]) - 1:
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
    return 2 * sum(bare_label(text) in FIELD_NAMES for text in texts) >= len(texts) > 1


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
    if _plain_values(lower, below) or filled(row) == 0:
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
    return len(said) == 1 and (said[0] == 0 or filled(row) >= filled(lower))


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
    if all(year_of(cell.text) is not None for cell in rows[0]):
        is_even = len(places) > 2 and _has_equal_steps(rows[0])
        return _has_order(rows[0]) and not all(
            all(year_of(cell.text) is not None for cell in one)
            and (_has_equal_steps if is_even else _has_order)(one)
            for one in rows[1:]
        )
    if said[0].unit and len({value.unit for value in said}) == 1 and len(said) > 1:
        return _has_order(rows[0]) and not any(value.unit for value in columns)
    return len(places) > 2 and _is_scale(rows[0]) and not any(_is_scale(one) for one in rows[1:])


def _has_order(cells: Sequence[Cell]) -> bool:
    """Whether numbers rise or fall throughout, or do so again from a name on: 2023, 2024, 2023, 2024."""
    numbers = [year_of(cell.text) or value_of(cell).number for cell in cells]
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
    numbers = [year_of(cell.text) or value_of(cell).number for cell in cells]
    return len({round(later - earlier, 9) for earlier, later in pairwise(numbers)}) == 1


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
    return year_of(name.text) is not None and not all(value.number in YEARS for value in of_values)


def _column(rows: Sequence[Row], place: int) -> list[Value]:
    return [value_of(row[place]) if place < len(row) else Value(Kind.EMPTY) for row in islice(rows, _SAMPLE)]
