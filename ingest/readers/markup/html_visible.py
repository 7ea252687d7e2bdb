"""The visible content of a page: which parts are left out or hidden, and the texts of pictures."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from ingest.readers.blocks import one_line

# Navigation repeats on every page and says little, so it is left out like non-text.
_SKIPPED = frozenset(
    "audio button canvas head iframe nav noscript object rp script select style svg template video".split()
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
    """What an element says beside its text: a picture's description, a formula's source, a box that is ticked."""
    if node.tag == "img":
        said = one_line(node.get("alt") or "")
        return "" if _PICTURE_NAME.fullmatch(said) or not is_title(said, 2) else said
    if node.tag == "math":
        written = node.findtext(".//annotation[@encoding='application/x-tex']") or node.get("alttext")
        return one_line(written or " ".join(node.itertext()))
    if node.tag == "input" and node.get("type", "").lower() in ("checkbox", "radio"):
        parent = node.getparent()  # elsewhere they open menus
        if parent is not None and parent.tag in ("li", "label", "td", "p", "form", "fieldset"):
            return "[ ]" if node.get("checked") is None else "[x]"
    return ""


def is_title(words: str, least: int) -> bool:
    """Whether they are as long as a title: this many words, or twice as many Chinese characters."""
    return len(words.split()) >= least or len(_CHINESE.findall(words)) >= 2 * least


def is_left_out(node: Any) -> bool:
    """Kana readings belong to a Japanese text, which may be searched by them; pinyin over Chinese doesn't. A
    button that opens a section contains its heading."""
    if node.tag == "rt":
        return not _KANA.fullmatch("".join(node.itertext()).strip())
    if node.tag == "button":
        return next(node.iterancestors("dt", *HEADINGS), None) is None
    return node.tag in _SKIPPED


def is_hidden(node: Any) -> bool:
    """Whether it is hidden. Formulas shown by a picture are hidden, but say what it shows, so they are read."""
    hidden = (
        node.get("hidden") is not None
        or node.get("aria-hidden", "").lower() == "true"
        or bool(_HIDDEN.search(node.get("style", "")))
    )
    return hidden and not _is_formula(node)


@lru_cache(maxsize=1024)
def tag_hides(tag: str) -> bool:
    """Whether an element with this start tag is hidden."""
    if "hidden" not in tag.lower() and "style" not in tag.lower():
        return False
    from lxml import etree

    root = etree.fromstring(tag, etree.HTMLParser())
    return root is not None and is_hidden([*root.iter()][-1])


def _is_formula(node: Any) -> bool:
    """Whether all its text is within formulas."""
    within = sum(len("".join("".join(one.itertext()).split())) for one in node.iter("math"))
    return 0 < within == len("".join("".join(node.itertext()).split()))
