"""Headings of PDFs without bookmarks."""

from __future__ import annotations

import io

from reportlab.pdfgen import canvas

from ingest.readers import read

BODY = "The boat is hauled out every spring and its planks are caulked before they dry out."


def sheets(*pages: list[tuple[str, float]]) -> bytes:
    """A PDF with pages of lines, each in letters of its own size."""
    buffer = io.BytesIO()
    sheet = canvas.Canvas(buffer)
    for lines in pages:
        height = 800.0
        for line, size in lines:
            sheet.setFont("Helvetica", size)
            sheet.drawString(72, height, line)
            height -= 2 * size
        sheet.showPage()
    sheet.save()
    return buffer.getvalue()


def headings(data: bytes) -> list[tuple[int | None, str, str]]:
    return [(block.page, block.heading, block.text) for block in read("a.pdf", data).blocks]


def test_larger_letters_make_headings_over_several_pages() -> None:
    first = [("Boat Care", 20.0), ("1 Hull", 14), *[(BODY, 10)] * 4, ("1.1 Planks", 12), *[(BODY, 10)] * 4]
    found = headings(sheets(first, [(BODY, 10), ("2 Sails", 14), *[(BODY, 10)] * 4]))
    assert [(page, heading) for page, heading, _ in found] == [
        (1, "Boat Care"),
        (1, "Boat Care > 1 Hull"),
        (1, "Boat Care > 1 Hull > 1.1 Planks"),
        (2, "Boat Care > 1 Hull > 1.1 Planks"),
        (2, "Boat Care > 2 Sails"),
    ]
    assert found[1][2].startswith(f"1 Hull\n{BODY}")


def test_a_heading_of_two_lines_is_one() -> None:
    data = sheets([("What to do when the mast", 16), ("has come down", 16), *[(BODY, 10)] * 8])
    assert {heading for _, heading, _ in headings(data)} == {"What to do when the mast has come down"}


def test_what_runs_over_the_pages_is_none() -> None:
    pages = [
        [("The Yard", 16.0), *[(f"{BODY} {number}.{line}", 10.0) for line in range(6)]] for number in range(4)
    ]
    assert {heading for _, heading, _ in headings(sheets(*pages))} == {""}


def test_slides_and_large_sentences_have_none() -> None:
    slides = sheets(*[[(f"Slide {number} of the yard", 24.0), (f"boats: {number}", 14.0)] for number in range(2)])
    assert {heading for _, heading, _ in headings(slides)} == {""}
    quote = sheets([("Never sail alone, and never without a whistle and a lamp.", 14), *[(BODY, 10)] * 6])
    assert {heading for _, heading, _ in headings(quote)} == {""}


def test_words_along_the_margin_are_none() -> None:
    buffer = io.BytesIO()
    sheet = canvas.Canvas(buffer)
    for line in range(10):
        sheet.drawString(72, 700 - 20 * line, BODY)
    sheet.setFont("Helvetica", 20)
    sheet.rotate(90)
    sheet.drawString(200, -40, "Draft of the yard")
    sheet.save()
    assert {heading for _, heading, _ in headings(buffer.getvalue())} == {""}


def test_bookmarks_win() -> None:
    buffer = io.BytesIO()
    sheet = canvas.Canvas(buffer)
    sheet.bookmarkPage("care")
    sheet.addOutlineEntry("Care of the hull", "care", 0)
    sheet.setFont("Helvetica", 18)
    sheet.drawString(72, 780, "HULL")
    sheet.setFont("Helvetica", 10)
    for line in range(6):
        sheet.drawString(72, 700 - 20 * line, BODY)
    sheet.save()
    read_again = {block.heading for block in read("a.pdf", buffer.getvalue()).blocks}
    assert "HULL" not in " ".join(read_again)
