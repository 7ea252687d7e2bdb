"""The command line: its JSON is a contract, its errors are two lines, and documents can't steer the terminal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import BaseMessage
from numpy.typing import NDArray

from kb_assistant.llm.open import ChatModels
from kb_assistant.open_models import OpenModels
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.real import RememberedEmbeddings
from tests.shell import KB, Done, kb, kb_process
from tests.waiting import ProcessorTime

GROUPS = ("token", "user", "grant", "readers", "train", "models")
"""Commands with commands of their own."""

COMMANDS = (
    *GROUPS,
    *("ui", "serve", "mcp", "ingest", "search", "ask", "chat", "settings", "sources", "rm", "status", "verify"),
    *("rebuild", "copy", "worker", "jobs", "doctor", "eval", "bundle"),
)
FOUNDER = "Who founded the Corran Lighthouse Cooperative?"
REPORT = {
    "added",
    "updated",
    "unchanged",
    "duplicate",
    "removed",
    "failed",
    "chunks",
    "embedded",
    "seconds",
    "files",
}
USAGE = {"prompt_tokens", "completion_tokens", "first_token_s", "tokens_per_s", "reused_tokens"}
ANSWER = {"answer", "refused", "citations", "hits", "query", "dropped", "usage"}


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`kb` in this process uses vectors without a model."""
    monkeypatch.setattr(OpenModels, "embedder", HashEmbeddings())
    for name in ("KB_FLOOR", "KB_CERTAIN"):  # fitted to real embedders
        monkeypatch.setenv(name, "0")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "tower.md").write_text("# Tower\n\nThe tower is 34 metres high.\n")
    (folder / "鸟.md").write_text("# 参观\n\n观鸟塔周三开放。\n", encoding="utf-8")
    return folder


def script(monkeypatch: pytest.MonkeyPatch, *pieces: str | Exception | Callable[[], None]) -> ScriptedChat:
    model = ScriptedChat(pieces=list(pieces))
    monkeypatch.setattr(ChatModels, "answering", model)
    return model


def is_error(done: Done, said: str, hint: str) -> None:
    """Exit code 2, what happened and what to do in two lines on stderr, nothing else."""
    assert done.code == 2, done
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("kb: ")
    assert said in lines[0]
    assert hint in lines[1]
    assert "Traceback" not in done.stderr
    if done.stdout:
        message = lines[0].removeprefix("kb: ")
        assert (done.json["error"], done.json["hint"]) == (message, lines[1].strip())
        assert done.json["id"].format(**done.json["values"]) == message


# The contract of --json


@pytest.mark.usefixtures("hashed")
def test_ingest_json_counts_files_and_says_why(tmp_path: Path, docs: Path) -> None:
    home = tmp_path / "home"
    first = kb("ingest", docs, "--json", home=home)
    report = first.json
    assert first.code == 0
    assert set(report) >= REPORT
    assert (report["added"], report["chunks"], report["embedded"], report["failed"]) == (2, 2, 2, 0)
    assert all(type(report[name]) is int for name in REPORT - {"seconds", "files"})
    assert type(report["seconds"]) is float
    assert report["files"][0] == {
        "path": str(docs / "tower.md"),
        "status": "added",
        "chunks": 1,
        "reason": "",
    }
    (docs / "tower.md").write_text("# Tower\n\nThe tower is 35 metres high.\n")
    (docs / "copy.md").write_bytes((docs / "鸟.md").read_bytes())
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    second = kb("ingest", docs, "--json", home=home)
    assert second.code == 1, "a file failed"
    assert {name: second.json[name] for name in ("added", "updated", "unchanged", "duplicate", "failed")} == {
        "added": 0,
        "updated": 1,
        "unchanged": 1,
        "duplicate": 1,
        "failed": 1,
    }
    statuses = {Path(row["path"]).name: row for row in second.json["files"]}
    assert statuses["broken.pdf"]["status"] == "failed"
    assert statuses["broken.pdf"]["reason"]
    assert "鸟.md" in statuses["copy.md"]["reason"]
    (docs / "broken.pdf").unlink()
    (docs / "copy.md").unlink()
    third = kb("ingest", docs, "--json", home=home)
    assert (third.code, third.json["removed"], third.json["embedded"]) == (0, 2, 0)


