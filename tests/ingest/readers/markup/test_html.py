"""HTML: what a visitor reads, in which lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers import read
from tests.ingest.readers.documents import (
    CHINESE_SENTENCES,
    check_lines,
    texts,
)

TAGS = "<p> </p> <li> <ul> </ul> <td> <th> <tr> <table> </table> <dl> <dd> </dl> <h1> </h1> <pre> </pre> <br>"


class TestHtml:
    def test_what_a_visitor_does_not_see_is_left_out(self) -> None:
        page = (
            "<html><head><title>T</title><style>s{}</style></head><body><script>x()</script><nav>menu</nav>"
            "<p hidden>secret</p><div aria-hidden=true>icon</div><p style='DISPLAY : none'>gone</p><p>seen</p>"
            "<template>no</template><!-- not this --><noscript>nor</noscript></body></html>"
        )
        content = check_lines("a.html", page)
        assert (content.title, texts(content)) == ("T", ["seen"])

    def test_words_after_the_end_of_the_page(self) -> None:
        page = "<html><body><p>first</p></body></html>\n<html><body><p>second</p></body></html>"
        assert texts(check_lines("a.html", page)) == ["first", "second"]

    def test_what_pictures_and_formulas_say(self) -> None:
        page = (
            '<p>Energy <math alttext="E=mc^2"><mi>E</mi><mo>=</mo></math> is</p><img alt="Cut through the pump">'
            '<img alt="logo"><img alt="new pump.png"><img alt="离心泵剖面图">'
            '<b style="display:none"><math><annotation encoding="application/x-tex">a_b</annotation></math></b>'
        )
        assert texts(read("a.html", page.encode())) == [
            "Energy E=mc^2 is",
            "Cut through the pump 离心泵剖面图 a_b",
        ]

    def test_a_button_that_opens_a_section(self) -> None:
        content = read("a.html", b"<h3><button>Who pays?</button></h3><p>You.</p><button>Send</button>")
        assert [(block.heading, block.text) for block in content.blocks] == [("Who pays?", "You.")]

    def test_a_web_archive_named_as_a_page(self) -> None:
        page = (
            b"From: <Saved>\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\n"
            b"Content-Type: text/html\n\n<p>a page</p>\n--b--\n"
        )
        assert texts(read("a.html", page)) == ["a page"]
        assert texts(read("a.mht", b"<html><body><p>a page</p></body></html>")) == ["a page"]

    def test_structure(self) -> None:
        page = (
            "<h1>Pump</h1>\n<p>One\n  <b>two</b>.</p>\n<h2>Parts</h2>\n<ul><li>a<ul><li>deep</li></ul></li>\n"
            "<li><p>b</p></li></ul>\n<ol start=3><li>x</li><li>y</li></ol>\n<pre>\nif a:\n    b\n</pre>\n"
            "<table>\n<tr><th>k</th><th>v</th></tr><tr><td>1</td><td><p>2</p></td></tr></table>"
        )
        content = check_lines("a.html", page)
        assert [(block.kind, block.text, block.heading) for block in content.blocks] == [
            ("prose", "One two.", "Pump"),
            ("prose", "- a\n  - deep\n- b", "Pump > Parts"),
            ("prose", "3. x\n4. y", "Pump > Parts"),
            ("code", "if a:\n    b", "Pump > Parts"),
            ("table", "k\tv\n1\t2 (k: 1 | v: 2)", "Pump > Parts"),
        ]

    def test_terms_stand_with_their_definitions(self) -> None:
        content = read(
            "a.html", b"<dl><dt>Monday</dt><dd>9 to 17</dd><dt>Tuesday</dt><dd><p>closed</p></dd></dl><p>end"
        )
        assert texts(content) == ["Monday\n  9 to 17\nTuesday\n  closed", "end"]

    def test_a_table_in_a_cell_of_one_with_names(self) -> None:
        inner = "<table><tr><td>in</td><td>side</td></tr></table>"
        rows = f"<tr><th>Room<th>Seats<tr><td>Blue<td>5<tr><td>Red<td>{inner} out"
        content = read("a.html", f"<table>{rows}</table><p>end</p>".encode())
        assert texts(content) == [
            "Room\tSeats\nBlue\t5 (Room: Blue | Seats: 5)\nRed\tin side out (Room: Red | Seats: in side out)",
            "end",
        ]

    def test_a_table_for_layout_is_prose(self) -> None:
        content = read("a.html", b"<table><tr><td><h1>A</h1><p>one</p><p>two</p></td><td>x</td></tr></table>")
        assert [(block.kind, block.text, block.heading) for block in content.blocks][:2] == [
            ("prose", "one", "A"),
            ("prose", "two", "A"),
        ]

    def test_lines_after_multi_line_tags_and_comments(self) -> None:
        hidden = "<script>\n\n</script>\n<!--\n\n-->"
        page = f"<div\n class=a>\n<p\nid=b>first</p>\n{hidden}tail\n<p>last\nword</p>\n</div>"
        content = check_lines("a.html", page)
        assert [(block.text, block.lines) for block in content.blocks] == [
            ("first", (4, 4)),
            ("tail", (10, 10)),
            ("last word", (11, 12)),
        ]

    @pytest.mark.parametrize(
        "data",
        [
            f"<meta charset=gb2312><p>{CHINESE_SENTENCES}</p>".encode("gb18030"),
            f"<meta http-equiv='Content-Type' content='text/html; charset=big5'><p>{CHINESE_SENTENCES}".encode(),
            f"<p>{CHINESE_SENTENCES}</p>".encode("utf-16"),
            f"<?xml version='1.0' encoding='utf-8'?><html><body><p>{CHINESE_SENTENCES}</p></body></html>".encode(),
            f"<meta charset=punycode><p>{CHINESE_SENTENCES}</p>".encode(),
        ],
    )
    def test_charsets(self, data: bytes) -> None:
        assert texts(read("a.htm", data)) == [CHINESE_SENTENCES]

    def test_too_deep_is_not_cut_short(self) -> None:
        content = read("a.html", b"<div>" * 3000 + b"deep" + b"</div>" * 3000 + b"<p>after</p>")
        assert texts(content) == ["deep\nafter"]
        assert "nested too deep" in content.notes[0]

    def test_external_entities_and_links_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("TOPSECRET")
        page = f"<!DOCTYPE html [<!ENTITY x SYSTEM 'file://{tmp_path}/secret'>]><p>a &x; b</p>"
        assert "TOPSECRET" not in "".join(texts(read("a.xhtml", page.encode())))

    @given(st.lists(st.sampled_from([*TAGS.split(), "word ", "\n"])))
    @settings(max_examples=200, deadline=None)
    def test_no_word_is_lost_in_broken_pages(self, parts: list[str]) -> None:
        content = read("a.html", "".join(parts).encode())
        found = " ".join([*texts(content), *{block.heading for block in content.blocks}])
        assert content.blocks or "word " not in parts
        assert found.count("word") >= parts.count("word ") or "<h1>" in parts


class TestLists:
    @pytest.mark.parametrize(
        ("html", "expected"),
        [
            ("<ol><li>one<li>two</ol>", "1. one\n2. two"),
            ('<ol start="3"><li>three<li value="7">seven<li>eight</ol>', "3. three\n7. seven\n8. eight"),
            ('<ol start="0"><li>zero<li>one</ol>', "0. zero\n1. one"),
            ('<ol type="A" start="2"><li>two<li type="i">three</ol>', "B. two\niii. three"),
            ('<ol type="I"><li>one<ol type="a"><li>inner</ol><li>two</ol>', "I. one\n  a. inner\nII. two"),
            ("<ol reversed><li>three<li>two<li>one</ol>", "3. three\n2. two\n1. one"),
            ('<ol style="list-style-type: cjk-ideographic"><li>范围<li>考勤</ol>', "一. 范围\n二. 考勤"),
            ('<ol style="list-style:none"><li>1.1 own<li>1.2 own</ol>', "- 1.1 own\n- 1.2 own"),
            ('<ol start="x"><li>one</ol>', "1. one"),
        ],
    )
    def test_items_bear_the_numbers_that_a_browser_shows(self, html: str, expected: str) -> None:
        assert texts(read("a.html", html.encode())) == [expected]

    def test_numbers_of_titles(self) -> None:
        html = (
            '<ol type="I"><li><h2>Scope</h2><p>All.</p></li><li value="4"><h2>Payment</h2><p>Late.</p>'
            "<ol><li><h3>Interest</h3><p>Nine percent.</p></ol></ol>"
            "<ul><li><h2>Keys</h2><p>Five days.</p></ul>"
        )
        blocks = read("a.html", html.encode()).blocks
        assert [(block.text, block.heading) for block in blocks] == [
            ("All.", "I. Scope"),
            ("Late.", "IV. Payment"),
            ("Nine percent.", "IV. Payment > 1. Interest"),
            ("Five days.", "Keys"),
        ]

    def test_an_empty_item_leaves_no_mark_behind(self) -> None:
        assert texts(read("a.html", b"<ol><li></ol><p>after</p><h2>Title</h2>x")) == ["after", "x"]

    def test_lists_in_cells_stay_items(self) -> None:
        html = "<table><tr><th>Unit<th>Parts<tr><td>Pump<td><ul><li>seal<li>bearing</ul></table>"
        (block,) = read("a.html", html.encode()).blocks
        assert block.text.split("\n")[1] == "Pump\t• seal • bearing (Unit: Pump | Parts: • seal • bearing)"

    def test_words_that_are_struck_through_and_boxes_that_are_ticked(self) -> None:
        html = (
            "<p>Price: <del> 12</del><s> EUR</s> 9<del><p>A part that is gone.</p></del>"
            "<ul><li><input type=checkbox checked> seal<li><input type='checkbox'> bearing</ul>"
            "<div><input type=checkbox></div><p>a ~~ b<pre>x <del>y</del></pre>"
        )
        assert texts(read("a.html", html.encode())) == [
            "Price: ~~12 EUR~~ 9",
            "A part that is gone.",
            "- [x] seal\n- [ ] bearing",
            "a ~~ b",
            "x y",
        ]
        nested = "<p>Fee <del><s>12 EUR</s></del> 9 EUR</p><p><s>a <s>b</s> c</s> d</p>"
        assert texts(read("a.html", nested.encode())) == ["Fee ~~12 EUR~~ 9 EUR", "~~a b c~~ d"]
