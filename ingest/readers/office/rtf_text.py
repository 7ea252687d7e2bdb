"""The paragraphs, lists and tables of an RTF document, as its control words lay them out."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.readers.blocks import HEADING_CHARS, Outline, one_line
from ingest.readers.office.numbering import blocks_of_items, labelled
from ingest.readers.office.rtf_lists import RtfLists
from ingest.readers.tables import BULLET, Cell, table_lines

PROPERTIES = ("outlinelevel", "ls", "ilvl", "s")


@dataclass(slots=True)
class Paragraph:
    """What is said of a paragraph, or of a style. `list` 0 takes it out of its style's; `label` is its number as
    the file says it."""

    level: int = 0
    list: int | None = None
    depth: int | None = None
    style: int = 0
    label: str = ""


@dataclass(slots=True)
class Text:
    outline: Outline = field(default_factory=Outline)
    words: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # the paragraphs of a cell
    cells: list[Cell] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    header_rows: int = 0
    is_header: bool = False
    merges: list[str] = field(default_factory=list)  # for each cell of a row: where it continues from, or ""
    merge: str = ""
    in_table: bool = False
    paragraph: Paragraph = field(default_factory=Paragraph)
    styles: dict[int, Paragraph] = field(default_factory=dict)
    lists: RtfLists = field(default_factory=RtfLists)
    items: list[str] = field(default_factory=list)
    first_heading: str = ""

    def end_paragraph(self) -> None:
        text = "".join(self.words).strip()
        self.words.clear()
        label, is_item, level = self._numbered()
        if self.in_table:
            if text or label:
                self.said.append(labelled(label or (BULLET if is_item else ""), text).rstrip())
            return
        self.end_table()
        if self.said:  # of a cell that never ends
            self.outline.add("\n".join(self.said))
            self.said.clear()
        if not text:
            return
        if level and len(text) <= HEADING_CHARS:
            self.end_list()
            self.outline.heading(level, labelled(label, text), None)
            self.first_heading = self.first_heading or one_line(text)
        elif is_item:
            self.items.append(labelled(label or "-", one_line(text)))
        else:
            self.end_list()
            self.outline.add(text)

    def _numbered(self) -> tuple[str, bool, int]:
        """The paragraph's number, whether it is an item of a list, and its level as a heading, by itself or by its
        style."""
        said, self.paragraph.label = self.paragraph.label, ""
        style = self.styles.get(self.paragraph.style, Paragraph())
        place = style.list if self.paragraph.list is None else self.paragraph.list
        depth = style.depth if self.paragraph.depth is None else self.paragraph.depth
        counted = self.lists.label(place, depth or 0) if place else ""
        label = said if any(map(str.isalnum, said)) else counted
        return label, bool(place or said), self.paragraph.level or style.level

    def end_list(self) -> None:
        for items in blocks_of_items(self.items):
            self.outline.add("\n".join(items))
        self.items = []

    def end_cell(self) -> None:
        in_table, self.in_table = self.in_table, True
        self.end_paragraph()
        self.in_table = in_table
        self.cells.append(Cell(one_line(" ".join(self.said))))
        self.said.clear()

    def end_row(self) -> None:
        if self.cells:
            self.header_rows += self.is_header and self.header_rows == len(self.rows)
            self.rows.append(self._merged())
        self.cells, self.is_header = [], False

    def _merged(self) -> list[Cell]:
        """The cells of the row; a merged cell fills all its fields."""
        row: list[Cell] = []
        for place, cell in enumerate(self.cells):
            merge = self.merges[place] if place < len(self.merges) else ""
            if merge == "clmrg" and row:
                cell = Cell(row[-1].text, False)
            elif merge == "clvmrg" and self.rows and place < len(self.rows[-1]):
                cell = Cell(self.rows[-1][place].text, False)
            row.append(cell)
        return row

    def end_table(self) -> None:
        lines = [line for line in table_lines(self.rows, self.header_rows or None) if line.strip()]
        if lines:
            self.end_list()
            self.outline.add("\n".join(lines), "table")
        self.rows, self.header_rows = [], 0


def set_property(paragraph: Paragraph, name: str, number: int | None) -> None:
    """What a control word says of a paragraph or a style."""
    value = number or 0
    if name == "outlinelevel":
        paragraph.level = value + 1 if 0 <= value < 9 else 0
    elif name == "ls":
        paragraph.list = value
    elif name == "ilvl":
        paragraph.depth = value
    else:
        paragraph.style = value
