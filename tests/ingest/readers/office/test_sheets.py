"""Workbooks: rows with their names, values as shown, what is hidden."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path

import openpyxl
import pytest
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from openpyxl.styles import Font

from ingest.readers import read
from ingest.readers.detect import detect
from ingest.readers.office.legacy import office
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import (
    all_text,
    saved,
    with_members,
    workbook,
    zipped,
)

needs_calc = pytest.mark.skipif(
    not (office() and Path(office() or "").with_name("libsclo.so").exists()),
    reason="LibreOffice Calc isn't installed",
)


def strict(data: bytes) -> bytes:
    """The package in the strict form of Office Open XML."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    usual, new = (
        rb"http://schemas\.openxmlformats\.org/(\w+)/2006/(?!metadata)",
        rb"http://purl.oclc.org/ooxml/\1/",
    )
    links = b"http://purl.oclc.org/ooxml/package/"
    return zipped({
        name: re.sub(usual, new, body).replace(links, b"http://schemas.openxmlformats.org/package/2006/")
        for name, body in members.items()
    })  # fmt: skip


def ole_file(*paths: str) -> bytes:
    """An OLE file of empty streams, each in the root or in one storage."""
    inner = [path for path in paths if "/" in path]
    names = ["Root Entry", *(path for path in paths if "/" not in path), inner[0].split("/")[0], *(
        path.split("/")[1] for path in inner)]  # fmt: skip
    kinds = [5, *[2] * (len(paths) - len(inner)), 1, *[2] * len(inner)]
    none, end = 0xFFFFFFFF, 0xFFFFFFFE
    directory = b""
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        right = place + 1 if kind == 2 and place + 1 < len(names) and kinds[place + 1] != 5 else none
        child = {5: 1, 1: place + 1}.get(kind, none)
        encoded = name.encode("utf-16-le") + b"\0\0"
        directory += struct.pack(
            "<64sHBB3I16xI16xIQ", encoded, len(encoded), kind, 1, none, right, child, 0, end, 0
        )
    head = struct.pack("<8s16xHHHHH6xIIIIIIIII", bytes.fromhex("d0cf11e0a1b11ae1"), 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1,
                       0, 4096, end, 0, end, 0)  # fmt: skip
    fat = struct.pack("<128I", 0xFFFFFFFD, end, *[none] * 126)
    return head + struct.pack("<109I", 0, *[none] * 108) + fat + directory.ljust(512, b"\0")


