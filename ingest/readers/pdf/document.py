"""PDF: the text layer page by page, tables with ruling lines row by row, scanned pages by OCR if it is installed.
Then form fields and comments, at the end attachments.

Bookmarks become headings; without any, lines in larger letters do. Repeated page headers and footers are kept at
their first occurrence. Text in invisible mode is read, because scanners store recognised text that way.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Any

import pypdfium2 as pdfium
from pypdfium2 import raw

from ingest.readers.blocks import HEADING_CHARS, Block, Content, Context, nest, one_line
from ingest.readers.hidden_text import hidden_note
from ingest.readers.hyphens import words_of
from ingest.readers.image import ocr
from ingest.readers.pdf import columns as pdf_columns
from ingest.readers.pdf import legible as pdf_legible
from ingest.readers.pdf import text as pdf_text
from ingest.readers.pdf.aligned import aligned_tables
from ingest.readers.pdf.annotations import annotations_of, attachments_of, with_stamps
from ingest.readers.pdf.headings import Line, headings, sized_lines
from ingest.readers.pdf.spacing import join_set_apart
from ingest.readers.pdf.tables import Table, carry_names, tables_of
from ingest.readers.pdf.vertical import vertical_text
from kb_assistant.errors import ReadError
from kb_assistant.messages import _, join

logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # its warnings are for developers

_CONTROLS = re.compile(r"[\x00-\x1f\x7f\uffff]")
# Titles that a program derived from its own name or the file's.
_NO_TITLE = re.compile(
    r"untitled.*|无标题.*|unknown|adobe .* pdf|powerpoint presentation|(?:slide|page|document|title) ?\d*|"
    r".*\.(?:docx?|xlsx?|pptx?|tex|dvi|indd|qxd|pdf|rtf|html?|wpd)",
    re.IGNORECASE,
)
_SCAN_CHARS = 20  # a page with fewer, and a picture over most of it, is a scan
_SCAN_SHARE = 0.5
_GARBLED_SHARE = 0.3  # a page that loses a larger share of its characters is read by OCR
_TOLD_SHARE = 0.05  # a smaller loss, such as single signs of formulas, isn't told
_BLANK_SHARE = 0.02
_SCAN_PIXELS = 2200  # longer side of a page for OCR: about 190 dpi for A4
_MOST_BOOKMARKS = 10_000


@dataclass(slots=True)
class _Page:
    number: int
    text: str
    tables: list[Table] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    sized: list[Line] = field(default_factory=list)
    is_scan: bool = False
    lost: float = 0.0  # share of its characters that mean nothing
    problem: bool = False


def read(data: bytes, context: Context) -> Content:
    """The pages of a PDF.

    Raises:
        ReadError: it is encrypted, damaged or without any text.
    """
    document = _open(data, context.passwords)
    notes: list[str] = []
    try:
        pages = [_page(document, number, notes) for number in range(1, len(document) + 1)]
        scans = [page for page in pages if page.is_scan]
        left: list[int] = []
        if ocr.available():
            for page in scans:
                if not context.ocr.allows():
                    left.append(page.number)
                    continue
                context.heartbeat()
                with context.ocr.page():
                    words = ocr.recognize(_picture(document, page.number))
                if words:
                    page.text, page.tables = words, []
        title, bookmarks = _title(document), _bookmarks(document)
        is_xfa = document.get_formtype() == raw.FORMTYPE_XFA_FULL
        files = attachments_of(document, context)
    finally:
        document.close()
    if is_xfa:
        notes.append(_("It is a form that only Acrobat shows: what is filled in wasn't read. Print it to a PDF."))
    broken = [page.number for page in pages if page.problem]
    if broken and len(broken) == len(pages):
        raise ReadError(_("All pages of the PDF are damaged."), _("Save it anew and try again."))
    if broken:
        notes.append(_damaged(broken))
    notes += _unread(pages, scans)
    if left:
        notes.append(ocr.left_note(left, context.ocr))
    carry_names((page.text, page.tables) for page in pages)
    blocks = (*_blocks(pages, bookmarks), *(block for file in files for block in file.blocks))
    notes += [note for file in files for note in file.notes]
    if not blocks:
        raise _no_text(scans)
    return Content(title, blocks, {}, tuple(dict.fromkeys(notes)))


def _unread(pages: list[_Page], scans: list[_Page]) -> list[str]:
    """What isn't read of the pages, if anything is."""
    notes = []
    garbled = [page.number for page in scans if page.lost]
    scanned = [page.number for page in scans if not page.lost]
    if not ocr.available() and any(page.text.strip() for page in pages):
        if scanned:
            notes.append(join((_scanned(scanned), ocr.HINT)))
        if garbled:
            notes.append(join((_garbled(garbled), ocr.HINT)))
    partly = [page.number for page in pages if page.lost >= _TOLD_SHARE and not page.is_scan]
    if partly:
        notes.append(
            _(
                "Part of the text of p. {numbers} means nothing and was left out: its font doesn't say which "
                "letters it shows.",
                numbers=ocr.page_ranges(partly),
            )
        )
    return notes


