"""RTF: text, tables, hidden parts."""

from __future__ import annotations

import pytest

from ingest.readers import read
from kb_assistant.errors import ReadError


class TestRtf:
    def test_unicode_tables_and_hidden_text(self) -> None:
        data = (
            rb"{\rtf1\ansi\ansicpg936{\fonttbl{\f0\fcharset134 SimSun;}}{\info{\title Pumps}}\f0 \'b1\'c3\par "
            rb"\u27893?\u-10179?\u-8704?\par{\v secret}\par\trowd"
            rb"\intbl Item\cell Price\cell\row\intbl Pump\cell 42\cell\row\pard end\par}"
        )
        content = read("a.rtf", data)
        assert content.title == "Pumps"
        assert [block.text for block in content.blocks] == [
            "泵",
            "泵😀",
            "secret",
            "Item\tPrice\nPump\t42 (Item: Pump | Price: 42)",
            "end",
        ]
        assert "secret" in content.notes[0]

    def test_merged_cells_and_text_boxes(self) -> None:
        rows = b"".join(
            rb"\trowd" + marks + rb"\cellx1\cellx2 " + b"".join(word + rb"\cell " for word in words) + rb"\row "
            for marks, words in (
                (b"", (b"Part", b"Cost")),
                (rb"\clvmgf", (b"Rotor", b"12")),
                (rb"\clvmrg", (b"", b"14")),
            )
        )
        shape = rb"{\*\shpinst{\sp{\sn x}{\sv 1}}{\shptxt \pard In the box.\par}}"
        box = rb"{\shp" + shape + rb"{\shprslt{\*\do\dptxbxtext Twice.\par}}}"
        content = read("a.rtf", rb"{\rtf1\ansi\pard\intbl " + rows + rb"\pard " + box + rb"After.\par}")
        assert [block.text for block in content.blocks] == [
            "Part\tCost\nRotor\t12 (Part: Rotor | Cost: 12)\n14 (Part: Rotor | Cost: 14)",
            "In the box.",
            "After.",
        ]

    def test_nested_too_deep(self) -> None:
        with pytest.raises(ReadError, match="too deep"):
            read("a.rtf", b"{\\rtf1" + b"{" * 100_000)
