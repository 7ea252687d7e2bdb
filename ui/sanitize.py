"""Makes texts of documents and users safe for the page: without markup and changes of writing direction."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

# Invisible characters that affect their surroundings: controls, and marks of writing direction.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
# Full stops and hyphens only where they could begin a list, a rule, or a web address: Streamlit gives screen
# readers a label with all its escape characters.
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+!|~$:&=^@/]|^-|(?<=\d)[.](?= |$)|(?<=www)[.])", re.IGNORECASE)


def strip_invisible(text: str) -> str:
    """The text without invisible characters, for places that show plain text."""
    return _UNSEEN.sub("", text).encode("utf-8", "replace").decode()


def escaped(text: str) -> str:
    """The text for places that read Markdown: markup is escaped, line breaks become spaces."""
    return _MARKUP.sub(r"\\\1", " ".join(strip_invisible(text).split()))


def strip_all_invisible(value: Any) -> Any:
    """The same for all texts of a JSON value."""
    if isinstance(value, str):
        return strip_invisible(value)
    if isinstance(value, dict):
        return {key: strip_all_invisible(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [strip_all_invisible(one) for one in value]
    return value


def size(number: float) -> str:
    """Bytes for people: 3.4 MB."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def wide(text: str) -> int:
    """Width of a text in columns; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def short(text: str, columns: int) -> str:
    """The text, cut to this many columns."""
    if wide(text) <= columns:
        return text
    while text and wide(text) >= columns:
        text = text[:-1]
    return f"{text.rstrip()}…"
