"""Examples for the reader: right answers marked, wrong passages wrong, questions as people type them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from kb_assistant.training.reader.examples import examples
from kb_assistant.training.reader.pairs import Group

DOCUMENTS = [
    {"id": "d1", "title": "Tides",
     "text": "The tide table was made by Ann Brook in 1901. It hangs in the hall. It is blue."},
    {"id": "d2", "title": "Bread", "text": "Bread is baked at six. The oven came from Leeds in 1950."},
    {"id": "d3", "title": "水泵", "text": "水泵由陈明负责，功率为五千瓦，每年检修两次。"},
]  # fmt: skip
QUESTIONS = [
    {"id": "q1", "text": "Who made the tide table?", "answers": ["Ann Brook"], "context_id": "d1"},
    {"id": "q2", "text": "When did the oven come?", "answers": ["1950"], "context_id": "d2"},
    {"id": "q3", "text": "水泵由谁负责？", "answers": ["陈明"], "context_id": "d3"},
    {"id": "q4", "text": "Who sold the tide table?", "answers": [], "answerable": False, "context_id": "d1"},
    {"id": "q5", "text": "and when?", "answers": ["In 1901."], "context_id": "d1",
     "history": [{"role": "user", "text": "Who made the table?"}, {"role": "assistant", "text": "Ann Brook."}]},
]  # fmt: skip


def nearest(questions: Sequence[str], texts: Sequence[str], count: int) -> list[list[int]]:
    return [list(range(min(count, len(texts)))) for _ in questions]


def made(tmp_path: Path, seed: int = 0) -> list[Group]:
    folder = tmp_path / "set"
    if not folder.exists():
        folder.mkdir()
        for name, rows in (("corpus", DOCUMENTS), ("queries", QUESTIONS)):
            lines = [json.dumps(row, ensure_ascii=False) for row in rows]
            (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
        judged = [f"{row['id']}\t{row['context_id']}\t1" for row in QUESTIONS if row.get("answerable", True)]
        (folder / "qrels.tsv").write_text("\n".join(["query\tdocument\tscore", *judged]), encoding="utf-8")
    return list(examples([folder], nearest, random.Random(seed), lambda _, __: True))


def test_marked_answers_are_the_answers(tmp_path: Path) -> None:
    spans = set()
    for seed in range(30):
        for group in made(tmp_path, seed):
            spans |= {pair.body[slice(*pair.span)] for pair in group if pair.span}
    assert {"Ann Brook", "1950"} <= spans <= {"Ann Brook", "1950", "陈明", "陳明"}


def test_each_kind_of_pair_is_there(tmp_path: Path) -> None:
    pairs = [pair for seed in range(30) for group in made(tmp_path, seed) for pair in group]
    kinds = {(pair.relevant, pair.answered, pair.span is not None) for pair in pairs}
    assert kinds == {(True, True, True), (True, True, False), (True, False, False), (False, False, False)}
    assert any(pair.earlier and not pair.relevant for pair in pairs)  # off the subject of an earlier turn
    assert {pair.question for pair in pairs} > {row["text"] for row in QUESTIONS[:4]}  # and other ways to put them


def test_near_misses_are_made_of_passages_that_answer(tmp_path: Path) -> None:
    pairs = [pair for seed in range(60) for group in made(tmp_path, seed) for pair in group]
    without = [pair for pair in pairs if pair.body == "It hangs in the hall. It is blue."]
    assert without
    assert all(pair.relevant and pair.answered is False and not pair.span for pair in without)


def test_a_group_asks_one_question(tmp_path: Path) -> None:
    for group in made(tmp_path):
        assert len({pair.earlier for pair in group}) == 1
        assert [pair.relevant for pair in group[1:]] == [False] * (len(group) - 1)


def test_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    assert made(tmp_path, 3) == made(tmp_path, 3) != made(tmp_path, 4)


def test_left_out_documents_and_their_questions_are_not_seen(tmp_path: Path) -> None:
    made(tmp_path)
    groups = examples([tmp_path / "set"], nearest, random.Random(0), lambda _, title: title != "Tides")
    assert not [pair for group in groups for pair in group if "tide" in pair.body or "tide" in pair.question]
