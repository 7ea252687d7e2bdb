"""OpenDocument: texts, sheets, presentations, passwords."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
import zlib

import pytest

from ingest.readers import read
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import (
    ODF_NAMES,
    all_text,
    flat_text,
    with_members,
    zipped,
)

MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
    '<manifest:file-entry manifest:full-path="{name}"><manifest:encryption-data>'
    '<manifest:algorithm manifest:algorithm-name="http://www.w3.org/2001/04/xmlenc#aes256-cbc" '
    'manifest:initialisation-vector="{iv}"/>'
    '<manifest:start-key-generation manifest:start-key-generation-name="http://www.w3.org/2000/09/xmldsig#sha256"/>'
    '<manifest:key-derivation manifest:key-derivation-name="urn:pbkdf2" manifest:iteration-count="1000" '
    'manifest:key-size="32" manifest:salt="{salt}"/>'
    "</manifest:encryption-data></manifest:file-entry></manifest:manifest>"
)


def locked_odf(content: str, password: str) -> bytes:
    """As LibreOffice writes it with AES: deflated, filled up to whole blocks, encrypted."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    salt, iv = bytes(range(16)), bytes(range(16, 32))
    key = hashlib.pbkdf2_hmac("sha1", hashlib.sha256(password.encode()).digest(), salt, 1000, 32)
    deflated = zlib.compress(content.encode())[2:-4]
    missing = 16 - len(deflated) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    locked = encryptor.update(deflated + bytes(missing - 1) + bytes([missing])) + encryptor.finalize()
    said = {"iv": base64.b64encode(iv).decode(), "salt": base64.b64encode(salt).decode()}
    return zipped({
        "mimetype": "application/vnd.oasis.opendocument.text",
        "content.xml": locked,
        "META-INF/manifest.xml": MANIFEST.format(name="content.xml", **said),
    })  # fmt: skip


