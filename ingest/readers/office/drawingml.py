"""Drawings in documents, slides and sheets: text of shapes, tables, charts and diagrams (ECMA-376 Part 1, 20 and
21)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ingest.readers.blocks import one_line
from ingest.readers.office.ooxml import Link, Package, number
from ingest.readers.tables import MOST_COLUMNS, Cell

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_CX = "{http://schemas.microsoft.com/office/drawing/2014/chartex}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"

_DEEPEST = 8  # deepest list level


def in_fallback(element: Any) -> bool:
    """Whether it is a fallback for old programs, repeated elsewhere for new ones."""
    return next(element.iterancestors(FALLBACK), None) is not None


def paragraphs(element: Any) -> str:
    """Paragraphs as lines; indented ones and list items get a bullet."""
    lines = []
    for paragraph in element.iter(f"{A}p"):
        words = "".join(_words(paragraph)).strip()
        level = paragraph.find(f"{A}pPr")
        indent = "  " * min(number(level.get("lvl")), _DEEPEST) if level is not None else ""
        if words:
            lines.append(f"{indent}- {words}" if indent else words)
    return "\n".join(lines)


def _words(paragraph: Any) -> Iterator[str]:
    for element in paragraph.iter(f"{A}t", f"{A}br", "{*}t"):
        if not in_fallback(element):
            yield "\n" if element.tag == f"{A}br" else element.text or ""


def grid(table: Any) -> list[list[Cell]]:
    """The cells of a table on the grid; a merged cell fills all its fields."""
    rows: list[list[Cell]] = []
    for row in table.iter(f"{A}tr"):
        line: list[Cell] = []
        for cell in row.iterchildren(f"{A}tc"):
            if cell.get("hMerge") in ("1", "true") and line:
                line.append(Cell(line[-1].text, False))
            elif cell.get("vMerge") in ("1", "true") and rows and len(line) < len(rows[-1]):
                line.append(Cell(rows[-1][len(line)].text, False))
            else:
                line.append(Cell(paragraphs(cell)))
            if len(line) >= MOST_COLUMNS:
                break
        rows.append(line)
    return rows


def charts_and_diagrams(element: Any, links: Mapping[str, Link], package: Package) -> Iterator[str]:
    """The text of each chart and diagram anywhere in an element.

    Args:
        links: Links of the part that contains the element.
    """
    for one in element.iter():
        for attribute in ("id", "dm"):  # a chart, the data of a diagram
            link = links.get(one.get(f"{_R}{attribute}") or "")
            if link is None or link.kind not in _DRAWN or in_fallback(one) or link.target not in package:
                continue
            root = package.optional_root(link.target)
            if root is not None and (words := _DRAWN[link.kind](root)):
                yield words
            for drawn in package.linked_roots("chartUserShapes", link.target):
                if words := paragraphs(drawn):
                    yield words


def chart(root: Any) -> str:
    """Its title and the names of its axes, and for each series its name with the values by category, as last
    shown; labels that say more than a value follow."""
    lines = [_title(title) for title in root.iter(f"{_C}title")]
    for series in root.iter(f"{_C}ser"):
        name = " ".join(value.text or "" for value in series.iterfind(f"{_C}tx//{_C}v"))
        categories, values = _points(series, "cat", "xVal"), _points(series, "val", "yVal")
        if not categories:
            categories = dict.fromkeys(values, "")
        pairs = [
            f"{category}: {values[index]}" if category else values[index]
            for index, category in categories.items()
            if index in values
        ]
        lines.append(" | ".join([name, *pairs] if name else pairs))
    lines += [_said(label) for label in root.iterfind(f".//{_C}dLbl/{_C}tx")]
    return "\n".join(line for line in lines if line.strip())


def _title(title: Any) -> str:
    """A title as it is written, or as the cell that it is linked to was last shown."""
    return _said(title) or " ".join(value.text or "" for value in title.iter(f"{_C}v"))


def _said(element: Any) -> str:
    said = " ".join("".join(_words(paragraph)) for paragraph in element.iter(f"{A}p"))
    return one_line(said or "".join(text.text or "" for text in element.iter(f"{A}t")))


def _new_chart(root: Any) -> str:
    """A chart of the newer kinds (waterfall, funnel, tree map …): its titles, then the words and values of its
    data."""
    lines = [_said(title) or one_line(" ".join(title.itertext())) for title in root.iter(f"{_CX}title")]
    for series in root.iter(f"{_CX}series"):
        lines.append(one_line(series.findtext(f"{_CX}tx/{_CX}txData/{_CX}v") or ""))
    for data in root.iter(f"{_CX}data"):
        dimensions = [
            {point.get("idx", ""): point.text or "" for point in level.iter(f"{_CX}pt")}
            for level in data.iter(f"{_CX}lvl")
        ]
        for index in dimensions[-1] if dimensions else ():
            lines.append(": ".join(filter(None, (one.get(index, "") for one in dimensions))))
    return "\n".join(line for line in lines if line.strip())


def _points(series: Any, *axes: str) -> dict[str, str]:
    """Values by index; those of the innermost level if categories have several."""
    axis = next((found for name in axes if (found := series.find(f"{_C}{name}")) is not None), None)
    if axis is None:
        return {}
    points = next(axis.iter(f"{_C}lvl"), axis).iter(f"{_C}pt")
    return {point.get("idx", ""): point.findtext(f"{_C}v") or "" for point in points}


def _diagram(root: Any) -> str:
    return "\n".join(words for paragraph in root.iter(f"{A}p") if (words := "".join(_words(paragraph)).strip()))


# What is drawn elsewhere, by the kind of the link to it.
_DRAWN = {"chart": chart, "chartEx": _new_chart, "diagramData": _diagram}
