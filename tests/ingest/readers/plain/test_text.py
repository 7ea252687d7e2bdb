"""Plain text: encodings, lines, binary data."""

from __future__ import annotations

import pytest

from ingest.readers import read
from ingest.readers.blocks import Content
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import (
    CHINESE_SENTENCES,
    texts,
)

TRADITIONAL = "這個泵的維護週期是三個月。我們會在十一月再看一次。"


class TestText:
    @pytest.mark.parametrize(
        ("text", "encoding"),
        [
            (CHINESE_SENTENCES, "utf-8"),
            (CHINESE_SENTENCES, "utf-8-sig"),
            (CHINESE_SENTENCES, "utf-16"),
            (CHINESE_SENTENCES, "utf-32"),
            (CHINESE_SENTENCES, "gb18030"),
            (CHINESE_SENTENCES[:11], "gb18030"),
            ("姓名,电话\n王伟,1", "gb18030"),
            ("品名,单价,库存\n水泵,12,3\n阀门,7,9", "gbk"),
            ("规格：直径 50 毫米", "gbk"),
            ("姓名,電話\n張偉,123\n李娜,456", "big5"),
            ("倉庫編號,A1", "big5"),
            ("이름,가격\n펌프,12\n밸브,7", "euc_kr"),
            ("품목;수량\n볼트;3\n너트;4", "cp949"),
            ("Größe;Preis\nÄpfel;12\n25 °C", "cp1252"),
            (TRADITIONAL, "big5"),
            ("\ufeff" + CHINESE_SENTENCES, "utf-16-be"),
            ("日本語のテキストです。ポンプの点検", "euc-jp"),
            ("ポンプの保守は三ヶ月ごとに行います。担当は田中さんです。", "euc-jp"),
            ("ポンプの保守は三ヶ月ごとに行います。担当は田中さんです。", "iso2022_jp"),
            ("ポンプの保守は三ヶ月ごとに行います。担当は田中さんです。", "shift_jis"),
            ("펌프 정비는 석 달마다 합니다. 담당자는 김 씨입니다.", "euc-kr"),
            ("펌프 정비는 석 달마다 합니다. 담당자는 김 씨입니다.", "iso2022_kr"),
            ("Příliš žluťoučký kůň úpěl ďábelské ódy. Čerpadlo se kontroluje každé tři měsíce.", "cp1250"),
            ("El precio medio de la vivienda nueva es de 2212 euros por m² en la ciudad.", "cp1252"),
            ("TEST äöü", "cp1252"),
            *(
                (f"{CHINESE_SENTENCES}\n{TRADITIONAL}", f"{width}-{end}")
                for width in ("utf-16", "utf-32")
                for end in ("le", "be")
            ),
            ("The pump is checked every three months.", "utf-16-le"),
            ("Name;Amount\nMüller;2,50", "cp1252"),
            ("Съешь ещё этих мягких французских булок", "cp1251"),
            ("Le résumé de l'été, déjà prêt à être publié, a été envoyé à l'élève.", "cp1252"),
        ],
    )
    def test_encodings(self, text: str, encoding: str) -> None:
        assert texts(read("a.txt", text.encode(encoding))) == [text.removeprefix("\ufeff")]

    def test_lines_are_those_of_the_file(self) -> None:
        (block,) = read("a.LOG", b"\r\n\r\nfirst\r\n\r\nlast  \r\n\r\n").blocks
        assert (block.text, block.lines) == ("first\n\nlast", (3, 5))

    def test_control_characters_go_and_words_stay_apart(self) -> None:
        assert texts(read("a.txt", b"one\x0ctwo\x07\tthree\x7f")) == ["one two\tthree"]

    def test_stray_nul_bytes_are_dropped(self) -> None:
        assert texts(read("a.txt", b"The limit is \x0042 degrees.")) == ["The limit is 42 degrees."]

    def test_a_log_cut_inside_a_character(self) -> None:
        assert texts(read("a.log", (CHINESE_SENTENCES * 3).encode()[1:]))[0].endswith(CHINESE_SENTENCES)

    @pytest.mark.parametrize("data", [b"\x7fELF\x02\x01\x01" + bytes(64), b"\xff\xfea", b"GIF89a\0\0\xff\xfe\x80"])
    def test_binary_data_is_refused(self, data: bytes) -> None:
        with pytest.raises(ReadError):
            read("a.txt", data)

    @pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.rst"])
    @pytest.mark.parametrize("data", [b"", b" \r\n\t\n", b"\xef\xbb\xbf"])
    def test_blank_files_have_no_blocks(self, name: str, data: bytes) -> None:
        assert read(name, data) == Content("", ())

    def test_unknown_suffix(self) -> None:
        with pytest.raises(ReadError, match=r"\.xyz"):
            read("a.xyz", b"")


NOTICE = """MILL LANE SWIMMING CLUB

TRAINING
Juniors swim on Tuesday at 17:00.
Bring a cap.

FEES

A year costs 84 euros.
NO REFUNDS

CONTACT
Ask Petra.
"""
RULES = """游泳馆须知

一、开放时间
每天七点到九点。

二、收费
次票三十元。
三、这一行前面没有空行

四、请带泳帽。
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            NOTICE,
            [
                ("MILL LANE SWIMMING CLUB > TRAINING", "Juniors swim on Tuesday at 17:00.\nBring a cap.", (4, 5)),
                ("MILL LANE SWIMMING CLUB > FEES", "A year costs 84 euros.\nNO REFUNDS", (9, 10)),
                ("MILL LANE SWIMMING CLUB > CONTACT", "Ask Petra.", (13, 13)),
            ],
        ),
        (
            RULES,
            [
                ("游泳馆须知 > 一、开放时间", "每天七点到九点。", (4, 4)),
                ("游泳馆须知 > 二、收费", "次票三十元。\n三、这一行前面没有空行\n\n四、请带泳帽。", (7, 10)),
            ],
        ),
        (
            "一、开门\n\n七点。\n\n二、关门\n\n九点。",
            [("一、开门", "七点。", (3, 3)), ("二、关门", "九点。", (7, 7))],
        ),
        ("The shed\n\nIt is red.", [("", "The shed\n\nIt is red.", (1, 3))]),
        ("NOTE\nThe pump is loud.\n\nIt runs.", [("", "NOTE\nThe pump is loud.\n\nIt runs.", (1, 4))]),
        ("ERROR 1\nERROR 2\n\nFATAL\nERROR 3", [("", "ERROR 1\nERROR 2\n\nFATAL\nERROR 3", (1, 5))]),
    ],
)
def test_what_can_only_be_a_heading_is_one(text: str, found: list[tuple[str, str, tuple[int, int]]]) -> None:
    blocks = read("a.txt", text.encode()).blocks
    assert [(block.heading, block.text, block.lines) for block in blocks] == found


def test_what_stands_above_headings_is_the_title() -> None:
    assert read("a.txt", RULES.encode()).title == "游泳馆须知"
    assert read("a.txt", b"The shed\n\nIt is red.").title == ""
