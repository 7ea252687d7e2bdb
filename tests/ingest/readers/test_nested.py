"""Nested data: records are lines that bear the names of the records around them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ingest.readers import read
from ingest.readers.blocks import Block
from ingest.split import Splitter
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import all_text

PLANTS = [
    {
        "plant": "Ostrava",
        "lines": [{"line": "L1", "rate": 107, "shift": {"start": "06:00"}}, {"line": "L2", "rate": 9}],
    },
    {"plant": "Gdansk", "lines": [{"line": "L1", "rate": 351}]},
]


def blocks(value: Any, name: str = "a.json") -> tuple[Block, ...]:
    return read(name, json.dumps(value, ensure_ascii=False).encode()).blocks


def lines(value: Any) -> list[str]:
    return "\n".join(block.text for block in blocks(value)).split("\n")


def _within(depth: int, around: Callable[[int], Any], inner: Any) -> Any:
    """Data so many levels deep: on each, what `around` gives of it, and the next one."""
    for level in range(depth):
        one = around(level)
        inner = [*one, inner] if isinstance(one, list) else one | {"k" * 100: inner}
    return inner


class TestRecords:
    def test_inner_records_bear_the_names_of_outer_ones(self) -> None:
        assert lines({"company": "北方", "plants": PLANTS}) == [
            "company: 北方",
            "company: 北方 | plant: Ostrava",
            "company: 北方 | plant: Ostrava | line: L1 | rate: 107 | shift.start: 06:00",
            "company: 北方 | plant: Ostrava | line: L2 | rate: 9",
            "company: 北方 | plant: Gdansk",
            "company: 北方 | plant: Gdansk | line: L1 | rate: 351",
        ]

    @pytest.mark.parametrize(
        ("value", "last"),
        [
            ({"plants": [{"id": 1, "name": "G", "lines": [{"id": 7, "rate": 3}]}]}, "plants: G | id: 7 | rate: 3"),
            ({"G": {"L1": {"rate": 1}, "L2": {"rate": 2}}, "O": {"L1": {"rate": 3}}}, "O | L1.rate: 3"),
            ({key: {"L1": {"rate": 1}, "L2": {"rate": 2}} for key in "GO"}, "O | L2 | rate: 2"),
            ({"北京": [{"部门": "研发"}], "上海": [{"部门": "销售", "人数": 7}]}, "上海 | 部门: 销售 | 人数: 7"),
            (
                [{"order": 7, "for": "ACME", "items": [{"sku": "B1", "qty": 5}]}],
                "order: 7 | for: ACME | sku: B1 | qty: 5",
            ),
            (
                [{"date": "2024-05-06", "readings": [{"hour": 8, "level": 3}]}],
                "date: 2024-05-06 | hour: 8 | level: 3",
            ),
            ({"plant": "G", "version": 2, "lines": [{"line": "L1", "rate": 3}]}, "plant: G | line: L1 | rate: 3"),
            ({"version": 2, "lines": [{"line": "L1", "rate": 3}]}, "line: L1 | rate: 3"),
            ([{"訂單編號": "A7", "明細": [{"品名": "泵", "數量": 2}]}], "訂單編號: A7 | 品名: 泵 | 數量: 2"),
            (
                [{"k": 1, "tags": [{"n": "a"}, {"n": "b"}], "at": [[1, 2], [3]]}],
                "k: 1 | tags.n: a, b | at: 1, 2; 3",
            ),
        ],
    )
    def test_names(self, value: Any, last: str) -> None:
        assert lines(value)[-1] == last

    def test_five_deep(self) -> None:
        value: Any = {"room": "101", "seats": 4}
        for key in ("building", "site", "company"):
            value = {key: key.upper(), "inner": [value, value]}
        assert lines([value])[-1] == "company: COMPANY | site: SITE | building: BUILDING | room: 101 | seats: 4"

    def test_a_long_record_takes_several_lines_with_its_name(self) -> None:
        fields = {f"field{number}": f"value {number} of a field that says much" for number in range(40)}
        found = lines([{"name": "Pump", **fields}])
        assert len(found) > 3
        assert all(line.startswith("name: Pump | ") and len(line) < 600 for line in found)

    def test_a_long_text_stands_under_the_name_of_its_record(self) -> None:
        record, text = blocks([{"title": "Care", "text": "Oil the pump each month. " * 40}])
        assert record.text == "title: Care"
        assert (text.kind, text.heading) == ("prose", "title: Care | text")

    def test_sections_stay_under_their_path(self) -> None:
        host, cert = blocks({"server": {"host": "a", "tls": {"cert": "x", **{f"k{n}": n for n in range(9)}}}})
        assert (host.heading, host.text) == ("server", "host: a")
        assert (cert.heading, cert.text.split("\n")[0]) == ("server > tls", "cert: x")

    def test_nested_too_deep(self) -> None:
        deep: Any = {"a": 1, "b": 2}
        for _ in range(300):
            deep = [{"c": 1, "d": deep}]
        with pytest.raises(ReadError, match="too deep"):
            blocks(deep)

    def test_long_names_are_cut_where_rows_repeat_them(self) -> None:
        question = "How pleased are you " * 11
        first, second, *_again = lines([{"a": {question: {"start": 1, question + "again": 2}}}] * 2)
        cut = f"{question[:199].rstrip()}…"
        assert first == f"a.{cut}.start: 1"
        assert second == f"….{cut}: 2"
        kept = "How pleased are you with the harbour?" * 4
        assert lines([{kept: 5}] * 2) == [f"{kept}: 5"] * 2

    @pytest.mark.parametrize(
        "value",
        [
            [{"n" * 20_000: {f"k{n}": n for n in range(2000)}}] * 2,
            _within(190, lambda depth: {"x" * 100: depth, "y" * 100: {"v": 1}}, {f"k{n}": n for n in range(2000)}),
            {"a" * 9_000: {"b" * 9_000: {f"{n}": {"c": n} for n in range(2000)}}},
            _within(9, lambda depth: [{"name": f"{depth}" * 70}], [{"a": n} for n in range(3000)]),
            _within(9, lambda _: {"n" * 500: "v" * 70, "m" * 900: ""}, [{"a": n} for n in range(3000)]),
            _within(190, lambda _: {"n": 1}, {f"s{n}": {f"{n}.{m}": m for m in range(9)} for n in range(900)}),
            _within(
                190, lambda depth: {f"{depth}" * 90: n for n in range(9)}, {"a": [{"b": n} for n in range(3000)]}
            ),
        ],
    )
    def test_rows_are_not_many_times_as_long_as_the_data(self, value: Any) -> None:
        told = blocks(value)
        size = len(json.dumps(value))
        assert sum(len(block.text) + len(block.heading) for block in told) < 30 * size


class TestJsonLines:
    def test_records_within_a_line_are_cited_by_it(self) -> None:
        data = "\n".join(json.dumps(plant) for plant in PLANTS) + '\n{"a": 1}\n{"a": 2}\n'
        content = read("a.jsonl", data.encode())
        assert [block.lines for block in content.blocks] == [(1, 1), (2, 2), (3, 4)]
        assert content.blocks[1].text == "plant: Gdansk\nplant: Gdansk | line: L1 | rate: 351"

    def test_a_long_text(self) -> None:
        data = json.dumps({"title": "Care", "text": "Oil the pump. " * 60})
        _, text = read("a.jsonl", f'{{"a": 1}}\n{data}\n'.encode()).blocks[1:]
        assert (text.heading, text.lines) == ("title: Care | text", (2, 2))


def test_no_piece_ends_within_a_pair() -> None:
    def count(texts: Any) -> list[int]:
        return [len(text.split()) for text in texts]

    records = [{"plant": f"P{n}", **{f"field{m}": f"two words{m}" for m in range(30)}} for n in range(9)]
    content = read("a.json", json.dumps(records).encode())
    pieces = Splitter(count, 24).split(content)
    assert len(pieces) > 20
    for piece in pieces:
        for part in piece.text.replace("\n", " | ").strip(" |").split(" | "):
            assert part.startswith("plant: P") or " two words" in part


def test_one_line_for_all_that_has_no_record() -> None:
    assert all_text(read("a.json", b'[1, 2, "a"]')) == "1\n2\na"
    assert all_text(read("a.json", b"3")) == "3"
    assert read("a.json", b'{"a": {}, "b": [], "c": null}').blocks == ()


def test_lists_of_rows_with_their_names() -> None:
    def lines(value: object) -> list[str]:
        return all_text(read("a.json", json.dumps(value).encode())).split("\n")

    assert lines([["item", "price"], ["pump", 12], ["阀门", 7]]) == [
        "item: pump | price: 12",
        "item: 阀门 | price: 7",
    ]
    sheet = {"range": "A1:B3", "values": [["姓名", "电话"], ["张伟", "1"]]}
    assert lines(sheet) == ["range: A1:B3", "range: A1:B3 | 姓名: 张伟 | 电话: 1"]
    plants = [{"name": "A", "log": [["day", "t"], ["Mon", 3]]}, {"name": "B", "log": [["day", "t"], ["Mon", 7]]}]
    assert lines({"plants": plants})[1::2] == ["plants: A | day: Mon | t: 3", "plants: B | day: Mon | t: 7"]
    assert lines([[1, 2], [3, 4]]) == ["1, 2", "3, 4"]
    assert lines({"points": [[1, 2], [3, 4]]}) == ["points: 1, 2; 3, 4"]


class TestXml:
    def test_inner_records(self) -> None:
        data = (
            '<plants><plant name="Gdansk"><manager>J</manager><line id="L17"><rate>351</rate></line>'
            '<line id="L18"><rate>3</rate></line></plant>'
            '<plant name="Ostrava"><line id="L17"><rate unit="t/h">219</rate></line></plant></plants>'
        )
        assert all_text(read("a.xml", data.encode())).split("\n") == [
            "name: Gdansk | manager: J",
            "plant: Gdansk | id: L17 | rate: 351",
            "plant: Gdansk | id: L18 | rate: 3",
            "name: Ostrava",
            "plant: Ostrava | id: L17 | rate.unit: t/h | rate: 219",
        ]

    def test_names_of_elements_in_chinese_and_a_namespace(self) -> None:
        person = "<员工><姓名>{}</姓名><电话>{}</电话></员工>"
        people = person.format("张伟", 123) + person.format("李娜", 456)
        data = f'<公司 xmlns="urn:x"><title>名册</title><部门 名称="研发">{people}</部门></公司>'
        content = read("a.xml", data.encode())
        assert content.title == "名册"
        assert all_text(content).split("\n")[-1].endswith("研发 | 姓名: 李娜 | 电话: 456")

    def test_a_text_with_markup_is_no_list_of_records(self) -> None:
        data = '<doc><p>Some <b>bold</b> text</p><p a="1" b="2">x</p><p a="1" b="2">y</p></doc>'
        assert all_text(read("a.xml", data.encode())) == "p: Some bold text\np: x\np: y"
