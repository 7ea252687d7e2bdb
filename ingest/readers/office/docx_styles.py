"""Classifies paragraphs of a Word document by style: headings, list items, parts of a table of contents."""

from __future__ import annotations

import re
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
    """The kind of a paragraph, by its style, its base styles, and its own properties."""

    def __init__(self, roots: list[Any]) -> None:
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
        return own if own != "" and not (kind != "" and own == "item") else kind

    def place(self, paragraph: Any) -> tuple[str, int]:
        """List and level in which a paragraph is numbered, by its own properties or its style's."""
        name = depth = ""
        properties = paragraph.find(f"{_W}pPr")
        style = None if properties is None else value(properties, "pStyle")
        for _ in range(_MOST_STYLES):
            numbering = None if properties is None else properties.find(f"{_W}numPr")
            if numbering is not None:
                name = name or value(numbering, "numId") or ""
                depth = depth or value(numbering, "ilvl") or ""
            if style not in self._elements:
                break
            properties, style = self._elements[style].find(f"{_W}pPr"), value(self._elements[style], "basedOn")
        return name, number(depth)

    def _style_kind(self, style: str) -> int | str:
        if style not in self._kinds:
            kind: int | str = ""
            seen: set[str] = set()
            name: str | None = style
            while kind == "" and name and name not in seen and name in self._elements:
                seen.add(name)
                element = self._elements[name]
                kind = _name_kind(value(element, "name") or "")
                properties = element.find(f"{_W}pPr")
                if kind == "" and properties is not None:
                    kind = _properties_kind(properties)
                name = value(element, "basedOn")
            self._kinds[style] = kind
        return self._kinds[style]


def _name_kind(name: str) -> int | str:
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
    numbering = properties.find(f"{_W}numPr")
    return "item" if numbering is not None and value(numbering, "numId") not in (None, "0") else ""


def value(element: Any, child: str) -> str | None:
    """The value of an element's child of that name; None if there is none."""
    found = element.find(f"{_W}{child}")
    said: str | None = None if found is None else found.get(f"{_W}val")
    return said