@pytest.mark.usefixtures("remembering")
@pytest.mark.parametrize("k", [1, 3])
def test_search_json_with_the_real_embedder(sample_home: Path, k: int) -> None:
    done = kb("search", FOUNDER, "--json", "-k", str(k), home=sample_home)
    assert (done.code, done.stderr) == (0, "")
    assert set(done.json) == {"query", "evidence", "hits"}
    assert done.json["query"] == FOUNDER
    assert len(done.json["hits"]) == k
    first = done.json["hits"][0]
    assert set(first) >= {"id", "score", "source", "locator", "text"}
    assert first["source"] == str(sample_home.parent / "docs" / "en" / "lighthouse-cooperative.md")
    assert first["locator"] == {
        "page": None,
        "lines": [5, 7],
        "heading": "Corran Lighthouse Cooperative > Who we are",
        "slide": None,
        "sheet": None,
        "attachment": None,
    }
    assert "Alasdair Munn" in first["text"]
    assert type(first["score"]) is float


@pytest.mark.usefixtures("remembering")
def test_ask_json_with_history_from_a_file_and_from_stdin(sample_home: Path, tmp_path: Path) -> None:
    history = [
        {"role": "user", "text": FOUNDER},
        {"role": "assistant", "text": "It was founded by Alasdair Munn in 1962. [1]"},
    ]
    (tmp_path / "history.json").write_text(json.dumps(history))
    asked = ("ask", "and who runs it now?", "--json", "-m", "extract", "--history")
    from_file = kb(*asked, tmp_path / "history.json", home=sample_home)
    from_stdin = kb(*asked, "-", home=sample_home, stdin=json.dumps(history))
    answer = from_file.json
    assert (from_file.code, from_file.stderr) == (0, "")
    assert set(answer) >= ANSWER
    assert "Bridget Hallam" in answer["answer"]
    assert answer["refused"] is False
    assert answer["dropped"] == {"turns": 0, "passages": 0, "shortened": 0}
    assert FOUNDER in answer["query"]
    assert answer["query"].endswith("and who runs the Corran Lighthouse Cooperative now?")
    assert set(answer["usage"]) == USAGE
    assert answer["citations"]
    for citation in answer["citations"]:
        assert set(citation) >= {"n", "source", "locator"}
        assert citation["source"] == answer["hits"][citation["n"] - 1]["source"]
        assert set(citation["locator"]) == {"page", "lines", "heading", "slide", "sheet", "attachment"}
    timeless = {key: value for key, value in answer.items() if key != "usage"}
    assert {key: value for key, value in from_stdin.json.items() if key != "usage"} == timeless


@pytest.mark.usefixtures("hashed")
def test_other_commands_print_json_too(tmp_path: Path, docs: Path) -> None:
    home = tmp_path / "home"
    kb("ingest", docs, home=home)
    assert [Path(row["path"]).name for row in kb("sources", "--json", home=home).json] == ["tower.md", "鸟.md"]
    status = kb("status", "--json", home=home).json
    assert (status["sources"], status["chunks"], status["failed"], status["kb"]) == (2, 2, 0, "default")
    assert status["index"] == {"kind": "exact", "vectors": 2}
    assert "index: exact, vectors 2\n" in kb("status", home=home).stdout
    (home / "kbs" / "default" / "index.cache").unlink()
    assert "index: built at the next search\n" in kb("status", home=home).stdout
    assert kb("verify", "--json", home=home).json["faults"] == []
    gone = kb("rm", docs / "tower.md", "--json", home=home)
    assert (gone.code, gone.json) == (0, {"removed": [str(docs / "tower.md")]})
    again = kb("rm", docs / "tower.md", "--json", home=home)
    assert (again.code, again.json) == (1, {"removed": []})


# What people read


