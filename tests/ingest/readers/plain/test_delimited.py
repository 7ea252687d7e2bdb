"""CSV and TSV: separators, names of columns, lines."""

from __future__ import annotations

import pytest

from ingest.readers import read
from tests.ingest.readers.documents import (
    all_text,
)


class TestDelimited:
    @pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
    def test_separators(self, mark: str) -> None:
        data = f"Item{mark}Price\n泵{mark}42\nValve{mark}7\n".encode()
        (block,) = read("a.csv", data).blocks
        assert block.text == "Item | Price\nItem: 泵 | Price: 42\nItem: Valve | Price: 7"
        assert block.lines == (1, 3)

    def test_quoted_line_breaks_and_encoding(self) -> None:
        data = '名称,说明\n泵,"每三个月\n检修一次"\n阀门,不用\n'.encode("gb18030")
        content = read("a.csv", data)
        assert [(block.text, block.lines) for block in content.blocks] == [
            ("名称 | 说明", (1, 1)),
            ("名称: 泵 | 说明: 每三个月 检修一次", (2, 3)),
            ("名称: 阀门 | 说明: 不用", (4, 4)),
        ]

    def test_records_alone_have_no_header(self) -> None:
        data = b"2024-01-02,17.5,ok\n2024-01-03,18.5,ok\n"
        assert all_text(read("a.csv", data)) == "2024-01-02 | 17.5 | ok\n2024-01-03 | 18.5 | ok"

    def test_a_title_above_the_names(self) -> None:
        content = read("a.csv", b"Sales 2024,,\n,,\nRegion,Q1,Q2\nNorth,1,2\n")
        assert [(block.text, block.lines) for block in content.blocks] == [
            ("Sales 2024", (1, 1)),
            ("Region | Q1 | Q2\nRegion: North | Q1: 1 | Q2: 2", (3, 4)),
        ]

    def test_a_separator_that_is_told(self) -> None:
        (block,) = read("a.csv", b"sep=;\nName;Age\nBob, B.;42\n").blocks
        assert (block.text, block.lines) == ("Name | Age\nName: Bob, B. | Age: 42", (2, 3))

    def test_formulas_stay_text(self) -> None:
        assert "Run: =cmd|' /C calc'!A0" in all_text(read("a.csv", b"Name,Run\nBob,=cmd|' /C calc'!A0\n"))
