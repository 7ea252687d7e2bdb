"""The content of a PDF page besides its text: filled form fields, comments, attached files.

It reads the values of fields rather than their appearance, so that each is given with its name. Signatures and
stamps have only an appearance: they are merged into the page, whose text then contains theirs.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pypdfium2 as pdfium
from pypdfium2 import raw

from ingest.readers.attachments import attached
from ingest.readers.blocks import Content, Context, one_line

_MOST_ANNOTATIONS = 5_000  # of a page
_MOST_FILES = 200
_LONGEST = 200_000  # longest value in bytes
_UNSEEN = raw.FPDF_ANNOT_FLAG_HIDDEN | raw.FPDF_ANNOT_FLAG_NOVIEW
_COMMENTS = frozenset((
    raw.FPDF_ANNOT_TEXT, raw.FPDF_ANNOT_LINE, raw.FPDF_ANNOT_SQUARE, raw.FPDF_ANNOT_CIRCLE, raw.FPDF_ANNOT_POLYGON,
    raw.FPDF_ANNOT_POLYLINE, raw.FPDF_ANNOT_HIGHLIGHT, raw.FPDF_ANNOT_UNDERLINE, raw.FPDF_ANNOT_SQUIGGLY,
    raw.FPDF_ANNOT_STRIKEOUT, raw.FPDF_ANNOT_CARET, raw.FPDF_ANNOT_INK,
))  # fmt: skip
_STAMPS = frozenset((raw.FPDF_ANNOT_STAMP, raw.FPDF_ANNOT_WATERMARK))
# Field names that programs generate.
_NO_LABEL = re.compile(
    r"[a-z]{0,2}(?:text|field|box|fill|check|radio|button|group|combo|list|choice|undefined|untitled|[\d\W_])*",
    re.IGNORECASE,
)
_MARKS = " :：."
_CHECKED = re.compile(r"on|yes|true|[\d\W_]*|[a-z]", re.IGNORECASE)


class Beside(NamedTuple):
    """The text of a field or comment, and the words of the comment alone; none for a field."""

    line: str
    comment: str = ""


def annotations_of(document: pdfium.PdfDocument, page: pdfium.PdfPage) -> list[Beside]:
    """The texts of the page's fields and comments, in order, each once."""
    found: dict[Beside, None] = {}
    for index, kind in _annotations(page):
        with _opened(page, index) as item:
            if raw.FPDFAnnot_GetFlags(item) & _UNSEEN:
                continue
            if kind == raw.FPDF_ANNOT_WIDGET:
                one = Beside(_filled(document.formenv, item))
            elif kind in _COMMENTS:
                one = _comment(item)
            elif kind == raw.FPDF_ANNOT_FREETEXT:
                one = Beside(_string(raw.FPDFAnnot_GetStringValue, item, b"Contents").strip())
            else:
                continue
        if one.line:
            found[one] = None
    return list(found)


def with_stamps(document: pdfium.PdfDocument, page: pdfium.PdfPage, number: int) -> pdfium.PdfPage:
    """The page with the appearance of signatures and stamps merged into it. Its annotations are then gone."""
    looks, others = 0, []
    for index, kind in _annotations(page):
        with _opened(page, index) as item:
            if kind in _STAMPS or (kind == raw.FPDF_ANNOT_WIDGET and _is_signature(document.formenv, item)):
                looks += 1
            else:
                others.append(index)
    if not looks:
        return page
    for index in reversed(others):
        raw.FPDFPage_RemoveAnnot(page, index)
    raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
    page.close()
    return document[number - 1]


def attachments_of(document: pdfium.PdfDocument, context: Context) -> list[Content]:
    """The files embedded in a PDF, such as a portfolio, each read by its own reader."""
    found = []
    for index in range(min(document.count_attachments(), _MOST_FILES)):
        try:
            file = document.get_attachment(index)
            name, data = file.get_name(), bytes(file.get_data())
        except (pdfium.PdfiumError, UnicodeError):
            continue
        found.append(attached(one_line(name) or f"attachment {index + 1}", data, context))
    return found


