"""The command line speaks the language of the environment: what it prints, its errors, and its help."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.cli import app, show
from kb_assistant.cli.help import _lines, translate_help
from kb_assistant.messages import language_here
from tests.shell import kb, kb_here, kb_process

CHINESE = re.compile("[\u4e00-\u9fff]")
VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")


@pytest.mark.parametrize(
    ("set_to", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "en_US", "LC_ALL": "zh"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "de_DE@euro", "LANGUAGE": "zh_CN:en"}, "zh"),
        ({"LANG": "C", "LANGUAGE": "zh_CN"}, "en"),
        ({"LANG": "en_US", "LANGUAGE": "en:zh"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
    ],
)
def test_the_language_is_that_of_the_environment(
    set_to: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    assert language_here() == language


@pytest.mark.usefixtures("chinese")
def test_reports_errors_and_settings_are_in_chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("# 灯塔\n\n灯塔每天开放。\n", encoding="utf-8")
    (docs / "b.pdf").write_bytes(b"%PDF-1.4 no more")
    done = kb_here(monkeypatch, tmp_path, "ingest", docs)
    assert "1 个已添加，1 个失败：1 个段落" in done.stdout
    assert "docs/b.pdf" in done.stdout
    assert "下次对其文件夹运行 `kb ingest` 时也会读取它们" in done.stderr
    assert "a.md，第 3 行，灯塔" in kb_here(monkeypatch, tmp_path, "search", "灯塔").stdout
    assert "来源: 2" in kb_here(monkeypatch, tmp_path, "status").stdout
    assert "交给模型的段落数" in kb_here(monkeypatch, tmp_path, "settings", "k").stdout
    missing = kb_here(monkeypatch, tmp_path, "search", "x", "--kb", "none")
    assert (missing.returncode, CHINESE.search(missing.stderr) is None) == (2, False)


@pytest.mark.usefixtures("chinese")
def test_what_scripts_read_stays_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 no more")
    report = kb_here(monkeypatch, tmp_path / "home", "ingest", tmp_path / "a.pdf", "--json")
    assert not CHINESE.search(report.stdout)
    error = kb_here(monkeypatch, tmp_path / "home", "search", "x", "--kb", "none", "--json")
    assert not CHINESE.search(error.stdout)


def test_a_language_without_a_catalogue_is_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    assert "Find the passages" in kb("--help", home=tmp_path).stdout


def test_the_installed_command_helps_in_chinese(tmp_path: Path) -> None:
    done = kb_process("search", "--help", home=tmp_path, env={"LANG": "zh_CN.UTF-8"})
    assert "按语义和词语找出与问题最相关的段落" in done.stdout
    assert "选项:" in done.stdout


def helps() -> dict[str, str]:
    """The help of each command, as it is printed in Chinese."""
    root = typer.main.get_command(app)
    translate_help(root, "zh")
    found = {}

    def walk(command: typer.core.TyperCommand, context: typer.Context | None, name: str) -> None:
        here = typer.Context(command, parent=context, info_name=name)  # type: ignore[arg-type]
        found[here.command_path] = command.get_help(here)
        for below, one in getattr(command, "commands", {}).items():
            walk(one, here, below)

    walk(root, None, "kb")  # type: ignore[arg-type]
    return found


def test_no_help_is_wider_than_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    wide = [line for text in helps().values() for line in text.splitlines() if show.columns(line) > 80]
    assert not [line for line in wide if "[" not in line]  # what Typer adds behind: [default: …]


def test_every_command_is_described_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    found = helps()
    assert len(found) > 40
    assert not [name for name, text in found.items() if not CHINESE.search(text.split("\n")[2])]


@given(st.text(alphabet="灯塔abc ，。(1)`-\n"), st.integers(min_value=4, max_value=40))
def test_setting_lines_keeps_every_letter_and_the_width(text: str, width: int) -> None:
    lines = list(_lines(text, width))
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert not any(line[:1] in "，。" for line in lines[1:] if line)
    for line in lines:
        words = re.split(r"(?<=[灯塔])| ", line.rstrip("，。"))
        assert show.columns(line.rstrip("，。")) <= width or len(list(filter(None, words))) == 1
