"""Spreadsheets (XLSX, XLSM, XLSB, XLS, ODS): a line for each row, its values under the names of their columns.

Formulas give the values that were last computed. A block is a run of rows without an empty one between; `lines`
are
rows of the sheet.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ingest.readers import Block, Content, Context
from ingest.readers.archive import checked, damaged
from ingest.readers.tables import Cell, Row, column_names, is_header, labelled
from kb_assistant.errors import ReadError

_WHAT = "spreadsheet"
_TITLE_ROWS = 5  # rows of one cell or two that may stand above the names of the columns
_MOST_CELLS = 4_000_000


def read(data: bytes, context: Context) -> Content:
    """The rows of all sheets, those of hidden ones too.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

    if data.startswith(b"PK"):
        checked(data, _WHAT).close()
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    except PasswordError as error:
        from ingest.readers.locked import unlocked

        return (
            read(unlocked(data, context, _WHAT), replace(context, passwords=()))
            if context.passwords
            else _refuse(error)
        )
    except (CalamineError, OSError, ValueError) as error:
        raise damaged(_WHAT) from error
    blocks: list[Block] = []
    notes = []
    for sheet in workbook.sheets_metadata:
        if sheet.typ != SheetTypeEnum.WorkSheet:
            continue
        try:
            rows = _rows(workbook.get_sheet_by_name(sheet.name))
        except ReadError:
            raise
        except (CalamineError, OSError, ValueError) as error:
            raise damaged(_WHAT) from error
        found = list(sheet_blocks(rows, sheet.name))
        if found and sheet.visible != SheetVisibleEnum.Visible:
            notes.append(f"Sheet “{sheet.name}” is hidden in the file; its rows are in the index.")
        blocks += found
    return Content("", tuple(blocks), {}, tuple(notes))


def _refuse(error: Exception) -> Content:
    raise ReadError(
        "The spreadsheet needs a password.", "Give it with --password, or save a copy without one."
    ) from error


def _rows(sheet: Any) -> list[list[Cell]]:
    if sheet.total_height * sheet.total_width > _MOST_CELLS:
        raise ReadError(
            f"A sheet spans {sheet.total_height:,} rows and {sheet.total_width:,} columns: too many to read.",
            "Delete what is empty, or save the part that counts.",
        )
    rows = [[Cell(shown(value)) for value in row] for row in sheet.to_python(skip_empty_area=False)]
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        if top < len(rows) and left < len(rows[top]):
            _merge(rows, top, left, min(bottom, len(rows) - 1), right)
    return rows


def _merge(rows: list[list[Cell]], top: int, left: int, bottom: int, right: int) -> None:
    value = rows[top][left]
    for row in range(top, bottom + 1):
        for column in range(left, min(right + 1, len(rows[row]))):
            if (row, column) != (top, left):
                rows[row][column] = Cell(value.text, False)


def shown(value: Any) -> str:
    """A value as a person would write it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    return " ".join(str(value).split())


def sheet_blocks(rows: Sequence[Row], sheet: str | None) -> list[Block]:
    """The rows as blocks: a run of rows without an empty one between is a table. One that has no names of its own,
    or those of the table above, goes on with them."""
    blocks: list[Block] = []
    names: list[str] = []
    columns = 0
    for run in _runs(rows):
        own = next(
            (index for index in run[:_TITLE_ROWS] if is_header(rows[index], _below(rows, run, index))), None
        )
        header = None if names and own is not None and _filled(rows[own]) == columns and own != 0 else own
        if header is not None:
            names, columns = column_names([rows[header]]), _filled(rows[header])
        lines = [_line(rows[index], names, index, header) for index in run]
        blocks.append(Block("\n".join(lines), "table", lines=(run[0] + 1, run[-1] + 1), sheet=sheet))
    return blocks


def _runs(rows: Sequence[Row]) -> Iterator[list[int]]:
    """Numbers of rows that follow each other and aren't empty."""
    run: list[int] = []
    for index, row in enumerate(rows):
        if any(cell.text for cell in row):
            run.append(index)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _line(row: Row, names: list[str], index: int, header: int | None) -> str:
    if header is None or index > header:
        return labelled(row, names)
    return " | ".join(dict.fromkeys(cell.text for cell in row if cell.text and cell.first))


def _below(rows: Sequence[Row], run: list[int], index: int) -> Row | None:
    return rows[index + 1] if index < run[-1] else None


def _filled(row: Row) -> int:
    """Which columns are filled, as the bits of a number."""
    return sum(1 << place for place, cell in enumerate(row) if cell.text)
