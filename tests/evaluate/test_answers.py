"""Answers measured: by hand with a scripted model, and with the real ones through the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.evaluate import answers as measuring
from kb_assistant.evaluate.answers import Answers, measure_answers
from kb_assistant.evaluate.corpus import fill, open_corpus
from kb_assistant.evaluate.datasets import EvalSet, read_set
from kb_assistant.evaluate.report import page
from kb_assistant.evaluate.run import evaluate
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.evaluate.sets import write_set
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.shell import kb


@pytest.fixture
def gates(tmp_path: Path) -> tuple[EvalSet, KnowledgeBase]:
    """Questions on the south gate: whoever searches "When does it close?" alone finds the north gate first."""
    embedder: Any = HashEmbeddings()
    folder = write_set(tmp_path / "gates")
    for name in ("queries.jsonl", "qrels.tsv"):
        text = (folder / name).read_text(encoding="utf-8").replace("north", "south").replace("noon", "dusk")
        (folder / name).write_text(text.replace("six", "eight"), encoding="utf-8")
    data = read_set(folder)
    base = open_corpus(data, Settings(home=tmp_path / "home", k=1), embedder)
    fill(base, data)
    return data, base


def answered(
    monkeypatch: pytest.MonkeyPatch, gates: tuple[EvalSet, KnowledgeBase], *said: str
) -> tuple[Answers, ScriptedChat]:
    data, base = gates
    model = ScriptedChat(pieces=list(said))
    monkeypatch.setattr(measuring, "open_model", lambda *_: model)
    with base:
        return measure_answers(data.answered, base, "scripted"), model


def test_only_questions_with_a_reference_are_asked(gates: tuple[EvalSet, KnowledgeBase]) -> None:
    assert [question.id for question in gates[0].answered] == ["first", "follow"]


def test_each_question_is_asked_in_each_way(
    monkeypatch: pytest.MonkeyPatch, gates: tuple[EvalSet, KnowledgeBase]
) -> None:
    found, model = answered(monkeypatch, gates, "At dusk.")
    assert [row.name for row in found.ways] == ["kb", "last turn", "model alone"]
    assert (found.model, found.count, found.note) == ("scripted", 2, "")
    texts = [prompt[-1].text for prompt in model.prompts]
    assert len(texts) == 5, "a first turn is the same with and without what came before"
    alone, first, alone_later, follow, last = texts
    assert alone == "Answer the question in one sentence.\nWhen is the south gate open?"
    assert "passage" not in alone_later
    assert alone_later.endswith("The south gate is open from eight. When does it close?")
    assert "It closes at dusk." in first
    assert "It closes at dusk." in follow
    assert "It closes at dusk." not in last, "searched alone, the question doesn't say which gate"
    assert last.endswith("The south gate is open from eight. When does it close?"), "but the prompt does"


def test_measures_by_hand(monkeypatch: pytest.MonkeyPatch, gates: tuple[EvalSet, KnowledgeBase]) -> None:
    found, _ = answered(monkeypatch, gates, "At dusk [1]. Dragons guard every northern castle [1].")
    ours, last, alone = (row.total for row in found.ways)
    # The references are "From eight." and "At dusk."; the mark is no word of the answer.
    assert ours["words"].mean == 7
    assert ours["f1"].mean == pytest.approx((0 + 2 * 2 / 9) / 2)
    assert ours["rouge-l"].mean == ours["f1"].mean
    assert ours["exact match"].mean == 0
    assert (ours["cites"].mean, alone["cites"].mean) == (1, 0)
    assert (ours["citation precision"].mean, ours["citation precision"].count) == (0.5, 4)
    assert alone["citation precision"].count == 0
    assert (ours["cites right document"].mean, last["cites right document"].mean) == (1, 0.5)


def test_groups_and_differences(monkeypatch: pytest.MonkeyPatch, gates: tuple[EvalSet, KnowledgeBase]) -> None:
    texts = {"first": ("From eight.", "From eight.", "No."), "follow": ("At dusk.", "At noon.", "No.")}

    def answer(_kb: Any, _model: Any, question: Any, ways: Any) -> Any:
        return [
            (way, measuring.Answer(text))
            for way, text in zip(("kb", "last turn", "model alone"), texts[question.id], strict=True)
            if way in ways
        ]

    monkeypatch.setattr(measuring, "_answer", answer)
    found, _ = answered(monkeypatch, gates)
    assert [row.name for row in found.differences] == ["kb − last turn", "kb − model alone"]
    last, alone = found.differences
    assert last.total["exact match"].mean == 0.5
    assert last.total["f1"].mean == 0.25
    assert set(last.total) == {"f1", "exact match", "rouge-l"}
    assert last.groups["kind: time"]["exact match"].mean == 1
    assert last.groups["turn 1"]["f1"].mean == 0
    assert alone.total["f1"].mean == 1


def test_what_only_quotes_says_that_it_can_not_answer_alone(gates: tuple[EvalSet, KnowledgeBase]) -> None:
    data, base = gates
    with base:
        shares: list[float] = []
        found = evaluate(data, base, models=["extract"], progress=shares.append)
    (answers,) = found.answers
    assert [row.name for row in answers.ways] == ["kb", "last turn"]
    assert "quotes" in answers.note
    assert answers.ways[0].total["citation precision"].mean == 1
    assert shares == sorted(shares)
    assert shares[-1] == 1
    html = page([found])
    assert "Answers of extract to 2 questions" in html
    assert "kb − last turn" in html


def test_kb_eval_answers_with_real_models(tmp_path: Path, home: Path) -> None:
    folder = write_set(tmp_path / "gates")
    models = ("--answer", "extract", "--answer", "smollm2-135m-instruct")
    ended = kb("eval", folder, *models, "--json", home=home)
    assert ended.code == 0, ended.stderr
    (found,) = ended.json
    quoted, told = found["answers"]
    assert (quoted["model"], quoted["questions"], told["model"]) == ("extract", 2, "smollm2-135m-instruct")
    ours, *_, alone = told["ways"]
    assert alone["way"] == "model alone"
    assert ours["f1"]["mean"] > alone["f1"]["mean"], "the gate's hours stand in the documents only"
    assert told["differences"][-1]["f1"]["low"] <= told["differences"][-1]["f1"]["mean"]
    assert json.dumps(told["ways"][0]["groups"]["turn 2"])
    text = kb("eval", folder, "--answer", "extract", home=home).stdout
    assert "answers of extract to 2 questions" in text
    assert "kb − last turn" in text


def test_a_missing_model_is_said_before_anything_is_embedded(tmp_path: Path, home: Path) -> None:
    ended = kb("eval", write_set(tmp_path / "gates"), "--answer", "nobody", home=home)
    assert ended.code == 2
    assert "nobody" in ended.stderr
    assert not (home / "eval").exists()
