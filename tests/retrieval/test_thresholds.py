"""Which thresholds are in use: set, kept with the index by `kb eval`, or the usual ones."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.refusal import LEAST, Refusal
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval import thresholds as choosing
from kb_assistant.retrieval.relevance import CERTAIN, EVIDENCE, REFUSE
from kb_assistant.retrieval.result import Thresholds
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings
from tests.samples import DATA
from tests.shell import kb

KEPT = Thresholds(0.3, 0.6)
QUESTIONS = json.loads((DATA / "sample_questions.json").read_text(encoding="utf-8"))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "a.md").write_text("# Tower\n\nThe tower is 34 metres high.\n")
    return tmp_path / "a.md"


def base(tmp_path: Path, name: str = "hash", **settings: Any) -> KnowledgeBase:
    embedder: Any = HashEmbeddings(name)
    return KnowledgeBase(Settings(home=tmp_path / "home", **settings), embedder=embedder)


def test_kept_floors_are_used_where_the_settings_name_none(tmp_path: Path, docs: Path) -> None:
    with base(tmp_path) as made:
        made.ingest(docs)
        assert made.status()["floors"] == {"refuse": 0.0, "certain": 0.0, "from": "none"}
        made.keep_thresholds(KEPT)
        assert made.thresholds == KEPT
        assert made.retrieve("How high is the tower?").thresholds == KEPT
    with base(tmp_path) as opened:
        assert opened.status()["floors"] == {"refuse": 0.3, "certain": 0.6, "from": "kb eval"}
    with base(tmp_path, refuse_below=0.7) as told:
        assert told.thresholds == Thresholds(0.7, 0.7)
        assert told.status()["floors"]["from"] == "settings"
    with base(tmp_path, uncertain_below=0.9) as told:
        assert told.thresholds == Thresholds(0.3, 0.9)
        assert told.status()["floors"]["from"] == "kb eval"


def test_a_repair_keeps_them(tmp_path: Path, docs: Path) -> None:
    with base(tmp_path) as made:
        made.ingest(docs)
        made.keep_thresholds(KEPT)
        with closing(sqlite3.connect(made.settings.kb_dir / "kb.sqlite")) as db:
            db.execute("UPDATE texts SET body = 'lies'")
            db.commit()
        assert made.verify(repair=True).repaired
        made.ingest(docs)
        assert made.thresholds == KEPT


def test_they_win_over_the_usual_ones(tmp_path: Path, docs: Path) -> None:
    with base(tmp_path) as made:
        made.ingest(docs)
        made.embedder.background_cosines = (0.7, 0.04)  # type: ignore[misc]
        assert made.status()["floors"] == {"refuse": REFUSE, "certain": CERTAIN, "from": "usual"}
        made.keep_thresholds(KEPT)
        assert made.thresholds == KEPT


def test_another_embedder_ends_them(tmp_path: Path, docs: Path) -> None:
    with base(tmp_path) as made:
        made.ingest(docs)
        made.keep_thresholds(KEPT)
    with base(tmp_path, "other") as other:
        assert other.rebuild()
        assert other.thresholds == Thresholds()
        assert other.status()["floors"]["from"] == "none"


def test_new_documents_do_not(tmp_path: Path, docs: Path) -> None:
    with base(tmp_path) as made:
        made.ingest(docs)
        made.keep_thresholds(KEPT)
        docs.with_name("b.md").write_text("# Pump\n\nThe pump is old.\n")
        made.ingest(docs.parent, include=["*.md"])
        assert made.thresholds == KEPT
        assert made.verify().sound


@pytest.mark.parametrize("changed", ["EVIDENCE", "analyzer_version"])
def test_another_way_of_telling_evidence_ends_them(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    with base(tmp_path) as made:
        made.ingest(docs)
        made.keep_thresholds(KEPT)
        if changed == "EVIDENCE":
            monkeypatch.setattr(choosing, "EVIDENCE", {**EVIDENCE, "lead": 9.9})
        else:
            monkeypatch.setattr(choosing.keywords, "analyzer_version", lambda: "others")
        assert made.thresholds == Thresholds()


def test_too_few_questions_keep_nothing() -> None:
    enough, few = [0.9] * LEAST, [0.1] * (LEAST - 1)
    assert Refusal(enough, {"off": [0.1] * LEAST}, 0, 0).thresholds() == Thresholds(0.51, 0.9)
    for refusal in (Refusal(few, {"off": enough}, 0, 0), Refusal(enough, {"off": few}, 0, 0)):
        with pytest.raises(DatasetError, match="too few") as caught:
            refusal.thresholds()
        assert "--other" in caught.value.hint


@pytest.mark.usefixtures("remembering")
def test_kb_eval_keeps_a_floor_that_is_used_from_then_on(sample_home: Path, home: Path, tmp_path: Path) -> None:
    """With real vectors, over the sample documents and their questions."""
    shutil.copytree(sample_home / "kbs", home / "kbs")
    rows = [
        {"text": one["question"], "history": one["history"], "source": one["source"] or []} for one in QUESTIONS
    ]
    off = [one["question"] for one in QUESTIONS if one["source"] is None and not one["history"]]
    rows += [{"text": f"{text} {word}"} for word in ("please", "now") for text in off]
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert "(usual)" in kb("status", home=home).stdout
    done = kb("eval", "--mine", "--questions", file, "--keep-floor", "--json", home=home)
    assert done.code == 0, done.stderr
    refusal = done.json[0]["refusal"]
    kept = kb("status", "--json", home=home).json["floors"]
    best = refusal["recommended"]
    assert kept == {"refuse": best["floor"], "certain": best["certain"], "from": "kb eval"}
    assert kept["refuse"] != REFUSE
    assert f"refused below {kept['refuse']:.2f}" in done.stderr
    again = kb("eval", "--mine", "--questions", file, "--json", home=home).json[0]["refusal"]
    assert again["floor"] == kept["refuse"]
    assert again["wrongly refused"]["mean"] <= 0.03
    assert again["rightly refused"]["its own"]["mean"] == pytest.approx(best["refused right"], abs=1e-3)


@pytest.mark.parametrize("arguments", [["--mine"], ["SET"], ["SET", "--questions", "x"]])
def test_a_floor_is_kept_for_questions_of_ones_own_only(home: Path, arguments: list[str]) -> None:
    done = kb("eval", *arguments, "--keep-floor", home=home)
    assert done.code == 2
    assert "--keep-floor" in done.stderr


def test_thresholds_measured_with_the_reader_do_not_hold_without_it(tmp_path: Path, docs: Path) -> None:
    with base(tmp_path) as made:
        made.ingest(docs)
        made.keep_thresholds(KEPT)
        made.settings = made.settings.but(answer_reader="off")
        assert made.thresholds == Thresholds()
