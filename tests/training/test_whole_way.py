"""The whole way of docs/training.md, command by command as it stands there, with the tiny model."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.homes import link_models
from tests.samples import SAMPLE_DOCS
from tests.shell import kb
from tests.trained import home_with_models

ROOT = Path(__file__).parents[2]
MODEL = "chatglm2-6b-int4"


def commands() -> list[list[str]]:
    """Those of the section, without `kb`."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    found = re.search(r"^## The whole way$.*?^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    return [shlex.split(line.replace(MODEL, "tiny"))[1:] for line in found[1].splitlines()]


@pytest.mark.engine
def test_every_command_of_the_whole_way(
    models_home: Path, sample_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = home_with_models(link_models(models_home, tmp_path / "home"))
    (home / "models" / "tiny-llama").rename(tmp_path / "tiny-llama")  # the section knows one
    shutil.copytree(sample_home / "kbs", home / "kbs")  # what is known isn't embedded again
    shutil.copytree(SAMPLE_DOCS, tmp_path / "sample_docs")
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("pictures"))
    monkeypatch.chdir(tmp_path)
    for name, value in (("MAX_TOKENS", "8"), ("THREADS", "1"), ("DEVICE", "cpu"), ("TEMPERATURE", "0")):
        monkeypatch.setenv(f"KB_{name}", value)
    said = []
    for arguments in commands():
        done = kb(*arguments, home=home, stdin="What is Tidewell?\n")
        assert done.code == 0, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        said.append(done.stdout)
    assert "30 rows (30 question/answer), 30 used" in said[1]
    assert said[2].count("--- example ") == 3
    assert "desk is trained" in said[3]
    assert "desk" in said[4]
    assert "6 questions that weren't learned" in said[5]
    assert (tmp_path / "desk.html").read_text(encoding="utf-8").count("tiny") > 0
    assert len(commands()) == len(said) == 8
