"""What of a page its visitors read, beside its text: what is left out, what is hidden, what pictures say."""

from __future__ import annotations

import re
from typing import Any

from ingest.readers.blocks import one_line

# Navigation repeats on every page and says little, so it is left out with what isn't text.
_SKIPPED = frozenset(
    "audio button canvas head iframe input nav noscript object rp script select style svg template video".split()
)
HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?:\.0*)?(?:[a-z%]*)\s*(?:;|!|$)",
    re.IGNORECASE,
)
_PICTURE_NAME = re.compile(r".+\.(?:png|jpe?g|gif|svg|webp|bmp|tiff?)", re.IGNORECASE)
_KANA = re.compile("[\u3040-\u30ff]+")
_CHINESE = re.compile("[一-鿿]")


def said_by(node: Any) -> str:
    """Words of an element that aren't its text: what a picture shows, and a formula as it was written."""
    if node.tag == "img":
        said = one_line(node.get("alt") or "")
        return "" if _PICTURE_NAME.fullmatch(said) or not is_title(said, 2) else said
    if node.tag == "math":
        written = node.findtext(".//annotation[@encoding='application/x-tex']") or node.get("alttext")
        return one_line(written or " ".join(node.itertext()))
    return ""


def is_title(words: str, least: int) -> bool:
    """Whether they are as many as a title has: so many words, or twice so many Chinese signs."""
    return len(words.split()) >= least or len(_CHINESE.findall(words)) >= 2 * least


def is_left_out(node: Any) -> bool:
    """Readings in kana are part of a Japanese text, which may be looked for by them; pinyin over Chinese isn't. A
    button that opens a section bears its heading."""
    if node.tag == "rt":
        return not _KANA.fullmatch("".join(node.itertext()).strip())
    if node.tag == "button":
        return next(node.iterancestors("dt", *HEADINGS), None) is None
    return node.tag in _SKIPPED


def is_hidden(node: Any) -> bool:
    """Formulas are hidden where a picture shows them, and say what it does."""
    hidden = (
        node.get("hidden") is not None
        or node.get("aria-hidden", "").lower() == "true"
        or bool(_HIDDEN.search(node.get("style", "")))
    )
    return hidden and not _is_formula(node)


def _is_formula(node: Any) -> bool:
    """Whether all that it says is within formulas."""
    within = sum(len("".join("".join(one.itertext()).split())) for one in node.iter("math"))
    return 0 < within == len("".join("".join(node.itertext()).split()))
