"""Line-based markup: tables, front matter, RST, Org, AsciiDoc."""

from __future__ import annotations

import time

import pytest

from ingest.readers import read
from tests.ingest.readers.documents import (
    all_text,
)


class TestMarkup:
    def test_a_markdown_table_without_outer_bars(self) -> None:
        content = read("a.md", b"Prices:\n\nItem | Price\n--- | ---\nPump | 42\n\nNext a | b.\n")
        assert [(block.kind, block.text, block.lines) for block in content.blocks] == [
            ("prose", "Prices:", (1, 1)),
            ("table", "Item | Price\n--- | ---\nPump | 42", (3, 5)),
            ("prose", "Next a | b.", (7, 7)),
        ]
        assert content.blocks[1].header == "Item | Price\n--- | ---"

    def test_subtitles_with_odd_times_or_none(self) -> None:
        assert all_text(read("a.srt", b"1\n00:00:1x --> 00:00:02,000\nwords\n")) == "words"
        assert all_text(read("a.srt", b"only words\n")) == "only words"

    def test_front_matter_is_metadata(self) -> None:
        head = "---\ntitle: 泵\ndate: 2024-05-31\ntags: [water, pump]\ndraft: false\n---\ntext\n"
        assert read("a.md", head.encode()).metadata == {
            "title": "泵",
            "date": "2024-05-31",
            "tags": ["water", "pump"],
            "draft": False,
        }
        toml = b'+++\ntitle = "Pumps: all"\ndate = 2024-05-31\ntags = ["a"]\n+++\ntext\n'
        assert read("a.md", toml).metadata == {"title": "Pumps: all", "date": "2024-05-31", "tags": ["a"]}

    def test_front_matter_that_is_no_yaml(self) -> None:
        content = read("a.md", b"---\ntitle: Pumps: a guide\ntags: a, b\n---\ntext\n")
        assert (content.title, content.metadata["tags"]) == ("Pumps: a guide", ["a", "b"])

    def test_rst(self) -> None:
        data = "Pumps\n=====\n\nIntro::\n\n    code here\n\nParts\n-----\n\ntext\n\n.. a comment\n\nlast\n"
        content = read("a.rst", data.encode())
        assert content.title == "Pumps"
        assert [(block.kind, block.text, block.heading, block.lines) for block in content.blocks] == [
            ("prose", "Intro::", "Pumps", (4, 4)),
            ("code", "    code here", "Pumps", (6, 6)),
            ("prose", "text", "Pumps > Parts", (11, 11)),
            ("prose", "last", "Pumps > Parts", (15, 15)),
        ]

    def test_org(self) -> None:
        data = (
            "#+TITLE: Pumps\n#+FILETAGS: :a:b:\n* Parts :x:\ntext\n#+begin_src sh\n# code\n#+end_src\n| a | b |\n"
        )
        content = read("a.org", data.encode())
        assert (content.title, content.metadata["tags"]) == ("Pumps", ["a", "b"])
        assert [(block.kind, block.text) for block in content.blocks] == [
            ("prose", "text"),
            ("code", "# code"),
            ("table", "| a | b |"),
        ]

    def test_asciidoc(self) -> None:
        data = "= Pumps\n:author: W\n\n== Parts\n\ntext\n\n----\ncode\n----\n\n|===\n|a |b\n|===\n"
        content = read("a.adoc", data.encode())
        assert content.title == "Pumps"
        assert [(block.kind, block.text, block.heading) for block in content.blocks] == [
            ("prose", "text", "Pumps > Parts"),
            ("code", "code", "Pumps > Parts"),
            ("table", "|a |b", "Pumps > Parts"),
        ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.org", f"* a{' ' * 100_000}b\n"),
        ("a.adoc", f"= a{' ' * 100_000}b\n"),
        ("a.rst", "H\n===\n" * 25_000 + "a\n" * 50_000),
        ("a.xml", f"<a>{'&lt;p' * 250_000}</a>"),
    ],
)
def test_time_grows_with_the_length_alone(name: str, text: str) -> None:
    started = time.process_time()
    read(name, text.encode())
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("name", "text"), [("a.org", "* TODO [#A] Pumps  :a:b: \n\ntext\n"), ("a.adoc", "== Pumps  == \n\ntext\n")]
)
def test_a_heading_ends_before_its_marks(name: str, text: str) -> None:
    assert [(block.text, block.heading) for block in read(name, text.encode()).blocks] == [("text", "Pumps")]
