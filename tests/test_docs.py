"""What the documents promise: README's commands, the Python examples, and the generated reference."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from kb_assistant.cli import app
from tests.samples import ROOT, SAMPLE_DOCS
from tests.waiting import PATIENCE

READMES = ("README.md", "README.zh-CN.md")


def blocks(file: str, language: str) -> list[str]:
    """Fenced blocks of a document that are marked with the language ("" for none)."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(home: Path, sample_home: Path, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A working folder with docs/ and sample_docs/ in it, and the environment to run `kb` there.

    Its knowledge bases hold another copy of the same documents: the commands read and store theirs, and embed what
    is new. `make demo` below embeds them all.
    """
    folder = tmp_path / "desk"
    for name in ("docs", "sample_docs"):
        shutil.copytree(SAMPLE_DOCS, folder / name)
    for name in ("default", "handbook"):
        shutil.copytree(sample_home / "kbs" / "default", home / "kbs" / name)
    (folder / "docs" / "old").mkdir()
    (folder / "docs" / "old" / "note.md").write_text("An old note.")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return folder, {**os.environ, "KB_HOME": str(home), "PATH": path}


def run(command: list[str], desk: tuple[Path, dict[str, str]], stdin: str = "") -> str:
    folder, environment = desk
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("readme", READMES)
def test_the_readmes_start_with_the_two_commands(readme: str) -> None:
    commands = [line.split("#")[0].strip() for line in blocks(readme, "")[0].splitlines()]
    assert commands == ["make demo", "make test"]


def test_make_demo_answers_in_two_languages_and_follows_up(models_home: Path, tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    demo.mkdir()
    (demo / "models").symlink_to(models_home / "models")
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        # -o: the environment that runs this test is the one `make` would set up.
        ["make", "demo", f"VENV={scripts.parent}", f"DEMO={demo}", "-o", f"{scripts.parent}/ready"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for expected in ("Miriam Okafor", "and who runs it now?", "[1]", "history.md", "6:30至11:30"):
        assert expected in done.stdout


def test_the_readme_commands_run(desk: tuple[Path, dict[str, str]]) -> None:
    (use,) = (block for block in blocks("README.md", "") if "kb ingest ./docs" in block)
    output = run(["bash", "-e", "-c", use], desk)
    assert "ERR-1042" in output
    assert "all agrees" in output


@pytest.mark.parametrize("document", [*READMES, "docs/python.md"])
def test_the_python_examples_run(document: str, desk: tuple[Path, dict[str, str]]) -> None:
    example = blocks(document, "python")[0]
    output = run([sys.executable, "-c", example], desk)
    assert ("6:30至11:30" if document == "README.zh-CN.md" else "Alasdair Munn") in output


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run `make docs`: {done.stdout}{done.stderr}"


COMMAND = re.compile(r"`kb ([a-z][^`\n]*)`|^(?:\$ )?kb ([a-z][^\n#|&]*)|&& kb ([a-z][^\n#|&]*)", re.MULTILINE)
DOCUMENTS = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    file = ROOT / document
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), f"{document} points to {target}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_documents_exist_with_their_options(document: str) -> None:
    for found in COMMAND.finditer((ROOT / document).read_text(encoding="utf-8")):
        for told in re.split(r"; kb ", next(filter(None, found.groups()))):
            words = [word.strip("[](),。") for word in told.split()]
            command: Any = typer.main.get_command(app)
            while words and words[0] in getattr(command, "commands", {}):
                command = command.commands[words.pop(0)]
            if "run" in getattr(command, "commands", {}):  # `kb train MODEL DATA`
                command = command.commands["run"]
            assert command.name != "kb", f"{document} names `kb {told}`"
            known = {"--help", *(option for one in command.params for option in (*one.opts, *one.secondary_opts))}
            options = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
            assert options <= known, f"{document} names {options - known} of `kb {told}`"
