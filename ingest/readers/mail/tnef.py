"""Outlook's winmail.dat (TNEF): the text and the attachments of a mail in one part.

The parts' numbers are those of [MS-OXTNEF], the properties' those of [MS-OXPROPS].
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ingest.readers.blocks import Content, Context
from ingest.readers.code_pages import codec_of_code_page
from ingest.readers.encoding import decode, decode_as
from ingest.readers.mail.compressed_rtf import unpacked
from ingest.readers.mail.letter import Letter
from ingest.readers.markup import html as page
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_SUBJECT, _BODY, _TITLE, _DATA, _NEXT, _PROPERTIES, _OF_ATTACHMENT, _CODE_PAGE = (
    0x8004, 0x800C, 0x8010, 0x800F, 0x9002, 0x9003, 0x9005, 0x9007)  # fmt: skip
_OWN_SUBJECT, _OWN_BODY, _HTML, _RTF, _OBJECT, _LONG_NAME = 0x0037, 0x1000, 0x1013, 0x1009, 0x3701, 0x3707
_STRING, _UNICODE, _INTERFACE, _BINARY, _MANY, _NAMED = 0x1E, 0x1F, 0x0D, 0x102, 0x1000, 0x8000
_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_BEHIND_INTERFACE = (b"\x78\x9f\x3e\x22", b"\xd0\xcf\x11\xe0")  # a mail, a document
_MOST_ATTACHMENTS = 1_000


def read(data: bytes, context: Context) -> Content:
    """The mail with its attachments.

    Raises:
        ReadError: it is damaged.
    """
    return parse_tnef(data).content(context)


def parse_tnef(data: bytes) -> Letter:
    """The mail, without its transport headers.

    Raises:
        ReadError: it is damaged.
    """
    letter, charset = Letter({}), ""
    own: dict[int, bytes] = {}
    files: list[dict[int, bytes]] = []
    try:
        for part, value in _parts(data):
            if part == _CODE_PAGE:
                charset = codec_of_code_page(struct.unpack_from("<I", value)[0])
            elif part == _NEXT:
                files.append({})
            elif part == _PROPERTIES:
                own |= _properties(value)
            elif part in (_SUBJECT, _BODY):
                own[_OWN_SUBJECT if part == _SUBJECT else _OWN_BODY] = value
            elif files and part == _OF_ATTACHMENT:
                files[-1] |= _properties(value)
            elif files and part in (_TITLE, _DATA):
                files[-1].setdefault(_LONG_NAME if part == _TITLE else _OBJECT, value)
    except (struct.error, IndexError) as error:
        damage = ReadError(_("The Outlook mail (winmail.dat) is damaged."), _("Ask for it as plain mail."))
        if not own and not files:
            raise damage from error
        letter.unread.append(damage)
    letter.headers["Subject"] = _text(own.get(_OWN_SUBJECT, b""), charset)
    if body := _text(own.get(_OWN_BODY, b""), charset).strip():
        letter.plain.append(body)
    if _HTML in own:
        letter.pages.append(page.of_text(decode_as(own[_HTML], charset)))
    if _RTF in own and not (letter.plain or letter.pages):
        letter.attachments.append(("body.rtf", unpacked(own[_RTF]), False))
    for file in files[:_MOST_ATTACHMENTS]:
        content = file.get(_OBJECT, b"")
        inner = content[16:] if content[16:20] in _BEHIND_INTERFACE else content
        name = _text(file.get(_LONG_NAME, b""), charset) or "attachment"
        if inner:
            letter.attachments.append((name.replace("/", "_").replace("\\", "_"), inner, False))
    return letter


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and value of each part."""
    place = 6
    while place < len(data):
        part, _, size = struct.unpack_from("<HHI", data, place + 1)
        if place + 9 + size > len(data):
            raise struct.error
        yield part, data[place + 9 : place + 9 + size]
        place += 9 + size + 2


def _properties(data: bytes) -> dict[int, bytes]:
    """First value of each property, by its number."""
    found: dict[int, bytes] = {}
    count, place = struct.unpack_from("<I", data)[0], 4
    for _number in range(count):
        kind, number = struct.unpack_from("<HH", data, place)
        place += 4
        if number >= _NAMED:
            place += _name_size(data, place)
        single = kind & ~_MANY
        varies = single in (_STRING, _UNICODE, _INTERFACE, _BINARY)
        values = 1
        if varies or kind & _MANY:
            values, place = struct.unpack_from("<I", data, place)[0], place + 4
        for _unused in range(values):
            size = _SIZES.get(single, 4)
            if varies:
                size, place = struct.unpack_from("<I", data, place)[0], place + 4
            value = data[place : place + size]
            if single == _UNICODE:
                value = value.decode("utf-16-le", "replace").encode("utf-8-sig")
            found.setdefault(number, value)
            place += size + -size % 4
            if place > len(data):
                raise struct.error
    return found


def _name_size(data: bytes, place: int) -> int:
    """Length in bytes of the name of a named property: a GUID, and a number or text."""
    if struct.unpack_from("<I", data, place + 16)[0] == 0:
        return 24
    size = int(struct.unpack_from("<I", data, place + 20)[0])
    return 24 + size + -size % 4


def _text(value: bytes, charset: str) -> str:
    value = value.rstrip(b"\0")
    try:
        return decode(value) if value.startswith(b"\xef\xbb\xbf") else decode_as(value, charset)
    except ReadError:
        return value.decode("latin-1").replace("\0", "")
