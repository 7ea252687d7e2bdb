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

    def test_numbers_that_the_file_says(self) -> None:
        data = (
            rb"{\rtf1\ansi\pard\outlinelevel0{\listtext\pard\plain 3\tab}\ls1 Payment\par"
            rb"\pard\outlinelevel1{\listtext\pard\plain 3.2\tab}\ls1\ilvl1 Late payment\par"
            rb"\pard{\pntext\f0 (a)\tab}Nine percent.\par\pard{\listtext\'b7\tab}\ls2 Keys\par"
            rb"\pard{\listtext\'b7\tab}\ls2 Cards\par\pard End.\par}"
        )
        content = read("a.rtf", data)
        assert content.title == "Payment"
        assert [(block.text, block.heading) for block in content.blocks] == [
            ("(a) Nine percent.", "3 Payment > 3.2 Late payment"),
            ("- Keys\n- Cards", "3 Payment > 3.2 Late payment"),
            ("End.", "3 Payment > 3.2 Late payment"),
        ]

    def test_numbers_by_the_list_table_and_headings_by_style(self) -> None:
        level = rb"{\listlevel\levelnfc%b\levelstartat%b{\leveltext%b;}{\levelnumbers;}}"
        table = (
            rb"{\*\listtable{\list"
            + level % (b"37", b"1", rb"\'03\u31532 ?\'00\u26465 ?")
            + level % (b"0", b"4", rb"\'03\'00.\'01")
            + rb"\listid7}}{\*\listoverridetable{\listoverride\listid7\listoverridecount0\ls1}"
            rb"{\listoverride\listid7\listoverridecount1{\lfolevel\listoverridestartat\levelstartat9}\ls2}}"
        )
        styles = (
            rb"{\stylesheet{\ql Normal;}{\s1\ls1 heading 1;}{\s2\ls1\ilvl1\outlinelevel1 My own;}"
            rb"{\*\cs9 Strong;}}"
        )
        body = (
            rb"\pard\s1 Scope\par\pard\s1 Hours\par\pard\s2 Morning\par\pard\s1\ls0 Apart\par"
            rb"\pard\plain Open at eight.\par\pard\ls2 Last\par}"
        )
        content = read("a.rtf", rb"{\rtf1\ansi\uc1" + table + styles + body)
        assert [(block.text, block.heading) for block in content.blocks] == [
            ("第一条 Scope", ""),
            ("二.4 Morning", "第二条 Hours"),
            ("Open at eight.", "Apart"),
            ("第九条 Last", "Apart"),
        ]

    def test_headings_by_style_have_their_numbers_above_what_follows(self) -> None:
        styles = rb"{\stylesheet{\s1 heading 1;}{\s2 heading 2;}}"
        body = rb"\pard\s1 Scope\par\pard\s2 Part\par\pard Text.\par}"
        (block,) = read("a.rtf", rb"{\rtf1\ansi" + styles + body).blocks
        assert (block.heading, block.text) == ("Scope > Part", "Text.")

    def test_lists_in_cells_stay_items(self) -> None:
        item = rb"\pard\intbl{\listtext\'b7\tab}\ls1 %b\par"
        cell = b"".join(item % word for word in (b"seal", b"bearing"))
        content = read("a.rtf", rb"{\rtf1\ansi\trowd\pard\intbl Pump\cell " + cell + rb"\cell\row\pard End.\par}")
        assert content.blocks[0].text == "Pump\t\u2022 seal \u2022 bearing"

    def test_a_cell_that_never_ends_is_not_lost(self) -> None:
        content = read("a.rtf", rb"{\rtf1\ansi\pard\intbl Pump\par\pard After.\par\pard\intbl Last}")
        assert [block.text for block in content.blocks] == ["Pump", "After.", "Last"]

    def test_nested_too_deep(self) -> None:
        with pytest.raises(ReadError, match="too deep"):
            read("a.rtf", b"{\\rtf1" + b"{" * 100_000)