@pytest.mark.usefixtures("hashed")
def test_an_answer_is_followed_by_its_sources(tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.chdir(docs.parent)
    assert "2 added: 2 chunks, 2 embedded" in kb("ingest", "docs", home=home).stdout
    script(monkeypatch, "The tower is ", "34 metres high [1]. ", "It is purple [1].")
    done = kb("ask", "How high is the tower?", home=home)
    assert done.stdout.splitlines() == [
        "The tower is 34 metres high [1]. It is purple [1].",
        "  [1] docs/tower.md, line 3, Tower  (the passage doesn't plainly say so)",
    ]
    found = kb("search", "tower", "-k", "1", home=home)
    assert found.stdout.splitlines() == ["1. docs/tower.md, line 3, Tower", "   The tower is 34 metres high."]


@pytest.mark.usefixtures("hashed")
def test_chat_from_a_pipe_keeps_the_thread(tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    kb("ingest", docs, home=home)
    model = script(monkeypatch, "34 metres [1].")
    lines = [
        "/sources",
        "How high is the tower?",
        "",
        "and in feet?",
        "/sources",
        "/new",
        "Again?",
        "/help",
        "/quit",
    ]
    done = kb("chat", home=home, stdin="\n".join([*lines, "never asked"]))
    assert done.code == 0
    asked = [prompt[-1].text.splitlines()[-1] for prompt in model.prompts]
    assert asked == ["How high is the tower?", "How high is the tower? 34 metres. and in feet?", "Again?"]
    assert done.stdout.count("34 metres [1].") == 3
    assert "> and in feet?" in done.stdout
    assert "1. " in done.stdout
    assert "The tower is 34 metres high." in done.stdout
    told = done.stderr.splitlines()
    assert told[0] == "No answer yet."
    assert told[1].startswith("Searched: How high is the tower? 34 metres [1]. and in feet?")
    assert told[2] == "A new conversation."
    assert "/sources shows" in told[3]
    assert "never asked" not in done.stdout


@pytest.mark.usefixtures("hashed")
def test_an_error_ends_the_turn_not_the_chat(tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    kb("ingest", docs, home=home)
    model = script(monkeypatch, ConnectionError("server gone"))
    done = kb("chat", home=home, stdin="How high is the tower?\nHow high is the tower?\n")
    assert done.code == 0
    assert done.stderr.count("The chat model failed: server gone") == 2
    assert [len(prompt) for prompt in model.prompts] == [1, 1], "a failed turn is no history"


@pytest.mark.usefixtures("remembering")
def test_chat_with_the_real_embedder_in_chinese(sample_home: Path) -> None:
    lines = "白鹭洲有观鸟塔吗？\n它什么时候开放？\n/sources\n"
    done = kb("chat", "-m", "extract", home=sample_home, stdin=lines)
    assert done.code == 0, done.stderr
    assert "观鸟塔" in done.stdout
    assert "6:30至11:30" in done.stdout
    assert "湿地观测站.md, line" in done.stdout
    assert "白鹭洲有观鸟塔吗" in done.stderr.split("Searched:")[1]


# Ctrl-C


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Ctrl-C counts also where the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def words_of(prompt: Sequence[BaseMessage]) -> str:
    return "\n".join(message.text for message in prompt)


PARTIAL = ("The tower is 34 metres high [1]. ", ctrl_c, "It is ", "never said")


@pytest.mark.usefixtures("hashed")
def test_ctrl_c_ends_ask_with_what_was_said_and_130(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    kb("ingest", docs, home=home)
    monkeypatch.chdir(docs.parent)
    script(monkeypatch, *PARTIAL)
    before = signal.getsignal(signal.SIGINT)
    done = kb("ask", "How high is the tower?", home=home)
    assert (done.code, done.stderr) == (130, "")
    assert done.stdout.splitlines() == [
        "The tower is 34 metres high [1]. It is  … (stopped)",
        "  [1] docs/tower.md, line 3, Tower",
    ]
    as_json = kb("ask", "How high is the tower?", "--json", home=home)
    assert (as_json.code, as_json.stderr) == (130, "")
    assert as_json.json["answer"] == "The tower is 34 metres high [1]. It is"
    assert as_json.json["stopped"] is True
    assert [citation["n"] for citation in as_json.json["citations"]] == [1]
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.usefixtures("hashed")
def test_ctrl_c_twice_awaits_nothing_more(tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    kb("ingest", docs, home=home)
    script(monkeypatch, "34 metres ", ctrl_c, ctrl_c, "never said")
    done = kb("ask", "How high is the tower?", home=home)
    assert (done.code, done.stdout, done.stderr) == (130, "34 metres … (stopped)\n", "")
    as_json = kb("ask", "How high is the tower?", "--json", home=home)
    assert (as_json.code, as_json.stdout, as_json.stderr) == (130, "", "")


@pytest.mark.usefixtures("hashed")
@pytest.mark.parametrize("pieces", [PARTIAL, (PARTIAL[0], ctrl_c, ctrl_c, "never said")])
def test_a_stopped_answer_is_part_of_the_chat_which_goes_on(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch, pieces: tuple[str | Callable[[], None], ...]
) -> None:
    home = tmp_path / "home"
    kb("ingest", docs, home=home)
    model = script(monkeypatch, *pieces)
    done = kb("chat", home=home, stdin="How high is the tower?\nand in feet?\n/sources\n")
    assert done.code == 0
    assert done.stdout.count(" … (stopped)") == 2
    assert "never said" not in done.stdout
    assert len(model.prompts) == 2
    assert "34 metres high" in words_of(model.prompts[1])
    assert done.stderr.startswith("Searched: How high is the tower? The tower is 34 metres high [1]")


@pytest.mark.usefixtures("hashed")
def test_ctrl_c_while_passages_are_looked_for_ends_the_turn_not_the_chat(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(HashEmbeddings):
        """The user presses Ctrl-C while some questions are embedded."""

        def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
            if texts[0].startswith("Too soon"):
                ctrl_c()
            return super().encode_queries(texts)

    home = tmp_path / "home"
    kb("ingest", docs, home=home)
    monkeypatch.setattr(OpenModels, "embedder", Interrupted())
    model = script(monkeypatch, "34 metres [1].")
    done = kb("chat", home=home, stdin="Too soon?\nHow high is the tower?\n")
    assert (done.code, done.stderr) == (0, "Stopped before the answer.\n")
    assert len(model.prompts) == 1
    assert "Too soon" not in words_of(model.prompts[0])
    alone = kb("ask", "Too soon?", home=home)
    assert (alone.code, alone.stdout, alone.stderr) == (130, "", "")


ESC = "\x1b[31mred\x1b]0;title\x07 \x9b5n\u202e"


@pytest.mark.usefixtures("hashed")
def test_documents_cannot_steer_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters in text, headings, file names and answers are taken out of what people read."""
    home, folder = tmp_path / "home", tmp_path / "docs"
    folder.mkdir()
    (folder / "evil\x1b[2J.md").write_text(f"# Head {ESC}\n\nThe tower {ESC} is high.\n", encoding="utf-8")
    (folder / "evil\x1b[2J.pdf").write_bytes(b"%PDF broken")
    script(monkeypatch, "High ", "\x1b", "[31m", ESC, " [1].")
    monkeypatch.chdir(folder)
    runs = [
        kb("ingest", folder, home=home),
        kb("search", "tower", home=home),
        kb("ask", "tower?", home=home),
        kb("sources", home=home),
        kb("status", home=home),
        kb("verify", home=home),
        kb("chat", home=home, stdin="tower?\n/sources\n"),
        kb("rm", folder, home=home),
        kb("ingest", "gone\x1b[2J", home=home),
    ]
    for done in runs:
        printed = done.stdout + done.stderr
        assert not set(printed) & {"\x1b", "\x07", "\x9b", "\u202e"}, printed
    assert "evil[2J.md" in runs[1].stdout
    assert "evil[2J.pdf" in runs[0].stdout
    assert [run.code for run in runs] == [1, 0, 0, 0, 0, 0, 0, 0, 2]


@pytest.mark.usefixtures("hashed")
def test_json_is_pure_ascii_control_free_and_keeps_the_text(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "docs"
    folder.mkdir()
    (folder / "evil.md").write_text(f"The tower {ESC} is high.\n", encoding="utf-8")
    kb("ingest", folder, home=home)
    done = kb("search", "tower", "--json", home=home)
    assert not set(done.stdout) & {"\x1b", "\x07", "\x9b"}, "JSON on a terminal is text too"
    assert done.json["hits"][0]["text"].startswith("The tower ")


@pytest.mark.usefixtures("hashed")
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("json_", [True, False])
def test_a_file_name_that_is_no_text_is_printed_somehow(tmp_path: Path, json_: bool) -> None:
    home, folder = tmp_path / "home", tmp_path / "docs"
    folder.mkdir()
    (folder / "tower.md").write_text("The tower is high.\n")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.md")).write_text("The ferry leaves.\n")
    done = kb("ingest", folder, *["--json"] * json_, home=home)
    assert done.code in (0, 1)
    assert "udcff" in done.stdout
    assert kb("sources", *["--json"] * json_, home=home).code == 0


# Settings


def test_settings_are_shown_kept_and_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "k = 5\n" in kb("settings", home=tmp_path).stdout
    kept = kb("settings", "k", "8", home=tmp_path)
    assert kept.code == 0
    assert "k = 8" in kept.stdout
    (row,) = json.loads(kb("settings", "k", "--json", home=tmp_path).stdout)
    assert (row["value"], row["default"], row["from"]) == (8, 5, str(tmp_path / "kb.toml"))
    monkeypatch.setenv("KB_K", "3")
    assert "KB_K is set in the environment" in kb("settings", "k", "9", home=tmp_path).stderr
    monkeypatch.delenv("KB_K")
    assert kb("settings", "k", "--unset", "--json", home=tmp_path).code == 0
    assert all(row["from"] == "default" for row in json.loads(kb("settings", "--json", home=tmp_path).stdout)[2:])


def test_a_setting_is_shown_and_kept_under_its_old_name(tmp_path: Path) -> None:
    (tmp_path / "kb.toml").write_text("floor = 0.2\n")
    assert "refuse_below = 0.3" in kb("settings", "floor", "0.3", home=tmp_path).stdout
    assert (tmp_path / "kb.toml").read_text() == "refuse_below = 0.3\n"
    assert "refuse_below = 0.3" in kb("settings", "floor", home=tmp_path).stdout
    assert kb("settings", "floor", "--unset", home=tmp_path).code == 0
    assert (tmp_path / "kb.toml").read_text() == ""


def test_a_knowledge_base_keeps_settings_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kbs" / "tea").mkdir(parents=True)
    (tmp_path / "kbs" / "tea" / "kb.sqlite").touch()
    kb("settings", "answer_language", "de", home=tmp_path)
    kept = kb("settings", "answer_language", "zh", "--kb", "tea", home=tmp_path)
    own = tmp_path / "kbs" / "tea" / "kb.toml"
    assert f"answer_language = zh   (from {own}; default" in kept.stdout
    assert own.read_text() == 'answer_language = "zh"\n'
    (row,) = json.loads(kb("settings", "answer_language", "--json", home=tmp_path).stdout)
    assert (row["value"], row["from"]) == ("de", str(tmp_path / "kb.toml"))
    (row,) = json.loads(kb("settings", "answer_language", "--kb", "tea", "--json", home=tmp_path).stdout)
    assert (row["value"], row["from"]) == ("zh", str(own))
    monkeypatch.setenv("KB_ANSWER_LANGUAGE", "en")
    assert "answer_language = en   (from environment" in kb("settings", "--kb", "tea", home=tmp_path).stdout
    monkeypatch.delenv("KB_ANSWER_LANGUAGE")
    kb("settings", "answer_language", "--unset", "--kb", "tea", home=tmp_path)
    assert "answer_language = de" in kb("settings", "answer_language", "--kb", "tea", home=tmp_path).stdout
    is_error(
        kb("settings", "k", "3", "--kb", "tea", home=tmp_path),
        "'k' holds in all knowledge bases",
        "role, answer_language",
    )
    is_error(
        kb("settings", "role", "x", "--kb", "boats", home=tmp_path),
        "There is no knowledge base 'boats'",
        "See which",
    )


def test_settings_say_what_is_wrong(tmp_path: Path) -> None:
    is_error(kb("settings", "colour", "blue", home=tmp_path), "There is no setting 'colour'", "kb settings")
    is_error(kb("settings", "k", "many", home=tmp_path), "k = 'many'", "a whole number")
    is_error(kb("settings", "--unset", home=tmp_path), "--unset takes the name", "kb settings k --unset")
    assert not (tmp_path / "kb.toml").exists()


def test_a_wrong_setting_is_mended_by_the_command(tmp_path: Path) -> None:
    for repair in (("5",), ("--unset",)):
        (tmp_path / "kb.toml").write_text("k = 0\n")
        assert kb("settings", "k", *repair, home=tmp_path).code == 0
        assert "k = 5" in kb("settings", "k", home=tmp_path).stdout


# Errors


def test_an_unknown_setting_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "kb.toml").write_text("colour = 1\n")
    is_error(kb("search", "x", home=tmp_path), "Unknown setting 'colour'", "Known settings")
    is_error(kb("search", "x", "--json", home=tmp_path), "Unknown setting 'colour'", "Known settings")


@pytest.mark.usefixtures("hashed")
@pytest.mark.parametrize(
    "command", [("search", "x"), ("ask", "x"), ("sources",), ("status",), ("verify",), ("rm", "x")]
)
def test_a_missing_knowledge_base(tmp_path: Path, command: tuple[str, ...]) -> None:
    is_error(
        kb(*command, "--kb", "none", home=tmp_path), "There is no knowledge base", "kb ingest FOLDER --kb none"
    )
    is_error(kb(*command, "--json", home=tmp_path), "There is no knowledge base", "kb ingest FOLDER")
    assert not (tmp_path / "kbs").exists(), "asking makes nothing"


@pytest.mark.usefixtures("hashed")
def test_chat_and_rebuild_say_it_too(tmp_path: Path) -> None:
    is_error(kb("chat", home=tmp_path), "There is no knowledge base", "kb ingest FOLDER")
    is_error(kb("rebuild", home=tmp_path), "There is no knowledge base", "kb ingest FOLDER")


def test_a_missing_embedder(tmp_path: Path, docs: Path) -> None:
    done = kb("ingest", docs, "--json", home=tmp_path)
    is_error(done, "'multilingual-e5-small' isn't installed", "kb models pull multilingual-e5-small")


@pytest.mark.usefixtures("hashed")
def test_a_missing_chat_model(tmp_path: Path, docs: Path) -> None:
    kb("ingest", docs, home=tmp_path)
    done = kb("ask", "tower?", "-m", "smollm2-135m-instruct", "--json", home=tmp_path)
    is_error(done, "'smollm2-135m-instruct' isn't installed", "kb models pull smollm2-135m-instruct")
    is_error(kb("ask", "tower?", "-m", "/x/y.gguf", home=tmp_path), "/x/y.gguf", "")


@pytest.mark.usefixtures("hashed")
def test_a_failing_model_is_an_error_not_a_traceback(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb("ingest", docs, home=tmp_path)
    script(monkeypatch, ConnectionError("server gone"))
    is_error(kb("ask", "tower?", "--json", home=tmp_path), "The chat model failed: server gone", "another model")


@pytest.mark.usefixtures("hashed")
@pytest.mark.parametrize("question", ["", "  "])
@pytest.mark.parametrize("command", ["ask", "search"])
def test_an_empty_question(tmp_path: Path, docs: Path, command: str, question: str) -> None:
    kb("ingest", docs, home=tmp_path)
    is_error(kb(command, question, home=tmp_path), "The question is empty", "")


@pytest.mark.usefixtures("hashed")
@pytest.mark.parametrize(
    ("history", "said"),
    [("not json", "can't be read"), ('{"role": "user"}', "isn't a list"), ('[{"role": "x"}]', "Message 1")],
)
def test_a_malformed_history(tmp_path: Path, docs: Path, history: str, said: str) -> None:
    kb("ingest", docs, home=tmp_path)
    is_error(kb("ask", "tower?", "--history", "-", home=tmp_path, stdin=history), said, "")
    is_error(kb("ask", "tower?", "--history", tmp_path / "none.json", home=tmp_path), "can't be read", "")


def test_a_missing_path(tmp_path: Path, home: Path) -> None:
    is_error(kb("ingest", tmp_path / "none", "--json", home=home), "doesn't exist", "Check the path")


@pytest.mark.parametrize(
    "arguments", [("search",), ("search", "x", "-k", "0"), ("wrong",), ("ingest", "--colour")]
)
def test_wrong_usage_exits_with_2_and_says_how_it_is_used(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = kb(*arguments, home=tmp_path)
    assert (done.code, done.stdout) == (2, "")
    assert "Usage: kb" in done.stderr
    assert "Traceback" not in done.stderr


# The installed command


def test_the_installed_command_reports_errors_like_the_function(tmp_path: Path) -> None:
    is_error(kb_process("search", "x", "--json", home=tmp_path), "There is no knowledge base", "kb ingest FOLDER")
    done = kb_process("ingest", tmp_path, "--json", home=tmp_path / "none")
    is_error(done, "isn't installed", "kb models pull multilingual-e5-small")
    assert kb_process("--version", home=tmp_path).stdout.strip() == version("kb-assistant")


def test_help_lists_every_command() -> None:
    shown = kb("--help", home=Path("/nowhere"))
    assert shown.code == 0
    listed = [line.split()[0] for line in shown.stdout.split("Commands:")[1].splitlines() if line.strip()]
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str) -> None:
    shown = kb(command, "--help", home=Path("/nowhere"))
    assert shown.code == 0
    assert f"Usage: kb {command}" in shown.stdout
    assert "--home" in shown.stdout or command in GROUPS


def test_the_version_is_the_packages() -> None:
    assert kb("--version", home=Path("/nowhere")).stdout.strip() == version("kb-assistant")


def test_help_comes_at_once() -> None:
    """In little more processor time than the library behind it takes, on whatever processor."""

    def seconds(*command: str | Path) -> float:
        clock = ProcessorTime()
        subprocess.run(command, check=True, capture_output=True)
        return clock.seconds

    shown = min(seconds(KB, "--help") for _ in range(5))
    library = min(seconds(sys.executable, "-c", "import typer") for _ in range(5))
    assert shown < 4 * library, (shown, library)


HEAVY = ("torch", "faiss", "transformers", "langchain", "langchain_core", "numpy", "xllamacpp", "rjieba", "rich")


@pytest.mark.parametrize(
    "code",
    ["import kb_assistant", "import kb_assistant.cli", "from kb_assistant import Settings; Settings.load()"],
)
def test_importing_loads_nothing_heavy(code: str) -> None:
    script = f"{code}; import sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert json.loads(loaded.stdout) == []


def test_opening_a_knowledge_base_loads_no_model_library(sample_home: Path) -> None:
    script = (
        "import sys\nfrom kb_assistant import KnowledgeBase\n"
        f"with KnowledgeBase.open(home={str(sample_home)!r}) as kb: kb.status(); kb.sources()\n"
        "print([m for m in ('torch', 'faiss', 'transformers', 'langchain_core') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_survives_a_terminal_that_knows_no_chinese(sample_home: Path, encoding: str) -> None:
    done = kb_process("sources", home=sample_home, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert done.code == 0, done.stderr
    assert "lighthouse-cooperative.md" in done.stdout


def test_a_reader_that_leaves_early_is_no_error(sample_home: Path) -> None:
    done = subprocess.run(
        f"'{KB}' sources --json --home '{sample_home}' | head -c 10; exit ${{PIPESTATUS[0]}}",
        shell=True, executable=shutil.which("bash"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_models_are_listed(home: Path) -> None:
    rows: list[dict[str, Any]] = kb("models", "list", "--json", home=home).json
    assert {row["name"]: row["installed"] for row in rows} == {
        "multilingual-e5-small": True,
        "smollm2-135m-instruct": True,
    }
    text = kb("models", "list", home=home).stdout
    assert "extract" in text
    assert "installed" in text
    none = kb("models", "list", home=home / "elsewhere").stdout
    assert "kb models pull multilingual-e5-small" in none


def test_removing_an_unknown_model_is_an_error(home: Path) -> None:
    is_error(kb("models", "rm", "none", home=home), "'none' isn't installed", "kb models list")


def test_the_remembered_vectors_are_the_models(real_embedder: RememberedEmbeddings) -> None:
    """These tests lean on vectors kept from earlier runs: they must be of this model."""
    assert real_embedder.fingerprint["sha256"] == real_embedder.model.sha256
    (vector,) = real_embedder.encode_queries([FOUNDER])
    assert float(vector @ vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.engine
def test_show_prompt_prints_what_the_model_would_be_given(sample_home: Path) -> None:
    asked = ("ask", FOUNDER, "--show-prompt", "-m", "smollm2-135m-instruct")
    shown = kb(*asked, home=sample_home)
    assert shown.code == 0
    assert shown.stdout.startswith("--- user\n")
    assert "<passage>" in shown.stdout
    assert shown.stdout.rstrip().endswith(FOUNDER)
    (message,) = kb(*asked, "--json", home=sample_home).json
    assert (message["role"], message["text"].rstrip()) == ("user", shown.stdout[len("--- user\n") :].rstrip())
    quoted = kb("ask", FOUNDER, "--show-prompt", "-m", "extract", home=sample_home)
    assert (quoted.code, quoted.stdout) == (0, "")
    assert "No chat model would be asked" in quoted.stderr


def test_quotes_can_not_chat_without_documents(sample_home: Path) -> None:
    asked = kb("ask", "Hello?", "--answers", "model", "-m", "extract", "--json", home=sample_home)
    assert asked.code == 2
    assert "No chat model is in use" in asked.json["error"]
    assert "kb models list" in asked.json["hint"]
    refused = kb(
        "ask",
        "What's the capital of France?",
        "--answers",
        "documents-first",
        "-m",
        "extract",
        "--json",
        home=sample_home,
    )
    assert (refused.json["refused"], refused.json["origin"]) == (True, "none")
    assert "No chat model is in use" in refused.json["note"]
