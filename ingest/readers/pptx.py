"""Presentations: the slides in their order, each under its title, with tables, charts' words and speaker's
notes."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ingest.readers import HEADING_CHARS, Block, Content, Context, Outline, one_line
from ingest.readers.archive import checked, damaged, inside, xml
from ingest.readers.hidden import hidden_note
from ingest.readers.tables import Cell, table_lines
from kb_assistant.errors import ReadError

_WHAT = "presentation"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_REPEATED = ("dt", "ftr", "hdr", "sldNum")  # what stands on every slide
_MOST_COLUMNS = 1000


def read(data: bytes, context: Context) -> Content:
    """The blocks of a presentation, each with the number of its slide.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    archive = checked(data, _WHAT)
    try:
        deck = _Deck(archive)
        blocks = [block for number, name in enumerate(deck.slides(), 1) for block in deck.slide(number, name)]
        title = deck.title()
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged part leads to
        raise damaged(_WHAT) from error
    return Content(title or deck.first_title, tuple(blocks), {}, tuple(dict.fromkeys(deck.notes)))


class _Deck:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        self.first_title = ""
        self.notes: list[str] = []

    def slides(self) -> list[str]:
        """Names of the slides' members in the order of the presentation."""
        links = self._links("ppt/presentation.xml")
        root = xml(self._archive.read("ppt/presentation.xml"), recover=True)
        ids = [slide.get(f"{_R}id") for slide in root.iter(f"{_P}sldId")]
        return [name for one in ids if (name := links.get(one, ("", ""))[1]) in self._names]

    def title(self) -> str:
        if "docProps/core.xml" not in self._names:
            return ""
        said = one_line(xml(self._archive.read("docProps/core.xml"), recover=True).findtext(f"{_DC}title") or "")
        return "" if said.lower() in ("powerpoint presentation", "powerpoint 演示文稿") else said[:HEADING_CHARS]

    def slide(self, number: int, name: str) -> Iterator[Block]:
        root = xml(self._archive.read(name), recover=True)
        outline = Outline()
        titles = [shape for shape in root.iter(f"{_P}sp") if _placeholder(shape) in ("title", "ctrTitle")]
        words = one_line(" ".join(_paragraphs(shape) for shape in titles))
        if words:
            outline.heading(1, words, None)
            self.first_title = self.first_title or words[:HEADING_CHARS]
        links = self._links(name)
        for shape in root.iter(f"{_P}sp", f"{_P}graphicFrame"):
            if shape in titles or next(shape.iterancestors(_FALLBACK), None) is not None:
                continue
            self._shape(outline, shape, links)
        for kind, target in links.values():
            if kind == "notesSlide" and target in self._names:
                notes = _notes(xml(self._archive.read(target), recover=True))
                if notes:
                    outline.add(f"Notes: {notes}")
        if root.get("show") in ("0", "false"):
            self.notes.append(f"Slide {number} is hidden in the presentation; its text is in the index.")
        for run in root.iter(f"{_A}r"):
            if run.find(f"{_A}rPr/{_A}solidFill/{_A}srgbClr[@val='FFFFFF']") is not None:
                self.notes += hidden_note(f"white, slide {number}", run.findtext(f"{_A}t") or "")
        yield from (replace(block, slide=number) for block in outline.finish())

    def _shape(self, outline: Outline, shape: Any, links: dict[str, tuple[str, str]]) -> None:
        if _placeholder(shape) in _REPEATED:
            return
        for table in shape.iter(f"{_A}tbl"):
            header = table.find(f"{_A}tblPr")
            marked = 1 if header is not None and header.get("firstRow") in ("1", "true") else None
            lines = [line for line in table_lines(_grid(table), marked) if line.strip()]
            if lines:
                outline.add("\n".join(lines), "table")
        if shape.tag == f"{_P}sp":
            if text := _paragraphs(shape):
                outline.add(text)
            return
        for element in shape.iter():
            for attribute in ("id", "dm"):  # a chart, the data of a diagram
                kind, target = links.get(element.get(f"{_R}{attribute}") or "", ("", ""))
                if target in self._names and kind in ("chart", "diagramData"):
                    root = xml(self._archive.read(target), recover=True)
                    words = _chart(root) if kind == "chart" else _diagram(root)
                    if words:
                        outline.add(words)

    def _links(self, name: str) -> dict[str, tuple[str, str]]:
        """Kind and member by the id that a member's links have."""
        folder, file = posixpath.split(name)
        links = f"{folder}/_rels/{file}.rels"
        if links not in self._names:
            return {}
        return {
            link.get("Id", ""): (
                link.get("Type", "").rpartition("/")[2],
                inside(name, link.get("Target", "")).lstrip("/"),
            )
            for link in xml(self._archive.read(links), recover=True)
            if isinstance(link.tag, str) and link.get("TargetMode") != "External"
        }


def _placeholder(shape: Any) -> str:
    mark = shape.find(f"*/{_P}nvPr/{_P}ph")
    return "" if mark is None else str(mark.get("type", "body"))


def _paragraphs(element: Any) -> str:
    """Paragraphs as lines; those indented, or in a list, get a bullet."""
    lines = []
    for paragraph in element.iter(f"{_A}p"):
        words = "".join(_words(paragraph)).strip()
        level = paragraph.find(f"{_A}pPr")
        depth = level.get("lvl", "0") if level is not None else "0"
        indent = "  " * int(depth) if depth.isdigit() and len(depth) < 2 else ""
        if words:
            lines.append(f"{indent}- {words}" if indent else words)
    return "\n".join(lines)


def _words(paragraph: Any) -> Iterator[str]:
    for element in paragraph.iter(f"{_A}t", f"{_A}br", "{*}t"):
        yield "\n" if element.tag == f"{_A}br" else element.text or ""


def _notes(root: Any) -> str:
    bodies = [shape for shape in root.iter(f"{_P}sp") if _placeholder(shape) == "body"]
    return "\n".join(text for body in bodies if (text := _paragraphs(body)))


def _grid(table: Any) -> list[list[Cell]]:
    grid: list[list[Cell]] = []
    for row in table.iter(f"{_A}tr"):
        line: list[Cell] = []
        for cell in row.iterchildren(f"{_A}tc"):
            if cell.get("hMerge") in ("1", "true") and line:
                line.append(Cell(line[-1].text, False))
            elif cell.get("vMerge") in ("1", "true") and grid and len(line) < len(grid[-1]):
                line.append(Cell(grid[-1][len(line)].text, False))
            else:
                line.append(Cell(_paragraphs(cell)))
            if len(line) >= _MOST_COLUMNS:
                break
        grid.append(line)
    return grid


def _chart(root: Any) -> str:
    """Title, and for each series its name with the values by category, as they were last shown."""
    lines = ["".join(text.text or "" for text in title.iter(f"{_A}t")) for title in root.iter(f"{_C}title")]
    for series in root.iter(f"{_C}ser"):
        name = " ".join(value.text or "" for value in series.iterfind(f"{_C}tx//{_C}v"))
        values = [[value.text or "" for value in series.iterfind(f"{_C}{axis}//{_C}v")] for axis in ("cat", "val")]
        pairs = [f"{category}: {value}" for category, value in zip(*values, strict=False)]
        lines.append(" | ".join([name, *pairs] if name else pairs))
    return "\n".join(line for line in lines if line.strip())


def _diagram(root: Any) -> str:
    return "\n".join(words for paragraph in root.iter(f"{_A}p") if (words := "".join(_words(paragraph)).strip()))
