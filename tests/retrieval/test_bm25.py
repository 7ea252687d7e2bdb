from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.retrieval import bm25
from kb_assistant.retrieval.bm25 import PostingsCache, WordIndex
from kb_assistant.store import KnowledgeStore, NewChunk, Snapshot, Source, SQLiteStore, Text
from kb_assistant.text import analyzer as keywords
from tests.fts import keyword_search

MODEL = {"name": "none", "dimension": 2}
TEXTS = [
    "The pump stands in the north hall.",
    "The pump house: pump one, pump two.",
    "水泵每月检查一次，检查由站长负责。",
    "The north hall is closed in winter. The hall keys hang at the gate, the gate is open until noon.",
    "Error ERR-1042 stops the pump.",
]


def store_of(path: Path, texts: list[str]) -> KnowledgeStore:
    store = SQLiteStore(path / "kb.sqlite", create=True)
    chunks = [NewChunk(Text("", text)) for text in texts]
    with store.write(MODEL) as transaction:
        transaction.put_meta("embedder", MODEL)
        vectors = {chunk.text.hash: np.array([1, 0], "<f4").tobytes() for chunk in chunks}
        transaction.put_source(Source("a.txt", "", "", "", "", False, ""), chunks, vectors)
    return store


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    with store_of(tmp_path, TEXTS).read() as snapshot:
        yield snapshot


def ranked(snapshot: Snapshot, question: str) -> list[str]:
    found = WordIndex(snapshot, total=len(TEXTS)).rank(keywords.analyze_query(question), 10)
    return [text.body for text in snapshot.texts([text_id for text_id, _ in found])]


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("north pump", TEXTS[0]),
        ("pump", TEXTS[1]),
        ("谁负责检查水泵？", TEXTS[2]),
        ("gate keys", TEXTS[3]),
        ("err-1042", TEXTS[4]),
    ],
)
def test_the_text_with_the_rarest_words_is_best(snapshot: Snapshot, question: str, best: str) -> None:
    assert ranked(snapshot, question)[0] == best


def test_it_finds_what_fts5_finds(snapshot: Snapshot) -> None:
    words = keywords.analyze_query("north pump gate 检查")
    ours = [text_id for text_id, _ in WordIndex(snapshot, len(TEXTS)).rank(words, 10)]
    assert set(ours) == {text_id for text_id, _ in keyword_search(snapshot.place, words, 10)}


def test_score_is_that_of_the_formula(snapshot: Snapshot) -> None:
    words = {text_id: keywords.analyze(TEXTS[text_id - 1]) for text_id in (1, 2, 5)}
    rarity = math.log1p((5 - 3 + 0.5) / (3 + 0.5))
    mean = sum(map(len, words.values())) / 3
    wanted = {}
    for text_id, line in words.items():
        n = line.count("pump")
        wanted[text_id] = rarity * n * 2 / (n + 0.5 + 0.5 * len(line) / mean)
    assert dict(WordIndex(snapshot, len(TEXTS)).rank(["pump"], 10)) == pytest.approx(wanted)


def test_unknown_and_no_words_find_nothing(snapshot: Snapshot) -> None:
    index = WordIndex(snapshot, len(TEXTS))
    assert index.rank(["zebra"], 10) == []
    assert index.rank([], 10) == []
    table = index.table([], [1])
    assert (table.term_coverage([])[0], table.max_score([])) == (0.0, 0.0)


def test_coverage_is_the_weighted_share_of_the_words(snapshot: Snapshot) -> None:
    words = ["north", "hall", "pump", "zebra"]
    table = WordIndex(snapshot, len(TEXTS)).table(words, [1, 2, 4])
    assert table.term_coverage(["north", "hall"]).tolist() == pytest.approx([1, 0, 1])
    pump, zebra = math.log1p(2.5 / 3.5), math.log1p(5.5 / 0.5)
    assert table.term_coverage(["pump", "zebra"])[0] == pytest.approx(pump / (pump + zebra))
    assert table.term_coverage(["zebra"]).tolist() == [0, 0, 0]


def test_a_table_scores_as_the_ranking_does(snapshot: Snapshot) -> None:
    index = WordIndex(snapshot, len(TEXTS))
    words = keywords.analyze_query("north pump")
    found = dict(index.rank(words, 10))
    scores = index.table([*words, "gate"], list(found)).scores(words)
    assert scores.tolist() == pytest.approx(list(found.values()))
    assert max(scores) < index.table(words, [1]).max_score(words)


