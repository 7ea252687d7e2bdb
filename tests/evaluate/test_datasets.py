"""Sets read from folders; every fault says where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.datasets import Question, read_set, spread
from tests.evaluate.sets import CORPUS, QUERIES, write_set

HEAD = "query-id\tdoc-id\tscore\n"


def test_a_set_is_read(tmp_path: Path) -> None:
    data = read_set(write_set(tmp_path / "gates"))
    assert data.name == "gates"
    assert [(document.id, document.title) for document in data.documents()] == [
        (row["id"], row.get("title", "")) for row in CORPUS
    ]
    first, follow, off = data.questions
    assert (first.turn, follow.turn) == (1, 2)
    assert follow.history[0].question == QUERIES[0]["text"]
    assert (follow.rewrite, follow.answers, follow.labels) == (
        "When does the north gate close?",
        ("At noon.",),
        {"kind": "time"},
    )
    assert first.conversation == follow.conversation
    assert data.judged == (first, follow)
    assert data.unanswerable == (off,)


def test_names_and_places_of_beir_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d", "text": "x"}\n', encoding="utf-8")
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "y"}\n\n', encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text(f"{HEAD}q\td\t2\nq\te\t0\n", encoding="utf-8")
    assert read_set(folder).questions[0].right == {"d": 2}


def test_questions_beside_the_judged_ones_have_no_answer(tmp_path: Path) -> None:
    folder = write_set(tmp_path)
    (folder / "unjudged.jsonl").write_text('{"id": "u", "text": "And the weather?"}\n', encoding="utf-8")
    assert [question.id for question in read_set(folder).unanswerable] == ["off", "u"]


@pytest.mark.parametrize(
    ("file", "text", "wanted"),
    [
        ("corpus.jsonl", "{", "corpus.jsonl, line 1"),
        ("corpus.jsonl", '{"text": "x"}', "no id"),
        ("corpus.jsonl", '{"id": "x"}', "no text"),
        ("queries.jsonl", "[]", "queries.jsonl, line 1"),
        ("queries.jsonl", '{"id": "q", "text": "t", "history": [{"role": "cat", "text": ""}]}', "line 1"),
        ("queries.jsonl", '{"id": "q", "text": "t", "labels": ["x"]}', "line 1"),
        ("queries.jsonl", '{"id": "q", "text": "t", "history": "x"}', "line 1"),
        ("qrels.tsv", f"{HEAD}only", "qrels.tsv, line 2"),
        ("qrels.tsv", f"{HEAD}q\td\tmuch", "qrels.tsv, line 2"),
    ],
)
def test_a_wrong_line_is_said_with_its_place(tmp_path: Path, file: str, text: str, wanted: str) -> None:
    folder = write_set(tmp_path)
    (folder / file).write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=wanted):
        list(read_set(folder).documents())


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_missing_file_is_said(tmp_path: Path, name: str) -> None:
    folder = write_set(tmp_path)
    (folder / name).unlink()
    with pytest.raises(DatasetError, match=name):
        read_set(folder)


def test_a_file_in_another_encoding_is_said(tmp_path: Path) -> None:
    folder = write_set(tmp_path)
    (folder / "queries.jsonl").write_bytes('{"id": "q", "text": "水泵"}'.encode("gb18030"))
    with pytest.raises(DatasetError, match=r"queries\.jsonl can't be read") as caught:
        read_set(folder)
    assert "UTF-8" in caught.value.hint


def test_questions_are_spread_evenly() -> None:
    questions = [Question(str(number), "") for number in range(10)]
    assert [question.id for question in spread(questions, 5)] == ["0", "2", "4", "6", "8"]
    assert len(spread(questions, 99)) == len(spread(questions, None)) == 10