def _annotations(page: pdfium.PdfPage) -> Iterator[tuple[int, int]]:
    """Index and kind of each."""
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), _MOST_ANNOTATIONS)):
        with _opened(page, index) as item:
            kind = raw.FPDFAnnot_GetSubtype(item) if item else raw.FPDF_ANNOT_UNKNOWN
        if kind != raw.FPDF_ANNOT_UNKNOWN:
            yield index, kind


@contextmanager
def _opened(page: pdfium.PdfPage, index: int) -> Iterator[Any]:
    item = raw.FPDFPage_GetAnnot(page, index)
    try:
        yield item
    finally:
        if item:
            raw.FPDFPage_CloseAnnot(item)


def _comment(item: Any) -> Beside:
    words = _string(raw.FPDFAnnot_GetStringValue, item, b"Contents").strip()
    author = one_line(_string(raw.FPDFAnnot_GetStringValue, item, b"T"))
    return Beside((f"Comment ({author}): " if author else "Comment: ") + words, words) if words else Beside("")


def _is_signature(form: Any, item: Any) -> bool:
    return bool(form) and raw.FPDFAnnot_GetFormFieldType(form, item) == raw.FPDF_FORMFIELD_SIGNATURE


def _filled(form: Any, item: Any) -> str:
    """`label: value` of a form field; empty if it isn't filled in."""
    kind = raw.FPDFAnnot_GetFormFieldType(form, item) if form else -1
    if kind in (raw.FPDF_FORMFIELD_CHECKBOX, raw.FPDF_FORMFIELD_RADIOBUTTON):
        if not raw.FPDFAnnot_IsChecked(form, item):
            return ""
        value = _string(raw.FPDFAnnot_GetFormFieldExportValue, form, item).strip()
        label = _label(form, item)
        if label and _CHECKED.fullmatch(value):
            return f"[x] {label}"
    elif kind in (raw.FPDF_FORMFIELD_COMBOBOX, raw.FPDF_FORMFIELD_LISTBOX, raw.FPDF_FORMFIELD_TEXTFIELD):
        value = _chosen(form, item) or _string(raw.FPDFAnnot_GetFormFieldValue, form, item).strip()
        label = _label(form, item)
    elif kind < 0:  # from a page extracted from its form
        value = _string(raw.FPDFAnnot_GetStringValue, item, b"V").strip()
        label = one_line(_string(raw.FPDFAnnot_GetStringValue, item, b"TU")).rstrip(_MARKS) if value else ""
    else:
        return ""
    return f"{label}: {value}" if label and value else value


def _chosen(form: Any, item: Any) -> str:
    return ", ".join(
        _string(raw.FPDFAnnot_GetOptionLabel, form, item, index).strip()
        for index in range(min(raw.FPDFAnnot_GetOptionCount(form, item), _MOST_ANNOTATIONS))
        if raw.FPDFAnnot_IsOptionSelected(form, item, index)
    )


def _label(form: Any, item: Any) -> str:
    """The form's description of a field, or its name if that consists of words."""
    if told := one_line(_string(raw.FPDFAnnot_GetFormFieldAlternateName, form, item)):
        return told.rstrip(_MARKS)
    name = re.sub(r"\[\d+\]", "", _string(raw.FPDFAnnot_GetFormFieldName, form, item)).rpartition(".")[2]
    return "" if _NO_LABEL.fullmatch(name) else one_line(name.replace("_", " ")).rstrip(_MARKS)


def _string(call: Callable[..., int], *about: Any) -> str:
    """The result of a pdfium function that fills a buffer with UTF-16."""
    size = call(*about, None, 0)
    if not 2 < size <= _LONGEST:
        return ""
    buffer = ctypes.create_string_buffer(size)
    call(*about, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
    text = buffer.raw[: size - 2].decode("utf-16-le", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text)
