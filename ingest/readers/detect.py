"""Selects the reader of a file by its bytes, and by its suffix if they are ambiguous.

Bytes decide among formats with a signature. Text formats have none, so the suffix decides; but text with the
suffix of a binary format is read as what it looks like, because programs that "export to Excel" write such files.
"""

from __future__ import annotations

import io
import re
import zipfile
from importlib import import_module
from types import ModuleType

_SUFFIXES_OF = {
    "markup.asciidoc": "adoc asciidoc asc",
    "plain.code": "bash bat c cc cfg cjs clj conf cpp cs css cxx dart env erl ex exs f90 fish go gradle groovy h "
    "hh hpp hs hxx ini java jl js jsx kt kts less lua m mjs ml mm nim pas php pl pm proto ps1 py pyi r rb "
    "rs sass scala scss sh sql svelte swift tcl tex toml ts tsx v vb vhd vue zig zsh",
    "plain.delimited": "csv tsv tab",
    "office.docx": "docx docm dotx dotm",
    "markup.epub": "epub",
    "markup.html": "html htm xhtml",
    "plain.json_data": "json jsonl ndjson geojson",
    "office.legacy": "doc dot ppt pps pot wps",
    "mail.message": "eml",
    "mail.mbox": "mbox",
    "markup.markdown": "md markdown mdown mkd mdx qmd rmd",
    "mail.mhtml": "mhtml mht",
    "mail.msg": "msg",
    "markup.notebook": "ipynb",
    "office.odf": "odt ott odp otp fodt fodp",
    "office.ods": "ods ots fods",
    "markup.org": "org",
    "pdf.document": "pdf",
    "image.picture": "png jpg jpeg jp2 j2k jpx bmp tif tiff webp gif avif pbm pgm ppm pnm heic heif",
    "office.pptx": "pptx pptm ppsx ppsm potx potm",
    "markup.rst": "rst rest",
    "office.rtf": "rtf",
    "office.sheets": "xlsx xlsm xlsb xltx xltm xls xlt et",
    "plain.subtitles": "srt vtt",
    "plain.text": "txt text log",
    "plain.yaml_data": "yaml yml",
    "markup.xml": "xml rss atom opml xsd xsl xslt plist kml gpx dita",
}
FORMATS = {f".{suffix}": name for name, suffixes in _SUFFIXES_OF.items() for suffix in suffixes.split()}
"""The reader of a suffix: a module's name below `ingest.readers`."""

SUFFIXES = frozenset(FORMATS)

_TNEF = b"\x78\x9f\x3e\x22"
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
             b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")  # fmt: skip
_BINARY = frozenset(
    "office.docx markup.epub office.legacy mail.msg office.odf office.ods "
    "pdf.document image.picture office.pptx office.rtf office.sheets".split()
)
_HTML = re.compile(
    rb"\s*+(?:(?><!--.*?-->)\s*+|<\?xml[^>]*>\s*+)*+<(?:!doctype\s+html|html|head|body|meta|table|div|p)\b",
    re.I | re.S,
)
_MAIL = re.compile(
    rb"(?:[\w-]+:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*)*?(?:mime-version|received|message-id|from):", re.I
)
_MAILBOX = re.compile(rb"From [^\r\n]*\r?\n(?i:" + _MAIL.pattern + rb")")
_WEB_ARCHIVE = re.compile(rb"(?:mime-version|from|content-type:\s*multipart/related)\b", re.I)
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SAMPLE = 65536
_STREAMS = (
    ("EncryptedPackage", "office.encrypted_office"),
    ("__properties_version1.0", "mail.msg"),
    ("WordDocument", "office.legacy"),
    ("PowerPoint Document", "office.legacy"),
    ("Workbook", "office.sheets"),
    ("Book", "office.sheets"),
)


def reader_of(name: str) -> ModuleType:
    """The reader's module, by its name below `ingest.readers`, loaded."""
    return import_module(f"ingest.readers.{name}")


