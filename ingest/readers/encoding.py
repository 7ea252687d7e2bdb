"""Decodes the bytes of a text file by byte order marks, declared charsets, and the bytes themselves."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from ingest.readers.code_pages import codec_of_charset
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

# UTF-32's mark begins with UTF-16's, so it is checked first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The most common characters of each script: text decoded with the wrong codec has hardly any.
_COMMON = {
    "gb18030": frozenset(
        "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
        "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
        "日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政"
        "美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员"
    ),
    "big5": frozenset(
        "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡"
        "用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實"
        "日軍者意無力它與長把機十民第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政"
        "美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員"
    ),
}
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_PAGE_BREAKS = re.compile(r"[\x0b\x0c]")
_CHINESE = re.compile(r"[一-鿿]")
_CHINESE_WORD = re.compile(r"[一-鿿]{2,}")
_LAST_USUAL_ROW, _LAST_USUAL_ROW_OF_BIG5 = 0xD7, 0xC6  # first levels of GB2312 and Big5
_SAMPLE = 65536  # a multiple of four
_KANA = re.compile("[\u3041-\u30f6]")
_SWITCHES = ((re.compile(rb"\x1b\$[@B]"), "iso2022_jp_2"), (re.compile(rb"\x1b\$\)C"), "iso2022_kr"))
_ORDINARY = frozenset("\t\n\r，。、：；！？（）“”「」").union(map(chr, range(32, 127)), *_COMMON.values())
_WESTERN = re.compile("[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff€‚„…ŠŒŽ‘’“”•–—™šœžŸ¡£§©«°»¿ª²³·º¤]")
_NOT_WESTERN = frozenset(("Czech", "Slovak", "Polish", "Hungarian", "Romanian", "Croatian", "Slovene"))
_DOS_OR_MAC = re.compile(r"cp[4-8]\d\d$|mac_")


def decode(data: bytes) -> str:
    """The text of a text file: line ends are \\n, control characters are removed, lines keep their numbers.

    Raises:
        ReadError: the bytes aren't text.
    """
    return normalize_text(_decode(data))


def decode_as(data: bytes, charset: str) -> str:
    """Like decode(), by the charset that the file declares; one that the bytes contradict is ignored."""
    codec = codec_of_charset(charset)
    if not codec or b"\0" in data:
        return decode(data)
    with suppress(LookupError, UnicodeError):
        return normalize_text(data.decode(codec))
    with suppress(LookupError):
        text = _utf8(data) or data.decode(codec, "replace")
        if text.count("�") * 10 <= len(text):  # a few bytes are broken
            return normalize_text(text)
    return decode(data)


def normalize_text(text: str) -> str:
    """Unify line ends; remove control characters except tab. A form feed separates words, so it becomes a
    space."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub("", _PAGE_BREAKS.sub(" ", text))


def _decode(data: bytes) -> str:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(codec, "replace" if codec == "utf-8" else "strict")
            except UnicodeDecodeError as error:
                raise ReadError(
                    _("The file begins like {encoding} text but isn't.", encoding=codec[:6].upper()),
                    _("Save it as UTF-8."),
                ) from error
    if b"\0" in data:
        return _with_nulls(data)
    return _escaped(data) or _utf8(data) or _japanese(data) or _chinese(data) or _guess(data)


def _with_nulls(data: bytes) -> str:
    """Text if the NUL bytes are strays in valid UTF-8, as crashed writers leave them in logs, or halves of
    UTF-16."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if text and len(_CONTROLS.findall(text)) * 10 <= len(text):
        return text
    if text := _without_mark(data):
        return text
    raise ReadError(_("This isn't a text file: it holds binary data."), _("If it is text, save it as UTF-8."))


def _without_mark(data: bytes) -> str:
    """Text if it is UTF-32 or UTF-16 without its mark: decoded the wrong way, few characters are common ones."""
    best, best_share = "", 0.4
    for codec in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        sample = data[:_SAMPLE].decode(codec, "ignore")
        share = sum(mark in _ORDINARY for mark in sample) / max(len(sample), 1)
        if share > best_share and not _CONTROLS.search(sample):
            best, best_share = codec, share
    try:
        return data.decode(best) if best else ""
    except UnicodeDecodeError:
        return ""


def _escaped(data: bytes) -> str:
    """Text if it is ISO-2022-JP or -KR, which switch character sets by escape sequences in seven bits."""
    for switch, codec in _SWITCHES:
        if switch.search(data):
            with suppress(UnicodeDecodeError):
                return data.decode(codec)
    return ""


def _japanese(data: bytes) -> str:
    """Text if it is EUC-JP with its many kana, which have the same codes in GB18030, but the rest doesn't."""
    try:
        text = data.decode("euc_jp")
    except UnicodeDecodeError:
        return ""
    wide = [mark for mark in text if mark > "\x7f"]
    return text if wide and len(_KANA.findall(text)) > 0.2 * len(wide) else ""


