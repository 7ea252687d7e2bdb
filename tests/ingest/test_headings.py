"""The headings above a piece: what stands beside a heading in the document isn't shown below it."""

from __future__ import annotations

from pathlib import Path

import docx
import pytest

from tests.ingest.readers.documents import SLIDE, presentation, saved
from tests.law import small_kb


def headings(home: Path, name: str, data: bytes) -> list[str]:
    """The heading of each piece in reading order."""
    with small_kb(home, chunk_tokens=64) as kb:
        kb.add([(name, data)])
        with kb.store.read() as snapshot:
            return [chunk.locator.heading or "" for chunk in snapshot.chunks_of_source(f"document:{name}")]


def word(*styled: tuple[str, str], title: str = "") -> bytes:
    document = docx.Document()
    document.core_properties.title = title
    for style, text in styled:
        document.add_paragraph(text, style=style)
    return saved(document)


_PARTS = (
    ("Heading 1", "Scope"),
    ("Normal", "All."),
    ("Heading 1", "Payment"),
    ("Heading 2", "Late"),
    ("Normal", "9 %."),
)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.md", b"# One\n\nfirst\n\n# Two\n\nsecond\n", ["One", "Two"]),
        ("a.md", "# 第一章\n\n出海。\n\n# 第二章\n\n风暴。\n".encode(), ["第一章", "第二章"]),
        ("a.md", b"Guide\n=====\n\nfirst\n\n# Two\n\n## Back\n\nsecond", ["Guide", "Two > Back"]),
        ("a.md", b"before\n\n# One\n\nfirst\n\n# Two\n\nsecond", ["", "One", "Two"]),
        ("a.md", b"## Early\n\nfirst\n\n# Main\n\n#### Deep\n\nsecond", ["Early", "Main > Deep"]),
        ("a.md", b"---\ntitle: Book\n---\n# One\n\nfirst\n\n# Two\n\nsecond", ["Book > One", "Book > Two"]),
        ("a.md", b"---\ntitle: One\n---\n# One\n\nfirst\n\n# Two\n\nsecond", ["One", "Two"]),
        ("a.md", b"before\n\n# One\n\nfirst\n\n## Two\n\nsecond", ["One", "One", "One > Two"]),
        ("a.html", b"<h1>One</h1><p>first</p><h1>Two</h1><p>second</p>", ["One", "Two"]),
        ("a.html", b"<title>One - A site</title><h1>One</h1>first<h1>Two</h1>second", ["One", "Two"]),
        ("a.html", b"<title>Book</title><h1>One</h1>first<h1>Two</h1>second", ["Book > One", "Book > Two"]),
        ("a.html", b"<title>Pumps of the yard</title><h1>Pump</h1><p>red</p>", ["Pumps of the yard > Pump"]),
        ("a.html", b"<title>Pump | Shop</title><h1>1. Pump</h1><p>red</p>", ["1. Pump"]),
        ("a.html", "<title>水泵_百科</title><h1>水泵</h1><p>红色的。</p>".encode(), ["水泵"]),
        ("a.html", "<title>水泵手册</title><h1>水泵</h1><p>红色的。</p>".encode(), ["水泵手册 > 水泵"]),
        ("a.docx", word(*_PARTS[:2], title="Scope and costs"), ["Scope and costs > Scope"]),
        ("a.rst", b"One\n===\n\nfirst\n\nTwo\n===\n\nsecond\n", ["One", "Two"]),
        ("a.org", b"* One\nfirst\n* Two\nsecond\n", ["One", "Two"]),
        ("a.docx", word(*_PARTS), ["Scope", "Payment > Late"]),
        ("a.docx", word(*_PARTS, title="Scope"), ["Scope", "Payment > Late"]),
        ("a.docx", word(*_PARTS, title="Contract"), ["Contract > Scope", "Contract > Payment > Late"]),
        ("a.docx", word(("Title", "Deed"), *_PARTS), ["Deed > Scope", "Deed > Payment > Late"]),
    ],
)  # fmt: skip
def test_a_second_heading_of_the_first_level_is_not_below_the_first(
    name: str, data: bytes, expected: list[str], tmp_path: Path
) -> None:
    assert headings(tmp_path, name, data) == expected


def test_slides_are_below_the_title_of_the_first(tmp_path: Path) -> None:
    body = "<p:sp><p:txBody><a:p><a:r><a:t>words</a:t></a:r></a:p></p:txBody></p:sp>"
    deck = presentation(*(SLIDE.format(title=title, show="", body=body) for title in ("Plan", "Costs")))
    assert headings(tmp_path, "a.pptx", deck) == ["Plan", "Plan > Costs"]
