"""Keywords: the same word gives the same token, in Chinese and English, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.keywords import fold, is_chinese, query_tokens, tokens
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.fakes import BlindEmbeddings
from tests.shell import kb


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ERR-1042：水泵", ["err-1042", "err", "1042", "水泵"]),
        ("The Pump", ["the", "pump"]),
        ("v2.3.1", ["v2.3.1", "v2"]),
        ("snake_case_name", ["snake_case_name", "snake", "case", "name"]),
        ("parseHTTPHeader", ["parsehttpheader", "parse", "http", "header"]),
        ("a/b/config.yaml", ["a/b/config.yaml", "config", "yaml"]),
        ("keeper's keeper’s", ["keeper", "keeper"]),
        ("C++ and C#", ["c++", "and", "c#"]),
        ("ＡＢＣ１２３", ["abc123"]),
        ("ｐｕｍｐ", ["pump"]),
        ("①", ["1"]),
        ("naïve Übersicht", ["naïve", "übersicht"]),
        ("_", []),
        ("__init__", ["init"]),
        ("", []),
        ("。，！…", []),
        ("\ud800", []),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert [token for token in tokens(text) if len(token) > 1 or token == "1"] == expected


def test_chinese_gives_pairs_of_neighbours_and_longer_words() -> None:
    found = tokens("观鸟塔什么时候开放")
    assert {"观鸟", "鸟塔", "开放"} <= set(found)
    assert "图书馆管理员" not in found
    assert "东西湖" in tokens("东西湖") or {"东西", "西湖"} <= set(tokens("东西湖"))


def test_one_chinese_character_is_a_token() -> None:
    assert tokens("鱼") == ["鱼"]
    assert "鱼" in tokens("pH值，鱼")


def test_rare_characters_beyond_the_basic_plane_are_chinese_too() -> None:
    assert tokens("𠮷野") != []
    assert is_chinese("𠮷野家")


def test_a_question_loses_words_that_name_nothing() -> None:
    assert query_tokens("What is the pump, and who is it for?") == ["pump"]
    assert query_tokens("什么时候？") == []
    assert "什么" not in query_tokens("观鸟塔什么时候开放？")
    assert query_tokens("pump pump Pump") == ["pump"]


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("它什么时候开放？", True),
        ("When is it open?", False),
        ("BP-7水泵怎么样", True),
        ("What does 燕鸥 mean in this very long English question?", False),
        ("", False),
        ("12345 ?!", False),
    ],
)
def test_the_language_of_a_text(text: str, chinese: bool) -> None:
    assert is_chinese(text) is chinese


@given(st.text(max_size=60))
def test_any_text_gives_tokens_that_are_words(text: str) -> None:
    for token in tokens(text):
        assert token
        assert not any(character.isspace() for character in token)


@given(st.text(st.sampled_from("aB3 -_.观鸟塔，ＡＢ１'"), max_size=20))
def test_width_and_case_make_no_difference(text: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    assert [token.lower() for token in tokens(wide)] == [token.lower() for token in tokens(text)]
    assert fold(wide) == fold(text)


@pytest.fixture(scope="module")
def wordy(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """Sixty documents of filler, and a few that hold a word of their own; the vectors say nothing."""
    folder = tmp_path_factory.mktemp("wordy")
    docs = folder / "docs"
    docs.mkdir()
    for number in range(60):
        (docs / f"filler-{number}.md").write_text(
            f"# Note {number}\n\nThe weather of day {number} was mild. 第{number}天的天气很好，适合散步。\n",
            "utf-8",
        )
    special = {
        "english.md": "The lamp is filled with colza oil from a brass can.",
        "chinese.md": "每年冬天，村民用镰刀收割菖蒲。",
        "code.md": "If the display shows ERR-4711, close the valve.",
        "wide.md": "型号是ＱＸ９９，产自云溪县。",
        "mixed.md": "固件由parseTideTable函数读取。",
    }
    for name, text in special.items():
        (docs / name).write_text(f"# Text\n\n{text}\n", "utf-8")
    embedder: BlindEmbeddings = BlindEmbeddings()
    base = KnowledgeBase(Settings(home=folder / "home", readers=1), embedder=embedder)  # type: ignore[arg-type]
    base.ingest(docs)
    return base


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("colza", "english.md"),
        ("What is colza oil?", "english.md"),
        ("菖蒲", "chinese.md"),
        ("菖蒲什么时候收割？", "chinese.md"),
        ("ERR-4711", "code.md"),
        ("What does err-4711 mean?", "code.md"),
        ("4711", "code.md"),
        ("QX99", "wide.md"),
        ("ＱＸ９９是什么？", "wide.md"),
        ("tide table", "mixed.md"),
        ("parseTideTable", "mixed.md"),
    ],
)
def test_a_word_that_only_one_document_holds_is_found_by_search(
    wordy: KnowledgeBase, monkeypatch: pytest.MonkeyPatch, question: str, source: str
) -> None:
    monkeypatch.setattr(KnowledgeBase, "embedder", wordy.embedder)
    done = kb("search", question, "--json", "-k", "2", home=wordy.settings.home)
    found = [Path(hit["source"]).name for hit in done.json["hits"]]
    assert source in found, done.stdout
    assert not {"english.md", "chinese.md", "code.md", "wide.md", "mixed.md"} & ({*found} - {source})