def _utf8(data: bytes) -> str:
    """Text if it is UTF-8, allowing a few broken bytes: logs get cut in the middle of a character."""
    text = data.decode("utf-8", "replace")
    broken = text.count("�")
    if broken:
        letters = len(text) - broken - sum(character < "\x80" for character in text)
        if broken * 20 > letters:
            return ""
    return text


def _chinese(data: bytes) -> str:
    """Text if it is GB18030 or Big5. Byte statistics confuse the two in short texts; common words don't."""
    best, best_share = "", 0.2
    for codec, common in _COMMON.items():
        text = data.decode(codec, "replace")
        characters = _CHINESE.findall(text)
        if not characters or text.count("�") * 20 > len(characters):
            continue
        share = sum(character in common for character in characters) / len(characters)
        if share > best_share:
            best, best_share = text, share
    return best or _usual(data)


def _usual(data: bytes) -> str:
    """Text if it is GB2312 or Big5 with their usual characters alone, 3,755 or 5,401: tables of names may lack the
    most common ones. Korean has the same codes as GB2312; words of the dictionary tell them apart."""
    simplified = _of_usual(data, "gb2312", _LAST_USUAL_ROW)
    if simplified and (_are_words(simplified) or not _is_korean(data)):
        return simplified
    return "" if simplified else _of_usual(data, "big5", _LAST_USUAL_ROW_OF_BIG5)


def _of_usual(data: bytes, codec: str, last_row: int) -> str:
    """Text in this encoding, if all that isn't ASCII is Chinese, most of it in words of several characters."""
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return ""
    characters = _CHINESE.findall(text)
    others = sum(mark > "\x7f" and mark not in _ORDINARY for mark in _CHINESE.sub("", text))
    if not characters or others or 2 * len("".join(_CHINESE_WORD.findall(text))) < len(characters):
        return ""
    return text if max(mark.encode(codec)[0] for mark in characters) <= last_row else ""


def _are_words(text: str) -> bool:
    """Whether most Chinese characters stand in words of a dictionary."""
    import rjieba

    words = [word for word in rjieba.cut(text[:_SAMPLE], False) if _CHINESE.match(word)]
    known = sum(len(word) for word in words if len(word) > 1)
    return 2 * known >= sum(map(len, words))


def _is_korean(data: bytes) -> bool:
    """Whether it can be Korean: syllables alone, but for ASCII."""
    try:
        text = data.decode("euc_kr")
    except UnicodeDecodeError:
        return False
    return all("가" <= mark <= "힣" or mark in _ORDINARY for mark in text)


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    matches = from_bytes(data)
    best = matches.best()
    # A guess that gives words of no language is rejected.
    if (best is None or not best.coherence or _DOS_OR_MAC.match(best.encoding)) and (western := _western(data)):
        return western
    if best is None:
        raise ReadError(_("The text's encoding isn't known."), _("Save the file as UTF-8."))
    # If its words are as good, the most common code page is more likely, provided it can encode the language.
    for match in matches if best.language not in _NOT_WESTERN else ():
        if match.encoding == "cp1252" and match.coherence >= best.coherence and match.chaos < best.chaos + 0.1:
            return str(match)
    return str(best)


def _western(data: bytes) -> str:
    """Text if Windows' code page gives only letters and usual marks: a few accents are too little for a guess."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return ""
    return text if all(_WESTERN.match(mark) for mark in text if mark > "\x7f") else ""
