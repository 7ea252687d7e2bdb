"""What XLS workbooks say beside their values: number formats, comments, hidden rows and columns.

calamine gives the values, xlrd the rest. What xlrd can't read is left out: the values are there all the same.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from ingest.readers.office.hidden_cells import MOST_COLUMNS, Hidden, Reason
from ingest.readers.office.number_formats import CellPosition, Format, parsed

_MOST_BYTES = 10_000_000  # xlrd takes up to a second for a megabyte, and 30 times the memory


@dataclass(frozen=True, slots=True)
class Looks:
    """What a sheet says beside its values.

    Attributes:
        formats: Formats that change the text of a number.
        comments: Comments by the position of their cell.
        strong: Texts in bold.
    """

    formats: Mapping[CellPosition, Format] = field(default_factory=dict)
    hidden: Hidden = field(default_factory=Hidden)
    comments: Mapping[CellPosition, str] = field(default_factory=dict)
    strong: AbstractSet[CellPosition] = frozenset()


def looks_of(data: bytes) -> dict[str, Looks]:
    """The looks of each sheet by its name; none of a workbook that xlrd doesn't know, or one that is too large."""
    import xlrd

    if len(data) > _MOST_BYTES:
        return {}
    found: dict[str, Looks] = {}
    try:
        book = xlrd.open_workbook(
            file_contents=data, formatting_info=True, on_demand=True, ragged_rows=True, logfile=io.StringIO()
        )
        shapes = [parsed(_code(book, style)) for style in book.xf_list]
        bold = [book.font_list[style.font_index].bold for style in book.xf_list]
        for name in book.sheet_names():
            found[name] = _looks(book.sheet_by_name(name), shapes, bold)
            book.unload_sheet(name)
    except MemoryError:
        raise
    except Exception:  # on a damaged workbook xlrd raises whatever its own code stumbles over
        return found
    return found


def _code(book: Any, style: Any) -> str:
    known = book.format_map.get(style.format_key)
    return known.format_str if known else ""


def _looks(sheet: Any, shapes: list[Format | None], bold: list[int]) -> Looks:
    import xlrd

    formats = {
        (row, column): shape
        for row in range(sheet.nrows)
        for column, kind in enumerate(sheet.row_types(row))
        if kind == xlrd.XL_CELL_NUMBER and (shape := shapes[sheet.cell_xf_index(row, column)])
    }
    strong = {
        (row, column)
        for row in range(sheet.nrows)
        for column, kind in enumerate(sheet.row_types(row))
        if kind == xlrd.XL_CELL_TEXT and bold[sheet.cell_xf_index(row, column)]
    }
    hidden = Hidden(
        {row: _reason(said) for row, said in sheet.rowinfo_map.items() if said.hidden},
        {
            column: _reason(said)
            for column, said in sheet.colinfo_map.items()
            if (said.hidden or not said.width) and column < MOST_COLUMNS
        },
    )
    comments = {place: note.text.strip() for place, note in sheet.cell_note_map.items() if note.text.strip()}
    return Looks(formats, hidden, comments, strong)


def _reason(said: Any) -> Reason:
    return Reason.COLLAPSED if said.outline_level else Reason.HIDDEN
