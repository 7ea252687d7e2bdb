"""Office documents with damaged or missing parts: what can be read is, the rest is told."""

from __future__ import annotations

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from ingest.readers import read
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import (
    LINKS,
    OFFICE_NAMES,
    SLIDE,
    all_text,
    draw_chart,
    presentation,
    saved,
    with_members,
    workbook,
)


class TestDamagedParts:
    """What an Office document can be read without is left out, and the report says so."""

    @pytest.mark.parametrize("damage", [b"", b"no XML"])
    @pytest.mark.parametrize("name", ["a.docx", "a.xlsx"])
    def test_properties(self, name: str, damage: bytes) -> None:
        document = docx.Document()
        document.add_paragraph("Pump")
        data = saved(document if name == "a.docx" else workbook(S=[["Pump"]]))
        content = read(name, with_members(data, {"docProps/core.xml": damage}))
        assert all_text(content) == "Pump"
        assert "author" not in content.metadata

    def test_what_stands_beside_the_words_of_a_document(self) -> None:
        document = docx.Document()
        document.add_heading("Care", 1)
        draw_chart(document, document.add_paragraph("Oil it.", style="List Number").add_run(), b"")
        data = with_members(saved(document), {"word/styles.xml": b"", "word/numbering.xml": b""})
        content = read("a.docx", data)
        assert all_text(content) == "Care\nOil it."
        assert content.notes == tuple(
            f"A part of the file is damaged (word/{part}.xml) and was left out."
            for part in ("numbering", "styles", "chart1")
        )

    @pytest.mark.parametrize("odd", ["²", "9" * 5000])
    def test_numbers_that_are_none(self, odd: str) -> None:
        level = f'<w:pPr><w:outlineLvl w:val="{odd}"/><w:numPr><w:ilvl w:val="{odd}"/></w:numPr></w:pPr>'
        cell = f'<w:tc><w:tcPr><w:gridSpan w:val="{odd}"/></w:tcPr><w:p><w:r><w:t>Pump</w:t></w:r></w:p></w:tc>'
        document = docx.Document()
        document.element.body.insert(0, parse_xml(f"<w:tbl {nsdecls('w')}><w:tr>{cell}</w:tr></w:tbl>"))
        document.element.body.insert(
            0, parse_xml(f"<w:p {nsdecls('w')}>{level}<w:r><w:t>Oil it.</w:t></w:r></w:p>")
        )
        assert all_text(read("a.docx", saved(document))) == "Oil it.\nPump"
        body = f'<p:sp><p:txBody><a:p><a:pPr lvl="{odd}"/><a:r><a:t>two</a:t></a:r></a:p></p:txBody></p:sp>'
        slide = SLIDE.format(title="One", body=body, show="")
        assert "two" in all_text(read("a.pptx", presentation(slide)))

    def test_notes_and_links_of_slides(self) -> None:
        data = presentation(*(SLIDE.format(title=title, body="", show="") for title in ("One", "Two")))
        link = f'<Relationship Id="n" Type="{OFFICE_NAMES}/notesSlide" Target="../n.xml"/>'
        rels = "ppt/slides/_rels/slide{}.xml.rels".format
        links = f'<Relationships xmlns="{LINKS}">{link}</Relationships>'
        content = read("a.pptx", with_members(data, {"ppt/n.xml": b"", rels(0): links, rels(1): b""}))
        assert all_text(content) == "One\nTwo"
        assert content.notes == tuple(
            f"A part of the file is damaged ({part}) and was left out." for part in ("ppt/n.xml", rels(1))
        )

    def test_without_slides_there_is_no_presentation(self) -> None:
        data = presentation(SLIDE.format(title="One", body="", show=""))
        with pytest.raises(ReadError, match="damaged"):
            read("a.pptx", with_members(data, {"ppt/_rels/presentation.xml.rels": b""}))
