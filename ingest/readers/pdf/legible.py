"""Text layers that mean nothing: fonts that don't say which letters they show give glyph numbers instead of text.

Characters that pdfium couldn't map to Unicode are judged font by font: they stay if they look like a language or
like numbers, are decoded if they are glyph numbers in the usual order of TrueType fonts, and are left out if not.
Text that was mapped is doubted only where its letters can't be those of any language.
"""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections import Counter
from functools import cache
from typing import Any, NamedTuple

from pypdfium2 import raw

LEFT_OUT = "\x01"
"""Replaces a character without meaning, so that a page's characters keep their places; clean_page() removes it."""

# Controls, private characters and replacement marks.
_UNREADABLE = re.compile(r"[\x01\x03-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd\uffff\U000f0000-\U0010ffff]")
# Pairs of letters that make up 83 to 91 % of all in English, German, French, Spanish, Italian, Portuguese and
# Dutch, 46 to 77 % in Polish, Welsh, Czech, Hungarian, Turkish, Finnish, Indonesian and pinyin, 20 % by chance.
_PAIRS = frozenset(
    "aa ab ac ad ag ai al am an ar as at au av ba be bi ca ce ch ci co da de di do du ea ec ed ee eg ei el em "
    "en er es et eu ev ez fa fi fo ga ge go ha he hi ho ht ia ic id ie ig ij ik il im in io ir is it je ke la "
    "le li ll lo ma me mi mo mp na nc nd ne ng ni nn no ns nt oc od oe of oi ol om on oo op or os ot ou pa pe "
    "po pr qu ra rd re ri ro rs rt sa sc se si so sp ss st su ta te th ti to tr tt tu ua ue ui ul um un ur us "
    "ut va ve vi vo wa we wi yo ze".split()
)
_PAIR = re.compile(r"(?=([A-Za-z]{2}))")
_WORD = re.compile(r"[^\W\d_]+")
_HAN = re.compile("[\u4e00-\u9fff]")
_KANA = re.compile("[\u3041-\u30fa]")
_FEW_PAIRS = 8  # too few to tell a language
_LANGUAGE = 0.45  # share of usual pairs in text that may be a language
_NO_LANGUAGE = 0.3
_ENOUGH_PAIRS = 120  # to doubt text that was mapped
_COINCIDENCE = 0.058  # of letters (Friedman 1922): languages have more, lists of codes less
_FEW_WORDS = 15
_LONG_WORDS = 3.5  # letters of the average word in running text, each word counted once; codes are shorter
_SHORT_WORDS = 0.08  # share of the five most frequent short words in running text
_ENOUGH_LETTERS = 40
_MOST_MARKED = 0.5  # share of letters with marks: 0.3 in Vietnamese
_USUAL_HAN = 0.5  # share of the usual characters of simplified and traditional Chinese: 0.35 by chance
_LONGEST_FONT_NAME = 200


def characters(layer: Any) -> str:
    """The text of a page with one code unit for each of pdfium's indexes; pdfium's own text lacks controls. Pairs
    of surrogates become characters in clean_page()."""
    text: str = layer.get_text_range()
    count = layer.count_chars()
    if len(text) == count:
        return text
    return "".join(
        "\ufffe" if raw.FPDFText_IsHyphen(layer, place) == 1 else chr(raw.FPDFText_GetUnicode(layer, place) or 1)
        for place in range(count)
    )


class Legible(NamedTuple):
    """The text of a page, LEFT_OUT for what means nothing, and the number of such characters."""

    text: str
    lost: int


def legible(layer: Any, text: str) -> Legible:
    """What the text of a page says in letters.

    Args:
        text: That of characters().
    """
    marks = list(text)
    for places in _unmapped(layer, len(text)).values():
        found = "".join(text[place] for place in places)
        if _means_something(found, _spaced(text, places)):
            continue
        decoded = _by_glyph_order(found)
        for place, mark in zip(places, decoded or LEFT_OUT * len(places), strict=True):
            marks[place] = mark
    text = "".join(marks).replace("\x02", LEFT_OUT)
    rest = text.replace(LEFT_OUT, "")
    if is_cipher(rest):
        return Legible("", len(rest))
    return Legible(text, len(_UNREADABLE.findall(text)))


def readable(text: str) -> str:
    """The text without meaningless characters."""
    return _UNREADABLE.sub("", text).strip()


def is_cipher(text: str) -> bool:
    """Whether the letters of running text can't be those of a language: a wrong map gives other letters for them.

    Lists of codes, numbers, names and program code have no short words that return, or other letters, and pass.
    """
    letters = _WORD.findall(text)
    joined = "".join(letters)
    if len(joined) < _ENOUGH_LETTERS:
        return False
    if _is_too_marked(joined) or _is_unusual_chinese(text):
        return True
    share, pairs = _usual_pairs(text)
    if pairs < _ENOUGH_PAIRS or share >= _NO_LANGUAGE or sum(map(str.islower, joined)) < 0.6 * len(joined):
        return False
    words = {word.lower() for word in letters}
    return (
        len(words) >= _FEW_WORDS
        and len("".join(words)) >= _LONG_WORDS * len(words)
        and _coincidence("".join(words)) >= _COINCIDENCE
        and _has_short_words(letters)
    )


