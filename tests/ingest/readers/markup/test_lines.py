"""Markdown: headings, code and comments with exact lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.readers import read
from ingest.readers.blocks import HEADING_CHARS
from tests.ingest.readers.documents import (
    check_lines,
    rows,
    texts,
)
from tests.samples import DATA


@pytest.mark.parametrize("name", ["handbook.md", "handbook.html"])
def test_golden(name: str) -> None:
    content = read(name, (DATA / name).read_bytes())
    golden = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    assert {"title": content.title, "blocks": rows(content)} == golden


class TestMarkdown:
    def test_hash_in_code_is_no_heading(self) -> None:
        content = check_lines("a.md", "# A\n```sh\n# not one\n```\n~~~~\n~~~\n# nor this\n~~~~\n## B\ntext\n")
        assert [(block.kind, block.heading) for block in content.blocks] == [
            ("code", "A"),
            ("code", "A"),
            ("prose", "A > B"),
        ]

    def test_fence_in_a_list_item(self) -> None:
        content = check_lines("a.md", "1. step\n\n    ```bash\n    # comment\n    ```\n\n2. next\n")
        assert [block.kind for block in content.blocks] == ["prose", "code", "prose"]

    def test_fence_in_a_quote_ends_with_the_quote(self) -> None:
        content = check_lines("a.md", "> ```\n> code\n\n# Heading\ntext\n")
        assert content.blocks[-1].heading == "Heading"

    def test_heading_without_body_is_kept(self) -> None:
        content = check_lines("a.md", "# A\n## Empty\n## B\n### Deep\ntext\n# Last\n")
        assert [(block.text, block.heading) for block in content.blocks] == [
            ("Empty", "A"),
            ("text", "A > B > Deep"),
            ("Last", ""),
        ]

    def test_heading_marks_are_stripped(self) -> None:
        content = read(
            "a.md", b"## **Bold** [link](http://a/b_(c)) `a*b` my_var_name 2 * 3 &amp; \\# {#id} ##\nx\n"
        )
        assert content.blocks[0].heading == "Bold link a*b my_var_name 2 * 3 & #"

    def test_setext_and_rules(self) -> None:
        content = check_lines("a.md", "Title\n=====\n\nPart\ntwo\n---\n\ntext\n\n---\n\n- item\n---\nafter\n")
        assert content.title == "Title"
        assert [block.heading for block in content.blocks] == ["Title > Part two"]
        assert "---" not in content.blocks[0].text

    def test_a_long_paragraph_over_a_rule_is_no_heading(self) -> None:
        assert texts(read("a.md", b"word " * 100 + b"\n---\n"))[0].startswith("word word")

    def test_comments_are_removed_and_lines_stay(self) -> None:
        content = check_lines("a.md", "one <!-- a --> two\n<!--\n# hidden\n```\n-->\n`<!--` three\n<!-- open\n")
        assert content.blocks[0].text == "one  two\n\n\n\n\n`<!--` three\n<!-- open"

    def test_front_matter(self) -> None:
        content = check_lines("a.md", "---\nkeywords: [a]\ntitle: 'Pumps: a guide'\n---\n# Heading\ntext\n")
        assert content.title == "Pumps: a guide"
        assert [block.lines for block in content.blocks] == [(6, 6)]

    def test_two_rules_are_no_front_matter(self) -> None:
        assert "kept words" in texts(read("a.md", b"---\n\nkept words\n\n---\n"))[0]

    def test_very_long_heading_loses_nothing(self) -> None:
        heading = "word " * 100
        content = read("a.md", f"# {heading}\ntext\n".encode())
        assert texts(content) == [heading.strip(), "text"]
        assert len(content.blocks[1].heading) <= HEADING_CHARS

    @given(
        st.lists(st.sampled_from(["# H", "```", "~~~", "| a |", "text", "", "---", "<!--", "-->", "> q", "- i"]))
    )
    @settings(max_examples=200, deadline=None)
    def test_any_mix_of_lines_keeps_places_and_words(self, lines: list[str]) -> None:
        content = read("a.md", "\n".join(lines).encode())
        for block in content.blocks:
            assert block.lines is not None
            here = lines[block.lines[0] - 1 : block.lines[1]]
            if block.kind != "prose":
                assert block.text.split("\n") == here
        if "<!--" not in lines and lines[:1] != ["---"]:
            found = "\n".join([*texts(content), *(block.heading for block in content.blocks)])
            assert all(line in found for line in lines if line in ("text", "> q", "| a |"))
