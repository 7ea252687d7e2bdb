"""Word: order, headings, lists, tables, changes and boxes."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, nsmap

from ingest.readers import read
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import (
    DRAWING_NAMES,
    draw_chart,
    saved,
    texts,
)


class TestWordTables:
    def test_text_boxes_and_charts_in_cells(self) -> None:
        words = '<w:txbxContent xmlns:w="{}"><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>'.format(
            nsmap["w"]
        )
        both = "".join(f"<mc:{kind}>{words}</mc:{kind}>" for kind in ("Choice", "Fallback"))
        mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
        document = docx.Document()
        table = document.add_table(1, 2)
        run = table.cell(0, 0).paragraphs[0].add_run("Pump")
        run._r.append(parse_xml(f'<mc:AlternateContent xmlns:mc="{mc}">{both}</mc:AlternateContent>'))
        title = f'<a:t xmlns:a="{DRAWING_NAMES}/main">Sales</a:t>'
        chart = f'<c:chart xmlns:c="{DRAWING_NAMES}/chart"><c:title>{title}</c:title></c:chart>'
        draw_chart(document, table.cell(0, 1).paragraphs[0].add_run("see"), chart.encode())
        content = read("a.docx", saved(document))
        assert [(block.text, block.lines) for block in content.blocks] == [
            ("Pump boxed\tsee", (1, 1)),
            ("Sales", (1, 1)),
        ]


def with_part(data: bytes, name: str, change: object) -> bytes:
    """The archive with one member put through `change`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            body = old.read(member)
            new.writestr(member, change(body) if member == name else body)  # type: ignore[operator]
    return buffer.getvalue()


