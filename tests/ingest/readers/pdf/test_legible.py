"""Text layers of PDFs that mean nothing."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest
import reportlab

from ingest.readers import read
from ingest.readers.image import ocr
from ingest.readers.pdf.legible import is_cipher
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import all_text, pdf_of

_LINES = [
    "The blasting siren sounds three times before each blast.",
    "Helmets of class E are worn everywhere beyond gate five.",
    "The first aid room is in the west barrack.",
]
_GERMAN = (
    "Die Sprengsirene ertönt dreimal vor jeder Sprengung, und die Helme werden überall hinter dem Tor getragen. "
    "Der Sanitätsraum ist in der Baracke am Westtor; die Schlüssel hat der Schichtführer, der sie in der Nacht "
    "dem Wächter gibt. "
)
_CODE = "\n".join(
    f"def area_{n}(ctx, cfg):\n    ptr = ctx.bufs[cfg.idx + {n}]\n    return ptr.fmt(cfg.src, cfg.dst)"
    for n in range(20)
)
_PARTS = "\n".join(
    f"MCP{n}017-TR {n * 7} PCS M8X20 DIN912 ZN PVC HDPE XKR-{n}2 KTM qty {n} pcs xkr btn" for n in range(40)
)
_NUMBERS = "\n".join(f"{n} {n * 37}.50 {n * 11} 12,450 20{n:02}-03-04" for n in range(60))
_CHINESE = "水泵的维护周期是三个月一次，由维护班负责，不得拖延，要有记录。饕餮纹鼎藏于博物馆。" * 3
_TRADITIONAL = "圖書館的開放時間是每天上午九時至下午五時，讀者須憑證入內，逾期須繳交罰款。" * 3


def without_map(*lines: str, codes: dict[str, int]) -> bytes:
    """A page whose font has a number for each character and no map to letters."""
    font = (Path(reportlab.__file__).parent / "fonts" / "Vera.ttf").read_bytes()
    shown = " T* ".join(f"<{''.join(f'{codes[mark]:04x}' for mark in line)}> Tj" for line in lines)
    page = f"BT /F 12 Tf 14 TL 60 760 Td {shown} ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F 5 0 R>>>>/Contents 4 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(page), page),
        b"<</Type/Font/Subtype/Type0/BaseFont/ABCDEF+Vera/Encoding/Identity-H/DescendantFonts[6 0 R]>>",
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/ABCDEF+Vera/DW 600/CIDToGIDMap/Identity"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor 7 0 R>>",
        b"<</Type/FontDescriptor/FontName/ABCDEF+Vera/Flags 4/FontBBox[0 -200 1000 900]/ItalicAngle 0/Ascent 900"
        b"/Descent -200/CapHeight 700/StemV 80/FontFile2 8 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(font), font),
    ]
    return pdf_of(objects)


class TestFontsWithoutMap:
    def test_glyph_numbers_in_the_usual_order_are_decoded(self) -> None:
        codes = {mark: ord(mark) - 29 for mark in string.printable if mark >= " "}
        assert all_text(read("a.pdf", without_map(*_LINES, codes=codes))).split("\n") == _LINES

    @pytest.mark.parametrize("first", [2, 40, 300, 0x9C00])
    def test_other_numbers_are_never_text(self, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ocr, "available", lambda: False)
        marks = list(dict.fromkeys("".join(_LINES)))
        random.Random(3).shuffle(marks)
        codes = {mark: first + place for place, mark in enumerate(marks)}
        with pytest.raises(ReadError, match=r"means nothing.*needs OCR"):
            read("a.pdf", without_map(*_LINES, codes=codes))

    def test_ocr_reads_such_a_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ocr, "available", lambda: True)
        monkeypatch.setattr(ocr, "recognize", lambda _: "What the picture says")
        codes = {mark: 2 + place for place, mark in enumerate(dict.fromkeys("".join(_LINES)))}
        assert all_text(read("a.pdf", without_map(*_LINES, codes=codes))) == "What the picture says"

    def test_codes_that_are_letters_stay(self) -> None:
        codes = {mark: ord(mark) for mark in "".join(_LINES)}
        assert all_text(read("a.pdf", without_map(*_LINES, codes=codes))).split("\n") == _LINES


class TestWrongMaps:
    @pytest.mark.parametrize("text", [" ".join(_LINES) * 2, _GERMAN])
    def test_other_letters_are_noticed(self, text: str) -> None:
        noticed = 0
        for seed in range(20):
            letters = list(string.ascii_lowercase)
            random.Random(seed).shuffle(letters)
            table = dict(zip(string.ascii_lowercase, letters, strict=True))
            noticed += is_cipher("".join(table.get(mark, mark) for mark in text.lower()))
        assert noticed >= 12  # by chance some give as many usual pairs as a language

    def test_rare_letters_are_noticed(self) -> None:
        shifted = "".join(chr(0x102 + ord(mark) - 97) if mark.islower() else mark for mark in " ".join(_LINES) * 2)
        assert is_cipher(shifted)

    def test_chinese_by_chance_is_noticed(self) -> None:
        chance = random.Random(1)
        assert is_cipher("".join(chr(chance.randrange(0x4E00, 0x9FA0)) for _ in range(200)))

    @pytest.mark.parametrize(
        "text",
        [
            " ".join(_LINES) * 3, _GERMAN, _CODE, _PARTS, _PARTS.lower(), _NUMBERS, _CHINESE, _TRADITIONAL,
            "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQ\n" * 8,
            "kw hz mm kg pcs btn cfg tmp src dst fmt ptr idx len cnt msg pkt rx tx hw fw sw " * 6,
            "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. " * 4,
            "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. " * 4,
            "Все люди рождаются свободными и равными в своем достоинстве и правах. " * 4,
            "すべての人間は、生まれながらにして自由であり、尊厳と権利とについて平等である。" * 4,
            "aGVsbG8gd29ybGQgdGhpcyBpcyBhIGxvbmcgbGluZQ== 7f3a9bc0ffee " * 12,
        ],
    )  # fmt: skip
    def test_no_false_alarm(self, text: str) -> None:
        assert not is_cipher(text)
