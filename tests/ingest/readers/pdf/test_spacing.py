"""Spaces between Chinese characters of a PDF that part nothing."""

from __future__ import annotations

import io

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

from ingest.readers import read
from tests.ingest.readers.documents import all_text

pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))


def page(*pieces: tuple[float, float, str]) -> bytes:
    """A page with each text at its place, in points."""
    buffer = io.BytesIO()
    sheet = canvas.Canvas(buffer)
    sheet.setFont("STSong-Light", 12)
    for x, y, text in pieces:
        sheet.drawString(x, y, text)
    sheet.save()
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("drawn", "text"),
    [
        ("会 议 纪 要", "会议纪要"),
        ("目　录", "目录"),
        ("關 於 檢 修 的 通 知（2024）", "關於檢修的通知（2024）"),
        ("水泵 的 维 护 周期 是 三 个 月", "水泵的维护周期是三个月"),
        ("时间：2 0 2 4 年 1 2 月 3 日，周 二", "时间：2024年12月3日，周二"),
        ("共 2 0 人", "共 2 0 人"),
        ("第一章 总则", "第一章 总则"),
        ("姓名 张三 电话", "姓名 张三 电话"),
        ("共 12 台 pump 水泵", "共 12 台 pump 水泵"),
    ],
)
def test_spaces_that_part_nothing_go(drawn: str, text: str) -> None:
    assert all_text(read("a.pdf", page((72, 700, drawn)))) == text


def test_characters_drawn_one_by_one() -> None:
    words = "关于设备检修的通知"
    assert all_text(read("a.pdf", page(*((72 + 22 * n, 700, one) for n, one in enumerate(words))))) == words


def test_cells_of_a_row_stay_apart() -> None:
    row = all_text(read("a.pdf", page((72, 700, "甲"), (150, 700, "乙"), (228, 700, "丙"))))
    assert row.split() == ["甲", "乙", "丙"]
