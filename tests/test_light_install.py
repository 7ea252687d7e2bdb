"""The base install is light: what it doesn't need isn't a dependency of it, and it works where that is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "sentence-transformers", "langchain"}

WITHOUT = """
import json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from kb_assistant.cli import main
sys.argv = ["kb", *sys.argv[2:]]
main()
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(wanted: list[str]) -> set[str]:
    """The names of all packages that requirements bring, as far as they are installed here."""
    from packaging.requirements import Requirement

    found: set[str] = set()
    left = [Requirement(one) for one in wanted]
    while left:
        one = left.pop()
        extras = one.extras or {""}
        if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in extras):
            continue
        key = normal(one.name)
        if key in found:
            continue
        found.add(key)
        try:
            further = [Requirement(text) for text in requires(one.name) or ()]
        except PackageNotFoundError:
            continue
        left += [
            each for each in further if not each.marker or any(each.marker.evaluate({"extra": e}) for e in extras)
        ]
    return found


def test_the_base_install_brings_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    base = closure([*project["dependencies"], *extras["cpu"], *extras["llama"]])
    assert {"faiss-cpu", "onnxruntime", "langchain-core"} <= base
    assert not HEAVY & base
    assert {normal(re.split(r"[>=\[]", one)[0]) for one in extras["torch"]} == HEAVY


@pytest.mark.engine
def test_files_are_read_and_questions_answered_without_torch(models_home: Path, tmp_path: Path) -> None:
    import json

    (tmp_path / "models").symlink_to(models_home / "models")
    (tmp_path / "pump.md").write_text("The pump is serviced by Marta Keel every 400 hours.\n", "utf-8")

    def kb(*arguments: str) -> str:
        names = json.dumps([name.replace("-", "_") for name in HEAVY])
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, names, *arguments, "--home", str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "1 added" in kb("ingest", str(tmp_path / "pump.md"))
    assert "Marta Keel" in kb("ask", "who services the pump?", "--model", "extract")
    rows = json.loads(kb("doctor", "--json"))
    torch = next(
        row for row in (rows["findings"] if isinstance(rows, dict) else rows) if row["subject"] == "torch"
    )
    assert (torch["state"], "kb-assistant[torch]" in torch["advice"]) == ("missing", True)
