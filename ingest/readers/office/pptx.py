"""Presentations: the slides in order, each under its title, with tables, texts of charts, speaker's notes and
comments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

from ingest.readers.blocks import HEADING_CHARS, Block, Content, Context, Outline, one_line
from ingest.readers.hidden_text import hidden_note
from ingest.readers.office.drawingml import A, charts_and_diagrams, grid, in_fallback, paragraphs
from ingest.readers.office.ooxml import Package, properties
from ingest.readers.tables import table_lines
from ingest.readers.zip_container import checked, damaged
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_WHAT = _("presentation")
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_NO_TITLES = ("powerpoint presentation", "powerpoint 演示文稿")
_REPEATED = ("dt", "ftr", "hdr", "sldNum")  # placeholders repeated on every slide


def read(data: bytes, context: Context) -> Content:
    """The blocks of a presentation, each with the number of its slide.

    Raises:
        ReadError: it is damaged, locked or too large when unpacked.
    """
    archive = checked(data, _WHAT)
    try:
        deck = _Deck(Package(archive))
        blocks = [block for number, name in enumerate(deck.slides(), 1) for block in deck.slide(number, name)]
        metadata = properties(deck.package)
    except (ReadError, MemoryError):
        raise
    except Exception as error:  # any error of a damaged part
        raise damaged(_WHAT) from error
    own = metadata.pop("title", "")[:HEADING_CHARS]
    title = deck.first_title if own.lower() in _NO_TITLES else own or deck.first_title
    return Content(title, tuple(blocks), metadata, tuple(dict.fromkeys(deck.notes)))


class _Deck:
    def __init__(self, package: Package) -> None:
        self.package = package
        self.first_title = ""
        self.notes = package.notes

    def slides(self) -> list[str]:
        """Names of the slides' parts in presentation order."""
        main = next(iter(self.package.linked("officeDocument")), "ppt/presentation.xml")
        links = self.package.links(main)
        ids = [slide.get(f"{_R}id") for slide in self.package.root(main).iter(f"{_P}sldId")]
        found = [links[one].target for one in ids if one in links and links[one].target in self.package]
        if ids and not found:
            raise damaged(_WHAT)
        return found

    def slide(self, number: int, name: str) -> Iterator[Block]:
        root = self.package.root(name)
        outline = Outline()
        titles = [shape for shape in root.iter(f"{_P}sp") if _placeholder(shape) in ("title", "ctrTitle")]
        words = one_line(" ".join(paragraphs(shape) for shape in titles))
        if words:
            outline.heading(1, words, None)
            self.first_title = self.first_title or words[:HEADING_CHARS]
        for shape in root.iter(f"{_P}sp", f"{_P}graphicFrame"):
            if shape not in titles and not in_fallback(shape):
                self._shape(outline, shape, name)
        for said in self.package.linked_roots("notesSlide", name):
            if notes := _notes(said):
                outline.add(f"Notes: {notes}")
        for author, words in self._comments(name):
            outline.add(f"Comment ({author}): {words}" if author else f"Comment: {words}")
        if root.get("show") in ("0", "false"):
            self.notes.append(
                _("Slide {number} is hidden in the presentation; its text is in the index.", number=number)
            )
        for run in root.iter(f"{A}r"):
            if run.find(f"{A}rPr/{A}solidFill/{A}srgbClr[@val='FFFFFF']") is not None:
                self.notes += hidden_note(_("white, slide {number}", number=number), run.findtext(f"{A}t") or "")
        yield from (replace(block, slide=number) for block in outline.finish())

    def _comments(self, slide: str) -> Iterator[tuple[str, str]]:
        """Author and words of the comments on a slide, with the answers to each: those of old programs, and those
        of newer ones, which hold their words as paragraphs."""
        for root in self.package.linked_roots("comments", slide):
            for element in root.iter("{*}cm", "{*}reply"):
                text = element.findtext(f"{_P}text")
                body = element.find("{*}txBody")
                words = one_line(text if text is not None else "" if body is None else paragraphs(body))
                if words:
                    yield self._authors.get(element.get("authorId", ""), ""), words

    @cached_property
    def _authors(self) -> dict[str, str]:
        """Names of those who comment, by id."""
        main = next(iter(self.package.linked("officeDocument")), "ppt/presentation.xml")
        roots = [root for kind in ("commentAuthors", "authors") for root in self.package.linked_roots(kind, main)]
        return {
            one.get("id", ""): one_line(one.get("name", ""))
            for root in roots
            for one in root.iter("{*}cmAuthor", "{*}author")
        }

    def _shape(self, outline: Outline, shape: Any, slide: str) -> None:
        if _placeholder(shape) in _REPEATED:
            return
        for table in shape.iter(f"{A}tbl"):
            header = table.find(f"{A}tblPr")
            marked = 1 if header is not None and header.get("firstRow") in ("1", "true") else None
            lines = [line for line in table_lines(grid(table), marked) if line.strip()]
            if lines:
                outline.add("\n".join(lines), "table")
        if shape.tag == f"{_P}sp":
            if text := paragraphs(shape):
                outline.add(_apart(text) if _placeholder(shape) == "body" else text)
            return
        for words in charts_and_diagrams(shape, self.package.links(slide), self.package):
            outline.add(words)


def _apart(text: str) -> str:
    """The paragraphs of a slide's body as items: they are points, and no sentence goes on from one to the next."""
    lines = text.split("\n")
    return (
        "\n".join(line if line.lstrip().startswith("- ") else f"- {line}" for line in lines) if lines[1:] else text
    )


def _placeholder(shape: Any) -> str:
    mark = shape.find(f"*/{_P}nvPr/{_P}ph")
    return "" if mark is None else str(mark.get("type", "body"))


def _notes(root: Any) -> str:
    bodies = [shape for shape in root.iter(f"{_P}sp") if _placeholder(shape) == "body"]
    return "\n".join(text for body in bodies if (text := paragraphs(body)))
