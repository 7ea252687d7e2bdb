"""Rows and columns that a spreadsheet doesn't show are read, and the report says so."""

from __future__ import annotations

import io
import time
import zipfile

import openpyxl
import pytest

from ingest.readers import read
from tests.ingest.readers.biff import xls
from tests.ingest.readers.documents import ODF_NAMES, all_text, saved, with_members, workbook

ROWS: list[list[object]] = [["Item", "Price", "Cost"], ["Kettle", 39, 21], ["壶", 45, 26], ["Mixer", 80, 47]]


def notes(book: openpyxl.Workbook) -> tuple[str, ...]:
    return read("a.xlsx", saved(book)).notes


class TestXlsx:
    def test_hidden_rows_and_columns_are_named_and_read(self) -> None:
        book = workbook(价目=ROWS)
        book["价目"].row_dimensions[3].hidden = True
        for letter in "CJ":  # J is empty: nothing to tell
            book["价目"].column_dimensions[letter].hidden = True
        content = read("a.xlsx", saved(book))
        assert content.notes == (
            "Hidden rows of sheet “价目”: 3; they are in the index.",
            "Hidden columns of sheet “价目”: C; they are in the index.",
        )
        assert "Item: 壶 | Price: 45 | Cost: 26" in all_text(content)

    def test_what_is_shown_needs_no_note(self) -> None:
        assert notes(workbook(S=ROWS)) == ()

    def test_a_filter(self) -> None:
        book = workbook(S=ROWS)
        book["S"].auto_filter.ref = "A1:C4"
        book["S"].row_dimensions[2].hidden = True
        book["S"].auto_filter.add_filter_column(0, ["壶", "Mixer"])
        assert notes(book) == ("Rows of sheet “S” hidden by a filter: 2; they are in the index.",)

    def test_the_filter_of_a_table(self) -> None:
        book = workbook(S=ROWS)
        table = openpyxl.worksheet.table.Table(displayName="T", ref="A1:C4")
        book["S"].add_table(table)
        book["S"].row_dimensions[2].hidden = True
        table._initialise_columns()
        table.autoFilter.add_filter_column(0, ["壶"])
        assert notes(book) == ("Rows of sheet “S” hidden by a filter: 2; they are in the index.",)

    def test_collapsed_groups(self) -> None:
        book = workbook(S=[*ROWS, *ROWS[1:]])
        book["S"].row_dimensions.group(2, 4, hidden=True)
        book["S"].row_dimensions.group(6, 6, hidden=True)
        book["S"].column_dimensions.group("B", "C", hidden=True)
        assert notes(book) == (
            "Rows of sheet “S” hidden in a collapsed group: 2–4, 6; they are in the index.",
            "Columns of sheet “S” hidden in a collapsed group: B–C; they are in the index.",
        )

    def test_no_height_and_no_width(self) -> None:
        book = workbook(S=ROWS)
        book["S"].column_dimensions["B"].width = 9
        data = saved(book)
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            sheet = file.read("xl/worksheets/sheet1.xml").decode()
        sheet = sheet.replace('<row r="3"', '<row ht="0" customHeight="1" r="3"').replace('width="9"', 'width="0"')
        assert read("a.xlsx", with_members(data, {"xl/worksheets/sheet1.xml": sheet})).notes == (
            "Hidden rows of sheet “S”: 3; they are in the index.",
            "Hidden columns of sheet “S”: B; they are in the index.",
        )

    def test_a_very_hidden_sheet(self) -> None:
        book = workbook(S=ROWS, Secret=ROWS)
        book["Secret"].sheet_state = "veryHidden"
        (note,) = notes(book)
        assert note.startswith("Sheet “Secret” is very hidden in the file")

    def test_many_ranges_are_cut_short(self) -> None:
        book = workbook(S=[["Item", "Price"], *([f"i{row}", row] for row in range(60))])
        for row in range(2, 60, 2):
            book["S"].row_dimensions[row].hidden = True
        (note,) = notes(book)
        assert note.endswith("22, 24, …; they are in the index.")

    def test_columns_named_by_several_ranges(self) -> None:
        assert notes_with('<col min="3" max="3" hidden="1"/><col min="2" max="3" width="0"/>') == (
            "Hidden columns of sheet “S”: B–C; they are in the index.",
        )

    def test_wide_ranges_take_no_longer_than_narrow_ones(self) -> None:
        def seconds(last: int) -> float:
            start = time.process_time()
            notes_with(f'<col min="1" max="{last}" hidden="1"/>' * 10_000)
            return time.process_time() - start

        seconds(1)
        assert any(seconds(16_384) < 15 * max(seconds(1), 0.02) for _ in range(3))