def _unmapped(layer: Any, count: int) -> dict[bytes, list[int]]:
    """The places of characters that pdfium has no letter for, by the name of their font."""
    found: dict[bytes, list[int]] = {}
    buffer = ctypes.create_string_buffer(_LONGEST_FONT_NAME)
    flags = ctypes.c_int()
    for place in range(count):
        if raw.FPDFText_HasUnicodeMapError(layer, place) == 1:
            size = raw.FPDFText_GetFontInfo(layer, place, buffer, _LONGEST_FONT_NAME, ctypes.byref(flags))
            found.setdefault(buffer.raw[: max(min(size, _LONGEST_FONT_NAME) - 1, 0)], []).append(place)
    return found


def _spaced(text: str, places: list[int]) -> str:
    """The characters at these places, with a space where others stand between them."""
    return "".join(
        text[place] if place == before + 1 else f" {text[place]}"
        for before, place in zip([places[0] - 1, *places], places, strict=False)
    )


def _means_something(found: str, spaced: str) -> bool:
    """Whether characters without a map are letters or numbers all the same: codes may be those of Unicode."""
    shown = [mark for mark in found if not mark.isspace()]
    if any(_UNREADABLE.match(mark) for mark in shown):
        return False
    if sum(map(str.isdigit, shown)) >= 0.8 * len(shown):
        return True
    share, pairs = _usual_pairs(spaced)
    if pairs >= _FEW_PAIRS:
        return share >= _LANGUAGE
    han = _HAN.findall(found)
    if len(han) >= 0.5 * len(shown):
        return _usual_han(han) >= _USUAL_HAN
    scripts = Counter(_script(mark) for mark in shown if mark.isalpha())
    most, count = scripts.most_common(1)[0] if scripts else ("", 0)
    return most not in ("", "LATIN") and count >= 0.9 * len(shown)


def _by_glyph_order(found: str) -> str:
    """The text of glyph numbers in the order of Apple's standard glyph set, which most TrueType fonts begin with;
    empty if it isn't text (OpenType specification, table `post`, format 1)."""
    decoded = "".join(map(_glyph, found))
    share, pairs = _usual_pairs(decoded)
    return decoded if pairs >= _FEW_PAIRS and share >= _LANGUAGE else ""


def _glyph(mark: str) -> str:
    number = ord(mark)
    if number in (1, 2, 3):
        return " "
    if number <= 97:
        return chr(number + 29)
    return bytes([number + 30]).decode("mac_roman") if number <= 171 else LEFT_OUT


def _usual_pairs(text: str) -> tuple[float, int]:
    """The share of usual pairs among the pairs of letters, and their number."""
    pairs = _PAIR.findall(text)
    return sum(pair.lower() in _PAIRS for pair in pairs) / max(len(pairs), 1), len(pairs)


def _is_too_marked(letters: str) -> bool:
    """Whether most Latin letters are rare ones: numbers from 256 on, read as letters."""
    latin = sum(mark.isascii() or "\u00c0" <= mark < "\u0250" or "\u1e00" <= mark < "\u1f00" for mark in letters)
    marked = sum("\u0100" <= mark < "\u0250" for mark in letters)
    return latin >= _ENOUGH_LETTERS and marked > _MOST_MARKED * latin


def _is_unusual_chinese(text: str) -> bool:
    han = _HAN.findall(text)
    return len(han) >= _ENOUGH_LETTERS and not _KANA.search(text) and _usual_han(han) < _USUAL_HAN


def _usual_han(han: list[str]) -> float:
    return sum(mark in _usual_characters() for mark in han) / max(len(han), 1)


@cache
def _usual_characters() -> frozenset[str]:
    """The first levels of GB 2312 and of Big5: 3,755 and 5,401 characters."""
    rows = [(bytes((first, second)), "gb2312") for first in range(0xB0, 0xD8) for second in range(0xA1, 0xFF)]
    rows += [
        (bytes((first, second)), "big5")
        for first in range(0xA4, 0xC7)
        for second in (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    ]
    return frozenset(code.decode(codec, "ignore") for code, codec in rows)


def _script(mark: str) -> str:
    return unicodedata.name(mark, "").partition(" ")[0]


def _coincidence(letters: str) -> float:
    counts = Counter(letters)
    total = len(letters)
    return sum(count * (count - 1) for count in counts.values()) / max(total * (total - 1), 1)


def _has_short_words(words: list[str]) -> bool:
    """Whether a few short words return again and again, as articles and prepositions do."""
    counts = Counter(word.lower() for word in words if 1 < len(word) <= 4)
    return sum(count for _, count in counts.most_common(5) if count > 2) >= _SHORT_WORDS * len(words)