class TestOpenDocument:
    def test_text_lists_and_tables(self) -> None:
        names = " ".join(
            f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
            for prefix, name in (("office", "office"), ("text", "text"), ("table", "table"))
        )
        cells = "".join(
            "<table:table-row>"
            + "".join(f"<table:table-cell><text:p>{value}</text:p></table:table-cell>" for value in row)
            + "</table:table-row>"
            for row in (("Item", "Price"), ("Pump", "42"))
        )
        body = (
            '<text:h text:outline-level="1">维护</text:h><text:p>Every<text:s text:c="2"/>month.</text:p>'
            "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
            f"<table:table>{cells}</table:table>"
        )
        inner = f"<office:body><office:text>{body}</office:text></office:body>"
        xml = f"<office:document-content {names}>{inner}</office:document-content>"
        data = zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": xml})
        content = read("a.odt", data)
        assert [block.text for block in content.blocks] == [
            "Every  month.",
            "- one",
            "Item\tPrice\nPump\t42 (Item: Pump | Price: 42)",
        ]
        assert {block.heading for block in content.blocks} == {"维护"}

    def test_merged_cells_and_tables_in_cells(self) -> None:
        names = " ".join(
            f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0"'
            for prefix in ("office", "text", "table")
        )

        def row(*cells: str) -> str:
            return f"<table:table-row>{''.join(cells)}</table:table-row>"

        def cell(words: str, marks: str = "", inner: str = "") -> str:
            return f"<table:table-cell {marks}><text:p>{words}</text:p>{inner}</table:table-cell>"

        covered = "<table:covered-table-cell/>"
        inner = f"<table:table>{row(cell('night'), cell('day'))}</table:table>"
        table = (
            row(cell("Part"), cell("Cost"), cell("Time"))
            + row(*(cell(word, 'table:number-rows-spanned="2"') for word in ("Rotor", "12")), cell("8 weeks"))
            + row(covered, covered, cell("9 weeks", inner=inner))
        )
        body = f"<office:body><office:text><table:table>{table}</table:table></office:text></office:body>"
        xml = f"<office:document-content {names}>{body}</office:document-content>"
        (block,) = read("a.odt", zipped({"content.xml": xml})).blocks
        assert block.text.split("\n")[1:] == [
            "Rotor\t12\t8 weeks (Part: Rotor | Cost: 12 | Time: 8 weeks)",
            "9 weeks night day (Part: Rotor | Cost: 12 | Time: 9 weeks night day)",
        ]

    @pytest.mark.parametrize("passwords", [[], ["falsch"]])
    def test_a_password_says_what_to_do(self, passwords: list[str]) -> None:
        with pytest.raises(ReadError, match="password") as refused:
            read("a.odt", locked_odf("<x/>", "geheim"), passwords=passwords)
        assert "save a copy without one" in refused.value.hint

    def test_a_password_of_a_form_that_is_not_known(self) -> None:
        manifest = MANIFEST.format(name="encrypted-package", iv="", salt="").replace("pbkdf2", "argon2id")
        data = zipped({"encrypted-package": "\0", "META-INF/manifest.xml": manifest})
        with pytest.raises(ReadError, match="form that isn't known"):
            read("a.odt", data, passwords=["geheim"])

    def test_a_password_opens(self) -> None:
        body = "<office:body><office:text><text:p>Nur mit Passwort.</text:p></office:text></office:body>"
        xml = f"<office:document-content {ODF_NAMES}>{body}</office:document-content>"
        assert (
            all_text(read("a.odt", locked_odf(xml, "geheim"), passwords=["falsch", "geheim"]))
            == "Nur mit Passwort."
        )

    @pytest.mark.parametrize(
        ("said", "instead"),
        [('iteration-count="1000"', f'iteration-count="{count}"') for count in (-1, 0, 1 << 70)]
        + [('key-size="32"', f'key-size="{size}"') for size in (-1, 0, 1 << 70)],
    )
    def test_a_lock_that_no_program_makes(self, said: str, instead: str) -> None:
        manifest = "META-INF/manifest.xml"
        data = locked_odf("<x/>", "geheim")
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            locks = file.read(manifest).decode()
        assert said in locks
        with pytest.raises(ReadError, match="damaged"):
            read("a.odt", with_members(data, {manifest: locks.replace(said, instead)}), passwords=["geheim"])

    def test_empty_cells_are_repeated_too(self) -> None:
        head = "".join(
            f"<table:table-cell><text:p>{name}</text:p></table:table-cell>"
            for name in ("Name", "Colour", "Size", "Weight", "Price")
        )
        cell = "<table:table-cell {}><text:p>{}</text:p></table:table-cell>".format
        empty = '<table:table-cell table:number-columns-repeated="{}"/>'.format
        rows = (head, cell("", "Pump") + empty(3) + cell("", "42") + empty(16379), empty(99999))
        table = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
        (block,) = read("a.fodt", flat_text(f"<table:table>{table}</table:table>")).blocks
        assert block.text.endswith("(Name: Pump | Price: 42)")

    @pytest.mark.parametrize("level", ["²", "", "9" * 5000])
    def test_levels_and_spaces_that_are_no_numbers(self, level: str) -> None:
        heading = f'<text:h text:outline-level="{level}">Care</text:h>'
        content = read("a.fodt", flat_text(f'{heading}<text:p>Oil<text:s text:c="{level}"/>it.</text:p>'))
        assert [(block.heading, block.text) for block in content.blocks] == [("Care", "Oil it.")]

    def test_footnotes_text_boxes_and_pictures_in_a_paragraph(self) -> None:
        note = (
            "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>By hand.</text:p>"
            "</text:note-body></text:note>"
        )
        inner = "<draw:frame><draw:text-box><text:p>inner</text:p></draw:text-box></draw:frame>"
        box = f"<draw:frame><draw:text-box><text:p>outer{inner}</text:p></draw:text-box></draw:frame>"
        picture = "<draw:image><office:binary-data>iVBORw0KGgo</office:binary-data></draw:image>"
        words = f"<text:p>Oil{note} it{box} well<draw:frame>{picture}</draw:frame>.</text:p>"
        body = f"<office:body><office:text>{words}</office:text></office:body>"
        xml = f"<office:document {ODF_NAMES}>{body}</office:document>"
        assert [block.text for block in read("a.fodt", xml.encode()).blocks] == [
            "Oil it well.", "By hand.", "outer", "inner",
        ]  # fmt: skip

    def test_faults_in_the_xml_lose_no_text(self) -> None:
        body = '<office:body><office:text><text:p loext:x="1">Words.</text:p></office:text></office:body>'
        content = read("a.fodt", f"<office:document {ODF_NAMES}>{body}</office:document>".encode())
        assert all_text(content) == "Words."
        assert "faults" in content.notes[0]

    @pytest.mark.parametrize("name", ["a.ods", "a.fods"])
    def test_a_spreadsheet(self, name: str) -> None:
        style = (
            '<office:automatic-styles><style:style style:name="h"><style:table-properties table:display="false"/>'
            "</style:style></office:automatic-styles>"
        )

        def row(*cells: str, marks: str = "") -> str:
            return f"<table:table-row {marks}>\n{''.join(cells)}</table:table-row>\n"

        def cell(words: str, marks: str = "", inner: str = "") -> str:
            return f"<table:table-cell {marks}><text:p>{words}</text:p>{inner}</table:table-cell>\n"

        date = 'office:value-type="date" office:date-value="2024-04-05T00:00:00"'
        note = "<office:annotation><text:p>Without tax.</text:p></office:annotation>"
        rows = (
            row("<table:table-cell/>", marks='table:number-rows-repeated="2"')
            + row(cell("Region"), cell("Growth"), cell("Since"))
            + row(
                cell("North", 'table:number-rows-spanned="2"'), cell("15.3%", inner=note), cell("05/04/24", date)
            )
            + row("<table:covered-table-cell/>", cell("7%"), cell("2024年4月5日", date))
            + row("<table:table-cell/>", marks='table:number-rows-repeated="1048571"')
        )
        body = (
            f'<table:table table:name="价格">{rows}</table:table>'
            f'<table:table table:name="Secret" table:style-name="h">{row(cell("hidden words"))}</table:table>'
        )
        body = f"{style}<office:body><office:spreadsheet>{body}</office:spreadsheet></office:body>"
        kind = "application/vnd.oasis.opendocument.spreadsheet"
        xml = f'<office:document office:mimetype="{kind}" {ODF_NAMES}>{body}</office:document>'
        content = read(name, xml.encode() if name == "a.fods" else zipped({"mimetype": kind, "content.xml": xml}))
        assert [(block.text, block.sheet, block.lines) for block in content.blocks] == [
            (
                "Region | Growth | Since\nRegion: North | Growth: 15.3% | Since: 2024-04-05\n"
                "Region: North | Growth: 7% | Since: 2024年4月5日",
                "价格",
                (3, 5),
            ),
            ("Comment on B4: Without tax.", "价格", (4, 4)),
            ("hidden words", "Secret", (1, 1)),
        ]
        assert content.notes == ("Sheet “Secret” is hidden in the file; its rows are in the index.",)

    def test_a_chart(self) -> None:
        row = "<table:table-row>{}</table:table-row>"
        cells = [
            "".join(f"<table:table-cell><text:p>{word}</text:p></table:table-cell>" for word in words)
            for words in (("", "Sales"), ("North", "12"))
        ]
        chart = (
            "<office:body><office:chart><chart:chart><chart:title><text:p>Year</text:p></chart:title><table:table>"
            f"{''.join(map(row.format, cells))}</table:table></chart:chart></office:chart></office:body>"
        )
        page = '<draw:page><draw:frame><draw:object xlink:href="./Object 1"/></draw:frame></draw:page>'
        body = f"<office:body><office:presentation>{page}</office:presentation></office:body>"
        data = zipped({
            "mimetype": "application/vnd.oasis.opendocument.presentation",
            "content.xml": f"<office:document-content {ODF_NAMES}>{body}</office:document-content>",
            "Object 1/content.xml": f"<office:document-content {ODF_NAMES}>{chart}</office:document-content>",
        })  # fmt: skip
        assert all_text(read("a.odp", data)) == "Year\nSales\nNorth\t12"
        lost = {"Object 1/content.xml": b"", "meta.xml": b""}
        body = body.replace("<draw:page>", "<draw:page><draw:frame><text:p>Growth</text:p></draw:frame>")
        lost["content.xml"] = f"<office:document-content {ODF_NAMES}>{body}</office:document-content>".encode()
        content = read("a.odp", with_members(data, lost))
        assert all_text(content) == "Growth"
        assert content.notes == tuple(
            f"A part of the file is damaged ({part}) and was left out."
            for part in ("meta.xml", "Object 1/content.xml")
        )

    @pytest.mark.parametrize("place", ["{}", "<table:table><table:table-row>{}</table:table-row></table:table>"])
    def test_a_chart_of_flat_xml_and_in_a_cell(self, place: str) -> None:
        chart = "<chart:chart><chart:title><text:p>Year</text:p></chart:title></chart:chart>"
        chart = f"<office:body><office:chart>{chart}</office:chart></office:body>"
        drawn = f"<draw:frame><draw:object>{chart}</draw:object></draw:frame>"
        words = f"<text:p>Pump{drawn}</text:p>"
        if "table" in place:
            words = f"<table:table-cell>{words}</table:table-cell>"
        assert all_text(read("a.fodt", flat_text(place.format(words)))) == "Pump\nYear"

    def test_entities_do_not_swell(self) -> None:
        bomb = '<!DOCTYPE x [<!ENTITY a "' + "ha" * 1000 + '"><!ENTITY b "' + "&a;" * 1000 + '">]>'
        data = zipped({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": f"{bomb}<x>&b;</x>"})
        with pytest.raises(ReadError, match="damaged"):
            read("a.odt", data)


def styled_text(styles: str, body: str) -> bytes:
    """An OpenDocument text with these styles of the document, beside those of its content."""
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "styles.xml": f"<office:document-styles {ODF_NAMES}>{styles}</office:document-styles>",
            "content.xml": f"<office:document-content {ODF_NAMES}><office:body><office:text>{body}</office:text>"
            "</office:body></office:document-content>",
        }
    )


