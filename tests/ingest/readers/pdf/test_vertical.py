"""Pages written vertically."""

from __future__ import annotations

import pytest

from ingest.readers import read
from tests.ingest.readers.documents import all_text, pdf_of

_COLUMNS = [
    "村志卷三记水利一节",
    "村东水渠始修于嘉庆年间",
    "渠长四里灌田六百亩",
    "光绪年间由乡绅重修石闸",
    "今由水利会每年清淤一次",
]
_WHOLE = "".join(_COLUMNS)


def pdf(
    *pieces: tuple[float, float, str],
    encoding: str = "GBK-EUC-V",
    codec: str = "gbk",
    page: str = "",
    matrix: str = "1 0 0 1 0 0",
) -> bytes:
    """A page with each text beginning at its place; ASCII is written in Helvetica, horizontally."""
    shown = " ".join(
        f"/{'F2' if text.isascii() else 'F1'} 14 Tf 1 0 0 1 {x} {y} Tm <{text.encode(codec).hex()}> Tj"
        for x, y, text in pieces
    )
    ordering = "CNS1" if "CNS" in encoding or "B5" in encoding else "GB1"
    stream = f"q {matrix} cm BT {shown} ET Q"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]{page}/Resources<</Font<</F1 5 0 R/F2 8 0 R>>>>"
        "/Contents 4 0 R>>",
        f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        f"<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/{encoding}/DescendantFonts[6 0 R]>>",
        "<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/DW 1000/FontDescriptor 7 0 R"
        f"/CIDSystemInfo<</Registry(Adobe)/Ordering({ordering})/Supplement 2>>>>",
        "<</Type/FontDescriptor/FontName/STSong-Light/Flags 4/FontBBox[-25 -254 1000 880]/ItalicAngle 0/Ascent 880"
        "/Descent -120/CapHeight 880/StemV 93>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    return pdf_of([one.encode() for one in objects])


def columns(texts: list[str], x: float = 540, y: float = 740) -> list[tuple[float, float, str]]:
    return [(x - 30 * number, y, text) for number, text in enumerate(texts)]


class TestVertical:
    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    @pytest.mark.parametrize("backwards", [False, True])
    def test_columns_from_the_right(self, count: int, backwards: bool) -> None:
        pieces = columns(_COLUMNS[:count])
        data = pdf(*(pieces[::-1] if backwards else pieces))
        assert all_text(read("a.pdf", data)).replace("\n", "") == "".join(_COLUMNS[:count])

    def test_full_columns_are_one_sentence(self) -> None:
        texts = ["水泵的维护周期是三个月，由维", "护班负责不得拖延要有记录以便", "查考。"]
        assert all_text(read("a.pdf", pdf(*columns(texts)))) == "".join(texts)

    @pytest.mark.parametrize(
        ("encoding", "codec", "texts"),
        [
            ("UniGB-UCS2-V", "utf-16-be", _COLUMNS),
            ("UniGB-UTF16-V", "utf-16-be", _COLUMNS),
            ("GB-EUC-V", "gb2312", _COLUMNS),
            ("ETen-B5-V", "big5", ["圖書館開放時間每天上午九時", "讀者須憑證入內逾期須繳罰款"]),
            ("UniCNS-UCS2-V", "utf-16-be", ["圖書館開放時間每天上午九時", "讀者須憑證入內逾期須繳罰款"]),
        ],
    )
    def test_encodings(self, encoding: str, codec: str, texts: list[str]) -> None:
        data = pdf(*columns(texts), encoding=encoding, codec=codec)
        assert all_text(read("a.pdf", data)).replace("\n", "") == "".join(texts)

    def test_characters_placed_one_by_one(self) -> None:
        pieces = [
            (540 - 30 * column, 740 - 16 * row, mark)
            for column, text in enumerate(_COLUMNS)
            for row, mark in enumerate(text)
        ]
        data = pdf(*pieces, encoding="GBK-EUC-H")
        assert all_text(read("a.pdf", data)).replace("\n", "") == _WHOLE

    def test_tiers(self) -> None:
        data = pdf(*columns(_COLUMNS[3:], y=400), *columns(_COLUMNS[:3]))
        assert all_text(read("a.pdf", data)).replace("\n", "") == _WHOLE

    def test_a_horizontal_page_number_and_title(self) -> None:
        data = pdf((250, 770, "Village chronicle"), *columns(_COLUMNS), (300, 30, "17 of the book"))
        lines = all_text(read("a.pdf", data)).split("\n")
        assert (lines[0], "".join(lines[1:-1]), lines[-1]) == ("Village chronicle", _WHOLE, "17 of the book")

    def test_digits_side_by_side(self) -> None:
        pieces = columns(["民国", "村东水渠始修于嘉庆年间记"])
        pieces += [(532, 690, "36"), (540, 680, "年重修石闸渠长四里")]
        assert "民国36年重修石闸渠长四里" in all_text(read("a.pdf", pdf(*pieces)))

    def test_marks_have_their_usual_form(self) -> None:
        texts = ["︽村志︾卷三︐记水利一节", "渠长四里︒"]
        data = pdf(*columns(texts), encoding="UniGB-UTF16-V", codec="utf-16-be")
        assert all_text(read("a.pdf", data)).replace("\n", "") == "《村志》卷三，记水利一节渠长四里。"

    @pytest.mark.parametrize("rotation", [90, 180, 270])
    def test_turned_pages(self, rotation: int) -> None:
        """The page is turned for display; its content is turned the other way."""
        turns = {90: "0 1 -1 0 612 0", 180: "-1 0 0 -1 612 792", 270: "0 -1 1 0 0 792"}
        pieces = columns(_COLUMNS, x=480, y=580)
        data = pdf(*pieces, page=f"/Rotate {rotation}", matrix=turns[rotation])
        assert all_text(read("a.pdf", data)).replace("\n", "") == _WHOLE


class TestHorizontal:
    def test_lines_stay_lines(self) -> None:
        data = pdf(*((72, 740 - 20 * n, text) for n, text in enumerate(_COLUMNS)), encoding="GBK-EUC-H")
        assert all_text(read("a.pdf", data)).replace("\n", "") == _WHOLE

    def test_rows_of_short_cells_are_no_columns(self) -> None:
        pieces = [
            (72 + 90 * column, 740 - 20 * row, mark)
            for row, marks in enumerate(["甲男一", "乙女二", "丙男三"])
            for column, mark in enumerate(marks)
        ]
        text = all_text(read("a.pdf", pdf(*pieces, encoding="GBK-EUC-H")))
        assert "".join(text.split()) == "甲男一乙女二丙男三"
