"""Turns pdfium's text of a page into running text: whole words, no broken lines."""

from __future__ import annotations

import re
import unicodedata

# pdfium marks a hyphen at the end of a line with U+FFFE, formerly U+0002.
_HYPHEN = re.compile("[\ufffe\x02\xad](?:[ \t]*\n)?")
# Ligatures; radicals, which some fonts use instead of the characters that look like them.
_COMPATIBLE = re.compile("[\ufb00-\ufb06\u2e80-\u2fdf]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\uffff]")
_WIDE = r"[\u3001\u3003-\u3011\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff60]"
_BROKEN_LINE = re.compile(rf"(?<={_WIDE})[ \t]*\n[ \t]*(?={_WIDE})")
_ENDS = re.compile(r"[。！？；：…]\s*$")
_FULL = 0.75  # a line of at least this share of the page's usual width was broken because it was full


def clean_page(text: str) -> str:
    """Restore words: join those split by a hyphen or at the end of a Chinese line, and spell out ligatures."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _HYPHEN.sub("", text)
    text = _COMPATIBLE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return _joined(_CONTROLS.sub("", text)).strip()


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
