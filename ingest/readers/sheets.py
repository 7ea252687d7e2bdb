"""Spreadsheets (XLSX, XLSM, XLSB, XLS, ODS): a line for each row, its values under the names of their columns.

Formulas give the values that were last computed, percents and money as the sheet shows them (XLSX). A block is a
run of rows without an empty one between; `lines` are rows of the sheet.
"""

from __future__ import annotations

import datetime
import io
import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ingest.readers import Block, Content, Context
from ingest.readers.archive import checked, damaged
from ingest.readers.number_formats import Format, Looks, Place
from ingest.readers.tables import Cell, Row, column_names, is_header, labelled
from kb_assistant.errors import ReadError

_WHAT = "spreadsheet"
_TITLE_ROWS = 5  # rows of one cell or two that may stand above the names of the columns
_MOST_CELLS = 4_000_000
_MOST_EXACT = 1e15  # from there on a float doesn't hold every whole number
_ISO_DURATION = re.compile(r"PT(\d+)H(\d\d)M(\d\d)S")  # how ODS says a time


def read(data: bytes, context: Context) -> Content:
    """The rows of all sheets, those of hidden ones too.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    from python_calamine import CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

    archive = checked(data, _WHAT) if data.startswith(b"PK") else None
    with _damage_told():
        try:
            workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        except PasswordError:
            from ingest.readers.locked import unlocked

            return read(unlocked(data, context, _WHAT), replace(context, passwords=()))
    looks = _looks(archive)
    blocks: list[Block] = []
    notes: list[str] = []
    for sheet in workbook.sheets_metadata:
        if sheet.typ != SheetTypeEnum.WorkSheet:
            continue
        with _damage_told():
            rows = _rows(workbook.get_sheet_by_name(sheet.name), looks.formats(sheet.name) if looks else {})
            uncomputed = looks.uncomputed(sheet.name) if looks else 0
        found = list(sheet_blocks(rows, sheet.name))
        blocks += found
        if found and sheet.visible != SheetVisibleEnum.Visible:
            notes.append(f"Sheet “{sheet.name}” is hidden in the file; its rows are in the index.")
        if uncomputed:
            notes.append(
                f"Formulas without a value in sheet “{sheet.name}”: {uncomputed}. Open and save the file in a "
                "spreadsheet program, which computes them."
            )
    return Content("", tuple(blocks), {}, tuple(notes))


@contextmanager
def _damage_told() -> Iterator[None]:
    """What a damaged file leads the libraries to is a ReadError, also a panic in Rust, which is no Exception."""
    try:
        yield
    except (ReadError, MemoryError):
        raise
    except Exception as error:
        raise damaged(_WHAT) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise damaged(_WHAT) from error


def _looks(archive: zipfile.ZipFile | None) -> Looks | None:
    """How cells look; nothing where the file doesn't say it properly, for the rows can be read without."""
    try:
        return Looks(archive) if archive else None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, zlib.error):
        return None


def _rows(sheet: Any, formats: Mapping[Place, Format]) -> list[list[Cell]]:
    if sheet.total_height * sheet.total_width > _MOST_CELLS:
        raise ReadError(
            f"A sheet spans {sheet.total_height:,} rows and {sheet.total_width:,} columns: too many to read.",
            "Delete what is empty, or save the part that counts.",
        )
    values = sheet.to_python(skip_empty_area=False)
    rows = [[Cell(shown(value)) for value in row] for row in values]
    for (row, column), look in formats.items():
        if row < len(values) and column < len(values[row]):
            value = values[row][column]
            if type(value) in (int, float) and math.isfinite(value) and abs(value) < _MOST_EXACT:
                rows[row][column] = Cell(look.shown(value))
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
        return str(int(value)) if value.is_integer() and abs(value) < _MOST_EXACT else f"{value:.15g}"
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, str) and (time := _ISO_DURATION.fullmatch(value)):
        return f"{int(time[1])}:{time[2]}:{time[3]}"
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
        own = _header(rows, run)
        if names and own and own[0] != 0 and _filled(rows[own[-1]]) == columns:
            own = []
        if own:
            names, columns = column_names([rows[index] for index in own]), _filled(rows[own[-1]])
        lines = [_line(rows[index], names, index, own[-1] if own else None) for index in run]
        blocks.append(Block("\n".join(lines), "table", lines=(run[0] + 1, run[-1] + 1), sheet=sheet))
    return blocks


def _header(rows: Sequence[Row], run: list[int]) -> list[int]:
    """The row that names the columns, or the two where the first stands over several columns of the second."""
    for index in run[:_TITLE_ROWS]:
        below = _below(rows, run, index)
        if below is not None and _spans_columns(rows[index]):
            both = [Cell(name) for name in column_names([rows[index], below])]
            if is_header(below, below, twice=True) and is_header(both, _below(rows, run, index + 1)):
                return [index, index + 1]
        if is_header(rows[index], below):
            return [index]
    return []


def _spans_columns(row: Row) -> bool:
    """Whether one of several cells reaches over more than a column; a single one is a title."""
    if len({cell.text for cell in row if cell.text}) < 2:
        return False
    return any(not cell.first and cell.text and cell.text == before.text for before, cell in pairwise(row))


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