def test_only_what_is_allowed_is_found(snapshot: Snapshot) -> None:
    index = WordIndex(snapshot, len(TEXTS), np.array([2, 4]))
    assert [text_id for text_id, _ in index.rank(["pump", "gate"], 10)] == [4, 2]


def test_common_words_are_left_out_but_never_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"common number {i}" for i in range(100)] + ["common rare"]
    monkeypatch.setattr(bm25, "POSTINGS", 50)
    monkeypatch.setattr(bm25, "_FEW", 10)
    with store_of(tmp_path, texts).read() as snapshot:
        found = WordIndex(snapshot, 101).rank(["common", "rare"], 10)
        assert [text.body for text in snapshot.texts([i for i, _ in found])] == ["common rare"]
        alone = WordIndex(snapshot, 101).rank(["common"], 40)
        assert len(alone) == 40
        assert alone[0][1] > 0


VOCABULARY = [f"word{n}" for n in range(120)]


def zipf(seed: int, count: int, length: int) -> list[str]:
    """Texts of words of which the first are in most texts and the last in few."""
    chance = random.Random(seed)
    weights = [1 / (n + 1) for n in range(len(VOCABULARY))]
    return [" ".join(chance.choices(VOCABULARY, weights, k=length)) for _ in range(count)]


@pytest.fixture
def scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an index a hundred times as large would be read."""
    monkeypatch.setattr(bm25, "_FEW", bm25._FEW // 100)
    monkeypatch.setattr(bm25, "_SAMPLE", bm25._SAMPLE // 100)
    monkeypatch.setattr(bm25, "POSTINGS", bm25.POSTINGS // 100)
    monkeypatch.setattr(bm25, "CANDIDATES", 10)


@pytest.mark.usefixtures("scaled_down")
def test_what_was_searched_before_changes_nothing(tmp_path: Path) -> None:
    questions = [text.split() for text in zipf(2, 60, 6)]
    words = [list(dict.fromkeys(question)) for question in questions]
    with store_of(tmp_path, zipf(1, 800, 12)).read() as snapshot:
        alone = [WordIndex(snapshot, 800).rank(some, 8) for some in words]
        cache = PostingsCache()
        order = [*range(60), *range(60)]
        for seed in range(3):
            random.Random(seed).shuffle(order)
            for place in order:
                index = WordIndex(snapshot, 800, postings=cache.at(snapshot))
                assert index.rank(words[place], 8) == alone[place]
                table = index.table(VOCABULARY, [text_id for text_id, _ in alone[place]])
                assert table.rarities.tolist() == [WordIndex(snapshot, 800)._rarity(word) for word in VOCABULARY]


@pytest.mark.parametrize(("sample", "off"), [(1_000, 0), (20, 0.25)])
def test_how_many_texts_hold_a_word_is_counted_or_inferred_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: int, off: float
) -> None:
    monkeypatch.setattr(bm25, "_FEW", 100)
    monkeypatch.setattr(bm25, "_SAMPLE", sample)
    folders = ["handbook"] * 150 + ["minutes"] * 650  # one folder is stored after the other
    texts = [f"{folder} {text}" for folder, text in zip(folders, zipf(1, 800, 12), strict=True)]
    with store_of(tmp_path, texts).read() as snapshot:
        index = WordIndex(snapshot, 800)
        for word in (*VOCABULARY, *keywords.analyze_query("handbook minutes")):
            exact = len(snapshot.postings(word))
            assert index._count(word) == pytest.approx(exact, rel=off if exact >= 100 else 0), word


def test_a_fresh_process_finds_the_same(tmp_path: Path) -> None:
    """Words are hashed by another seed in each process."""
    store_of(tmp_path, zipf(1, 300, 12)).close()
    script = (
        "import sys; from pathlib import Path; from kb_assistant.retrieval.bm25 import WordIndex\n"
        "from kb_assistant.store import SQLiteStore\n"
        "with SQLiteStore(Path(sys.argv[1])).read() as snapshot:\n"
        "    index = WordIndex(snapshot, 300)\n"
        "    for first in sys.argv[2].split(','):\n"
        "        print(first, index.rank([f'word{first}', 'word1', 'word0', 'word7'], 9))\n"
    )
    found = []
    for seed, order in (("0", "3,9,50,100"), ("7", "100,50,9,3")):
        command = [sys.executable, "-c", script, str(tmp_path / "kb.sqlite"), order]
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(sorted(done.stdout.splitlines()))
    assert found[0] == found[1]