def list_style(name: str, *levels: str) -> str:
    inner = "".join(
        f'<text:list-level-style-number text:level="{place}" {level}/>' for place, level in enumerate(levels, 1)
    )
    return f'<text:list-style style:name="{name}">{inner}</text:list-style>'


def item(words: str, marks: str = "", inner: str = "") -> str:
    return f"<text:list-item {marks}><text:p>{words}</text:p>{inner}</text:list-item>"


class TestNumbers:
    def test_headings_by_the_outline(self) -> None:
        level = '<text:outline-level-style text:level="{}" style:num-format="{}" {}/>'
        outline = "".join(
            (
                level.format(1, "一, 二, 三, ...", 'style:num-prefix="第" style:num-suffix="章"'),
                level.format(2, "1", 'style:num-suffix="." text:start-value="5"'),
                level.format(3, "a", 'text:display-levels="2"'),
            )
        )
        plain = '<style:style style:name="P" style:family="paragraph" style:list-style-name=""/>'
        styles = f"<text:outline-style>{outline}</text:outline-style>{plain}"
        heading = '<text:h text:outline-level="{}" {}>{}</text:h>'
        body = "".join(
            (
                heading.format(1, "", "总则"),
                heading.format(1, 'text:style-name="P"', "附注"),
                heading.format(1, 'text:is-list-header="true"', "前言"),
                heading.format(1, "", "考勤"),
                heading.format(2, "", "打卡"),
                heading.format(3, "", "迟到"),
                "<text:p>扣款。</text:p>",
                heading.format(1, 'text:restart-numbering="true" text:start-value="9"', "其他"),
            )
        )
        content = read("a.odt", styled_text(styles, body))
        assert content.title == "总则"
        assert [(block.text, block.heading) for block in content.blocks] == [
            ("第一章 总则", ""),
            ("附注", ""),
            ("前言", ""),
            ("扣款。", "第二章 考勤 > 5. 打卡 > 5.a 迟到"),
            ("第九章 其他", ""),
        ]

    def test_lists_that_nest_go_on_and_begin_again(self) -> None:
        numbers = 'style:num-format="1" style:num-suffix="."'
        styles = list_style("L", numbers, f'{numbers} text:display-levels="2"') + list_style("M", numbers)
        seventh = item("seven", 'text:start-value="7"')
        nested = f"<text:list>{item('two')}{item('three')}</text:list>"
        body = "".join(
            (
                f'<text:list text:style-name="L">{item("one", inner=nested)}{item("four")}</text:list>',
                "<text:p>Between.</text:p>",
                f'<text:list text:style-name="L" text:continue-numbering="true">{item("five")}</text:list>',
                f'<text:list text:style-name="L">{item("six")}</text:list>',
                f'<text:list text:style-name="M">{seventh}</text:list>',
            )
        )
        content = read("a.odt", styled_text(styles, body))
        assert [block.text for block in content.blocks] == [
            "1. one",
            "1.1. two",
            "1.2. three",
            "2. four",
            "Between.",
            "3. five\n1. six\n7. seven",
        ]

    def test_an_item_outside_a_list(self) -> None:
        assert all_text(read("a.odt", styled_text("", item("one")))) == "one"

    def test_headings_in_lists(self) -> None:
        styles = list_style("L", 'style:num-format="I" style:num-prefix="Part "')
        heading = "<text:list-item><text:h text:outline-level='1'>{}</text:h></text:list-item>"
        parts = (
            f'<text:list text:style-name="L" text:continue-numbering="true">{heading.format(words)}</text:list>'
            f"<text:p>text</text:p>"
            for words in ("Scope", "Costs")
        )
        content = read("a.odt", styled_text(styles, "".join(parts)))
        assert [block.heading for block in content.blocks] == ["Part I Scope", "Part II Costs"]

    def test_lists_in_cells_stay_items(self) -> None:
        bullets = f"<text:list>{item('seal')}{item('bearing')}</text:list>"
        cells = "".join(
            f"<table:table-cell>{inner}</table:table-cell>" for inner in ("<text:p>Pump</text:p>", bullets)
        )
        row = f"<table:table-row>{cells}</table:table-row>"
        (block,) = read("a.odt", styled_text("", f"<table:table>{row}</table:table>")).blocks
        assert block.text == "Pump\t• seal • bearing"