def detect(data: bytes, by_suffix: str) -> str:
    """Name of the reader: by the bytes, else by the suffix. If neither decides, text is distinguished from other
    data."""
    if data.startswith(_OLE):
        return _in_ole(data) or by_suffix
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _in_zip(data) or by_suffix
    if data.startswith(_PICTURES) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP"):
        return "image.picture"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"heic", b"heix", b"mif1", b"hevc"):
        return "image.picture"
    if data.startswith(b"BM") and by_suffix in _BINARY and int.from_bytes(data[2:6], "little") == len(data):
        return "image.picture"
    if b"%PDF-" in data[:1024] and (by_suffix in _BINARY or data.lstrip().startswith(b"%PDF-")):
        return "pdf.document"
    if data.lstrip().startswith(b"{\\rtf"):
        return "office.rtf"
    if data.startswith(_TNEF):
        return "mail.tnef"
    if by_suffix == "markup.html" and _is_web_archive(data[:_SAMPLE]):
        return "mail.mhtml"
    if by_suffix == "mail.mhtml" and _HTML.match(data[:_SAMPLE]):
        return "markup.html"
    return _as_text(data[:_SAMPLE], by_suffix) if by_suffix in _BINARY or not by_suffix else by_suffix


def _as_text(sample: bytes, by_suffix: str) -> str:
    """The reader for text with the suffix of a binary format, or an unknown one."""
    if b"\0" in sample and not sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return by_suffix
    plain = sample.replace(b"\0", b"").lstrip(b"\xff\xfe\xef\xbb\xbf")
    if (
        by_suffix in ("office.odf", "office.ods")
        and plain.lstrip().startswith(b"<")
        and b"office:document" in plain
    ):
        return "office.ods" if b"opendocument.spreadsheet" in plain else "office.odf"
    if _is_web_archive(plain):
        return "mail.mhtml"
    if _HTML.match(plain):
        return "markup.html"
    if by_suffix in ("", "mail.msg") and _MAILBOX.match(plain):
        return "mail.mbox"
    if not by_suffix and plain.strip() and not _NOT_IN_TEXT.search(plain):
        return "mail.message" if _MAIL.match(plain) else "plain.text"
    if by_suffix == "office.sheets" and sample.strip() and re.search(rb"[\t,;]", plain):
        return "plain.delimited"
    if by_suffix == "mail.msg" and _MAIL.match(plain):
        return "mail.message"
    if by_suffix == "office.legacy" and sample.strip():
        return "plain.text"
    return by_suffix


def _is_web_archive(sample: bytes) -> bool:
    return bool(_WEB_ARCHIVE.match(sample)) and b"ultipart/related" in sample


def _in_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            kind = archive.read("mimetype")[:100] if "mimetype" in names else b""
    except Exception:  # damaged: the suffix's reader reports it
        return ""
    if kind.startswith(b"application/epub"):
        return "markup.epub"
    if b"opendocument.spreadsheet" in kind:
        return "office.ods"
    if b"opendocument." in kind:
        return "office.odf"
    if "META-INF/container.xml" in names and any(name.endswith(".opf") for name in names):
        return "markup.epub"
    for folder, module in (("word/", "office.docx"), ("ppt/", "office.pptx"), ("xl/", "office.sheets")):
        if "[Content_Types].xml" in names and any(name.startswith(folder) for name in names):
            return module
    return ""


def _in_ole(data: bytes) -> str:
    """Decide by the streams at its root; if its directory is damaged, by their UTF-16 names anywhere."""
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            names = {path[0].lower() for path in file.listdir()}
    except Exception:  # olefile raises whatever a damaged part leads it to
        names = {stream.lower() for stream, _ in _STREAMS if stream.encode("utf-16-le") in data}
    return next((module for stream, module in _STREAMS if stream.lower() in names), "")
