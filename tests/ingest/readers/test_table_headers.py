"""Which rows of a table name its columns: the same answer for workbooks, CSV, HTML and Word."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import docx
import pytest
from openpyxl.styles import Font

from ingest.readers import read
from tests.ingest.readers.documents import all_text, saved, workbook

Rows = Sequence[Sequence[object]]


def as_csv(rows: Rows) -> list[str]:
    data = "\n".join(";".join("" if cell is None else str(cell) for cell in row) for row in rows)
    return all_text(read("a.csv", f"{data}\n".encode())).split("\n")


def as_workbook(rows: Rows) -> list[str]:
    return all_text(read("a.xlsx", saved(workbook(S=[list(row) for row in rows])))).split("\n")


def _in_document(line: str) -> str:
    """The row with its names, which stands in brackets behind the row as it is."""
    return line.partition(" (")[2].removesuffix(")") if " (" in line else line.replace("\t", " | ")


def as_html(rows: Rows) -> list[str]:
    cells = ("".join(f"<td>{'' if cell is None else cell}</td>" for cell in row) for row in rows)
    page = f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"
    return [_in_document(line) for line in all_text(read("a.html", page.encode())).split("\n")]


def as_word(rows: Rows) -> list[str]:
    document = docx.Document()
    table = document.add_table(len(rows), len(rows[0]))
    for line, row in zip(table.rows, rows, strict=True):
        for place, cell in zip(line.cells, row, strict=True):
            place.text = "" if cell is None else str(cell)
    return [_in_document(line) for line in all_text(read("a.docx", saved(document))).split("\n")]


ALL = pytest.mark.parametrize("lines", [as_csv, as_workbook, as_html, as_word])
Lines = Callable[[Rows], list[str]]

YEARS = [["Crop", 2022, 2023, 2024], ["Oats", 5, 6, 7], ["Rye", 1, 2, 3]]
TWO_ROWS = [
    ["作物", "北区", None, "南区", None],
    [None, 2024, 2025, 2024, 2025],
    ["燕麦", 5, 6, 7, 8],
    ["黑麦", 1, 2, 3, 4],
]
THREE_ROWS = [
    ["Plot", "Old orchard", None, None, "New orchard", None, None],
    [None, "Apples", None, "Pears", "Apples", None, "Pears"],
    [None, "first", "second", "all", "first", "second", "all"],
    ["Hill", 12.1, 3.4, 5.5, 14.7, 2.2, 6.1],
    ["River", 9.9, 4.1, 7.3, 8.8, 5, 7.9],
]
UNITS = [["Pump", "Weight", "Flow"], [None, "kg", "m³/h"], ["P1", 12, 40], ["P2", 14, 60]]


@ALL
class TestNames:
    def test_names_that_stand_there_twice_over_values(self, lines: Lines) -> None:
        rows = [["Date", "Value", "Value"], ["2024-01-02", 3, 4], ["2024-01-09", 5, 6]]
        assert lines(rows)[1:] == [
            "Date: 2024-01-02 | Value: 3 | Value: 4",
            "Date: 2024-01-09 | Value: 5 | Value: 6",
        ]
        plain = [["red", "small", "small"], ["blue", "big", "wide"], ["green", "big", "long"]]
        assert not any(":" in line for line in lines(plain))

    def test_years(self, lines: Lines) -> None:
        assert lines(YEARS)[2] == "Crop: Rye | 2022: 1 | 2023: 2 | 2024: 3"

    def test_two_rows(self, lines: Lines) -> None:
        assert lines(TWO_ROWS)[3] == (
            "作物: 黑麦 | 北区 / 2024: 1 | 北区 / 2025: 2 | 南区 / 2024: 3 | 南区 / 2025: 4"
        )

    def test_three_rows(self, lines: Lines) -> None:
        assert lines(THREE_ROWS)[4] == (
            "Plot: River | Old orchard / Apples / first: 9.9 | Old orchard / Apples / second: 4.1"
            " | Old orchard / Pears / all: 7.3 | New orchard / Apples / first: 8.8"
            " | New orchard / Apples / second: 5 | New orchard / Pears / all: 7.9"
        )

    def test_units_below_the_names(self, lines: Lines) -> None:
        assert lines(UNITS)[2] == "Pump: P1 | Weight / kg: 12 | Flow / m³/h: 40"

    def test_a_total_and_a_source(self, lines: Lines) -> None:
        *_, total, source = lines(
            [*YEARS, ["Total", 6, 8, 10], ["Source: the farm's own books", None, None, None]]
        )
        assert total == "Crop: Total | 2022: 6 | 2023: 8 | 2024: 10"
        assert source == "Source: the farm's own books"

    def test_a_card(self, lines: Lines) -> None:
        assert lines([["Name", "Wang Wei"], ["Phone", "555-123"], ["Age", 42]]) == [
            "Name: Wang Wei",
            "Phone: 555-123",
            "Age: 42",
        ]

    def test_a_card_of_two_pairs_a_row(self, lines: Lines) -> None:
        assert lines([["姓名", "张伟", "性别", "男"], ["部门", "研发", "电话", "010-1234"]]) == [
            "姓名: 张伟 | 性别: 男",
            "部门: 研发 | 电话: 010-1234",
        ]

    def test_records_alone(self, lines: Lines) -> None:
        assert lines([["Ann", 1990, 2015], ["Bob", 1985, 2010], ["Cy", 1970, 1999]])[1] == "Bob | 1985 | 2010"


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        ([["Shop", *range(1, 7)], ["A", 5, 3, 9, 4, 4, 1]], "Shop: A | 1: 5 | 2: 3 | 3: 9 | 4: 4 | 5: 4 | 6: 1"),
        ([["Boot", 36, 38, 40], ["black", 3, 0, 5]], "Boot: black | 36: 3 | 38: 0 | 40: 5"),
        ([["Room", "8:00", "9:00"], ["A", "free", "Ann"]], "Room: A | 8:00: free | 9:00: Ann"),
        ([["Item", "2024-01-31", "2024-02-29"], ["X", 1, 2]], "Item: X | 2024-01-31: 1 | 2024-02-29: 2"),
        ([["Level", "10%", "20%", "50%"], ["A", 1, 2, 3]], "Level: A | 10%: 1 | 20%: 2 | 50%: 3"),
        ([["City", 2000, 2010, 2020], ["A", 1900, 1850, 2100]], "City: A | 2000: 1900 | 2010: 1850 | 2020: 2100"),
        ([["地区", "2023年", "2024年"], ["北京", 5, 6]], "地区: 北京 | 2023年: 5 | 2024年: 6"),
        ([[None, 2023, 2024], ["Sales", 5, 7]], "Sales | 2023: 5 | 2024: 7"),
        ([["Item", "Price"], ["Pump", 42], ["Valve", "on request"]], "Item: Valve | Price: on request"),
        ([["Country", "Capital"], ["France", "Paris"]], "Country: France | Capital: Paris"),
        ([["Oats", 5, 6, 7], ["Rye", 1, 2, 3]], "Rye | 1 | 2 | 3"),
        (
            [["时间", "温度", "压力"], ["分钟", "℃", "bar"], [0, 20, 1]],
            "时间 / 分钟: 0 | 温度 / ℃: 20 | 压力 / bar: 1",
        ),
        ([["Level", "Mark"], ["low", "n/a"], ["high", 7]], "Level: high | Mark: 7"),
        ([["Invoice no", 4711], ["Date", "2024-03-01"], ["Total", "1200 EUR"]], "Total: 1200 EUR"),
        ([["Model", "X200"], ["Weight", "5 kg"], ["Power", "2 kW"], ["Price", 99]], "Price: 99"),
        ([["Deputy:", "Tom Reed"], ["主任：", "李伟"]], "主任: 李伟"),
        ([["訂單號", "4711"], ["客戶", "宏達"], ["數量", "3"]], "數量: 3"),
    ],
)
def test_what_is_a_name(rows: Rows, last: str) -> None:
    assert as_csv(rows)[-1] == last


class TestSeveralTables:
    PRICES = (["Item", "Price"], ["Pump", 42], ["Valve", 7])
    STAFF = (["Name", "Age"], ["Bob", 33], ["Ann", 44])

    def test_one_below_the_other(self) -> None:
        for between in ([[]], [[], ["Staff"]], [["Staff"]]):
            lines = as_workbook([["Prices"], *self.PRICES, *between, *self.STAFF])
            assert "Item: Valve | Price: 7" in lines
            assert lines[-1] == "Name: Ann | Age: 44"

    def test_side_by_side(self) -> None:
        rows = [[*left, None, *right] for left, right in zip(self.PRICES, self.STAFF, strict=True)]
        left, right = read("a.xlsx", saved(workbook(S=[*rows, ["Pipe", 9]]))).blocks
        assert (left.text.split("\n")[2:], left.lines) == (
            ["Item: Valve | Price: 7", "Item: Pipe | Price: 9"],
            (1, 4),
        )
        assert (right.text.split("\n")[1:], right.lines) == (
            ["Name: Bob | Age: 33", "Name: Ann | Age: 44"],
            (1, 3),
        )

    def test_an_empty_column_within_a_table(self) -> None:
        rows = [["Region", "Q1", None, "Total", "Share"], ["North", 1, None, 3, 0.5]]
        assert as_workbook(rows)[-1] == "Region: North | Q1: 1 | Total: 3 | Share: 0.5"

    def test_a_card_above_a_table(self) -> None:
        table = [["Item", "Qty", "Price"], ["Bolt", 5, 1.5], ["Nut", 7, 0.5]]
        for gap in ([], [[]]):
            lines = as_workbook([["Order no", 4711], ["Customer", "ACME"], *gap, *table])
            assert lines[:2] == ["Order no: 4711", "Customer: ACME"]
            assert lines[-1] == "Item: Nut | Qty: 7 | Price: 0.5"

    def test_totals_behind_an_empty_row(self) -> None:
        lines = as_workbook([*YEARS, [], ["Total", 6, 8, 10], [], ["All in tons per hectare"]])
        assert lines[-2:] == ["Crop: Total | 2022: 6 | 2023: 8 | 2024: 10", "All in tons per hectare"]

    def test_names_before_an_empty_row(self) -> None:
        assert as_workbook([["Item", "Price"], [], ["Pump", 42], ["Valve", 7]])[-1] == "Item: Valve | Price: 7"
        lines = as_workbook([*TWO_ROWS[:2], [], *TWO_ROWS[2:]])
        assert lines[-1].startswith("作物: 黑麦 | 北区 / 2024: 1")
        assert as_workbook([["Prices", "2024"], [], *self.PRICES])[-1] == "Item: Valve | Price: 7"

    def test_a_table_that_goes_on_with_texts(self) -> None:
        lines = as_workbook([["Team", "Task"], ["red", "paint"], [], ["blue", "weld"], ["green", "test"]])
        assert lines[2:] == ["Team: blue | Task: weld", "Team: green | Task: test"]

    def test_names_again(self) -> None:
        assert as_csv([*YEARS, *YEARS])[3:] == as_csv(YEARS)


class TestLooks:
    CARD = (["Chief engineer", "Ada Novak"], ["Deputy", "Tom Reed"])

    def test_bold_cells_name_what_is_beside_them(self) -> None:
        book = workbook(S=[*map(list, self.CARD)])
        for cell in book["S"]["A"]:
            cell.font = Font(bold=True)
        assert all_text(read("a.xlsx", saved(book))) == "Chief engineer: Ada Novak\nDeputy: Tom Reed"

    def test_header_cells_of_html_beside_their_values(self) -> None:
        rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in self.CARD)
        assert all_text(read("a.html", f"<table>{rows}</table>".encode())) == (
            "Chief engineer: Ada Novak\nDeputy: Tom Reed"
        )

    def test_bold_cells_of_word_beside_their_values(self) -> None:
        document = docx.Document()
        table = document.add_table(2, 2)
        for line, (name, value) in zip(table.rows, self.CARD, strict=True):
            line.cells[0].paragraphs[0].add_run(name).bold = True
            line.cells[1].text = value
        assert all_text(read("a.docx", saved(document))) == "Chief engineer: Ada Novak\nDeputy: Tom Reed"

    def test_a_row_in_bold_begins_a_table(self) -> None:
        rows = [["Item", "Colour"], ["Pump", "red"], [], ["Part", "Town"], ["Rotor", "Oslo"]]
        book = workbook(S=rows)
        for row in (1, 4):
            for cell in book["S"][row]:
                cell.font = Font(bold=True)
        assert all_text(read("a.xlsx", saved(book))).split("\n")[-1] == "Part: Rotor | Town: Oslo"


def test_rows_of_names_in_markdown_stand_above_each_piece() -> None:
    text = "| Pump | Weight |\n|---|---|\n| | kg |\n| P1 | 12 |\n| P2 | 14 |\n"
    (block,) = read("a.md", text.encode()).blocks
    assert block.header == "| Pump | Weight |\n|---|---|\n| | kg |"


def test_a_wide_table_takes_linear_time() -> None:
    def seconds(columns: int) -> float:
        rows = [[f"c{column}" for column in range(columns)]]
        rows += [[str(row * column) for column in range(columns)] for row in range(60)]
        data = "\n".join(map(",".join, rows)).encode()
        start = time.process_time()
        text = all_text(read("a.csv", data))
        taken = time.process_time() - start
        assert text.endswith(f"c{columns - 1}: {59 * (columns - 1)}")
        return taken

    seconds(10)
    # Quadratic time would be 25 times as much; beside other load a single try may be off.
    assert any(seconds(2_000) < 15 * max(seconds(400), 0.02) for _ in range(3))
