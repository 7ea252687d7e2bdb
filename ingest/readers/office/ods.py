"""OpenDocument spreadsheets (ODS and flat FODS): the cells as shown, and the drawings on a sheet.

Ambiguous dates, such as 05/04/24, are given as 2024-04-05; everything else as in the sheet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ingest.readers.blocks import Content, Context, one_line
from ingest.readers.office.hidden_cells import MOST_COLUMNS, Reason
from ingest.readers.office.odf import DRAW, OFFICE, TABLE, TEXT, Opened, opened, text_of
from ingest.readers.office.sheets import MOST_CELLS, Comment, Sheet, content_of, merge, too_large
from ingest.readers.tables import Cell

_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_AMBIGUOUS = re.compile(r"\d+([./-])\d+\1\d+\b.*")
_MOST_ROWS = 2_000_000


def read(data: bytes, context: Context) -> Content:
    """The rows of all sheets, including hidden ones.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    source = opened(data, context)
    hidden = {
        style.get(f"{_STYLE}name")
        for style in source.root.iter(f"{_STYLE}style")
        for properties in style.iterchildren(f"{_STYLE}table-properties")
        if properties.get(f"{TABLE}display") == "false"
    }
    tables = source.body().iterfind(f"{OFFICE}spreadsheet/{TABLE}table")
    sheets = [_sheet(table, source, table.get(f"{TABLE}style-name") in hidden) for table in tables]
    metadata = {name: value for name, value in source.metadata.items() if name != "title"}
    return content_of(sheets, metadata, source.notes)


def _sheet(table: Any, source: Opened, hidden: bool) -> Sheet:
    sheet = Sheet(table.get(f"{TABLE}name", ""), [], hidden)
    sheet.hidden.columns |= _hidden_columns(table)
    spans: list[tuple[int, int, int, int]] = []
    blank = size = 0
    for row in table.iter(f"{TABLE}table-row"):
        if next(row.iterancestors(f"{TABLE}table")) is not table:
            continue
        times, number = _count(row, "number-rows-repeated"), len(sheet.rows) + blank
        line: list[Cell] = []
        for column, cell, repeated in _cells(row):
            for note in cell.iterchildren(f"{OFFICE}annotation"):
                sheet.comments.append(Comment(number, column, "\n".join(map(text_of, note.iter(f"{TEXT}p")))))
            if text := _shown(cell):
                line += [Cell("")] * (column - len(line)) + [Cell(text)] * repeated
                across, down = (_count(cell, f"number-{axis}-spanned") for axis in ("columns", "rows"))
                if across > 1 or down > 1:
                    spans.append((number, column, number + down - 1, column + across - 1))
        if not line:
            blank += times
            continue
        size += len(line) * times
        if size > MOST_CELLS or number + times > _MOST_ROWS:
            raise too_large(number + times, len(line))
        sheet.rows.extend([] for _ in range(blank))
        if (reason := _hidden(row)) is not None:
            sheet.hidden.rows |= dict.fromkeys(range(len(sheet.rows), len(sheet.rows) + times), reason)
        sheet.rows.extend(list(line) for _ in range(times))
        blank = 0
    for top, left, bottom, right in spans:
        merge(sheet.rows, top, left, bottom, min(right, MOST_COLUMNS))
    sheet.drawn.extend(_drawn(table, source))
    return sheet


def _hidden_columns(table: Any) -> dict[int, Reason]:
    hidden: dict[int, Reason] = {}
    column = 0
    for element in table.iter(f"{TABLE}table-column"):
        if next(element.iterancestors(f"{TABLE}table")) is not table:
            continue
        times = min(_count(element, "number-columns-repeated"), MOST_COLUMNS - column)
        if (reason := _hidden(element)) is not None:
            hidden |= dict.fromkeys(range(column, column + times), reason)
        column += times
    return hidden


def _hidden(element: Any) -> Reason | None:
    """Why a row or a column isn't shown; None if it is."""
    groups = element.iterancestors(f"{TABLE}table-row-group", f"{TABLE}table-column-group")
    if any(group.get(f"{TABLE}display") == "false" for group in groups):
        return Reason.COLLAPSED
    return {"collapse": Reason.HIDDEN, "filter": Reason.FILTERED}.get(element.get(f"{TABLE}visibility"))


def _cells(row: Any) -> Iterator[tuple[int, Any, int]]:
    """Column, cell, and number of columns it fills; fields covered by another cell keep their column."""
    column = 0
    for cell in row.iterchildren(f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
        times = min(_count(cell, "number-columns-repeated"), MOST_COLUMNS - column)
        if times > 0 and not cell.tag.endswith("covered-table-cell"):
            yield column, cell, times
        column += max(times, 0)


def _shown(cell: Any) -> str:
    text = one_line(" ".join(map(text_of, cell.iterchildren(f"{TEXT}p"))))
    date = cell.get(f"{OFFICE}date-value", "")
    if date and (not text or _AMBIGUOUS.fullmatch(text)):
        return str(date[:19].replace("T", " ").removesuffix(" 00:00:00"))
    return text or str(cell.get(f"{OFFICE}value") or cell.get(f"{OFFICE}string-value") or "")


def _drawn(table: Any, source: Opened) -> Iterator[str]:
    """Text of the text boxes and charts on the sheet."""
    for place in table.iter(f"{TABLE}shapes", f"{TABLE}table-cell"):
        for shape in place:
            if not isinstance(shape.tag, str) or not shape.tag.startswith(DRAW):
                continue
            charts = ["\n".join(source.chart(one)) for one in shape.iter(f"{DRAW}object")]
            yield from (words for words in (*charts, text_of(shape).strip()) if words)


def _count(element: Any, name: str) -> int:
    said = element.get(f"{TABLE}{name}", "1")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 9 else 1
