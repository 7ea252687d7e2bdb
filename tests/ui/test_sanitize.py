"""Text made harmless, and Markdown made a tree of known elements."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.answering.citations import marks
from kb_assistant.types import Hit, Locator
from ui import strings
from ui.components import blocks, utf16
from ui.markdown_tree import tree
from ui.sanitize import escaped, short, strip_all_invisible, strip_invisible, wide
from ui.strings import say_in

HITS = [Hit(str(n), "The pump is red.", "/a.md", Locator(), 1) for n in range(3)]
HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[click](javascript:alert(1))",
    "![pixel](https://evil.example/p.png)",
    "<https://evil.example>",
    "[1]: https://evil.example 'x'\n\nsee [1]",
    "```\n</code><script>alert(1)</script>\n```",
    "| a |\n| --- |\n| <b onclick=x>c</b> |",
    "&lt;script&gt; &#x3c;b&#x3e;",
    "\u202egnp.exe\u202c \u2066x\u2069 \x1b[31m",
    "$$\\href{javascript:alert(1)}{x}$$",
    "\ue0000\ue001",
]
ELEMENTS = set(
    "p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s br hr table thead tbody tr th td".split()
)


def walk(nodes: list[Any]) -> list[Any]:
    found: list[Any] = []
    for node in nodes:
        found.append(node)
        if isinstance(node, list) and node[0] != "cite":
            found += walk(node[1:])
    return found


def text_of(nodes: list[Any]) -> str:
    return "".join(node for node in walk(nodes) if isinstance(node, str) and node not in ELEMENTS)


@pytest.mark.parametrize("answer", HOSTILE)
def test_hostile_answers_become_text_and_known_elements_only(answer: str) -> None:
    nodes = walk(tree(answer))
    for node in nodes:
        if isinstance(node, list):
            assert node[0] in ELEMENTS
    said = text_of(tree(answer))
    assert not any(unseen in said for unseen in "\u202e\u202c\u2066\u2069\x1b")


def test_markup_is_shown_as_it_was_written() -> None:
    assert text_of(tree("<b>bold</b> & <script>x</script>")) == "<b>bold</b> & <script>x</script>"


def test_the_usual_markdown_is_kept() -> None:
    nodes = tree("# Head\n\nSome **bold** and `code`\n\n- one\n- two\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n")
    assert nodes[0] == ["h1", "Head"]
    assert ["strong", "bold"] in nodes[1]
    assert ["code", "code"] in nodes[1]
    assert nodes[2] == ["ul", ["li", "one"], ["li", "two"]]
    assert nodes[3][0] == "table"


def test_citations_become_elements_wherever_they_stand() -> None:
    answer = "The pump is red. [1] **It is red** [2](x).\n\n- Red pump is it. [3]\n"
    found = marks(answer, HITS)
    nodes = walk(tree(answer, found))
    assert [node for node in nodes if isinstance(node, list) and node[0] == "cite"] == [
        ["cite", 0],
        ["cite", 1],
        ["cite", 2],
    ]
    assert "[1]" not in text_of(tree(answer, found))


def test_rows_that_name_their_cells_become_tables() -> None:
    answer = "Prices [1]\nBed: hall | Price: 60 [1]\nBed: tent | Price: 25\n```\na: b | c: d\n```\nEnd."
    found = tree(answer, marks(answer, HITS))
    (table,) = [node for node in found if isinstance(node, list) and node[0] == "table"]
    head = ["thead", ["tr", ["th", "Bed"], ["th", "Price"]]]
    assert table[1] == head
    rows = [[text_of(cell[1:]) for cell in row[1:]] for row in table[2][1:]]
    assert [[cell.strip() for cell in row] for row in rows] == [["hall", "60"], ["tent", "25"]]
    assert ["cite", 1] in walk(table), "the mark stays in its row"
    assert ["pre", ["code", "a: b | c: d\n"]] in found, "code stays as it is"
    (single,) = [node for node in tree("A: 1 | B: 2 | C: 3 | D: 4") if node[0] == "table"]
    assert [text_of(row[1:]) for row in single[2][1:]] == ["A1", "B2", "C3", "D4"], "a wide row has a cell a line"
    (bare,) = tree("Lyon | 130 | abroad\nRennes | 801 | abroad")
    assert [text_of(row[1:]) for row in bare[2][1:]] == ["Lyon130abroad", "Rennes801abroad"]
    assert tree("either a | or b") == [["p", "either a | or b"]]


def test_tables_and_code_of_a_passage_are_shown_in_their_order() -> None:
    passage = "😀\n```sh\nls | wc\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    code, table = blocks(passage)
    assert (code["start"], code["code"]) == (3, (9, 17)), "in a browser's units"
    assert code["end"] == table["start"]
    assert table["names"] == ["a", "b"]


@given(st.text(alphabet=string.printable + "，。你好[]()!<>*_`\u202e\ue000\ue001", max_size=200))
def test_any_answer_gives_a_tree(answer: str) -> None:
    for node in walk(tree(answer, marks(answer, HITS))):
        if isinstance(node, list):
            assert node[0] in ELEMENTS or (node[0] == "cite" and isinstance(node[1], int))


@given(st.text(max_size=100))
def test_escaped_text_reads_back_as_plain_text(text: str) -> None:
    from markdown_it import MarkdownIt

    shown = MarkdownIt("commonmark", {"html": True}).renderInline(escaped(text))
    assert "<" not in shown.replace("&lt;", "")
    for sign in ("![", "](", "**", "`"):
        assert sign not in escaped(text) or f"\\{sign[-1]}" in escaped(text)


def test_clean_reaches_every_text() -> None:
    assert strip_all_invisible({"a": ["x\u202ey", {"b": ("z\x00",)}], "n": 1}) == {
        "a": ["xy", {"b": ["z"]}],
        "n": 1,
    }
    assert strip_invisible("\ud800") == "?"


def test_short_counts_columns() -> None:
    assert short("水泵手册水泵手册", 9) == "水泵手册…"
    assert wide("水a") == 3
    assert short("pump", 9) == "pump"


def test_places_count_as_a_browser_does() -> None:
    assert utf16("a😀b", [(0, 1), (1, 2), (2, 3)]) == [(0, 1), (1, 3), (3, 4)]


def test_every_text_is_there_in_both_languages_with_the_same_values() -> None:
    for key, (english, chinese) in strings._WORDS.items():
        assert english, key
        assert chinese, key
        fields = [
            sorted(name for _, name, _, _ in string.Formatter().parse(one) if name) for one in (english, chinese)
        ]
        assert fields[0] == fields[1], key


def test_one_of_something_is_told_in_the_singular() -> None:
    assert [say_in("en", "passages", n=n) for n in (1, 2, "1", 0)] == [
        "1 passage", "2 passages", "1 passage", "0 passages",
    ]  # fmt: skip
    assert say_in("zh", "passages", n=1) == "1 个段落"
