"""Spreadsheets (XLSX, XLSM, XLSB, XLS): a line for each row, its values with the names of their columns.

Formulas give their last computed values, percentages and money as shown in the sheet (XLSX, XLS). A block is a
run of rows without an empty row; `lines` are rows of the sheet. Text boxes and charts (XLSX) and comments (XLSX,
XLS) follow the rows of their sheet.
LibreOffice tries files that calamine can't open, such as workbooks from before 1997.
"""

from __future__ import annotations

import datetime
import io
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ingest.readers.attachments import DEEPEST
from ingest.readers.blocks import Block, Content, Context
from ingest.readers.office.drawingml import charts_and_diagrams, in_fallback, paragraphs
from ingest.readers.office.encrypted_office import is_locked_book, unlocked
from ingest.readers.office.hidden_cells import Hidden, hidden_in, hidden_notes, letters
from ingest.readers.office.number_formats import CellFormats, CellLooks, Format, position_of
from ingest.readers.office.ooxml import Package, properties
from ingest.readers.office.xls_looks import Looks, looks_of
from ingest.readers.tables import Cell, Row, sheet_parts
from ingest.readers.zip_container import checked, damaged
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

MOST_CELLS = 4_000_000

_WHAT = _("spreadsheet")
_MOST_AREA = 20_000_000  # cells including empty ones, which calamine keeps too: an XLS that is used to its corner
_MOST_EXACT = 1e15  # from here on a float doesn't represent every whole number
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_OLD = (b"\x09\0", b"\x09\x02", b"\x09\x04", b"\x09\x08")  # start of a workbook from before 1997, outside OLE


class Comment(NamedTuple):
    """A comment on a cell. `row` and `column` count from 0."""

    row: int
    column: int
    text: str


@dataclass(slots=True)
class Sheet:
    """The content of a sheet. `drawn`: the texts of its text boxes, charts and diagrams. `is_very_hidden`: only a
    program can show it again, no menu."""

    name: str
    rows: list[list[Cell]]
    is_hidden: bool = False
    hidden: Hidden = field(default_factory=Hidden)
    comments: list[Comment] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    is_very_hidden: bool = False


def read(data: bytes, context: Context) -> Content:
    """The rows of all sheets, including hidden ones.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    if data.startswith(_OLE) and is_locked_book(data):
        return read(unlocked(data, context, _WHAT), replace(context, passwords=()))
    try:
        return _read(data)
    except _NotKnown as error:
        from ingest.readers.office import legacy

        mendable = data.startswith((_OLE, *_OLD)) or (data.startswith(b"PK") and legacy.office())
        if not mendable or context.depth + 1 >= DEEPEST:
            raise damaged(_WHAT) from error
    content = legacy.converted(data, ".xlsx" if data.startswith(b"PK") else ".xls", "xlsx", context)
    if not content.blocks:  # LibreOffice makes an empty workbook from a file that it can't repair
        raise damaged(_WHAT)
    return content


class _NotKnown(Exception):
    """calamine can't open the workbook."""


def _read(data: bytes) -> Content:
    from python_calamine import CalamineWorkbook

    package = Package(checked(data, _WHAT)) if data.startswith(b"PK") else None
    try:
        with _damage_told():
            workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    except ReadError as error:
        raise _NotKnown from error
    cell_formats = _cell_formats(package)
    looks = looks_of(data) if data.startswith(_OLE) else {}
    sheets = []
    notes: list[str] = []
    for said in workbook.sheets_metadata:
        with _damage_told():
            sheet = _sheet(workbook, said, cell_formats, looks.get(said.name, Looks()))
            uncomputed = cell_formats.uncomputed(said.name) if cell_formats else 0
            if package and cell_formats and (part := cell_formats.part_of(said.name)):
                sheet.hidden = hidden_in(package.part(part), map(package.part, package.linked("table", part)))
                _add_drawn_and_said(sheet, package, part)
        sheets.append(sheet)
        if uncomputed:
            notes.append(
                _(
                    "Formulas without a value in sheet “{name}”: {count}. Open and save the file in a "
                    "spreadsheet program, which computes them.",
                    name=sheet.name,
                    count=uncomputed,
                )
            )
    metadata = properties(package) if package else {}
    metadata.pop("title", None)
    return content_of(sheets, metadata, [*notes, *(package.notes if package else ())])


def content_of(sheets: Iterable[Sheet], metadata: Mapping[str, Any], others: Sequence[str]) -> Content:
    """The blocks of all sheets; notes on what is hidden come first."""
    blocks: list[Block] = []
    notes: list[str] = []
    for sheet in sheets:
        found = list(sheet_blocks(sheet.rows, sheet.name))
        found += [Block(words, sheet=sheet.name) for words in sheet.drawn]
        for row, column, text in sheet.comments:
            said = f"Comment on {letters(column)}{row + 1}: {text}"
            found.append(Block(said, sheet=sheet.name, lines=(row + 1, row + 1)))
        if found and sheet.is_very_hidden:
            notes.append(
                _(
                    "Sheet “{name}” is very hidden in the file: no menu shows it; its rows are in the index.",
                    name=sheet.name,
                )
            )
        elif found and sheet.is_hidden:
            notes.append(_("Sheet “{name}” is hidden in the file; its rows are in the index.", name=sheet.name))
        notes += hidden_notes(sheet.name, sheet.rows, sheet.hidden)
        blocks += found
    return Content("", tuple(blocks), metadata, (*notes, *others))


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn library errors on a damaged file into ReadError, also a Rust panic, which isn't an Exception."""
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


