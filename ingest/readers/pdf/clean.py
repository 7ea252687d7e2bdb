"""Turns pdfium's text of a page into running text: whole words, no broken lines."""

from __future__ import annotations

import re
import unicodedata

from ingest.readers.hyphens import NO_WORDS, Words, mend_breaks

# Ligatures; radicals, which some fonts use instead of the characters that look like them.
# Forms of marks for vertical writing.
_COMPATIBLE = re.compile("[\ufb00-\ufb06\u2e80-\u2fdf\ufe10-\ufe19\ufe30-\ufe48]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\uffff\u2060]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WIDE = r"[\u3001\u3003-\u3011\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff60]"
_BROKEN_LINE = re.compile(rf"(?<={_WIDE})[ \t]*\n[ \t]*(?={_WIDE})")
_ENDS = re.compile(r"[。！？；：…]\s*$")
_FULL = 0.75  # a line of at least this share of the page's usual width was broken because it was full


def clean_page(text: str, words: Words = NO_WORDS) -> str:
    """Restore words: join those split by a hyphen or at the end of a Chinese line, and spell out ligatures.

    Args:
        words: The document's other words, which tell whether a hyphen belongs to a word.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _SURROGATE.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = _COMPATIBLE.sub(_usual_form, text)
    text = mend_breaks(text, words)
    return _joined(_CONTROLS.sub("", text)).strip()


def _usual_form(match: re.Match[str]) -> str:
    usual = unicodedata.normalize("NFKC", match[0])
    # A mark of vertical writing is a wide one.
    return chr(ord(usual) + 0xFEE0) if "\ufe10" <= match[0] <= "\ufe48" and "!" <= usual <= "~" else usual


def _joined(text: str) -> str:
    """Join Chinese lines: without spaces, a line break inside a sentence would split words. Short lines end on
    purpose."""
    lengths = sorted(len(line) for line in text.split("\n") if line.strip())
    if not lengths:
        return text
    full = _FULL * lengths[int(0.9 * (len(lengths) - 1))]

    def join(match: re.Match[str]) -> str:
        before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        return match[0] if len(before) < full or _ENDS.search(before) else ""

    return _BROKEN_LINE.sub(join, text)