class TestSheets:
    def test_rows_carry_their_header_and_are_cited(self) -> None:
        book = workbook(价格=[["Price list", None], ["Item", "Price"], ["Pump", 42.5], ["Valve", 7]])
        (block,) = read("a.xlsx", saved(book)).blocks
        assert block.text.split("\n")[1:] == ["Item | Price", "Item: Pump | Price: 42.5", "Item: Valve | Price: 7"]
        assert (block.sheet, block.lines, block.kind) == ("价格", (1, 4), "table")

    def test_merged_cells_dates_hidden_sheets(self) -> None:
        import datetime

        book = workbook(A=[["Region", "City", "Since"], ["North", "Oslo", datetime.date(2024, 5, 31)],
                           [None, "Bergen", True]], Secret=[["Key", "Value"], ["k", "v"]])  # fmt: skip
        book["A"].merge_cells("A2:A3")
        book["Secret"].sheet_state = "hidden"
        content = read("a.xlsx", saved(book))
        assert "Region: North | City: Oslo | Since: 2024-05-31" in all_text(content)
        assert "Region: North | City: Bergen | Since: TRUE" in all_text(content)
        assert "Key: k | Value: v" in all_text(content)
        assert content.notes == ("Sheet “Secret” is hidden in the file; its rows are in the index.",)

    def test_a_formula_gives_its_last_value(self) -> None:
        book = saved(workbook(S=[["Item", "Sum"], ["Pump", "=1+1"]]))
        with zipfile.ZipFile(io.BytesIO(book)) as file:
            members = {name: file.read(name).decode() for name in file.namelist()}
        sheet = "xl/worksheets/sheet1.xml"
        members[sheet] = re.sub(r"<v\s*/>|<v></v>", "<v>2</v>", members[sheet])
        assert "Sum: 2" in all_text(read("a.xlsx", zipped(members)))

    def test_numbers_as_they_are_shown(self) -> None:
        rows = [["Item", "Growth", "Price", "Euro", "Code", "Factor"], ["Pump", 0.153, 1234.5, 2000, 7, 1.25]]
        book = workbook(S=[*rows, ["Valve", -0.05, 0.5, 1e6, 42, 2]])
        formats = {"B": "0.0%", "C": '"$"#,##0.00', "D": '#,##0 "€"', "E": "000", "F": "0.000"}
        for row in (2, 3):
            for column, code in formats.items():
                book["S"][f"{column}{row}"].number_format = code
        assert all_text(read("a.xlsx", saved(book))).split("\n")[1:] == [
            "Item: Pump | Growth: 15.3% | Price: $1,234.50 | Euro: 2,000 € | Code: 007 | Factor: 1.25",
            "Item: Valve | Growth: -5.0% | Price: $0.50 | Euro: 1,000,000 € | Code: 042 | Factor: 2",
        ]

    def test_formulas_that_were_never_computed_are_told(self) -> None:
        content = read("a.xlsx", saved(workbook(S=[["Item", "Sum"], ["Pump", "=1+1"], ["Valve", "=2+2"]])))
        assert "Formulas without a value in sheet “S”: 2." in content.notes[0]
        assert "Item: Pump" in all_text(content)

    def test_durations(self) -> None:
        import datetime

        book = workbook(S=[["Task", "Took"], ["Paint", datetime.timedelta(hours=30, minutes=5)]])
        assert "Took: 30:05:00" in all_text(read("a.xlsx", saved(book)))

    def test_cells_far_from_the_corner(self) -> None:
        book = workbook(S=[])
        for place, value in (("C4", "Item"), ("E4", "Price"), ("C5", "Pump"), ("E5", 42)):
            book["S"][place] = value
        (block,) = read("a.xlsx", saved(book)).blocks
        assert (block.text, block.lines) == ("Item | Price\nItem: Pump | Price: 42", (4, 5))

    def test_a_sheet_whose_cells_lie_too_far_apart(self) -> None:
        book = workbook(S=[["a"]])
        book["S"]["XFD1048576"] = "b"
        with pytest.raises(ReadError, match="1,048,576 rows and 16,384 columns"):
            read("a.xlsx", saved(book))

    def test_comments_and_charts(self) -> None:
        book = workbook(S=[["Item", "Price"], ["Pump", 42], ["Valve", 7]])
        book["S"]["B2"].comment = Comment("Without tax.", "Wang")
        chart = BarChart()
        chart.title = "Prices"
        chart.add_data(Reference(book["S"], min_col=2, min_row=1, max_row=3), titles_from_data=True)
        book["S"].add_chart(chart, "E5")
        _, drawn, comment = read("a.xlsx", saved(book)).blocks
        assert drawn.text == "Prices"
        assert (comment.text, comment.lines, comment.sheet) == ("Comment on B2: Without tax.", (2, 2), "S")
        damaged = dict.fromkeys(("xl/comments/comment1.xml", "xl/drawings/drawing1.xml", "docProps/core.xml"), b"")
        content = read("a.xlsx", with_members(saved(book), damaged))
        assert "Item: Pump | Price: 42" in all_text(content)
        for part in damaged:
            assert f"A part of the file is damaged ({part}) and was left out." in content.notes

    def test_the_strict_form(self) -> None:
        book = workbook(S=[["Item", "Growth"], ["Pump", 0.153]])
        book["S"]["B2"].number_format = "0.0%"
        assert "Item: Pump | Growth: 15.3%" in all_text(read("a.xlsx", strict(saved(book))))

    def test_a_panic_of_calamine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class PanicException(BaseException):  # as a panic in Rust comes to Python: no Exception
            pass

        class Workbook:
            @staticmethod
            def from_filelike(_: object) -> None:
                raise PanicException

        monkeypatch.setattr("python_calamine.CalamineWorkbook", Workbook)
        monkeypatch.setattr("ingest.readers.office.legacy.office", lambda: None)
        with pytest.raises(ReadError, match="damaged"):
            read("a.xlsx", saved(workbook(S=[["a"]])))

    @needs_calc
    def test_what_calamine_does_not_know(self) -> None:  # BIFF2, as Excel 2 wrote it
        cells = b"".join(
            struct.pack("<HH", 4, 8 + len(word)) + struct.pack("<HH3xB", row, 0, len(word)) + word
            for row, word in enumerate((b"Lemons", b"Limes"))
        )
        book = struct.pack("<HHHH", 9, 4, 2, 0x10) + cells + struct.pack("<HH", 10, 0)
        assert all_text(read("a.xls", book)) == "Lemons\nLimes"

    def test_a_workbook_inside_a_workbook_is_no_document(self) -> None:
        assert detect(ole_file("Workbook", "MBD0/WordDocument"), "") == "office.sheets"

    def test_names_that_stand_over_several_columns(self) -> None:
        rows = [["Quarterly report"], [None, "2023", None, "2024"], ["Region", "Growth", "Sum", "Growth", "Sum"]]
        book = workbook(S=[*rows, ["North", 0.1, 5, 0.2, 7], ["South", 0.3, 6, 0.4, 8]])
        for cells in ("A1:E1", "B2:C2", "D2:E2"):
            book["S"].merge_cells(cells)
        assert all_text(read("a.xlsx", saved(book))).split("\n")[3:] == [
            "Region: North | 2023 / Growth: 0.1 | 2023 / Sum: 5 | 2024 / Growth: 0.2 | 2024 / Sum: 7",
            "Region: South | 2023 / Growth: 0.3 | 2023 / Sum: 6 | 2024 / Growth: 0.4 | 2024 / Sum: 8",
        ]

    def test_empty_and_damaged(self) -> None:
        assert read("a.xlsx", saved(workbook(S=[]))).blocks == ()
        with pytest.raises(ReadError, match="damaged"):
            read("a.xlsx", saved(workbook(S=[["a", "b"]]))[:900])

    def test_a_password(self) -> None:
        import msoffcrypto

        book = saved(workbook(S=[["Item", "Price"], ["Pump", 42]]))
        locked = io.BytesIO()
        msoffcrypto.OfficeFile(io.BytesIO(book)).encrypt("geheim", locked)
        with pytest.raises(ReadError, match="needs a password") as refused:
            read("a.xlsx", locked.getvalue())
        assert "--password" in refused.value.hint
        with pytest.raises(ReadError, match="No password given"):
            read("a.xlsx", locked.getvalue(), passwords=["wrong"])
        assert "Price: 42" in all_text(read("a.xlsx", locked.getvalue(), passwords=["wrong", "geheim"]))


def test_a_workbook_of_many_cells() -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("S")
    sheet.append([f"c{column}" for column in range(20)])
    for row in range(2_000):
        sheet.append([row * column for column in range(20)])
    data = saved(book)
    (block,) = read("a.xlsx", data).blocks
    assert block.text.endswith("c19: 37981")


def test_bold_cells_change_nothing() -> None:
    book = workbook(S=[["Item", "Price"], ["Pump", 1]])
    book["S"]["A1"].font = Font(bold=True)
    assert "Item: Pump | Price: 1" in all_text(read("a.xlsx", saved(book)))
