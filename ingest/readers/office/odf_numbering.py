"""The numbers that OpenDocument programs compute for headings and items (ODF 1.3 Part 3, 5.3, 16.30, 16.34)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ingest.readers.office.numbering import Level, next_label
from ingest.readers.office.ooxml import number

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_FORMAT = "{urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0}num-list-format"
_ID = "{http://www.w3.org/XML/1998/namespace}id"
_PARAGRAPHS = (f"{_TEXT}p", f"{_TEXT}h")
_ITEM, _LIST = f"{_TEXT}list-item", f"{_TEXT}list"
_ENDS = frozenset(
    (f"{_TABLE}table-cell", f"{_DRAW}text-box", f"{_TEXT}note-body")
)  # lists don't reach out of them
_MOST_STYLES = 20  # longest chain of parent styles
# The styles of numbers by the first number that names them: see numerals.py.
_FORMATS = {
    "1": "decimal", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman",
    "一": "chineseCounting", "壹": "chineseLegalSimplified", "甲": "ideographTraditional",
    "子": "ideographZodiac", "①": "decimalEnclosedCircle", "１": "decimalFullWidth", "ア": "aiueo",
    "イ": "iroha", "가": "ganada", "ㄱ": "chosung", "일": "koreanCounting",
    "01": "decimalZero", "1st": "ordinal", "One": "cardinalText", "First": "ordinalText",
}  # fmt: skip

Levels = dict[int, Level]


class OdfNumbering:
    """Counts the headings and the items of all lists of a document, in order.

    Args:
        roots: The parts with styles.
    """

    def __init__(self, roots: list[Any]) -> None:
        self._styles = {
            style.get(f"{_STYLE}name"): _levels(style)
            for root in roots
            for style in root.iter(f"{_TEXT}list-style")
        }
        outlines = [style for root in roots for style in root.iter(f"{_TEXT}outline-style")]
        self._outline: Levels = _levels(outlines[-1]) if outlines else {}
        self._outline_counts: dict[int, int] = {}
        self._paragraph_styles = {
            style.get(f"{_STYLE}name"): style
            for root in roots
            for style in root.iter(f"{_STYLE}style")
            if style.get(f"{_STYLE}family") == "paragraph"
        }
        self._counts: dict[Any, dict[int, int]] = {}  # by outermost list, and by its id
        self._latest: dict[str, dict[int, int]] = {}  # by style

    def label(self, paragraph: Any) -> str:
        """The number before a heading or list item, such as "2.1."; empty for a bullet, and for other
        paragraphs."""
        item = paragraph.getparent()
        if item is None:
            return ""
        if item.tag == f"{_TEXT}numbered-paragraph":
            return self._of_numbered_paragraph(paragraph, item)
        if item.tag == _ITEM:
            return self._of_item(paragraph, item) if begins_item(paragraph) else ""
        if paragraph.tag == f"{_TEXT}h" and item.tag != f"{_TEXT}list-header":
            return self._of_heading(paragraph)
        return ""

    def _of_heading(self, heading: Any) -> str:
        if heading.get(f"{_TEXT}is-list-header") == "true" or self._list_style(heading) == "":
            return ""
        depth = number(heading.get(f"{_TEXT}outline-level"), 1) - 1
        restarts = heading.get(f"{_TEXT}restart-numbering") == "true"
        start = heading.get(f"{_TEXT}start-value") if restarts else None
        return next_label(self._outline, self._outline_counts, depth, _start(start))

    def _of_item(self, paragraph: Any, item: Any) -> str:
        lists = list(_lists_around(item))
        if not lists:  # damaged
            return ""
        named = (one.get(f"{_TEXT}style-name") for one in lists)
        own = next(filter(None, named), None) or self._list_style(paragraph) or ""
        levels = self._styles.get(item.get(f"{_TEXT}style-override") or own, {})
        counts = self._counts_of(lists[-1], lists[-1].get(f"{_TEXT}style-name") or own)
        return next_label(levels, counts, len(lists) - 1, _start(item.get(f"{_TEXT}start-value")))

    def _of_numbered_paragraph(self, paragraph: Any, place: Any) -> str:
        style = place.get(f"{_TEXT}style-name") or self._list_style(paragraph) or ""
        counts = self._counts.setdefault(("numbered", place.get(f"{_TEXT}list-id") or style), {})
        depth = number(place.get(f"{_TEXT}level"), 1) - 1
        return next_label(self._styles.get(style, {}), counts, depth, _start(place.get(f"{_TEXT}start-value")))

    def _counts_of(self, outermost: Any, style: str) -> dict[int, int]:
        """What a list counts; one that goes on counts together with the list that it continues."""
        if outermost not in self._counts:
            continued = outermost.get(f"{_TEXT}continue-list")
            if continued in self._counts:
                counts = self._counts[continued]
            elif outermost.get(f"{_TEXT}continue-numbering") == "true":
                counts = self._latest.get(style, {})
            else:
                counts = {}
            self._counts[outermost] = self._latest[style] = counts
            if name := outermost.get(_ID):
                self._counts[name] = counts
        return self._counts[outermost]

    def _list_style(self, paragraph: Any) -> str | None:
        """The list style of the paragraph's style: empty for none at all, None if it doesn't say."""
        name = paragraph.get(f"{_TEXT}style-name")
        for _ in range(_MOST_STYLES):
            style = self._paragraph_styles.get(name)
            if style is None:
                break
            said: str | None = style.get(f"{_STYLE}list-style-name")
            if said is not None:
                return said
            name = style.get(f"{_STYLE}parent-style-name")
        return None


def begins_item(paragraph: Any) -> bool:
    """Whether it is the first paragraph of a list item, which bears the item's number."""
    return all(before.tag not in _PARAGRAPHS for before in paragraph.itersiblings(preceding=True))


def _lists_around(item: Any) -> Iterator[Any]:
    """The lists that an item is in, from the innermost."""
    for one in item.iterancestors():
        if one.tag in _ENDS:
            return
        if one.tag == _LIST:
            yield one


def _levels(style: Any) -> Levels:
    elements = {number(level.get(f"{_TEXT}level"), 1) - 1: level for level in style if isinstance(level.tag, str)}
    formats = {
        depth: _FORMATS.get((level.get(f"{_STYLE}num-format") or "").partition(",")[0], "none")
        for depth, level in elements.items()
    }
    levels = {}
    for depth, level in elements.items():
        if level.tag not in (f"{_TEXT}list-level-style-number", f"{_TEXT}outline-level-style"):
            levels[depth] = Level(format="bullet")
            continue
        text = re.sub(r"%(\d)%", r"%\1", level.get(_FORMAT) or "")
        shown = min(number(level.get(f"{_TEXT}display-levels"), 1), depth + 1)
        numbers = (f"%{one + 1}" for one in range(depth + 1 - shown, depth + 1) if formats.get(one) != "none")
        around = (level.get(f"{_STYLE}num-{side}") or "" for side in ("prefix", "suffix"))
        text = text or ".".join(numbers).join(around)
        start = _start(level.get(f"{_TEXT}start-value"))
        levels[depth] = Level(1 if start is None else start, formats[depth], text)
    return levels


def _start(said: str | None) -> int | None:
    return number(said) if said else None
