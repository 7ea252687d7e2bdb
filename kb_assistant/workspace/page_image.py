"""Draws one page of a PDF: `python -m kb_assistant.workspace.page_image FILE PAGE WIDTH [QUOTE…]`
writes a PNG to stdout.

It runs in a process of its own, because an untrusted PDF can crash the library that draws it.
"""

from __future__ import annotations

import io
import sys
from typing import Any

MOST_BYTES = 2_000_000_000
MOST_PIXELS = 12_000_000

_MARKER = (255, 221, 87)


def draw(file: str, page: int, width: int, quotes: list[str]) -> bytes:
    """The page as PNG, with the quotes marked."""
    import pypdfium2

    document = pypdfium2.PdfDocument(file)
    sheet = document[page - 1]
    wide, high = sheet.get_size()
    scale = min(width / wide, (MOST_PIXELS / (wide * high)) ** 0.5)
    image = sheet.render(scale=scale, may_draw_forms=False).to_pil().convert("RGB")
    for box in _boxes(sheet, quotes):
        left, low, right, top = (side * scale for side in box)
        _mark(image, (int(left), int(high * scale - top), int(right) + 1, int(high * scale - low) + 1))
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def _boxes(sheet: Any, quotes: list[str]) -> list[tuple[float, float, float, float]]:
    """Places of the quotes, in points from the lower left. The page may separate their words differently."""
    text = sheet.get_textpage()
    letters = [
        (i, c) for i, c in enumerate(text.get_text_range()) if not c.isspace() and c not in "\x02\xad\ufffe"
    ]
    run = "".join(c for _, c in letters)
    boxes = []
    for quote in quotes:
        wanted = "".join(quote.split())
        place = run.find(wanted) if wanted else -1
        if place >= 0:
            first, last = letters[place][0], letters[place + len(wanted) - 1][0]
            count = text.count_rects(first, last - first + 1)
            boxes += [text.get_rect(i) for i in range(count)]
    return boxes


def _mark(image: Any, area: tuple[int, int, int, int]) -> None:
    """Highlight a part of the image like a text marker."""
    from PIL import Image, ImageChops

    part = image.crop(area)
    image.paste(ImageChops.multiply(part, Image.new("RGB", part.size, _MARKER)), area)


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


if __name__ == "__main__":
    _limit()
    path, number, pixels, *wanted = sys.argv[1:]
    sys.stdout.buffer.write(draw(path, int(number), int(pixels), wanted))
