"""`kb train reader` as a user calls it, on an index of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shell import kb

PLACES = "harbour ferry library museum garden bakery chapel station bridge tower market mill".split()
PEOPLE = "Ann Bob Cid Dan Eve Fay Gus Hal Ida Jon Kim Lea".split()


def faq(folder: Path) -> Path:
    """Four questions each on twelve places."""
    folder.mkdir()
    for place, (name, person) in enumerate(zip(PLACES, PEOPLE, strict=True)):
        (folder / f"{name}.md").write_text(
            f"# The {name}\n\nThe {name} stands in street {place + 3}.\n\n"
            f"## Who keeps the {name}?\n\nThe keeper is {person} Marsh. The office is closed on Mondays.\n\n"
            f"## When does the {name} open?\n\nIt opens at {place % 4 + 7} in the morning.\n\n"
            f"Q: What does a ticket to the {name} cost?\nA: {place + 2} euros.\n\n"
            f"Q: Are dogs allowed in the {name}?\nA: Only on a lead.\n",
            encoding="utf-8",
        )
    return folder


@pytest.fixture
def data(home: Path, tmp_path: Path) -> Path:
    assert kb("ingest", faq(tmp_path / "docs"), home=home).code == 0
    made = kb("train", "data", "--from-kb", "--test", "0.3", "--out", tmp_path / "data", home=home)
    assert made.code == 0, made.stderr
    return tmp_path / "data"


@pytest.mark.engine
def test_data_without_passages_and_an_unknown_folder_are_told(home: Path, tmp_path: Path) -> None:
    rows = "question,answer\n" + "".join(f"{one} opens when?,at {n}\n" for n, one in enumerate(PLACES))
    (tmp_path / "faq.csv").write_text(rows, encoding="utf-8")
    for path, said in (("faq.csv", "questions with passages are too few"), ("none", "There is no")):
        done = kb("train", "reader", tmp_path / path, "--name", "own", "--json", home=home)
        assert done.code == 2
        assert said in done.json["error"]
    assert json.loads(kb("train", "list", "--json", home=home).stdout) == {"adapters": [], "unfinished": []}


@pytest.mark.slow
def test_it_is_trained_measured_and_kept_only_where_it_gains(home: Path, data: Path, tmp_path: Path) -> None:
    dry = kb("train", "reader", data, "--name", "own", "--dry-run", home=home)
    assert dry.code == 0, dry.stderr
    assert dry.stdout.count("--- example ") == 3
    assert "⟦" in dry.stdout
    done = kb("train", "reader", data, "--name", "own", "--json", home=home)
    assert done.code in (0, 3), done.stderr
    assert done.json["kept"] == (done.code == 0)
    assert done.json["own"]["before"]["questions"] >= 10
    assert done.json["usual"]["gain"]["count"] == 100
    assert done.json["usual"]["after"]["f1"] > 0.5  # what it could before, it can
    gained = done.json["own"]["gain"]["mean"] > 0 and done.json["usual"]["gain"]["mean"] >= -0.01
    assert done.json["kept"] == gained
    listed = json.loads(kb("train", "list", "--json", home=home).stdout)
    assert listed["unfinished"] == []
    assert [one["name"] for one in listed["adapters"]] == (["own"] if gained else [])
    if gained:
        (home / "kb.toml").write_text('answer_reader = "own"\n', encoding="utf-8")
        answer = kb("ask", "who is the keeper of the mill?", "--model", "extract", home=home)
        assert "Lea Marsh" in answer.stdout
        assert kb("train", "export", "own", tmp_path / "out", home=home).code == 0
        assert kb("train", "rm", "own", home=home).code == 0
