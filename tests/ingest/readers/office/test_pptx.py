"""Presentations: slides in order, notes, tables."""

from __future__ import annotations

from ingest.readers import read
from tests.ingest.readers.documents import (
    SLIDE,
    presentation,
)


class TestPresentations:
    def test_slides_titles_tables(self) -> None:
        cell = "<a:tc><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
        rows = "".join(
            f"<a:tr>{cell.format(left)}{cell.format(right)}</a:tr>"
            for left, right in (("Item", "Price"), ("泵", "42"))
        )
        table = f"<a:graphicData><a:tbl>{rows}</a:tbl></a:graphicData>"
        table = f"<p:graphicFrame><a:graphic>{table}</a:graphic></p:graphicFrame>"
        content = read(
            "a.pptx",
            presentation(
                SLIDE.format(title="One", body=table, show=""),
                SLIDE.format(title="Two", body="", show='show="0"'),
            ),
        )
        assert content.title == "One"
        assert [(block.text, block.slide, block.heading) for block in content.blocks] == [
            ("Item\tPrice\n泵\t42 (Item: 泵 | Price: 42)", 1, "One"),
            ("Two", 2, ""),
        ]
        assert "Slide 2 is hidden" in content.notes[0]
