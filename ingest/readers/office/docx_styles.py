"""Classifies paragraphs of a Word document by style: headings, list items, parts of a table of contents."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ingest.readers.office.ooxml import number

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING_STYLE = re.compile(r"(?:heading|标题|標題|titre|überschrift)\s*([1-9])", re.IGNORECASE)
_TITLE_STYLE = re.compile(r"title|标题|標題", re.IGNORECASE)
_LIST_STYLE = re.compile(r"list\b.*|列表.*|列出段落.*", re.IGNORECASE)
# A table of contents repeats the headings and would be found instead of them.
_CONTENTS_STYLE = re.compile(r"toc ?\d|目录 ?\d", re.IGNORECASE)
BODY_LEVEL = 9
_MOST_STYLES = 20  # longest chain of base styles


class Styles:
    """The kind of a paragraph, by its style, its base styles, and its own properties.

    Args:
        roots: Parts with styles.
        depth_of: The level of a list, by its name, that belongs to a paragraph style; None if none does.
    """

    def __init__(self, roots: list[Any], depth_of: Callable[[str, str], int | None]) -> None:
        self._depth_of = depth_of
        self._elements = {
            style.get(f"{_W}styleId"): style for root in roots for style in root.iterchildren(f"{_W}style")
        }
        self._kinds: dict[str, int | str] = {}

    def kind(self, paragraph: Any) -> int | str:
        """Level of a heading (0 for the title), "item", "contents" or "" for plain text."""
        properties = paragraph.find(f"{_W}pPr")
        if properties is None:
            return ""
        style = value(properties, "pStyle")
        kind = self._style_kind(style) if style else ""
        own = _properties_kind(properties)
        if own == "" and kind == "item" and _list_of(properties) == "0":  # taken out of its style's list
            return ""
        return own if own != "" and not (kind != "" and own == "item") else kind

    def place(self, paragraph: Any) -> tuple[str, int]:
        """List and level in which a paragraph is numbered, by its own properties or its style's. A style is
        numbered at the level that belongs to it."""
        name, depth = "", None
        properties = paragraph.find(f"{_W}pPr")
        style = None if properties is None else value(properties, "pStyle")
        above = ""  # the style that the properties belong to
        for _ in range(_MOST_STYLES):
            numbering = None if properties is None else properties.find(f"{_W}numPr")
            if numbering is not None:
                if not name and (name := value(numbering, "numId") or "") and above and depth is None:
                    depth = self._depth_of(name, above)
                if depth is None and (said := value(numbering, "ilvl")):
                    depth = number(said)
            if style not in self._elements:
                break
            above = style or ""
            properties, style = self._elements[style].find(f"{_W}pPr"), value(self._elements[style], "basedOn")
        return name, depth or 0

    def _style_kind(self, style: str) -> int | str:
        if style not in self._kinds:
            kind: int | str = ""
            seen: set[str] = set()
            name: str | None = style
            while kind == "" and name and name not in seen and name in self._elements:
                seen.add(name)
                element = self._elements[name]
                kind = kind_of_name(value(element, "name") or "")
                properties = element.find(f"{_W}pPr")
                if kind == "" and properties is not None:
                    kind = _properties_kind(properties)
                name = value(element, "basedOn")
            self._kinds[style] = kind
        return self._kinds[style]


def kind_of_name(name: str) -> int | str:
    """The kind of a paragraph by its style's name: see Styles.kind."""
    if match := _HEADING_STYLE.fullmatch(name):
        return int(match[1])
    if _TITLE_STYLE.fullmatch(name):
        return 0
    if _CONTENTS_STYLE.fullmatch(name):
        return "contents"
    return "item" if _LIST_STYLE.fullmatch(name) else ""


def _properties_kind(properties: Any) -> int | str:
    level = value(properties, "outlineLvl")
    if (outline := number(level, BODY_LEVEL)) < BODY_LEVEL:
        return outline + 1
    return "item" if _list_of(properties) not in (None, "0") else ""


def _list_of(properties: Any) -> str | None:
    """The list that properties name; "0" for none at all, None if they don't say."""
    numbering = properties.find(f"{_W}numPr")
    return None if numbering is None else value(numbering, "numId")


def value(element: Any, child: str) -> str | None:
    """The value of an element's child of that name; None if there is none."""
    found = element.find(f"{_W}{child}")
    said: str | None = None if found is None else found.get(f"{_W}val")
    return said