class TestDocx:
    def test_order_headings_lists_and_tables(self) -> None:
        document = docx.Document()
        document.add_heading("泵", 0)
        document.add_heading("Parts", 1)
        document.add_paragraph("Intro.")
        document.add_paragraph("one", style="List Bullet")
        document.add_paragraph("two", style="List Number")
        table = document.add_table(3, 2)
        for row, values in enumerate((("k", "v"), ("a", "1"), ("", "2"))):
            for column, value in enumerate(values):
                table.cell(row, column).text = value
        table.cell(1, 0).merge(table.cell(2, 0))
        document.add_paragraph("")
        document.add_paragraph("End.")
        content = read("a.docx", saved(document))
        assert content.title == "泵"
        assert [(block.kind, block.text, block.lines, block.heading) for block in content.blocks] == [
            ("prose", "Intro.", (3, 3), "泵 > Parts"),
            ("prose", "- one\n1. two", (4, 5), "泵 > Parts"),
            ("table", "k\tv\na\t1 (k: a | v: 1)\n2 (k: a | v: 2)", (6, 8), "泵 > Parts"),
            ("prose", "End.", (10, 10), "泵 > Parts"),
        ]

    def test_headings_by_chinese_style_and_by_outline_level(self) -> None:
        document = docx.Document()
        document.styles.add_style("标题 2", 1)
        document.add_paragraph("维护", style="标题 2")
        document.add_paragraph("text")
        level = document.add_paragraph("Outlined")
        level._p.get_or_add_pPr().append(parse_xml(f'<w:outlineLvl {nsdecls("w")} w:val="2"/>'))
        document.add_paragraph("more")
        assert [block.heading for block in read("a.docx", saved(document)).blocks] == ["维护", "维护 > Outlined"]

    def test_tracked_changes_controls_and_boxes(self) -> None:
        document = docx.Document()
        run = "<w:r><w:t>{}</w:t></w:r>"
        deleted = "<w:r><w:delText>old</w:delText></w:r>"
        box = f"<w:txbxContent><w:p>{run.format('in the box')}</w:p></w:txbxContent>"
        symbols = "http://schemas.microsoft.com/office/word/2015/wordml/symex"
        emoji = f'<w:r><s:symEx xmlns:s="{symbols}" s:char="1F60F"/></w:r>'
        for xml in (
            f"<w:p {{}}><w:ins>{run.format('new')}</w:ins>{emoji}<w:del>{deleted}</w:del></w:p>",
            f"<w:sdt {{}}><w:sdtContent><w:p>{run.format('control')}</w:p></w:sdtContent></w:sdt>",
            f"<w:p {{}}>{run.format('outside')}<w:r><w:pict>{box}</w:pict></w:r></w:p>",
        ):
            document.element.body.insert(-1, parse_xml(xml.format(nsdecls("w"))))
        assert texts(read("a.docx", saved(document))) == ["new😏", "control", "outside", "in the box"]

    @pytest.mark.parametrize(
        "kind", ["template.main", "document.macroEnabled.main", "template.macroEnabledTemplate.main"]
    )
    def test_templates_and_documents_with_macros(self, kind: str) -> None:
        document = docx.Document()
        document.add_paragraph("Words.")
        data = with_part(
            saved(document),
            "[Content_Types].xml",
            lambda body: body.replace(b"document.main+xml", f"{kind}+xml".encode()),
        )
        assert texts(read("a.docx", data)) == ["Words."]

    def test_a_package_without_its_picture_and_in_the_strict_form(self) -> None:
        document = docx.Document()
        document.add_heading("Care", 1)
        document.add_paragraph("Words.")
        document.core_properties.author = "王工"
        usual, strict = (
            rb"http://schemas\.openxmlformats\.org/(wordprocessingml|officeDocument)/2006/",
            (rb"http://purl.oclc.org/ooxml/\1/"),
        )
        data = saved(document)
        for name in ("word/document.xml", "word/styles.xml", "_rels/.rels", "word/_rels/document.xml.rels"):
            data = with_part(data, name, lambda body: re.sub(usual, strict, body))
        kind = b"http://purl.oclc.org/ooxml/officeDocument/relationships/image"
        link = b'<Relationship Id="x" Type="' + kind + b'" Target="no.png"/>'
        data = with_part(
            data,
            "word/_rels/document.xml.rels",
            lambda body: body.replace(b"</Relationships>", link + b"</Relationships>"),
        )
        content = read("a.docx", data)
        assert [(block.text, block.heading) for block in content.blocks] == [("Words.", "Care")]
        assert content.metadata["author"] == "王工"

    def test_numbers_of_lists(self) -> None:
        document = docx.Document()
        levels = (("chineseCounting", "第%1条"), ("decimal", "%1.%2"), ("upperRoman", "(%3)"))
        inner = "".join(
            f'<w:lvl w:ilvl="{place}"><w:start w:val="1"/><w:numFmt w:val="{style}"/>'
            f'<w:lvlText w:val="{text}"/></w:lvl>'
            for place, (style, text) in enumerate(levels)
        )
        numbering = document.part.numbering_part.element
        numbering.insert(
            0, parse_xml(f'<w:abstractNum {nsdecls("w")} w:abstractNumId="99">{inner}</w:abstractNum>')
        )
        override = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="12"/></w:lvlOverride>'
        for number, more in ((98, ""), (99, override)):
            made = f'<w:num {nsdecls("w")} w:numId="{number}"><w:abstractNumId w:val="99"/>{more}</w:num>'
            numbering.append(parse_xml(made))
        for depth, number, words in (
            (0, 98, "one"),
            (1, 98, "two"),
            (2, 98, "three"),
            (0, 98, "four"),
            (0, 99, "five"),
        ):
            properties = document.add_paragraph(words)._p.get_or_add_pPr()
            place = f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>'
            properties.append(parse_xml(place))
        (text,) = texts(read("a.docx", saved(document)))
        assert text.split("\n") == ["第一条 one", "一.1 two", "(I) three", "第二条 four", "第十二条 five"]

    def test_charts_and_documents_within(self) -> None:
        document = docx.Document()
        document.add_paragraph("before")
        body = document.element.body
        relations = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
        drawn = 'xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
        for xml in (
            f'<w:p {nsdecls("w")}><w:r><w:drawing><c:chart {drawn} {relations} r:id="c"/></w:drawing></w:r></w:p>',
            f'<w:altChunk {nsdecls("w")} {relations} r:id="h"/>',
        ):
            body.insert(-1, parse_xml(xml))
        kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
        links = (
            f'<Relationship Id="c" Type="{kind}/chart" Target="chart.xml"/>'
            f'<Relationship Id="h" Type="{kind}/aFChunk" Target="a.html"/></Relationships>'
        )
        data = with_part(
            saved(document),
            "word/_rels/document.xml.rels",
            lambda old: old.replace(b"</Relationships>", links.encode()),
        )
        points = [
            f"<c:{axis}><c:strCache>"
            + "".join(f'<c:pt idx="{index}"><c:v>{value}</c:v></c:pt>' for index, value in enumerate(values))
            + f"</c:strCache></c:{axis}>"
            for axis, values in (("cat", ("North", "South")), ("val", ("12", "7")))
        ]
        series = f"<c:ser><c:tx><c:v>Sales</c:v></c:tx>{''.join(points)}</c:ser>"
        buffer = io.BytesIO(data)
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr("word/chart.xml", f"<c:chartSpace {drawn}>{series}</c:chartSpace>")
            archive.writestr("word/a.html", "<html><body><h1>Within</h1><p>a page</p></body></html>")
        blocks = read("a.docx", buffer.getvalue()).blocks
        assert [(block.text, block.heading) for block in blocks] == [
            ("before", ""),
            ("Sales | North: 12 | South: 7", ""),
            ("a page", "Within"),
        ]

    def test_external_entities_are_not_read(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("TOPSECRET")
        document = docx.Document()
        document.add_paragraph("MARK")
        entity = f'<!DOCTYPE w [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><w:document'.encode()
        data = with_part(
            saved(document),
            "word/document.xml",
            lambda body: body.replace(b"<w:document", entity, 1).replace(b"MARK", b"MARK &x;"),
        )
        try:
            found = "".join(texts(read("a.docx", data)))
        except ReadError:
            found = ""
        assert "TOPSECRET" not in found

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"not a zip", "damaged, or isn't one"),
            (b"", "empty"),
            (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "damaged, or isn't one"),
            (bytes.fromhex("d0cf11e0a1b11ae1") + "EncryptedPackage".encode("utf-16-le"), "password"),
            (with_part(saved(docx.Document()), "word/document.xml", lambda _: b"<w:broken"), "damaged"),
            (with_part(saved(docx.Document()), "_rels/.rels", lambda _: b"<Relationships/>"), "damaged"),
        ],
    )
    def test_files_that_are_refused(self, data: bytes, message: str) -> None:
        with pytest.raises(ReadError, match=message):
            read("a.docx", data)

    def test_archives_that_swell_are_refused(self) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("word/document.xml", bytes(20_000_000))
        with pytest.raises(ReadError, match="too large when unpacked"):
            read("a.docx", buffer.getvalue())

    def test_other_archives_are_told_apart(self) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.txt", "hello")
        with pytest.raises(ReadError, match="zip archive"):
            read("a.docx", buffer.getvalue())