def _no_text(scans: list[_Page]) -> ReadError:
    if not scans:
        return ReadError(
            _("No text was found in the PDF: its pages are empty."), _("Nothing can be searched in it.")
        )
    if ocr.available():
        return ReadError(
            _("No text was found in the PDF, not by OCR either."), _("Scan it anew, larger and straight.")
        )
    if all(page.lost for page in scans):
        return ReadError(
            _("The PDF's text means nothing: its fonts don't say which letters they show. It needs OCR."), ocr.HINT
        )
    return ReadError(_("No text was found in the PDF: it is a scan and needs OCR."), ocr.HINT)


def _damaged(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return _("Page {number} is damaged and couldn't be read.", number=numbers[0])
    return _("Pages {numbers} are damaged and couldn't be read.", numbers=ocr.page_ranges(numbers))


def _scanned(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return _("Page {number} is scanned, without text.", number=numbers[0])
    return _("Pages {numbers} are scanned, without text.", numbers=ocr.page_ranges(numbers))


def _garbled(numbers: list[int]) -> str:
    return _(
        "The text of p. {numbers} means nothing: its fonts don't say which letters they show.",
        numbers=ocr.page_ranges(numbers),
    )


def _open(data: bytes, passwords: tuple[str, ...]) -> pdfium.PdfDocument:
    error: pdfium.PdfiumError | None = None
    for password in (None, *passwords):
        # Some failures don't set PDFium's last error, which may be another document's: reset it to that of no PDF.
        raw.FPDF_LoadMemDocument64(b"", 0, None)
        try:
            document = pdfium.PdfDocument(data, password=password)
            break
        except pdfium.PdfiumError as failed:
            error = failed
            if getattr(failed, "err_code", None) != raw.FPDF_ERR_PASSWORD:
                if b"%PDF" not in data[:1024] and b"endobj" in data:  # only its first line is missing
                    return _open(b"%PDF-1.7\n" + data, passwords)
                raise _refusal(data, failed) from failed
    else:
        if passwords:
            raise ReadError(_("No password given opens the PDF."), _("Check --password.")) from error
        hint = _("Give it with --password, or save a copy without one.")
        raise ReadError(_("The PDF needs a password."), hint) from error
    document.init_forms()
    if len(document) == 0:
        document.close()
        raise ReadError(_("The PDF is damaged: no page can be found in it."), _("Save or download it anew."))
    return document


def _refusal(data: bytes, error: pdfium.PdfiumError) -> ReadError:
    if getattr(error, "err_code", None) == raw.FPDF_ERR_SECURITY:
        return ReadError(_("The PDF is locked in a way that can't be opened."), _("Save a copy unlocked."))
    if not data.strip():
        return ReadError(_("The file is empty."), _("Save or download it anew."))
    if b"%PDF" not in data[:1024]:
        return ReadError(_("This isn't a PDF, whatever its name."), _("Give it the suffix of its format."))
    return ReadError(_("The PDF is damaged."), _("Save or download it anew."))


def _page(document: pdfium.PdfDocument, number: int, notes: list[str]) -> _Page:
    try:
        page = document[number - 1]
    except pdfium.PdfiumError:
        return _Page(number, "", problem=True)
    try:
        beside = annotations_of(document, page)
        page = with_stamps(document, page, number)
        layer = page.get_textpage()
        try:
            raw_text = pdf_legible.characters(layer)
            text, lost = pdf_legible.legible(layer, raw_text)
            share = lost / max(sum(not mark.isspace() for mark in raw_text), 1)
            text = indexed = join_set_apart(layer, text, page.get_rotation())
            columns = vertical_text(layer, text, page.get_rotation())
            tables = tables_of(page, layer, text) if text.strip() and columns is None else []
            if text.strip():
                for words in pdf_text.unseen(page, layer, text):
                    notes += hidden_note(
                        _("in the colour of its ground, p. {number}", number=number), words, always=True
                    )
            if columns is not None:
                text = columns
            elif text.strip():
                ordered = None
                if not tables and text == raw_text:
                    ordered = pdf_columns.reordered(layer, page.get_rotation())
                if ordered:
                    text = ordered
                else:
                    taken = frozenset(line for table in tables for line in table.lines)
                    tables += aligned_tables(layer, text, page.get_rotation(), taken)
            in_tables = {line for table in tables for line in table.lines}
            sized = sized_lines(layer, indexed, page.get_rotation(), in_tables) if columns is None else []
        finally:
            layer.close()
        means = pdf_legible.readable(text)
        is_garbled = lost >= _SCAN_CHARS and share > _GARBLED_SHARE
        is_scan = is_garbled or (len(means) < _SCAN_CHARS and _is_drawn(page, not text.strip()))
        if is_scan:
            text, tables, sized = means, [], []
        for one in beside:
            notes += hidden_note(_("a comment, p. {number}", number=number), one.comment)
        lines = [one.line for one in beside if not one.comment or not pdf_text.holds(text, one.comment)]
        return _Page(number, text, tables, lines, sized, is_scan, share if lost >= _SCAN_CHARS else 0.0)
    except pdfium.PdfiumError:
        return _Page(number, "", problem=True)
    finally:
        page.close()


def _is_drawn(page: pdfium.PdfPage, blank: bool) -> bool:
    """Whether the page has a large picture, or many lines, such as letters drawn as curves. On a page without any
    text a small picture is enough."""
    whole = page.get_width() * page.get_height()
    drawn, curves = 0.0, 0
    for item in page.get_objects(max_depth=3):
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            drawn += max(right - left, 0) * max(top - bottom, 0)
        elif item.type == raw.FPDF_PAGEOBJ_PATH:
            curves += 1
    return drawn >= (_BLANK_SHARE if blank else _SCAN_SHARE) * whole or curves > 100


def _picture(document: pdfium.PdfDocument, number: int) -> Any:
    page = document[number - 1]
    try:
        scale = _SCAN_PIXELS / max(page.get_width(), page.get_height(), 1)
        bitmap = page.render(scale=scale, rev_byteorder=True, force_bitmap_format=raw.FPDFBitmap_BGR)
        try:
            return bitmap.to_numpy().copy()
        finally:
            bitmap.close()
    finally:
        page.close()


def _bookmarks(document: pdfium.PdfDocument) -> dict[int, list[tuple[int, str]]]:
    """Levels and titles of the bookmarks by the number of their page."""
    found: dict[int, list[tuple[int, str]]] = {}
    try:
        for count, mark in enumerate(document.get_toc(max_depth=8)):
            if count >= _MOST_BOOKMARKS:
                break
            target = mark.get_dest()
            index = target.get_index() if target else None
            title = one_line(_CONTROLS.sub("", mark.get_title() or ""))[:HEADING_CHARS]
            if index is not None and title:
                found.setdefault(index + 1, []).append((mark.level, title))
    except (pdfium.PdfiumError, UnicodeError, ValueError):
        return found
    return found


def _blocks(pages: list[_Page], bookmarks: dict[int, list[tuple[int, str]]]) -> tuple[Block, ...]:
    """The parts of the pages, each under the bookmarks in force at its start, or the headings that are shown."""
    repeated = pdf_text.Repeated([page.text for page in pages])
    words = words_of(page.text for page in pages)
    blocks: list[Block] = []
    above: list[tuple[int, str]] = []
    large = [[] for _ in pages] if bookmarks else headings([page.sized for page in pages])
    for page, shown in zip(pages, large, strict=True):
        marks = bookmarks.get(page.number, shown)
        for part in pdf_text.parts(page.text, page.tables, repeated, words):
            for text, mark in pdf_text.parted(part.text, marks) if part.kind == "prose" else ((part.text, None),):
                if mark:
                    above = [*(one for one in above if one[0] < mark[0]), mark]
                if text.strip():
                    heading = nest(title for _, title in above)
                    blocks.append(Block(text, part.kind, page=page.number, heading=heading))
        if page.beside:
            heading = nest(title for _, title in above)
            blocks.append(Block("\n".join(page.beside), page=page.number, heading=heading))
        for mark in bookmarks.get(page.number, ()):  # those whose words aren't on the page apply from its end on
            if mark not in above and mark[1] not in (title for _, title in above):
                above = [*(one for one in above if one[0] < mark[0]), mark]
    return tuple(blocks)


def _title(document: pdfium.PdfDocument) -> str:
    title = one_line(_CONTROLS.sub("", document.get_metadata_value("Title")))
    title = re.sub(r"^Microsoft (?:Word|PowerPoint|Excel) - ", "", title)[:HEADING_CHARS].rstrip()
    return "" if _NO_TITLE.fullmatch(title) or "�" in title else title
