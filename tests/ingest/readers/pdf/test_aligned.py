"""Tables of PDFs that only the alignment of their cells shows."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

from ingest.readers import read
from ingest.readers.blocks import Content

pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))

_BIRDS = [
    ["Species", "Count", "Season"],
    ["Curlew", "214", "winter"],
    ["Avocet", "98", "spring"],
    ["Dunlin", "1,450", "autumn"],
]


def page(
    rows: Sequence[Sequence[str]],
    places: Sequence[float],
    align: str = "lll",
    step: float = 16,
    by_column: bool = False,
    rotation: int = 0,
    above: Sequence[str] = (),
) -> Content:
    """A page with the cells at these places, left, right or centred (`l`, `r`, `c`)."""
    buffer = io.BytesIO()
    sheet = canvas.Canvas(buffer, pagesize=(842, 842))
    sheet.setPageRotation(rotation)
    if rotation == 90:
        sheet.transform(0, 1, -1, 0, 842, 0)
    sheet.setFont("STSong-Light", 11)
    for number, line in enumerate(above):
        sheet.drawString(72, 760 - 14 * number, line)
    cells = [(c, r, cell) for r, row in enumerate(rows) for c, cell in enumerate(row) if cell]
    for column, row, cell in sorted(cells) if by_column else cells:
        draw = {"l": sheet.drawString, "r": sheet.drawRightString, "c": sheet.drawCentredString}[align[column]]
        draw(places[column], 600 - step * row, cell)
    sheet.save()
    return read("a.pdf", buffer.getvalue())


def tables(content: Content) -> list[str]:
    return [block.text for block in content.blocks if block.kind == "table"]


class TestTables:
    @pytest.mark.parametrize("align", ["lll", "lrl", "lrc", "ccc"])
    @pytest.mark.parametrize("by_column", [False, True])
    def test_rows_bear_the_names(self, align: str, by_column: bool) -> None:
        (table,) = tables(page(_BIRDS, (100, 260, 400), align, by_column=by_column))
        assert "Species: Dunlin | Count: 1,450 | Season: autumn" in table
        assert table.split("\n")[0] == "Species\tCount\tSeason"

    def test_chinese(self) -> None:
        rows = [["品名", "数量", "单位"], ["水泵", "12", "台"], ["阀门", "7", "个"], ["水管", "230", "米"]]
        (table,) = tables(page(rows, (100, 200, 300)))
        assert "品名: 水管 | 数量: 230 | 单位: 米" in table

    def test_empty_cells(self) -> None:
        rows = [*_BIRDS, ["Knot", "", "winter"], ["Ruff", "12", ""]]
        (table,) = tables(page(rows, (100, 260, 400)))
        assert "Species: Knot | Season: winter" in table
        assert "Species: Ruff | Count: 12" in table

    def test_a_turned_page(self) -> None:
        (table,) = tables(page(_BIRDS, (100, 260, 400), rotation=90))
        assert "Species: Avocet | Count: 98 | Season: spring" in table

    def test_two_columns_with_names(self) -> None:
        rows = [["Valve", "Checks a year"], ["north", "12"], ["south", "4"], ["west", "52"]]
        (table,) = tables(page(rows, (100, 260), "ll"))
        assert "Valve: west | Checks a year: 52" in table

    def test_text_above_stays_text(self) -> None:
        words = "The birds of the estuary were counted at low tide by two people on each side of the river."
        content = page(_BIRDS, (100, 260, 400), above=[words])
        assert [(block.kind, block.text.split("\n")[0]) for block in content.blocks] == [
            ("prose", words),
            ("table", "Species\tCount\tSeason"),
        ]

    def test_every_row_lacks_a_cell(self) -> None:
        rows = [
            ["Room", "Monday", "Tuesday", "Friday"],
            ["101", "chemistry", "", "biology"],
            ["102", "", "physics", "physics"],
            ["103", "history", "history", ""],
            ["104", "drawing", "", "music"],
        ]
        (table,) = tables(page(rows, (72, 160, 260, 360), "llll"))
        assert "Room: 104 | Monday: drawing | Friday: music" in table

    def test_tables_side_by_side(self) -> None:
        """Their rows have other heights, and each is written by itself."""
        buffer = io.BytesIO()
        sheet = canvas.Canvas(buffer)
        for number, (species, count, season) in enumerate([*_BIRDS, ["Knot", "77", "spring"]]):
            for x, cell in ((72, species), (140, count), (200, season)):
                sheet.drawString(x, 700 - 16 * number, cell)
        for number, (name, price) in enumerate(
            [("Valve", "Checks"), ("north", "12"), ("south", "4"), ("west", "52")]
        ):
            for x, cell in ((360, name), (440, price)):
                sheet.drawString(x, 693 - 16 * number, cell)
        sheet.save()
        birds, valves = tables(read("a.pdf", buffer.getvalue()))
        assert "Species: Knot | Count: 77 | Season: spring" in birds
        assert "Valve: south | Checks: 4" in valves


class TestText:
    def test_columns_of_prose(self) -> None:
        left = "Pumps are maintained by the crew every week"
        right = "Valves are looked at in May when the water"
        assert not tables(page([[left, right]] * 12, (72, 420), "ll", by_column=True))

    def test_lists(self) -> None:
        rows = [[f"{number}.", "Look at the valve and write it down"] for number in range(1, 9)]
        assert not tables(page(rows, (72, 110), "ll"))
        assert not tables(page([["•", text] for _, text in rows], (72, 110), "ll"))

    def test_gaps_out_of_line(self) -> None:
        rows = [["alpha", "beta", "gamma"]] * 6
        buffer = io.BytesIO()
        sheet = canvas.Canvas(buffer)
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                sheet.drawString(72 + 130 * column + 17 * ((number * (column + 2)) % 5), 700 - 16 * number, cell)
        sheet.save()
        assert not tables(read("a.pdf", buffer.getvalue()))

    def test_two_rows_are_no_table(self) -> None:
        assert not tables(page(_BIRDS[:2], (100, 260, 400)))