def _cell_formats(package: Package | None) -> CellFormats | None:
    """The cell formats; none if they are invalid, because the rows can be read without them."""
    try:
        return CellFormats(package) if package else None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, zlib.error):
        return None


def _sheet(workbook: Any, said: Any, cell_formats: CellFormats | None, looks: Looks) -> Sheet:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    comments = [Comment(row, column, text) for (row, column), text in sorted(looks.comments.items())]
    sheet = Sheet(said.name, [], said.visible != SheetVisibleEnum.Visible, looks.hidden, comments)
    sheet.is_very_hidden = said.visible == SheetVisibleEnum.VeryHidden
    if said.typ == SheetTypeEnum.WorkSheet:
        rows, columns = cell_formats.spans(said.name) if cell_formats else (0, 0)
        if rows * columns > _MOST_AREA:
            raise too_large(rows, columns)
        shown_as = cell_formats.looks(said.name) if cell_formats else CellLooks(looks.formats, looks.strong)
        sheet.rows = _rows(workbook.get_sheet_by_name(said.name), shown_as)
    return sheet


def too_large(rows: int, columns: int) -> ReadError:
    return ReadError(
        _("A sheet spans {rows:,} rows and {columns:,} columns: too many to read.", rows=rows, columns=columns),
        _("Delete what is empty, or save the part that counts."),
    )


def _rows(sheet: Any, looks: CellLooks) -> list[list[Cell]]:
    """The cells of each row up to the last non-empty one."""
    if sheet.total_height * sheet.total_width > _MOST_AREA:
        raise too_large(sheet.total_height, sheet.total_width)
    rows: list[list[Cell]] = []
    size = widest = 0
    left_of_all = [""] * (sheet.start[1] if sheet.start else 0)  # iter_rows() begins with the first filled column
    for found in sheet.iter_rows():
        values = left_of_all + found
        widest = max(widest, len(values))
        width = next((place for place in range(len(values), 0, -1) if values[place - 1] != ""), 0)
        row = len(rows)
        rows.append([
            Cell(_text(value, looks.formats.get((row, column))), True, (row, column) in looks.strong)
            for column, value in enumerate(values[:width])
        ])  # fmt: skip
        size += width
        if size > MOST_CELLS:
            raise too_large(sheet.total_height, sheet.total_width)
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        merge(rows, top, left, bottom, min(right, widest - 1))
    return rows


def _text(value: Any, look: Format | None) -> str:
    if look and type(value) in (int, float) and math.isfinite(value) and abs(value) < _MOST_EXACT:
        return look.shown(value)
    return shown(value)


def merge(rows: list[list[Cell]], top: int, left: int, bottom: int, right: int) -> None:
    """Fill all fields of a merged cell, in non-empty rows. `bottom` and `right` are included."""
    if top >= len(rows) or left >= len(rows[top]):
        return
    value = rows[top][left]
    for row in range(top, min(bottom + 1, len(rows))):
        if value.text and rows[row]:
            rows[row] += [Cell("")] * (right + 1 - len(rows[row]))
            rows[row][left : right + 1] = [value._replace(first=False)] * (right + 1 - left)
    rows[top][left] = value


def _add_drawn_and_said(sheet: Sheet, package: Package, part: str) -> None:
    """Text boxes, charts, diagrams and comments; threaded comments are in a separate part."""
    for drawing in package.linked("drawing", part):
        root, links = package.optional_root(drawing), package.links(drawing)
        if root is None:
            continue
        shapes = (shape for shape in root.iter("{*}sp") if not in_fallback(shape))
        sheet.drawn += [words for shape in shapes if (words := paragraphs(shape))]
        sheet.drawn += charts_and_diagrams(root, links, package)
    threads = package.linked("threadedComment", part)
    for name in threads or package.linked("comments", part):
        root = package.optional_root(name) if name.lower().endswith(".xml") else None
        for comment in root.iter("{*}comment", "{*}threadedComment") if root is not None else ():
            text = "".join(words.text or "" for words in comment.iter("{*}t", "{*}text")).strip()
            if text and (place := position_of(comment.get("ref", ""))):
                sheet.comments.append(Comment(*place, text))


def shown(value: Any) -> str:
    """A value as a person would write it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _MOST_EXACT else f"{value:.15g}"
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    return " ".join(str(value).split())


def sheet_blocks(rows: Sequence[Row], sheet: str | None) -> list[Block]:
    """The tables of a sheet as blocks."""
    return [
        Block("\n".join(lines), "table", lines=(numbers[0] + 1, numbers[-1] + 1), sheet=sheet)
        for numbers, lines in sheet_parts(rows)
    ]
