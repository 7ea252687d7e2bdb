"""Retrieval: what is found for questions and follow-ups, in both languages, with filters; a floor under recall."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.answering.history import turns
from kb_assistant.errors import QuestionError, StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.result import Retrieval
from kb_assistant.settings import Settings
from kb_assistant.types import Turn
from tests.fakes import BlindEmbeddings, HashEmbeddings
from tests.samples import DATA

QUESTIONS: list[dict[str, Any]] = json.loads((DATA / "sample_questions.json").read_text(encoding="utf-8"))
ANSWERED = [question for question in QUESTIONS if question["source"]]


def in_folder(tmp_path: Path, files: dict[str, str], embedder: HashEmbeddings) -> KnowledgeBase:
    docs = tmp_path / "docs"
    docs.mkdir(exist_ok=True)
    for name, text in files.items():
        (docs / name).write_text(text, encoding="utf-8")
    base = KnowledgeBase(Settings(home=tmp_path / "home", readers=1), embedder=embedder)  # type: ignore[arg-type]
    base.ingest(docs)
    return base


FILES = {
    "tides.md": "The tide rises twice a day.",
    "bread.md": "Bread rises in the oven.",
    "钟.md": "塔上有一口铜钟。",
}


def test_similarities_are_cosines_to_the_question_alone(tmp_path: Path) -> None:
    embedder = HashEmbeddings()
    with in_folder(tmp_path, FILES, embedder) as base:
        hits = base.search("tide twice", 3, [Turn("Does bread rise?", "In the oven.")])
    assert Path(hits[0].source).name == "tides.md"
    asked, told = embedder.encode_queries(["tide twice"])[0], embedder.encode_passages([hits[0].text])[0]
    assert hits[0].similarity == pytest.approx(float(asked @ told), abs=1e-6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_one_side_alone_finds_by_itself(tmp_path: Path) -> None:
    with in_folder(tmp_path, FILES, BlindEmbeddings()) as base:
        worded = base.retrieve("tide twice", 3, sides=["keyword"])
        near = base.retrieve("tide twice", 3, sides=["dense"])
    assert [Path(hit.source).name for hit in worded.hits] == ["tides.md"]
    assert len(near.hits) == 3


@pytest.mark.parametrize("sides", [["dense"], ["keyword"], ["dense", "keyword"]])
def test_conditions_limit_both_sides(tmp_path: Path, sides: list[Any]) -> None:
    files = {f"old/{n}.md": f"The tide rises twice a day, note {n}." for n in range(60)}
    (tmp_path / "docs" / "old").mkdir(parents=True)
    with in_folder(tmp_path, files | {"new.txt": "The tide is a tide."}, HashEmbeddings()) as base:
        hits = base.retrieve("tide twice day note", 5, where=["type=txt"], sides=sides).hits
        assert [Path(hit.source).name for hit in hits] == ["new.txt"]
        assert base.search("tide", 5, where=["path=old/7.md"])[0].source.endswith("old/7.md")
        assert base.search("tide", 5, where=["type=pdf"]) == ()
        with pytest.raises(QuestionError, match="no condition"):
            base.search("tide", 5, where=["pdf"])


SHARED = "The tide rises twice a day. It falls twice as well, and the harbour dries out at low water every day."
"""A text that several files hold."""


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[KnowledgeBase]:
    """Two folders that hold the same files, one nearly the same, and neighbours with a text of their own."""
    long = " ".join(f"Word{n} stands here." for n in range(30))
    files = {
        "a/x.md": SHARED,
        "b/y.md": SHARED,
        "b/z.md": SHARED,
        "a/long.md": f"{long} Harbour one.",
        "b/long.md": f"{long} Harbour two.",
    }
    for name in files:
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
    with in_folder(tmp_path, files, HashEmbeddings()) as base:
        yield base


@pytest.mark.parametrize("folder", ["a", "b"])
@pytest.mark.parametrize("sides", [["dense"], ["keyword"], ["dense", "keyword"]])
@pytest.mark.parametrize("question", ["tide rises twice a day", "Word7 stands here harbour"])
def test_no_source_outside_the_conditions_is_named(
    shared: KnowledgeBase, folder: str, sides: list[Any], question: str
) -> None:
    hits = shared.retrieve(question, 5, where=[f"path=*/{folder}/*"], sides=sides).hits
    assert hits
    for hit in hits:
        for path in (hit.source, *hit.also_in, *hit.near_in):
            assert Path(path).parent.name == folder
        with shared.store.read() as snapshot:
            (chunk,) = snapshot.chunks([hit.id])
        assert chunk.source == hit.source


def test_without_conditions_all_are_named(shared: KnowledgeBase) -> None:
    best = shared.search("tide rises twice a day", 5)[0]
    assert [Path(path).name for path in (best.source, *best.also_in)] == ["x.md", "y.md", "z.md"]
    near = shared.search("Word7 stands here harbour", 1)[0]
    assert {Path(path).parent.name for path in (near.source, *near.near_in)} == {"a", "b"}


def test_citations_name_no_source_outside_the_conditions(shared: KnowledgeBase) -> None:
    reply = shared.ask("How often does the tide rise a day?", where=["path=*/b/*"])
    assert reply.citations
    named = [path for one in reply.citations for path in (one.hit.source, *one.hit.also_in, *one.hit.near_in)]
    assert {Path(path).parent.name for path in named} == {"b"}


@pytest.mark.parametrize(("k", "found"), [(1, 1), (2, 2), (3, 3), (50, 3)])
def test_k_passages_are_found_where_there_are_so_many(tmp_path: Path, k: int, found: int) -> None:
    with in_folder(tmp_path, FILES, BlindEmbeddings()) as base:
        hits = base.search("tide", k)
        assert len(hits) == len({hit.id for hit in hits}) == found


@pytest.mark.parametrize("turned", [False, True])
def test_equal_hits_come_in_the_same_order_whatever_was_stored_first(tmp_path: Path, turned: bool) -> None:
    """Texts that differ in a number only, so that many cosines and BM25 scores are the same."""
    files = {f"{number}.md": f"Mooring number {number} is free." for number in range(12)}
    with in_folder(tmp_path, files, HashEmbeddings(dimension=8)) as base:
        first = [hit.id for hit in base.search("free mooring", 12)]
        paths = sorted((hit.source for hit in base.search("free mooring", 12)), reverse=turned)
        base.remove(paths)
        for path in paths:
            base.ingest(path)
        assert [hit.id for hit in base.search("free mooring", 12)] == first
    assert len(first) == 12


def test_a_passage_that_stands_in_two_files_is_one_hit_with_both_names(tmp_path: Path) -> None:
    with in_folder(tmp_path, FILES | {"copy.md": FILES["tides.md"]}, HashEmbeddings()) as base:
        hits = base.search("tide twice", 5)
    assert Path(hits[0].source).name == "copy.md"
    assert [Path(path).name for path in hits[0].also_in] == ["tides.md"]
    assert len(hits) == 3


def test_an_empty_knowledge_base_finds_nothing(tmp_path: Path) -> None:
    with in_folder(tmp_path, {"empty.md": ""}, HashEmbeddings()) as base:
        found = base.retrieve("anything")
    assert (found.hits, found.relevant) == ((), False)


def test_a_missing_knowledge_base_is_said(tmp_path: Path) -> None:
    base = KnowledgeBase(Settings(home=tmp_path), embedder=HashEmbeddings())  # type: ignore[arg-type]
    with pytest.raises(StoreError) as caught:
        base.search("anything")
    assert "kb ingest" in caught.value.hint


def test_questions_that_could_be_query_syntax_are_only_words(tmp_path: Path) -> None:
    with in_folder(tmp_path, FILES, BlindEmbeddings()) as base:
        for question in ('"', '" OR "', "tide AND", "NEAR(tide)", "tide*", "col:tide", "(", "_", "\ud800", "' --"):
            assert len(base.search(question, 3)) == 3


def test_timings_are_told(sample_kb: KnowledgeBase) -> None:
    found = sample_kb.retrieve("Who founded the Aldersea Station?")
    assert set(found.seconds) == {"rewrite", "embed", "dense", "keyword", "fuse", "passages"}
    assert all(seconds >= 0 for seconds in found.seconds.values())


FOUNDED = [Turn("Who founded the Corran Lighthouse Cooperative?", "It was founded by Alasdair Munn in 1962.")]
TOWER = [Turn("白鹭洲有观鸟塔吗？", "有，白鹭洲湿地观测站有一座观鸟塔。")]


@pytest.mark.parametrize(
    ("question", "history", "source", "fact"),
    [
        ("and who runs it now?", FOUNDED, "lighthouse-cooperative.md", "Bridget Hallam"),
        ("它什么时候开放？", TOWER, "湿地观测站.md", "6:30至11:30"),
        ("门票多少钱？", TOWER, "湿地观测站.md", "每张15元"),
    ],
)
def test_history_finds_what_a_follow_up_means(
    sample_kb: KnowledgeBase, question: str, history: Sequence[Turn], source: str, fact: str
) -> None:
    """The same words mean other things in other documents: only the turn before tells which."""
    rank_with = rank(sample_kb.retrieve(question, 20, history), source, fact)
    rank_alone = rank(sample_kb.retrieve(question, 20), source, fact)
    assert rank_with <= 2
    assert rank_with <= rank_alone


def test_the_same_follow_up_means_another_thing_after_another_question(sample_kb: KnowledgeBase) -> None:
    station = [
        Turn("Who founded the Aldersea Station?", "The Aldersea Station was founded by Miriam Okafor in 1987.")
    ]
    assert rank(sample_kb.retrieve("and who runs it now?", 5, station), "history.md", "Tomas Lindqvist") == 1


def test_a_code_is_found_in_the_other_language_but_alone_never_surely(sample_kb: KnowledgeBase) -> None:
    found = sample_kb.retrieve("水泵出现ERR-1058是什么意思？", 5)
    assert found.hits[0].source.endswith("pump-manual.pdf")
    assert found.relevant
    other = sample_kb.retrieve("火箭出现ERR-1058是什么意思？", 5)
    assert other.relevant
    assert other.uncertain
    assert not sample_kb.retrieve("火箭出现ERR-7777是什么意思？", 5).relevant


def rank(found: Retrieval, source: str, fact: str) -> float:
    """Place of the first passage of that file that holds the fact; infinite where there is none."""
    for place, hit in enumerate(found.hits, start=1):
        if hit.source.endswith(source) and "".join(fact.split()) in "".join(hit.text.split()):
            return place
    return math.inf


def kind(question: dict[str, Any]) -> str:
    name = str(question["id"])
    return "cross-language" if name.startswith("cross") else "follow-up" if "follow" in name else "standalone"


@pytest.mark.parametrize(
    ("wanted", "floor"),
    [("standalone", 0.95), ("follow-up", 0.94), ("cross-language", 0.55)],  # measured: 1.00, 1.00, 0.67
)
def test_the_passage_with_the_answer_is_among_the_first_five(
    sample_kb: KnowledgeBase, wanted: str, floor: float
) -> None:
    asked = [question for question in ANSWERED if kind(question) == wanted]
    missed = [
        question["id"]
        for question in asked
        if rank(
            sample_kb.retrieve(question["question"], 5, turns(question["history"])),
            question["source"],
            question["answer"],
        )
        > 5
    ]
    assert 1 - len(missed) / len(asked) >= floor, missed


def test_what_the_documents_do_not_hold_is_told_from_what_they_do(sample_kb: KnowledgeBase) -> None:
    """The floor of the real embedder; measured: 8 of 13 refused, 1 of 68 refused by mistake."""

    def irrelevant(question: dict[str, Any]) -> bool:
        return not sample_kb.retrieve(question["question"], 5, turns(question["history"])).relevant

    assert sum(map(irrelevant, (question for question in QUESTIONS if not question["source"]))) >= 7
    assert sum(map(irrelevant, ANSWERED)) <= 2
