"""Python's codecs for encodings as files name them: Windows code pages, charsets of fonts, charset names.

If programs treat an encoding as a larger one that contains it, the larger one is returned.
"""

from __future__ import annotations

import codecs
import re

_CODECS = {
    932: "cp932", 936: "gb18030", 949: "cp949", 950: "big5hkscs", 1361: "johab",
    10000: "mac-roman", 10001: "cp932", 10002: "big5hkscs", 10003: "cp949", 10006: "mac-greek",
    10007: "mac-cyrillic", 10008: "gb18030", 10029: "mac-latin2", 10081: "mac-turkish",
    20127: "cp1252", 20866: "koi8-r", 20932: "euc_jp", 20936: "gb18030", 21866: "koi8-u", 28591: "cp1252",
    **{28590 + part: f"iso8859-{part}" for part in (*range(2, 12), 13, 14, 15, 16)},
    50220: "iso2022_jp", 50221: "iso2022_jp", 50222: "iso2022_jp", 50225: "iso2022_kr", 51932: "euc_jp",
    51936: "gb18030", 51949: "cp949", 52936: "hz", 54936: "gb18030", 65001: "utf-8",
}  # fmt: skip
CODE_PAGES_OF_FONTS = {
    0: 1252, 77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258,
    177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250,
}  # fmt: skip
"""Code pages by the charset number of a font (`fcharset` in RTF)."""

_NUMBERED = re.compile(r"(?:cp|ms|windows-|x-cp)(\d{3,5})")
# Python has codecs that aren't charsets; and text whose declaration is readable as ASCII isn't UTF-16.
_KNOWN = re.compile(
    r"(?:utf-?8|gb|big5|iso-(?:8859|2022)|windows-|cp\d|shift|sjis|euc|koi8|tis|hz|mac|(?:us-)?ascii|latin|ks_c|"
    r"johab|iso2022|iso8859)[\w.:+-]*"
)
_LARGER = {
    "gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "latin1": "cp1252", "ascii": "cp1252",
    "us-ascii": "cp1252", "big5": "big5hkscs", "shift_jis": "cp932", "ks_c_5601-1987": "cp949", "euc-kr": "cp949",
}  # fmt: skip


def codec_of_code_page(number: int) -> str:
    """The codec of a Windows code page; empty if Python has none. UTF-16 is detected by its marks and bytes."""
    if number in _CODECS:
        return _CODECS[number]
    try:
        return codecs.lookup(f"cp{number}").name
    except LookupError:
        return ""


def codec_of_charset(name: str) -> str:
    """The codec of a charset by its name, as declared in HTML, XML and mail; empty if unknown.

    A name of a known kind may still have no codec in Python.
    """
    name = name.strip().lower()
    if numbered := _NUMBERED.fullmatch(name):
        return codec_of_code_page(int(numbered[1]))
    return _LARGER.get(name, name) if _KNOWN.fullmatch(name) else ""
