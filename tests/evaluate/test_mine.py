"""Sets made from one's own knowledge base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.mine import own_set
from kb_assistant.evaluate.run import evaluate
from kb_assistant.knowledge import KnowledgeBase
from tests.law import small_kb
from tests.shell import kb

DOCS = {
    "gates/north.md": "# North gate\n\n## Opening hours\n\nFrom six until noon.\n",
    "gates/south.md": "# South gate\n\n## Opening hours\n\nFrom eight until dusk.\n",
    "pump.txt": "The pump was built by Ann Fell.\n",
}


@pytest.fixture
def base(tmp_path: Path) -> KnowledgeBase:
    for name, text in DOCS.items():
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(text)
    made = small_kb(tmp_path / "home")
    made.ingest(tmp_path / "docs")
    return made


def asked(tmp_path: Path, *rows: Any) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def names(right: Any) -> list[str]:
    return sorted(Path(path).name for path in right)


def test_headings_are_questions_to_the_files_they_stand_in(base: KnowledgeBase) -> None:
    made = {question.text: names(question.right) for question in own_set(base, None).questions}
    assert made == {"North gate Opening hours": ["north.md"], "South gate Opening hours": ["south.md"]}
    found = evaluate(own_set(base, None), base, depths=(1,))
    assert next(one for one in found.ways if one.way.name == "kb").total["recall@1"].mean == 1


def test_a_file_of_questions_names_sources_by_their_end(base: KnowledgeBase, tmp_path: Path) -> None:
    file = asked(
        tmp_path,
        {"text": "Who built the pump?", "source": "pump.txt"},
        {"text": "When do they open?", "source": ["gates/north.md", "./gates/south.md"]},
        {"text": "Who won the cup?"},
    )
    first, second, off = own_set(base, file).questions
    assert names(first.right) == ["pump.txt"]
    assert names(second.right) == ["north.md", "south.md"]
    assert not off.answerable


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"text": "Who?", "source": "nobody.md"}, "line 1: no file 'nobody.md'"),
        ({"text": "Who?", "source": 3}, "line 1: source is 3"),
        ({"source": "pump.txt"}, "no text"),
        ([], "line 1"),
    ],
)
def test_a_wrong_line_is_said(base: KnowledgeBase, tmp_path: Path, row: Any, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        own_set(base, asked(tmp_path, row))


def test_without_headings_a_file_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("No heading.")
    made = small_kb(tmp_path / "home")
    made.ingest(tmp_path / "a.txt")
    with pytest.raises(DatasetError) as caught:
        own_set(made, None)
    assert "file of questions" in caught.value.hint


def test_kb_eval_mine(sample_home: Path, tmp_path: Path) -> None:
    file = asked(tmp_path, {"text": "Who founded the Corran Lighthouse Cooperative?",
                            "source": "lighthouse-cooperative.md"})  # fmt: skip
    done = kb("eval", "--mine", "--questions", file, "--k", "5", "--json", home=sample_home)
    assert done.code == 0, done.stderr
    assert "any passage of it" in done.stderr
    (found,) = done.json
    assert {row["way"]: row["recall@5"]["mean"] for row in found["retrieval"]}["kb"] == 1


def test_either_sets_or_ones_own(home: Path, tmp_path: Path) -> None:
    for arguments in ([], [str(tmp_path), "--mine"]):
        done = kb("eval", *arguments, home=home)
        assert done.code == 2
        assert "--mine" in done.stderr
