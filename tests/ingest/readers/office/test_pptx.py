"""Presentations: slides in order, notes, tables."""

from __future__ import annotations

from ingest.readers import read
from tests.ingest.readers.documents import (
    DRAWING_NAMES,
    LINKS,
    OFFICE_NAMES,
    SLIDE,
    SLIDE_NAMES,
    presentation,
    texts,
    with_members,
)

RICH = "<c:tx><c:rich><a:p><a:r><a:t>{}</a:t></a:r></a:p></c:rich></c:tx>"


def linked(parts: dict[str, tuple[str, str]], frames: str = "") -> bytes:
    """A presentation of one slide that links to these parts: kind and content by name, which is the link's id."""
    links = "".join(
        f'<Relationship Id="{name}" Type="{OFFICE_NAMES}/{kind}" Target="../{name}.xml"/>'
        for name, (kind, _) in parts.items()
    )
    deck = presentation(SLIDE.format(title="Sales", body=frames, show=""))
    return with_members(
        deck,
        {"ppt/slides/_rels/slide0.xml.rels": f'<Relationships xmlns="{LINKS}">{links}</Relationships>'}
        | {f"ppt/{name}.xml": content for name, (_, content) in parts.items()},
    )


class TestPresentations:
    def test_slides_titles_tables(self) -> None:
        cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
        rows = "".join(
            f"<a:tr>{cell.format(left)}{cell.format(right)}</a:tr>"
            for left, right in (("Item", "Price"), ("泵", "42"))
        )
        table = f"<a:graphicData><a:tbl>{rows}</a:tbl></a:graphicData>"
        table = f"<p:graphicFrame><a:graphic>{table}</a:graphic></p:graphicFrame>"
        content = read(
            "a.pptx",
            presentation(
                SLIDE.format(title="One", body=table, show=""),
                SLIDE.format(title="Two", body="", show='show="0"'),
            ),
        )
        assert content.title == "One"
        assert [(block.text, block.slide, block.heading) for block in content.blocks] == [
            ("Item\tPrice\n泵\t42 (Item: 泵 | Price: 42)", 1, "One"),
            ("Two", 2, ""),
        ]
        assert "Slide 2 is hidden" in content.notes[0]

    def test_the_points_of_a_slide_are_items(self) -> None:
        shape = "<p:sp><p:nvSpPr><p:nvPr><p:ph {}/></p:nvPr></p:nvSpPr><p:txBody>{}</p:txBody></p:sp>"
        said = ("The check of the boiler takes up to three hours", "Two visits with a fitter")
        words = "".join(f"<a:p><a:r><a:t>{one}</a:t></a:r></a:p>" for one in said)
        for mark, text in (('idx="1"', "- {}\n- {}"), ('type="subTitle"', "{}\n{}")):
            deck = presentation(SLIDE.format(title="Plan", body=shape.format(mark, words), show=""))
            (block,) = read("a.pptx", deck).blocks
            assert block.text == text.format(*said)

    def test_titles_and_axes_of_charts(self) -> None:
        written = f"<c:title>{RICH}</c:title>"
        cell = "<c:title><c:tx><c:strRef><c:strCache><c:pt><c:v>{}</c:v></c:pt></c:strCache></c:strRef></c:tx>"
        values = "<c:val><c:numCache><c:pt idx='0'><c:v>7</c:v></c:pt></c:numCache></c:val>"
        label = f"<c:dLbls><c:dLbl>{RICH.format('record')}</c:dLbl></c:dLbls>"
        chart = (
            f'<c:chartSpace xmlns:c="{DRAWING_NAMES}/chart" xmlns:a="{DRAWING_NAMES}/main">'
            f"{cell.format('Boats by harbour')}</c:title>"
            f"<c:ser><c:tx><c:v>Lorne</c:v></c:tx>{label}{values}</c:ser>"
            f"<c:catAx>{written.format('Month')}</c:catAx><c:valAx>{written.format('Boats')}</c:valAx></c:chartSpace>"
        )
        frame = f'<c:chart xmlns:c="{DRAWING_NAMES}/chart" xmlns:r="{OFFICE_NAMES}" r:id="chart1"/>'
        frame = f"<p:graphicFrame><a:graphic><a:graphicData>{frame}</a:graphicData></a:graphic></p:graphicFrame>"
        (text,) = texts(read("a.pptx", linked({"chart1": ("chart", chart)}, frame)))
        assert text.split("\n") == ["Boats by harbour", "Month", "Boats", "Lorne | 7", "record"]

    def test_charts_of_the_newer_kinds(self) -> None:
        chart = (
            '<cx:chartSpace xmlns:cx="http://schemas.microsoft.com/office/drawing/2014/chartex" '
            f'xmlns:a="{DRAWING_NAMES}/main"><cx:chartData><cx:data id="0"><cx:strDim type="cat"><cx:lvl>'
            '<cx:pt idx="0">Start</cx:pt><cx:pt idx="1">Rent</cx:pt></cx:lvl></cx:strDim><cx:numDim><cx:lvl>'
            '<cx:pt idx="0">100</cx:pt><cx:pt idx="1">-30</cx:pt></cx:lvl></cx:numDim></cx:data></cx:chartData>'
            f"<cx:chart><cx:title>{RICH.format('现金流').replace('c:', 'cx:')}</cx:title></cx:chart>"
            "</cx:chartSpace>"
        )
        frame = f'<x:chart xmlns:x="urn:any" xmlns:r="{OFFICE_NAMES}" r:id="chart1"/>'
        frame = f"<p:graphicFrame><a:graphic><a:graphicData>{frame}</a:graphicData></a:graphic></p:graphicFrame>"
        (text,) = texts(read("a.pptx", linked({"chart1": ("chartEx", chart)}, frame)))
        assert text.split("\n") == ["现金流", "Start: 100", "Rent: -30"]

    def test_comments_of_old_and_new_programs(self) -> None:
        old = f'<p:cmLst {SLIDE_NAMES}><p:cm authorId="0"><p:text>Check the total.</p:text></p:cm></p:cmLst>'
        body = "<n:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></n:txBody>"
        new = (
            f'<n:cmLst xmlns:n="http://schemas.microsoft.com/office/powerpoint/2018/8/main" '
            f'xmlns:a="{DRAWING_NAMES}/main"><n:cm authorId="{{A}}"><n:replyLst><n:reply authorId="0">'
            f"{body.format('Done.')}</n:reply></n:replyLst>{body.format('谁负责？')}</n:cm></n:cmLst>"
        )
        deck = linked({"comment1": ("comments", old), "comment2": ("comments", new)})
        authors = f'<p:cmAuthorLst {SLIDE_NAMES}><p:cmAuthor id="0" name="Ann Fell"/></p:cmAuthorLst>'
        links = (
            f'<Relationships xmlns="{LINKS}"><Relationship Id="r0" Type="{OFFICE_NAMES}/slide" '
            f'Target="slides/slide0.xml"/><Relationship Id="a" Type="{OFFICE_NAMES}/commentAuthors" '
            'Target="authors.xml"/></Relationships>'
        )
        deck = with_members(deck, {"ppt/authors.xml": authors, "ppt/_rels/presentation.xml.rels": links})
        assert texts(read("a.pptx", deck)) == [
            "Comment (Ann Fell): Check the total.",
            "Comment: 谁负责？",
            "Comment (Ann Fell): Done.",
        ]
