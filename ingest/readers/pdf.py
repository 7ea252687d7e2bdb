"""PDF: the text layer, one block a page. Pictures are not read (no OCR); text in invisible mode is, because
that is how scanners store what they recognised."""

from __future__ import annotations

import re
import unicodedata

import pypdfium2 as pdfium
from pypdfium2 import raw

from ingest.readers import HEADING_CHARS, Block, Content, Context, one_line
from kb_assistant.errors import ReadError

# pdfium marks a hyphen at the end of a line with U+FFFE, formerly U+0002.
_HYPHEN = re.compile("[\ufffe\x02\xad](?:[ \t]*\n)?")
_LIGATURE = re.compile("[\ufb00-\ufb06]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\uffff]")
# Titles that a program made up from its own name or the file's.
_NO_TITLE = re.compile(
    r"untitled.*|无标题.*|unknown|(?:slide|page|document) ?\d*|.*\.(?:docx?|xlsx?|pptx?|tex|dvi|indd|qxd|pdf|rtf)",
    re.IGNORECASE,
)


def read(data: bytes, context: Context) -> Content:
    """The pages of a PDF.

    Raises:
        ReadError: it is locked, damaged or without any text; or one of its pages is damaged.
    """
    document = _open(data)
    try:
        blocks = []
        for number in range(1, len(document) + 1):
            try:
                text = _page_text(document, number)
            except pdfium.PdfiumError as error:
                raise ReadError(f"Page {number} of the PDF is damaged.", "Save it anew and try again.") from error
            if text:
                blocks.append(Block(text, page=number))
        title = _title(document)
    finally:
        document.close()
    if not blocks:
        raise ReadError("The PDF has no text in it: a scan?", "It needs OCR, which isn't built in yet.")
    return Content(title, tuple(blocks))


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        code = getattr(error, "err_code", None)
        if code == raw.FPDF_ERR_PASSWORD:
            raise ReadError("The PDF needs a password.", "Save a copy without one.") from error
        if code == raw.FPDF_ERR_SECURITY:
            raise ReadError("The PDF is locked in a way that can't be opened.", "Save a copy unlocked.") from error
        if b"%PDF" not in data[:1024]:
            raise ReadError("This isn't a PDF, whatever its name.", "Give it the suffix of its format.") from error
        raise ReadError("The PDF is damaged.", "Save or download it anew.") from error
    if len(document) == 0:
        document.close()
        raise ReadError("The PDF is damaged: no page can be found in it.", "Save or download it anew.")
    return document


def _page_text(document: pdfium.PdfDocument, number: int) -> str:
    page = document[number - 1]
    try:
        layer = page.get_textpage()
        try:
            return _clean(layer.get_text_range())
        finally:
            layer.close()
    finally:
        page.close()


def _clean(text: str) -> str:
    """Words whole again: joined where a hyphen parted them, ligatures spelled out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _HYPHEN.sub("", text)
    text = _LIGATURE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return _CONTROLS.sub("", text).strip()


def _title(document: pdfium.PdfDocument) -> str:
    title = one_line(_CONTROLS.sub("", document.get_metadata_value("Title")))
    title = re.sub(r"^Microsoft (?:Word|PowerPoint|Excel) - ", "", title)[:HEADING_CHARS].rstrip()
    return "" if _NO_TITLE.fullmatch(title) else title
