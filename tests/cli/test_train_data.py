"""kb train init and kb train data: what they print, write, refuse, and their exit codes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.chatglm2_data import TINY
from tests.shell import kb, kb_here

ROWS = "question,answer\n" + "".join(f"{one} opens when?,at {n} o'clock\n" for n, one in enumerate(
    "harbour ferry library museum garden bakery chapel station bridge tower".split()
))  # fmt: skip


def test_a_table_becomes_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "faq.csv"
    file.write_text(ROWS + "who,\nharbour opens when?,at 0 o'clock\ncall me,13812345678\n", encoding="utf-8-sig")
    done = kb("train", "data", file, home=tmp_path / "home")
    assert done.code == 1, done.stderr  # a row is broken
    assert "13 rows (12 question/answer), 11 used" in done.stdout
    assert "left out, broken: 1\n      faq.csv:12: answer is empty." in done.stdout
    assert "left out, duplicate: 1\n      faq.csv:13: the same as faq.csv:2" in done.stdout
    assert "phone numbers (an adapter repeats them to whoever asks): 1: faq.csv:14" in done.stdout
    assert "train 9, validation 1, test 1" in done.stdout
    assert "name the model that is to be trained with --model" in done.stderr
    folder = tmp_path / "faq-data"
    assert len((folder / "train.jsonl").read_text(encoding="utf-8").splitlines()) == 9
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["used"] == 11


@pytest.mark.engine
def test_with_a_model_tokens_are_counted_and_the_training_is_planned(tmp_path: Path) -> None:
    file = tmp_path / "faq.csv"
    file.write_text(f"{ROWS}why,{'long ' * 400}\n", encoding="utf-8")
    options = ("--model", TINY, "--max-tokens", "100", "--out", tmp_path / "out")
    done = kb("train", "data", file, *options, home=tmp_path / "home")
    assert done.code == 0, done.stderr
    assert "left out, too long: 1\n      faq.csv:12: " in done.stdout
    assert "(limit 100)" in done.stdout
    assert "memory: " in done.stdout
    assert "3 steps" in done.stdout
    page = tmp_path / "page.html"
    done = kb("train", "data", file, *options, "--report", page, "--json", home=tmp_path / "home")
    assert done.json["plan"]["steps"] == 3
    assert done.json["tokens"]["max"] <= 100
    assert done.json["left_out"]["too long"][0]["source"] == "faq.csv:12"
    html = page.read_text(encoding="utf-8")
    assert "<svg" in html
    assert "faq.csv:12" in html
    assert "<script" not in html


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        (b"", "is empty", "questions and answers"),
        (b"question,answer\n", "No row can be used", "Look at the rows"),
        (b"question,answer\na,b\n", "too few different questions", "--test 0"),
        (b"frage,antwort\na,b\n", "no columns of questions and answers, but: frage, antwort", "--question"),
        ("question,answer\n问,答\n".encode("gb18030"), "isn't UTF-8", "--encoding gb18030"),
    ],
)
def test_bad_input_is_refused_with_a_sentence_and_nothing_written(
    content: bytes, said: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    done = kb("train", "data", tmp_path / "a.csv", "--json", home=tmp_path / "home")
    assert done.code == 2
    assert said in done.json["error"]
    assert hint in done.json["hint"]
    assert [one.name for one in tmp_path.iterdir()] == ["a.csv"]


def test_a_recipe_is_written_once(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    assert kb("train", "init", file, home=tmp_path).code == 0
    file.write_text("rank = 4\n", encoding="utf-8")
    done = kb("train", "init", file, home=tmp_path)
    assert (done.code, "--force" in done.stderr) == (2, True)
    assert file.read_text(encoding="utf-8") == "rank = 4\n"
    assert kb("train", "init", file, "--force", home=tmp_path).code == 0
    assert "rank = 8" in file.read_text(encoding="utf-8")


def test_documents_and_rated_answers_become_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = partial(kb_here, monkeypatch, tmp_path / "home")
    docs = tmp_path / "docs"
    docs.mkdir()
    for one in "harbour ferry library museum garden bakery".split():
        (docs / f"{one}.md").write_text(f"# {one}\n\n## When opens the {one}?\n\nThe {one} opens at nine.\n")
    run("ingest", docs)
    done = run("train", "data", "--from-kb", "--out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "7 rows (7 documents), 7 used" in done.stdout  # six, and one that can't be answered
    written = [json.loads(line) for line in (tmp_path / "data" / "train.jsonl").read_text("utf-8").splitlines()]
    assert {one["style"] for one in written} == {"grounded"}
    assert all(one["passages"] for one in written)
    more = tmp_path / "more.csv"
    more.write_text(ROWS, encoding="utf-8")
    done = run("train", "data", more, "--from-chats", "--out", tmp_path / "both")  # one that gives nothing is told
    assert done.returncode == 0, done.stderr
    assert "thumb" in done.stderr
    assert "10 used" in done.stdout
    done = run("train", "data", "--from-kb", "--from-chats", "--write-questions", "1", "--out", tmp_path / "all")
    assert done.returncode == 0, done.stderr
    assert "No chat model is there to write questions" in done.stderr
    done = run("train", "data", "--from-chats", "--json")
    assert done.returncode == 2
    assert "thumb" in json.loads(done.stdout)["error"]
    assert run("train", "data").returncode == 2


def test_general_dialogue_needs_the_model_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "faq.csv").write_text(ROWS, encoding="utf-8")
    done = kb("train", "data", tmp_path / "faq.csv", "--replay", "2", home=tmp_path / "home")
    assert (done.code, "name it with --model" in done.stderr) == (2, True)
    assert not (tmp_path / "faq-data").exists()


@pytest.mark.engine
def test_both_kinds_of_general_dialogue_go_together(tmp_path: Path) -> None:
    (tmp_path / "faq.csv").write_text(ROWS, encoding="utf-8")
    general = [f"general question {word},answer" for word in "rain snow wind hail fog".split()]
    (tmp_path / "general.csv").write_text("question,answer\n" + "\n".join(general), encoding="utf-8")
    options = ("--mix", tmp_path / "general.csv", "--replay", "1", "--ratio", "0.3", "--model", TINY)
    done = kb("train", "data", tmp_path / "faq.csv", *options, "--json", home=tmp_path / "home")
    assert done.code == 0, done.stderr
    assert "0 of 1 neutral prompts were answered to the end" in done.stderr  # the tiny model never ends
    assert done.json["parts"]["neutral"] == 1
    assert done.json["parts"]["train"] == 11  # three of them general
