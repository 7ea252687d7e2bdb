"""Rows and columns of a sheet that its program doesn't show: hidden, filtered out, or in a collapsed group.

They are read like any others; the report names those that hold something.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from ingest.readers.office.ooxml import number
from ingest.readers.tables import Row
from kb_assistant.messages import _

MOST_COLUMNS = 16_384

_MOST_NAMED = 12  # ranges of rows or columns in a note
_SIGNS = re.compile(rb"\b(?:hidden|zeroHeight)=[\"'](?:1|true|on)|\b(?:ht|width)=[\"']0(?:\.0*)?[\"']")
_TAGS = ("{*}row", "{*}col", "{*}filterColumn")


class Reason(IntEnum):
    """Why a row or column isn't shown."""

    HIDDEN = 0
    FILTERED = 1
    COLLAPSED = 2


@dataclass(slots=True)
class Hidden:
    """Rows and columns that aren't shown, by their numbers from 0."""

    rows: dict[int, Reason] = field(default_factory=dict)
    columns: dict[int, Reason] = field(default_factory=dict)


def hidden_in(part: bytes, tables: Iterable[bytes] = ()) -> Hidden:
    """The hidden rows and columns of an XLSX sheet (ECMA-376 Part 1, 18.3.1.73 and 18.3.1.13). A hidden row with
    an outline level is in a collapsed group; any other of a sheet with a filter in force is filtered out.

    Args:
        tables: The parts of the tables on the sheet, which may have filters of their own.
    """
    from lxml import etree

    hidden = Hidden()
    if not _SIGNS.search(part):
        return hidden
    row, is_filtered = -1, any(b"filterColumn" in table for table in tables)
    columns: list[tuple[int, int, Reason]] = []  # from, before, why
    for _event, element in etree.iterparse(
        io.BytesIO(part), tag=_TAGS, resolve_entities=False, no_network=True, load_dtd=False, recover=True
    ):
        kind = element.tag.rpartition("}")[2]
        if kind == "row":
            row = _row_number(element, row + 1)
            if _is_true(element, "hidden") or _is_zero(element, "ht"):
                hidden.rows[row] = _reason(element)
            element.clear()
        elif kind == "col" and (_is_true(element, "hidden") or _is_zero(element, "width")):
            first = number(element.get("min"), MOST_COLUMNS)
            last = min(number(element.get("max"), first), MOST_COLUMNS)
            columns.append((max(first - 1, 0), last, _reason(element)))
        is_filtered |= kind == "filterColumn"
    hidden.columns = _each(columns)
    if is_filtered:
        filter_rows(hidden)
    return hidden


def _each(ranges: Iterable[tuple[int, int, Reason]]) -> dict[int, Reason]:
    """The columns of ranges; of ranges that overlap, the first one's reason. Each column is looked at once."""
    columns: dict[int, Reason] = {}
    done = 0
    for first, end, reason in sorted(ranges):
        columns |= dict.fromkeys(range(max(first, done), end), reason)
        done = max(done, end)
    return columns


def filter_rows(hidden: Hidden) -> None:
    """Mark hidden rows as filtered out: the sheet has a filter in force, and rows don't tell who hid them."""
    for row, reason in hidden.rows.items():
        if reason is Reason.HIDDEN:
            hidden.rows[row] = Reason.FILTERED


def hidden_notes(sheet: str, rows: Sequence[Row], hidden: Hidden) -> Iterator[str]:
    """A note for each reason on the rows, and on the columns, that hold something and aren't shown."""
    filled_rows = [row for row in hidden.rows if row < len(rows) and any(cell.text for cell in rows[row])]
    filled_columns = {
        place
        for row in (rows if hidden.columns else ())
        for place, cell in enumerate(row)
        if cell.text and cell.first and place in hidden.columns
    }
    for reason in Reason:
        if places := _ranges((row for row in filled_rows if hidden.rows[row] is reason), _row_name):
            yield _rows_note(reason, places, sheet)
        if places := _ranges((one for one in filled_columns if hidden.columns[one] is reason), letters):
            yield _columns_note(reason, places, sheet)


def _rows_note(reason: Reason, rows: str, sheet: str) -> str:
    if reason is Reason.FILTERED:
        return _(
            "Rows of sheet “{name}” hidden by a filter: {rows}; they are in the index.", name=sheet, rows=rows
        )
    if reason is Reason.COLLAPSED:
        return _(
            "Rows of sheet “{name}” hidden in a collapsed group: {rows}; they are in the index.",
            name=sheet,
            rows=rows,
        )
    return _("Hidden rows of sheet “{name}”: {rows}; they are in the index.", name=sheet, rows=rows)


def _columns_note(reason: Reason, columns: str, sheet: str) -> str:
    if reason is Reason.COLLAPSED:
        return _(
            "Columns of sheet “{name}” hidden in a collapsed group: {columns}; they are in the index.",
            name=sheet,
            columns=columns,
        )
    return _("Hidden columns of sheet “{name}”: {columns}; they are in the index.", name=sheet, columns=columns)


def letters(column: int) -> str:
    """Name of a column from its number from 0: 27 is AB."""
    return (letters(column // 26 - 1) if column >= 26 else "") + chr(ord("A") + column % 26)


def _row_name(row: int) -> str:
    return str(row + 1)


def _ranges(numbers: Iterable[int], name: Callable[[int], str]) -> str:
    """The numbers in words: `3–5, 9`."""
    found: list[list[int]] = []
    for one in sorted(numbers):
        if found and one == found[-1][1] + 1:
            found[-1][1] = one
        else:
            found.append([one, one])
    said = [name(first) if first == last else f"{name(first)}–{name(last)}" for first, last in found]
    return ", ".join([*said[:_MOST_NAMED], *(["…"] if len(said) > _MOST_NAMED else [])])


def _row_number(row: Any, next_one: int) -> int:
    said = row.get("r", "")
    return int(said) - 1 if said.isascii() and said.isdigit() and len(said) < 9 else next_one


def _is_true(element: Any, name: str) -> bool:
    return element.get(name) in ("1", "true", "on")


def _is_zero(element: Any, name: str) -> bool:
    return bool(re.fullmatch(r"0(?:\.0*)?", element.get(name, "")))


def _reason(element: Any) -> Reason:
    return Reason.COLLAPSED if number(element.get("outlineLevel")) else Reason.HIDDEN
