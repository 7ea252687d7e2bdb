"""EPUB: chapters in reading order."""

from __future__ import annotations

import io
import zipfile

import pytest

from ingest.readers import read
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import texts, zipped


def book(links: str, **chapters: str) -> bytes:
    """A book with these chapters, and links to them as its table of contents."""
    items = "".join(f'<item id="{name}" href="{name}.xhtml"/>' for name in chapters)
    spine = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    opf = (
        '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Pumps</dc:title>'
        "<dc:creator>王工</dc:creator></metadata><manifest>"
        '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        f'{items}</manifest><spine>{spine}<itemref idref="gone"/></spine></package>'
    )
    container = '<container><rootfiles><rootfile full-path="OEBPS/b.opf"/></rootfiles></container>'
    return zipped(
        {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/b.opf": opf,
         "OEBPS/nav.xhtml": f"<html><nav>{links}</nav></html>"}
        | {f"OEBPS/{name}.xhtml": f"<html><body>{body}</body></html>" for name, body in chapters.items()}
    )  # fmt: skip


def broken_chapter(data: bytes, name: str) -> bytes:
    """The book with other bytes where a chapter's checksum stands for those before."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = archive.getinfo(f"OEBPS/{name}.xhtml").header_offset
    body = start + 30 + len(f"OEBPS/{name}.xhtml")
    return data[:body] + b"\xff\xff" + data[body + 2 :]


class TestBooks:
    def test_chapters_in_reading_order(self) -> None:
        links = '<a href="b.xhtml">Chapter One</a><a href="a.xhtml">Chapter Two</a>'
        content = read("a.epub", book(links, b="<p>first</p>", a="<p>second</p>"))
        assert (content.title, content.metadata["author"]) == ("Pumps", "王工")
        assert [(block.text, block.heading) for block in content.blocks] == [
            ("first", "Pumps > Chapter One"),
            ("second", "Pumps > Chapter Two"),
        ]
        assert content.notes == ("1 of its chapters are missing in the file.",)

    def test_a_second_chapter_in_a_file_is_not_below_the_first(self) -> None:
        body = "<h1>One</h1><p>first</p><h1>Two</h1><p>second</p>"
        content = read("a.epub", book('<a href="a.xhtml">One</a>', t="<h1>Pumps</h1><p>page</p>", a=body))
        assert [block.heading for block in content.blocks] == ["Pumps", "Pumps > One", "Pumps > Two"]

    def test_a_damaged_chapter_does_not_lose_the_others(self) -> None:
        data = book("", a="<p>first</p>", b="<p>second</p>", c="<p>third</p>")
        content = read("a.epub", broken_chapter(data, "b"))
        assert texts(content) == ["first", "third"]
        assert "A part of the file is damaged (OEBPS/b.xhtml) and was left out." in content.notes

    def test_a_damaged_table_of_contents_loses_only_the_names(self) -> None:
        data = book('<a href="a.xhtml">One</a>', a="<p>first</p>")
        assert texts(read("a.epub", broken_chapter(data, "nav"))) == ["first"]

    def test_a_book_of_damaged_chapters_is_damaged(self) -> None:
        with pytest.raises(ReadError, match="damaged"):
            read("a.epub", broken_chapter(book("", a="<p>first</p>"), "a"))
