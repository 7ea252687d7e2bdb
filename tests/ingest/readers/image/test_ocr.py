"""Pictures and scans by OCR."""

from __future__ import annotations

import io

import numpy as np
import pytest
from reportlab.lib import pagesizes
from reportlab.pdfgen import canvas

from ingest.readers import read
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import (
    all_text,
)

pytestmark = pytest.mark.engine


class TestOcr:
    """With the real models of the extra."""

    @pytest.fixture
    def picture(self) -> bytes:
        from PIL import Image, ImageDraw, ImageFont

        image = Image.new("RGB", (900, 220), "white")
        font = ImageFont.load_default(40)
        ImageDraw.Draw(image).text((30, 40), "The spare key hangs in the office.", "black", font=font)
        ImageDraw.Draw(image).text((30, 120), "Valves are checked in May.", "black", font=font)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    def test_a_picture(self, picture: bytes) -> None:
        found = all_text(read("a.png", picture))
        assert found.split("\n") == ["The spare key hangs in the office.", "Valves are checked in May."]

    @pytest.mark.parametrize(("suffix", "mode"), [("jp2", "RGB"), ("jpg", "CMYK"), ("tif", "1"), ("tif", "I;16")])
    def test_pictures_of_other_kinds(self, picture: bytes, suffix: str, mode: str) -> None:
        from PIL import Image

        image = Image.open(io.BytesIO(picture))
        if mode == "I;16":
            image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 250)
        buffer = io.BytesIO()
        image.convert(mode).save(buffer, {"jp2": "JPEG2000", "jpg": "JPEG", "tif": "TIFF"}[suffix])
        assert "spare key hangs in the office" in all_text(read(f"a.{suffix}", buffer.getvalue()))

    def test_heic_is_refused_with_a_way_out(self) -> None:
        with pytest.raises(ReadError, match="HEIC") as refused:
            read("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
        assert "JPEG" in refused.value.hint

    def test_a_scanned_page_among_others(self, picture: bytes) -> None:
        from reportlab.lib.utils import ImageReader

        buffer = io.BytesIO()
        sheet = canvas.Canvas(buffer, pagesize=pagesizes.A4)
        sheet.drawString(72, 700, "A page with text of its own.")
        sheet.showPage()
        sheet.drawImage(ImageReader(io.BytesIO(picture)), 50, 300, 500, 122)
        sheet.showPage()
        sheet.save()
        pages: list[int] = []
        content = read("a.pdf", buffer.getvalue(), heartbeat=lambda: pages.append(1))
        assert [block.page for block in content.blocks] == [1, 2]
        assert "spare key" in content.blocks[1].text
        assert pages == [1]

    def test_without_the_extra(self, picture: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        from ingest.readers.image import ocr

        monkeypatch.setattr(ocr, "available", lambda: False)
        content = read("a.png", picture)
        assert content.blocks == ()
        assert "kb-assistant[ocr]" in content.notes[0]
