"""Spans against the reference answers: worked out by hand, and through the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kb_assistant.evaluate.corpus import fill, open_corpus
from kb_assistant.evaluate.datasets import Question, read_set
from kb_assistant.evaluate.report import page
from kb_assistant.evaluate.run import evaluate
from kb_assistant.evaluate.spans import measure_spans
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.evaluate.sets import CORPUS, write_set
from tests.fakes import HashEmbeddings
from tests.real import RememberedEmbeddings
from tests.shell import kb

TEXTS = {row["id"]: row["text"] for row in CORPUS}


@pytest.fixture
def gates(tmp_path: Path) -> KnowledgeBase:
    embedder: Any = HashEmbeddings()
    data = read_set(write_set(tmp_path / "gates"))
    base = open_corpus(data, Settings(home=tmp_path / "home"), embedder)
    fill(base, data)
    return base


def test_spans_by_hand(gates: KnowledgeBase) -> None:
    """Any function from question and passage can be measured, in both languages."""
    asked = [
        Question("1", "When does the north gate close?", answers=("noon", "at noon"), right={"north": 1}),
        Question("2", "谁不得使用吊车？", answers=("任何人",), right={"crane": 1, "pump": 1}),
    ]
    read: list[str] = []

    def span(question: str, passage: str) -> str:
        read.append(passage)
        return {"When does the north gate close?": "at noon", "谁不得使用吊车？": "何人不"}[question]

    with gates:
        given, told = measure_spans(asked, TEXTS, gates, span)
    assert read == [TEXTS["north"], TEXTS["crane"]]
    assert given.total["exact match"].mean == 0.5
    assert given.total["f1"].mean == pytest.approx((1 + 2 / 3) / 2), "two of three characters are shared"
    assert told.total["f1"].count == 2


def test_without_a_reader_the_quoted_sentence_counts(gates: KnowledgeBase) -> None:
    asked = [Question("1", "Who built the pump?", answers=("Ann Fell",), right={"pump": 1})]
    with gates:
        given, told = measure_spans(asked, TEXTS, gates)
    assert given.total["exact match"].mean == 0
    # "pump was built by Ann Fell in 1904": eight words, two of them the answer's
    assert given.total["f1"].mean == pytest.approx(2 * 2 / (8 + 2))
    assert told.total["f1"].mean > 0


def test_what_is_refused_shows_no_span(gates: KnowledgeBase) -> None:
    asked = [Question("1", "Who won the cup in Lisbon?", answers=("Porto",), right={"pump": 1})]
    gates.settings = gates.settings.but(refuse_below=1.0)
    with gates:
        _, told = measure_spans(asked, TEXTS, gates, lambda *_: "")
    assert (told.total["f1"].mean, told.total["exact match"].mean) == (0, 0)


def test_kb_eval_with_spans(tmp_path: Path, home: Path, remembering: RememberedEmbeddings) -> None:
    del remembering
    ended = kb("eval", write_set(tmp_path / "gates"), "--spans", "--json", home=home)
    assert ended.code == 0, ended.stderr
    given, told = ended.json[0]["spans"]
    assert (given["way"], told["way"]) == ("right passage", "kb ask")
    assert 0 < given["f1"]["mean"] < 1
    assert given["f1"]["count"] == 2
    assert "span, kb ask: f1" in kb("eval", tmp_path / "gates", "--spans", home=home).stdout


def test_the_page_shows_them(gates: KnowledgeBase, tmp_path: Path) -> None:
    with gates:
        found = evaluate(read_set(tmp_path / "gates"), gates, depths=(1,), spans=True)
    assert "<h3>Spans</h3>" in page([found])
    assert not evaluate(read_set(tmp_path / "gates"), gates, depths=(1,)).spans
