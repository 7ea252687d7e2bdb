"""JSON, XML, notebooks and code."""

from __future__ import annotations

import json

import pytest

from ingest.readers import read
from kb_assistant.errors import ReadError
from tests.ingest.readers.documents import (
    all_text,
)


class TestData:
    def test_json(self) -> None:
        data = {"title": "T", "server": {"host": "a", "ports": [1, 2]}, "rows": [{"k": "泵", "v": 1}, {"k": "b"}]}
        content = read("a.json", json.dumps(data).encode())
        assert content.title == "T"
        assert "k: 泵 | v: 1" in all_text(content)
        assert "ports: 1, 2" in all_text(content)

    def test_json_lines(self) -> None:
        (block,) = read("a.jsonl", b'{"a": 1}\n{"a": "x", "b": {"c": 2}}\n').blocks
        assert (block.text, block.lines) == ("a: 1\na: x | b.c: 2", (1, 2))

    def test_what_is_no_json_is_text(self) -> None:
        content = read("a.json", b'// why\n{"a": 1,}\n')
        assert all_text(content) == '// why\n{"a": 1,}'
        assert "isn't valid JSON" in content.notes[0]

    def test_nested_too_deep(self) -> None:
        with pytest.raises(ReadError):
            read("a.json", b"[" * 200_000)

    def test_notebook(self) -> None:
        cells = [
            {"cell_type": "markdown", "source": ["# Title\n", "text"]},
            {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\n"]}]},
        ]
        content = read("a.ipynb", json.dumps({"cells": cells}).encode())
        assert [(block.kind, block.text, block.heading) for block in content.blocks] == [
            ("prose", "text", "Title"),
            ("code", "print(1)", "Title"),
            ("code", "1", "Title"),
        ]

    def test_what_an_error_said_in_a_notebook(self) -> None:
        outputs = [{"output_type": "error", "ename": "ValueError", "evalue": "no pump", "traceback": ["x"]}]
        cells = [{"cell_type": "code", "source": "start()", "outputs": outputs}]
        assert all_text(read("a.ipynb", json.dumps({"cells": cells}).encode())) == "start()\nValueError: no pump"

    def test_xml_made_of_attributes(self) -> None:
        data = '<config version="3"><pump id="P-77" size="10"/><note lang="en">words</note></config>'
        assert all_text(read("a.xml", data.encode())) == "pump id: P-77\npump size: 10\nnote: words"

    def test_xml_feed(self) -> None:
        data = (
            "<rss><channel><title>News</title><item><title>One</title>"
            "<description>&lt;p&gt;泵 &amp;amp; valve&lt;/p&gt;</description></item></channel></rss>"
        )
        content = read("a.xml", data.encode())
        assert "泵 & valve" in all_text(content)
        assert content.blocks[-1].heading.endswith("One")

    def test_billion_laughs(self) -> None:
        lols = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "lol"}">' for i in range(10))
        content = read("a.xml", f"<!DOCTYPE x [{lols}]><x>before <y>&l9;</y> after</x>".encode())
        assert len(all_text(content)) < 1000
        assert "entities" in content.notes[0]

    def test_subtitles(self) -> None:
        srt = "1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>\nthere\n\n2\n00:00:03,000 --> 00:00:04,000\n再见\n"
        (block,) = read("a.srt", srt.encode()).blocks
        assert (block.text, block.lines) == ("Hello there\n再见", (2, 8))

    def test_entities_in_subtitles(self) -> None:
        assert (
            all_text(read("a.vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\nsalt &amp; pepper\n")) == "salt & pepper"
        )

    def test_code_is_parted_by_definitions(self) -> None:
        content = read("a.py", b"import os\n\n\n# why\ndef one():\n    pass\n\n\nclass Two:\n    x = 1\n")
        assert [(block.kind, block.lines) for block in content.blocks] == [
            ("code", (1, 1)),
            ("code", (4, 6)),
            ("code", (9, 10)),
        ]