def notes_with(columns: str) -> tuple[str, ...]:
    """The notes on a workbook whose sheet has these `col` elements."""
    sheet = "xl/worksheets/sheet1.xml"
    data = saved(workbook(S=ROWS))
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        body = package.read(sheet).decode()
    body = body.replace("<sheetData>", f"<cols>{columns}</cols><sheetData>")
    return read("a.xlsx", with_members(data, {sheet: body.encode()})).notes


def test_ods() -> None:
    def row(attributes: str, *texts: str) -> str:
        cells = "".join(f"<table:table-cell><text:p>{text}</text:p></table:table-cell>" for text in texts)
        return f"<table:table-row {attributes}>{cells}</table:table-row>"

    collapsed = row('table:visibility="collapse"', "Oven", "90", "50")
    sheet = (
        '<table:table table:name="S"><table:table-column/>'
        '<table:table-column-group table:display="false"><table:table-column/></table:table-column-group>'
        '<table:table-column table:visibility="collapse" table:number-columns-repeated="1000"/>'
        + row("", "Item", "Price", "Cost")
        + row('table:visibility="collapse"', "Kettle", "39", "21")
        + row('table:visibility="filter" table:number-rows-repeated="2"', "壶", "45", "26")
        + f'<table:table-row-group table:display="false">{collapsed}</table:table-row-group></table:table>'
    )
    body = f"<office:body><office:spreadsheet>{sheet}</office:spreadsheet></office:body>"
    kind = 'office:mimetype="application/vnd.oasis.opendocument.spreadsheet"'
    content = read("a.fods", f"<office:document {ODF_NAMES} {kind}>{body}</office:document>".encode())
    assert content.notes == (
        "Hidden rows of sheet “S”: 2; they are in the index.",
        "Hidden columns of sheet “S”: C; they are in the index.",
        "Rows of sheet “S” hidden by a filter: 3–4; they are in the index.",
        "Rows of sheet “S” hidden in a collapsed group: 5; they are in the index.",
        "Columns of sheet “S” hidden in a collapsed group: B; they are in the index.",
    )


class TestXls:
    def test_hidden_rows_and_columns(self) -> None:
        content = read("a.xls", xls(ROWS, hidden_rows={1: 0, 2: 1}, hidden_columns=[2]))
        assert content.notes == (
            "Hidden rows of sheet “S”: 2; they are in the index.",
            "Hidden columns of sheet “S”: C; they are in the index.",
            "Rows of sheet “S” hidden in a collapsed group: 3; they are in the index.",
        )

    def test_formats_and_comments(self) -> None:
        rows = [["Item", "Growth", "Price", "Code"], ["壶", 0.153, 1234.5, 7]]
        formats = {1: "0.0%", 2: '"€"#,##0.00', 3: "000"}
        table, comment = read("a.xls", xls(rows, formats, comments={(1, 2): "不含税 without tax"})).blocks
        assert table.text.endswith("Item: 壶 | Growth: 15.3% | Price: €1,234.50 | Code: 007")
        assert (comment.text, comment.lines) == ("Comment on C2: 不含税 without tax", (2, 2))

    def test_values_are_read_where_xlrd_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(**_: object) -> None:
            raise AssertionError("broken record")

        monkeypatch.setattr("xlrd.open_workbook", fails)
        assert "Item: Mixer | Price: 80 | Cost: 47" in all_text(read("a.xls", xls(ROWS, hidden_rows={1: 0})))
