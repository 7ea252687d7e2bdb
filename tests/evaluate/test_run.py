"""An evaluation from a folder to a page, with the real embedder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.corpus import documents_of, fill, open_corpus
from kb_assistant.evaluate.datasets import EvalSet, Question, read_set
from kb_assistant.evaluate.report import page
from kb_assistant.evaluate.run import Evaluation, evaluate
from kb_assistant.evaluate.ways import WAYS
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.result import Retrieval
from kb_assistant.settings import Settings
from kb_assistant.types import Hit, Locator, Turn
from tests.evaluate.sets import CORPUS, write_set
from tests.fakes import HashEmbeddings
from tests.homes import link_models
from tests.shell import kb


def filled(folder: Path, home: Path) -> tuple[EvalSet, KnowledgeBase]:
    embedder: Any = HashEmbeddings()
    data = read_set(folder)
    base = open_corpus(data, Settings(home=home), embedder)
    fill(base, data)
    return data, base


@pytest.mark.engine
def test_a_set_is_searched_with_the_homes_models(models_home: Path, tmp_path: Path) -> None:
    home = link_models(models_home, tmp_path / "home")
    with open_corpus(read_set(write_set(tmp_path / "set")), Settings(home=home)) as base:
        assert base.reader is not None
        base.reader.open()
        assert base.embedder.fingerprint["name"] == "multilingual-e5-small"


def test_documents_are_embedded_once_and_follow_the_set(tmp_path: Path) -> None:
    folder, home = write_set(tmp_path / "set"), tmp_path / "home"
    data, base = filled(folder, home)
    with base:
        assert len(base.sources()) == len(CORPUS)
    embedded: list[int] = []
    with filled(folder, home)[1] as base:
        fill(base, data, progress=lambda now: embedded.append(now.embedded))
    assert not any(embedded)
    (folder / "corpus.jsonl").write_text('{"id": "pump", "text": "Gone."}\n', encoding="utf-8")
    with filled(folder, home)[1] as base:
        assert [source.path for source in base.sources()] == ["document:pump"]
        with pytest.raises(DatasetError, match="Stopped") as caught:
            fill(base, read_set(write_set(tmp_path / "other")), stop=lambda: True)
    assert "again" in caught.value.hint


def test_documents_of_hits() -> None:
    def hit(source: str, *also: str) -> Hit:
        return Hit("", "", f"document:{source}", Locator(), 1.0, also_in=tuple(f"document:{one}" for one in also))

    assert documents_of((hit("a", "b"), hit("a"), hit("c"))) == ["a", "b", "c"]


def small_evaluation(tmp_path: Path) -> Evaluation:
    shares: list[float] = []
    data, base = filled(write_set(tmp_path / "set"), tmp_path / "home")
    with base:
        found = evaluate(data, base, depths=(1, 3), others=[data], progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    return found


def test_ways_are_compared_by_turn_and_label(tmp_path: Path) -> None:
    found = small_evaluation(tmp_path)
    names = [measured.way.name for measured in found.ways]
    assert names == ["keywords", "dense", "last turn", "with history", "ranks fused", "kb", "human rewrite"]
    ours = found.ways[names.index("kb")]
    assert set(ours.total) == {f"{name}@{k}" for name in ("recall", "ndcg", "mrr", "hit") for k in (1, 3)}
    assert ours.groups["turn 2"]["recall@3"].count == 1
    assert ours.groups["kind: time"]["recall@3"].mean == ours.values["recall@3"]["follow"]
    assert found.refusal is not None
    assert list(found.refusal.unanswerable) == ["its own"]
    assert json.loads(json.dumps(found.to_json()))["questions"] == 2


def test_documents_are_ordered_by_their_ranks_in_both_forms(tmp_path: Path) -> None:
    """The fused order is that of 1 / (60 + rank), worked out from the two orders it is made of."""
    _, base = filled(write_set(tmp_path / "set"), tmp_path / "home")
    built = Turn("Who built the pump?", "The pump was built by Ann Fell in 1904.")
    follow = Question("follow", "When does it close?", (built,))
    ways = {way.name: way for way in WAYS}
    with base:
        last, joined, fused = (
            documents_of(ways[name].search(base, follow, 4).hits)
            for name in ("last turn", "with history", "ranks fused")
        )
    assert last != joined
    scores = {
        document: sum(1 / (61 + ranks.index(document)) for ranks in (last, joined) if document in ranks)
        for document in (*last, *joined)
    }
    assert fused == sorted(scores, key=lambda document: -scores[document])


def test_other_sets_questions_come_after_answered_turns_too(tmp_path: Path) -> None:
    data, base = filled(write_set(tmp_path / "gates"), tmp_path / "home")
    other = write_set(tmp_path / "other")
    searched: list[tuple[str, int]] = []
    retrieve = base.retrieve

    def watched(question: str, k: int | None = None, history: Any = (), **options: Any) -> Retrieval:
        searched.append((question, len(history)))
        return retrieve(question, k, history, **options)

    base.retrieve = watched  # type: ignore[method-assign]
    with base:
        found = evaluate(data, base, depths=(1,), others=[read_set(other)])
    assert found.refusal is not None
    origins = {name: len(values) for name, values in found.refusal.unanswerable.items()}
    assert origins == {"its own": 1, "of other": 2, "of other, second turn": 1}, "one first question, one opening"
    assert ("When is the north gate open?", 1) in searched


def test_the_page_has_all_of_it_and_nothing_that_runs_or_loads(tmp_path: Path) -> None:
    html = page([small_evaluation(tmp_path)])
    for wanted in ("human rewrite", "turn 2", "kind: time", "floor recommended", "<svg"):
        assert wanted in html
    assert html.count("<svg") == html.count("</svg>") == 2
    assert not re.search(r"<script|<link|<img|@import|src=|href=\"http", html)


def test_names_from_a_set_are_text_on_the_page(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "<b>set")
    queries = (
        (folder / "queries.jsonl").read_text(encoding="utf-8").replace('"time"', '"<script>alert(1)</script>"')
    )
    (folder / "queries.jsonl").write_text(queries, encoding="utf-8")
    data, base = filled(folder, tmp_path / "home")
    with base:
        html = page([evaluate(data, base, depths=(1,))])
    assert "<script>" not in html
    assert "<b>" not in html


def test_kb_eval(tmp_path: Path, home: Path) -> None:
    """The whole command with the real embedder: JSON, text and page."""
    folder, report = write_set(tmp_path / "gates"), tmp_path / "out.html"
    ended = kb("eval", folder, "--k", "1,3", "--json", "--report", report, home=home)
    assert ended.code == 0, ended.stderr
    (found,) = ended.json
    ways = {row["way"]: row for row in found["retrieval"]}
    assert ways["kb"]["recall@1"]["mean"] == 1.0
    assert found["refusal"]["rightly refused"]["its own"]["mean"] == 1.0
    assert "gates" in report.read_text(encoding="utf-8")
    text = kb("eval", folder, write_set(tmp_path / "again"), home=home).stdout
    assert "human rewrite" in text
    assert "refused in all sets, its own: 1.000" in text
    assert "recommended floor" in text


@pytest.mark.parametrize("k", ["0", "x", "5,-1", ""])
def test_wrong_depths_are_said(tmp_path: Path, k: str, home: Path) -> None:
    ended = kb("eval", write_set(tmp_path / "set"), "--k", k, home=home)
    assert ended.code == 2
    assert "--k" in ended.stderr
