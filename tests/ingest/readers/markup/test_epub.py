"""EPUB: chapters in reading order."""

from __future__ import annotations

from ingest.readers import read
from tests.ingest.readers.documents import (
    zipped,
)


class TestBooks:
    def test_chapters_in_reading_order(self) -> None:
        container = '<container><rootfiles><rootfile full-path="OEBPS/b.opf"/></rootfiles></container>'
        opf = (
            '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Pumps</dc:title>'
            "<dc:creator>王工</dc:creator></metadata><manifest>"
            '<item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
            '<item id="a" href="a.xhtml"/><item id="b" href="b.xhtml"/></manifest>'
            '<spine><itemref idref="b"/><itemref idref="a"/><itemref idref="gone"/></spine></package>'
        )
        links = '<a href="b.xhtml">Chapter One</a><a href="a.xhtml">Chapter Two</a>'
        nav = f"<html><nav>{links}</nav></html>"
        data = zipped(
            {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/b.opf": opf,
             "OEBPS/nav.xhtml": nav, "OEBPS/a.xhtml": "<html><body><p>second</p></body></html>",
             "OEBPS/b.xhtml": "<html><body><p>first</p></body></html>"}
        )  # fmt: skip
        content = read("a.epub", data)
        assert (content.title, content.metadata["author"]) == ("Pumps", "王工")
        assert [(block.text, block.heading) for block in content.blocks] == [
            ("first", "Chapter One"),
            ("second", "Chapter Two"),
        ]
        assert content.notes == ("1 of its chapters are missing in the file.",)
