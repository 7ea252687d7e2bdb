"""Mail saved by Outlook (MSG): headers, text and attachments, as for other mail.

The properties' numbers are those of [MS-OXPROPS], their places in the file those of [MS-OXMSG].
"""

from __future__ import annotations

import datetime
import io
import struct
from email.utils import format_datetime
from typing import Any

import olefile

from ingest.readers.blocks import Content, Context
from ingest.readers.code_pages import codec_of_code_page
from ingest.readers.encoding import decode, decode_as
from ingest.readers.mail.compressed_rtf import unpacked
from ingest.readers.mail.letter import Letter
from ingest.readers.markup import html as page
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_SUBJECT, _BODY, _HTML, _FROM, _FROM_ADDRESS, _TO, _CC = "0037", "1000", "1013", "0C1A", "5D01", "0E04", "0E03"
_RTF, _DATA, _LONG_NAME, _NAME = "1009", "3701", "3707", "3704"
_CODE_PAGE, _SENT, _HTML_PAGE = 0x3FFD, 0x0039, 0x3FDE
_FILETIME_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_MOST_ATTACHMENTS = 1_000
_DEEPEST = 4


def read(data: bytes, context: Context) -> Content:
    """The mail with its attachments.

    Raises:
        ReadError: it is damaged.
    """
    try:
        file = olefile.OleFileIO(io.BytesIO(data))
        letter = _Storage(file, []).letter(0)
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # olefile raises any error on a damaged part
        raise ReadError(_("The Outlook mail is damaged."), _("Save it anew from Outlook, or as .eml.")) from error
    return letter.content(context)


class _Storage:
    """A mail in the file: the file's own, or an attached one."""

    def __init__(self, file: Any, path: list[str]) -> None:
        self._file, self._path = file, path
        self._streams = {"/".join(one).upper(): one for one in file.listdir()}
        self._fixed = self._properties(path, 24 if path else 32)
        self._codec = codec_of_code_page(self._fixed.get(_CODE_PAGE, 0))

    def letter(self, depth: int) -> Letter:
        address = self._text(self._path, _FROM_ADDRESS)
        sender = self._text(self._path, _FROM)
        shown = f"{sender} <{address}>" if sender and address and address != sender else sender or address
        headers = {"From": shown, "To": self._text(self._path, _TO), "Cc": self._text(self._path, _CC)}
        headers |= {"Date": self._sent(), "Subject": self._text(self._path, _SUBJECT)}
        letter = Letter(headers)
        if body := self._text(self._path, _BODY).strip():
            letter.plain.append(body)
        if html := self._bytes(self._path, _HTML) or self._text(self._path, _HTML).encode():
            codec = codec_of_code_page(self._fixed.get(_HTML_PAGE, 0))
            letter.pages.append(page.of_text(decode_as(html, codec)))
        if not (letter.plain or letter.pages) and (rtf := self._bytes(self._path, _RTF)):
            letter.attachments.append(("body.rtf", unpacked(rtf), False))
        folders = sorted({tuple(one[: len(self._path) + 1]) for one in self._streams.values()
                          if len(one) > len(self._path) + 1 and one[: len(self._path)] == self._path
                          and one[len(self._path)].lower().startswith("__attach")})  # fmt: skip
        for folder in folders[:_MOST_ATTACHMENTS]:
            self._attachment(letter, list(folder), depth)
        return letter

    def _attachment(self, letter: Letter, folder: list[str], depth: int) -> None:
        name = self._text(folder, _LONG_NAME) or self._text(folder, _NAME) or "attachment"
        if data := self._bytes(folder, _DATA):
            letter.attachments.append((name, data, False))
        inner = [*folder, "__substg1.0_3701000D"]
        if depth < _DEEPEST and any(key.startswith("/".join(inner).upper() + "/") for key in self._streams):
            mail = _Storage(self._file, inner).letter(depth + 1)
            said = [f"{key}: {value}" for key, value in mail.headers.items() if value]
            text = "\n\n".join(["\n".join(said), *mail.plain, *(b.text for one in mail.pages for b in one.blocks)])
            letter.attachments.append((f"{mail.headers['Subject'] or name}.txt", text.encode(), False))
            letter.attachments += mail.attachments

    def _sent(self) -> str:
        ticks = self._fixed.get(_SENT, 0)
        try:
            return format_datetime(_FILETIME_EPOCH + datetime.timedelta(microseconds=ticks // 10)) if ticks else ""
        except OverflowError:
            return ""

    def _properties(self, path: list[str], header: int) -> dict[int, int]:
        """Values of fixed length, by the property's number."""
        data = self._stream([*path, "__properties_version1.0"])
        found = {}
        for place in range(header, len(data) - 15, 16):
            kind, number, _, value = struct.unpack_from("<HHIQ", data, place)
            if kind in (0x0003, 0x0040):
                found[number] = value if kind == 0x0040 else value & 0xFFFFFFFF
        return found

    def _text(self, path: list[str], number: str) -> str:
        if data := self._stream([*path, f"__substg1.0_{number}001F"]):
            return data.decode("utf-16-le", "replace").rstrip("\0")
        data = self._stream([*path, f"__substg1.0_{number}001E"]).rstrip(b"\0")
        if not data:
            return ""
        try:
            return data.decode(self._codec) if self._codec else decode(data)
        except (LookupError, UnicodeDecodeError):
            return decode(data)

    def _bytes(self, path: list[str], number: str) -> bytes:
        return self._stream([*path, f"__substg1.0_{number}0102"])

    def _stream(self, path: list[str]) -> bytes:
        known = self._streams.get("/".join(path).upper())
        return bytes(self._file.openstream(known).read()) if known else b""
