"""The weights of earlier turns that other sets choose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.evaluate.corpus import fill, open_corpus
from kb_assistant.evaluate.datasets import EvalSet, read_set
from kb_assistant.evaluate.held_out import HELD_OUT, HeldOut, made_up
from kb_assistant.evaluate.run import evaluate
from kb_assistant.evaluate.ways import WITHOUT_WEIGHTS
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.evaluate.sets import write_set
from tests.fakes import HashEmbeddings
from tests.shell import kb


def opened(folder: Path, home: Path) -> tuple[EvalSet, KnowledgeBase]:
    embedder: Any = HashEmbeddings()
    data = read_set(folder)
    base = open_corpus(data, Settings(home=home), embedder)
    fill(base, data)
    return data, base


def test_a_set_has_no_part_in_what_it_is_searched_with(tmp_path: Path) -> None:
    """Of a set alone nothing is known; another's choice is the same whatever this one holds."""
    gates, base = opened(write_set(tmp_path / "gates"), tmp_path / "home")
    rivers, other = opened(write_set(tmp_path / "rivers"), tmp_path / "home")
    held = HeldOut()
    with base, other:
        held.add(gates, base)
        assert held.way(gates) is None
        alone = held.chosen(headed=False)
        held.add(rivers, other)
        assert held.way(gates)
        assert held.chosen(headed=False, without=rivers) == alone


def test_sets_of_one_collection_are_left_out_together(tmp_path: Path) -> None:
    film, base = opened(write_set(tmp_path / "talks-film"), tmp_path / "home")
    travel, other = opened(write_set(tmp_path / "talks-travel"), tmp_path / "home")
    held = HeldOut()
    with base, other:
        held.add(film, base)
        held.add(travel, other)
    assert held.way(film) is None


def test_the_way_is_measured_beside_the_others_with_what_it_gains(tmp_path: Path) -> None:
    gates, base = opened(write_set(tmp_path / "gates"), tmp_path / "home")
    rivers, other = opened(write_set(tmp_path / "rivers"), tmp_path / "home")
    held = HeldOut()
    with base, other:
        held.add(rivers, other)
        way = held.way(gates)
        assert way
        found = evaluate(gates, base, depths=(1,), besides=[way])
    assert HELD_OUT in [measured.way.name for measured in found.ways]
    assert len(found.differences) == 2
    best = max(one.total["recall@1"].mean for one in found.ways if one.way.name in WITHOUT_WEIGHTS)
    ours = next(one for one in found.ways if one.way.name == HELD_OUT).total["recall@1"].mean
    assert found.differences[1].total["recall@1"].mean == pytest.approx(ours - best, abs=1e-9)


def test_conversations_are_made_of_other_questions(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "gates")
    rows = [
        {"id": "north", "text": "When is the north gate open?", "answers": ["from six"]},
        {"id": "south", "text": "When is the south gate open?", "answers": ["from eight"]},
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "queries.jsonl").write_text(lines, encoding="utf-8")
    (folder / "qrels.tsv").write_text("q\td\ts\nnorth\tnorth\t1\nsouth\tsouth\t1\n", encoding="utf-8")
    data = read_set(folder)
    made = {one.id: one.history for one in made_up(data, data.judged, same_title=False)}
    assert [turn.question for turn in made["north"]] == ["When is the south gate open?"]
    assert [turn.answer for turn in made["north"]] == ["The south gate is open from eight."]
    assert not list(made_up(data, data.judged, same_title=True)), "no other question has its title"


def test_one_set_cannot_be_left_out(tmp_path: Path, home: Path) -> None:
    ended = kb("eval", write_set(tmp_path / "gates"), "--leave-one-out", home=home)
    assert ended.code == 2
    assert "two sets" in ended.stderr


def test_kb_eval_leaves_each_set_out(tmp_path: Path, home: Path) -> None:
    sets = [write_set(tmp_path / name) for name in ("gates", "rivers")]
    ended = kb("eval", *sets, "--k", "1", "--leave-one-out", "--json", home=home)
    assert ended.code == 0, ended.stderr
    assert "All sets together choose" in ended.stderr
    for found in ended.json:
        assert HELD_OUT in [row["way"] for row in found["retrieval"]]
        assert [row["way"].split(" − ")[0] for row in found["differences"]] == ["kb", HELD_OUT]
