"""RTF as compressed in Outlook's mails (MSG, TNEF): [MS-OXRTFCP]."""

from __future__ import annotations

import struct

from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


def unpacked(data: bytes) -> bytes:
    """Decompress RTF ([MS-OXRTFCP]).

    Raises:
        ReadError: it is damaged.
    """
    if len(data) < 16:
        raise ReadError(_("The mail's text is damaged."))
    size, mark = struct.unpack_from("<4xI4s", data)
    if mark == b"MELA":
        return data[16 : 16 + size]
    window = bytearray(_DICTIONARY.ljust(4096, b"\0"))
    write, place, out = len(_DICTIONARY), 16, bytearray()

    def put(byte: int) -> None:
        nonlocal write
        out.append(byte)
        window[write] = byte
        write = (write + 1) % 4096

    while place < len(data) and len(out) < size:
        flags = data[place]
        place += 1
        for bit in range(8):
            if not flags >> bit & 1:
                if place >= len(data):
                    return bytes(out)
                put(data[place])
                place += 1
                continue
            if place + 1 >= len(data):
                return bytes(out)
            reference = data[place] << 8 | data[place + 1]
            place += 2
            start, length = reference >> 4, (reference & 15) + 2
            if start == write:
                return bytes(out)
            for step in range(length):
                put(window[(start + step) % 4096])
    return bytes(out)
