"""Code pages and charset names: which codec reads what was written under them."""

from __future__ import annotations

import codecs
import struct

import pytest

from ingest.readers import read
from ingest.readers.code_pages import CODE_PAGES_OF_FONTS, codec_of_charset, codec_of_code_page


@pytest.mark.parametrize(
    ("number", "words", "encoding"),
    [
        (936, "季度会议", "gbk"),
        (54936, "㐀会议", "gb18030"),
        (950, "粧會議", "big5hkscs"),
        (932, "①会議", "cp932"),
        (51932, "会議", "euc_jp"),
        (949, "회의똠", "cp949"),
        (1361, "회의", "johab"),
        (1251, "Насос", "cp1251"),
        (20866, "Насос", "koi8-r"),
        (10000, "Résumé", "mac-roman"),
        (10007, "Насос", "mac-cyrillic"),
        (28592, "Čerpadlo", "iso8859-2"),
        (65001, "泵", "utf-8"),
    ],
)
def test_a_code_page_reads_what_it_wrote(number: int, words: str, encoding: str) -> None:
    assert words.encode(encoding).decode(codec_of_code_page(number)) == words


@pytest.mark.parametrize("number", [0, 1, 1200, 12000, 99999, 2**32 - 1])
def test_no_codec_for_what_is_no_code_page(number: int) -> None:
    assert codec_of_code_page(number) == ""


def test_all_code_pages_of_fonts_have_codecs() -> None:
    for number in CODE_PAGES_OF_FONTS.values():
        codecs.lookup(codec_of_code_page(number))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("GB2312", "gb18030"), (" windows-936 ", "gb18030"), ("cp950", "big5hkscs"), ("ISO-8859-1", "cp1252"),
     ("x-cp20936", "gb18030"), ("utf-16", ""), ("cp1200", ""), ("rot13", ""), ("unicode_escape", ""), ("", "")]
)  # fmt: skip
def test_charset_names(name: str, codec: str) -> None:
    assert codec_of_charset(name) == codec


def winmail(number: int, subject: bytes) -> bytes:
    parts = ((0x9007, struct.pack("<II", number, 0)), (0x8004, subject + b"\0"), (0x800C, b"The body.\0"))
    packed = [b"\1" + struct.pack("<HHI", part, 0, len(value)) + value + b"\0\0" for part, value in parts]
    return b"\x78\x9f\x3e\x22\1\0" + b"".join(packed)


@pytest.mark.parametrize(
    ("number", "encoding", "words"),
    [(54936, "gb18030", "㐀㐁𠀀"), (10007, "mac-cyrillic", "Насос № 7"), (1361, "johab", "펌프")],
)
def test_winmail_knows_the_code_pages_that_other_mail_knows(number: int, encoding: str, words: str) -> None:
    assert read("winmail.dat", winmail(number, words.encode(encoding))).title == words


@pytest.mark.parametrize(
    ("number", "encoding", "words"),
    [(950, "big5hkscs", "粧會議"), (20866, "koi8-r", "Насос"), (54936, "gb18030", "㐀")],
)
def test_rtf_knows_them_too(number: int, encoding: str, words: str) -> None:
    escaped = "".join(f"\\'{byte:02x}" for byte in words.encode(encoding))
    content = read("a.rtf", f"{{\\rtf1\\ansi\\ansicpg{number} {escaped}}}".encode())
    assert [block.text for block in content.blocks] == [words]
