"""The content of a signed message (CMS, RFC 5652) of S/MIME; signatures are not checked."""

from __future__ import annotations

_SIGNED = bytes.fromhex("2a864886f70d010702")
_SEQUENCE, _OID, _OCTETS, _FIRST = 0x30, 0x06, 0x04, 0xA0
_DEEPEST = 20
Element = tuple[int, "bytes | list[Element]"]
"""A tag (X.690) with its value, or with the elements in it."""


def signed_content(data: bytes) -> bytes:
    """The content; empty if it is something else, such as encrypted, or damaged."""
    try:
        (_, message), _ = _element(data, 0, 0)
    except (IndexError, ValueError):
        return b""
    if not isinstance(message, list) or len(message) < 2 or message[0] != (_OID, _SIGNED):
        return b""
    signed = _within(_within(message, _FIRST), _SEQUENCE)
    wrapped = _within(_within(signed, _SEQUENCE), _FIRST)
    return b"".join(_octets(element) for element in wrapped)


def _within(elements: list[Element], tag: int) -> list[Element]:
    """The content of the first element with this tag."""
    return next((value for one, value in elements if one == tag and isinstance(value, list)), [])


def _octets(element: Element) -> bytes:
    tag, value = element
    if isinstance(value, list):
        return b"".join(map(_octets, value))
    return value if tag == _OCTETS else b""


def _element(data: bytes, place: int, depth: int) -> tuple[Element, int]:
    """An element in BER, with definite or indefinite length, and the start of the next one.

    Raises:
        IndexError, ValueError: it is damaged.
    """
    tag, size = data[place], data[place + 1]
    place += 2
    if tag & 0x1F == 0x1F or depth > _DEEPEST:
        raise ValueError
    is_open = size == 0x80
    if size > 0x80:
        place, size = place + size - 0x80, int.from_bytes(data[place : place + size - 0x80])
    end = len(data) if is_open else place + size
    if end > len(data):
        raise ValueError
    if not tag & 0x20:
        return (tag, data[place:end]), end
    inner: list[Element] = []
    while place < end:
        if is_open and data[place : place + 2] == b"\0\0":
            return (tag, inner), place + 2
        element, place = _element(data, place, depth + 1)
        inner.append(element)
    if is_open:
        raise ValueError
    return (tag, inner), place
