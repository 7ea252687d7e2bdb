"""Makes workbooks of 1997 (XLS, BIFF8) for tests, record by record ([MS-XLS]), in an OLE file ([MS-CFB])."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

_NONE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def xls(
    rows: Sequence[Sequence[object]],
    formats: Mapping[int, str] | None = None,
    hidden_rows: Mapping[int, int] | None = None,
    hidden_columns: Sequence[int] = (),
    comments: Mapping[tuple[int, int], str] | None = None,
) -> bytes:
    """A workbook with one sheet, S.

    Args:
        formats: The number format of a column's numbers.
        hidden_rows: The outline level of each hidden row, by its number from 0.
    """
    codes = {column: 0xA4 + place for place, column in enumerate(formats or {})}
    looks = {column: 1 + place for place, column in enumerate(formats or {})}
    styles = b"".join(
        _record(0x41E, struct.pack("<H", code) + _text((formats or {})[c])) for c, code in codes.items()
    )
    styles += b"".join(_record(0xE0, struct.pack("<HHH14x", 0, code, 1)) for code in (0, *codes.values()))
    head = _record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0)) + _record(
        0x31, bytes(14) + _short("Arial")
    )
    name = b"\1\0" + b"S"
    start = len(head) + len(styles) + 4 + 6 + len(name) + 4
    head += styles + _record(0x85, struct.pack("<IH", start, 0) + name) + _record(0x0A, b"")
    sheet = _record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
    sheet += b"".join(_record(0x7D, struct.pack("<HHHHHH", c, c, 2340, 0, 1, 0)) for c in hidden_columns)
    for row, level in (hidden_rows or {}).items():
        sheet += _record(0x208, struct.pack("<HHHHIHH", row, 0, 9, 255, 0, 0x120 | level, 0x0F))
    for row, values in enumerate(rows):
        for column, value in enumerate(values):
            look = looks.get(column, 0)
            if isinstance(value, int | float):
                sheet += _record(0x203, struct.pack("<HHHd", row, column, look, value))
            else:
                sheet += _record(0x204, struct.pack("<HHH", row, column, 0) + _text(str(value)))
    for number, ((row, column), text) in enumerate((comments or {}).items(), 1):
        sheet += _record(0x5D, struct.pack("<HHHHH12x", 0x15, 18, 0x19, number, 0) + bytes(4))
        sheet += _record(0x1B6, struct.pack("<HH6xHHI", 0, 0, len(text), 0, 0))
        sheet += _record(0x3C, b"\1" + text.encode("utf-16-le"))
        sheet += _record(0x1C, struct.pack("<HHHH", row, column, 0, number) + _text("Wang"))
    return _ole("Workbook", head + sheet + _record(0x0A, b""))


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def _text(words: str) -> bytes:
    return struct.pack("<HB", len(words), 1) + words.encode("utf-16-le")


def _short(words: str) -> bytes:
    return struct.pack("<BB", len(words), 0) + words.encode("latin-1")


def _ole(name: str, stream: bytes) -> bytes:
    """An OLE file with one stream."""
    stream = stream.ljust(max(4096, -(-len(stream) // 512) * 512), b"\0")
    count = len(stream) // 512
    chain = [*range(3, 2 + count), _END]
    fat = struct.pack("<128I", _FAT, _END, *chain, *[_NONE] * (126 - count))
    head = struct.pack("<8s16xHHHHH6xIIIIIIIII", bytes.fromhex("d0cf11e0a1b11ae1"), 0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1,
                       0, 4096, _END, 0, _END, 0)  # fmt: skip
    entries = b""
    for title, kind, child, first, size in (("Root Entry", 5, 1, _END, 0), (name, 2, _NONE, 2, len(stream))):
        encoded = title.encode("utf-16-le") + b"\0\0"
        entries += struct.pack(
            "<64sHBBIII16xI16xIQ", encoded, len(encoded), kind, 1, _NONE, _NONE, child, 0, first, size
        )
    return head + struct.pack("<109I", 0, *[_NONE] * 108) + fat + entries.ljust(512, b"\0") + stream
