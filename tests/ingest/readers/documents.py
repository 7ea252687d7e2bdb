"""Makes documents of all kinds for the tests of readers, and looks at what was read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from email.message import EmailMessage

import openpyxl
from docx.document import Document
from docx.opc.constants import CONTENT_TYPE as CT
from docx.opc.constants import RELATIONSHIP_TYPE as RT
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.text.run import Run

from ingest.readers import read
from ingest.readers.blocks import Content

CHINESE = "泵的维护周期是三个月，负责人是王工。"
CHINESE_SENTENCES = "泵的维护周期是三个月。负责人是王工，电话在值班表上。"


def all_text(content: Content) -> str:
    return "\n".join(block.text for block in content.blocks)


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members.items():
            file.writestr(name, body)
    return buffer.getvalue()


def workbook(**sheets: list[list[object]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    return book


def saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def with_members(data: bytes, others: Mapping[str, str | bytes]) -> bytes:
    """The archive with other members in the stead of its own, or beside them."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return zipped({name: file.read(name) for name in file.namelist()} | dict(others))


def draw_chart(document: Document, run: Run, chart: bytes) -> None:
    """Links a chart at a run of a Word document."""
    name = PackURI("/word/chart1.xml")
    link = document.part.relate_to(Part(name, CT.DML_CHART, chart, document.part.package), RT.CHART)
    drawn = f'<c:chart xmlns:c="{DRAWING_NAMES}/chart" xmlns:r="{OFFICE_NAMES}" r:id="{link}"/>'
    run._r.append(parse_xml(f"<w:drawing {nsdecls('w')}>{drawn}</w:drawing>"))


SLIDE_NAMES = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'


SLIDE = (
    f"<p:sld {SLIDE_NAMES} "
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" {show}><p:cSld><p:spTree>'
    '<p:sp><p:nvSpPr><p:cNvPr id="1" name="t"/><p:cNvSpPr/><p:nvPr><p:ph type="title"/></p:nvPr></p:nvSpPr>'
    "<p:txBody><a:p><a:r><a:t>{title}</a:t></a:r></a:p></p:txBody></p:sp>{body}</p:spTree></p:cSld></p:sld>"
)


LINKS = "http://schemas.openxmlformats.org/package/2006/relationships"


OFFICE_NAMES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


DRAWING_NAMES = "http://schemas.openxmlformats.org/drawingml/2006"


def presentation(*slides: str) -> bytes:
    ids = "".join(f'<p:sldId id="{i}" r:id="r{i}"/>' for i in range(len(slides)))
    links = "".join(
        f'<Relationship Id="r{i}" Type="{OFFICE_NAMES}/slide" Target="slides/slide{i}.xml"/>'
        for i in range(len(slides))
    )
    members = {
        "[Content_Types].xml": "<Types/>",
        "ppt/presentation.xml": f"<p:presentation {SLIDE_NAMES} "
        f'xmlns:r="{OFFICE_NAMES}"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>',
        "ppt/_rels/presentation.xml.rels": f'<Relationships xmlns="{LINKS}">{links}</Relationships>',
    }
    members |= {f"ppt/slides/slide{i}.xml": slide for i, slide in enumerate(slides)}
    return zipped(members)


ODF_NAMES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (("office", "office"), ("text", "text"), ("table", "table"), ("chart", "chart"),
                         ("draw", "drawing"), ("style", "style"))
) + ' xmlns:xlink="http://www.w3.org/1999/xlink"'  # fmt: skip


def flat_text(body: str) -> bytes:
    """A flat OpenDocument text."""
    body = f"<office:body><office:text>{body}</office:text></office:body>"
    return f"<office:document {ODF_NAMES}>{body}</office:document>".encode()


def letter(body: str, html: str = "") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Wang <w@example.com>", "b@example.com", "季度会议"
    message["Date"] = "Mon, 03 Jun 2024 10:00:00 +0800"
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def texts(content: Content) -> list[str]:
    return [block.text for block in content.blocks]


def check_lines(name: str, data: str) -> Content:
    """The content, after a check that each block begins in the line it names."""
    content = read(name, data.encode())
    lines = data.split("\n")
    for block in content.blocks:
        assert block.lines is not None
        first, last = block.lines
        assert 1 <= first <= last <= len(lines)
        assert block.text.removeprefix("3. ").removeprefix("- ").split()[0] in lines[first - 1]
    return content


def rows(content: Content) -> list[dict[str, object]]:
    return [
        {"kind": block.kind, "page": block.page, "lines": block.lines and list(block.lines)}
        | {"heading": block.heading, "text": block.text}
        for block in content.blocks
    ]


def pdf_of(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is its catalog."""
    body, places = b"%PDF-1.5\n", b"0000000000 65535 f \n"
    for number, one in enumerate(objects, 1):
        places += b"%010d 00000 n \n" % len(body)
        body += b"%d 0 obj%sendobj\n" % (number, one)
    size = len(objects) + 1
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, len(body))
    return body + b"xref\n0 %d\n" % size + places + end
