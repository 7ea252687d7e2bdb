"""The benchmark of everything that runs on a GPU, rehearsed on the CPU: no part hinders another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.samples import ROOT

SCRIPT = ROOT / "benchmarks" / "gpu.py"
# As sitecustomize.py: an interpreter that finds none of these packages.
LACKING = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {names} else found(name, path, target)
PathFinder.find_spec = find_spec
"""


def rehearsed(tmp_path: Path, *arguments: str, lacking: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON of a rehearsal on a machine that lacks some packages."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(LACKING.format(names=lacking))
    out = tmp_path / "gpu.json"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), "--dry", "--out", str(out), *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=800)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def test_a_failure_is_kept_beside_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from findings import Findings

    findings = Findings(tmp_path / "out.json")
    assert findings.measure("good", lambda: {"x": 1}) == {"x": 1}
    assert findings.measure("bad", lambda: 1 / 0) is None
    assert findings.measure("after", lambda: 7, lambda seven: {"twice": 2 * seven}) == 7
    kept = json.loads((tmp_path / "out.json").read_text())
    assert kept["good"].items() >= {"x": 1}.items()
    assert kept["bad"]["failed"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in kept["bad"]["traceback"]
    assert kept["after"]["twice"] == 14


@pytest.mark.engine
def test_a_machine_with_torch_alone_measures_what_it_can(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "broken-1-py3-none-any.whl").write_bytes(b"half of it")
    lacking = ("langchain_core", "pydantic", "faiss", "bitsandbytes")
    parts = ("--parts", "chatglm2 int4,faiss", "--patience", "15", "--wheels", str(tmp_path / "wheels"))
    whole = rehearsed(tmp_path, *parts, lacking=lacking)
    network, neighbours = whole["parts"]["chatglm2 int4"], whole["parts"]["faiss"]
    assert network["state"] == neighbours["state"] == "done"
    assert network["failed"] == ["engine"]
    assert "langchain_core" in network["found"]["engine"]["failed"]
    assert network["found"]["network"]["writes tokens/s"] > 0
    assert network["found"]["memory at 8192 tokens"]["GB"] > 0
    assert "No module named 'faiss'" in neighbours["found"]["faiss"]["failed"]
    assert neighbours["found"]["torch, 20,000"]["k=50, ms"]["p50"] > 0


@pytest.mark.engine
def test_a_part_that_takes_too_long_is_stopped_and_the_next_one_runs(tmp_path: Path) -> None:
    whole = rehearsed(tmp_path, "--parts", "loading,lora", "--patience", "0.001")
    for part in whole["parts"].values():
        assert part["state"].startswith("stopped after 0 s")
        assert part["found"] == {}


@pytest.mark.engine
@pytest.mark.slow
def test_every_part_runs(tmp_path: Path) -> None:
    whole = rehearsed(tmp_path, "--patience", "15")
    assert {name: (part["state"], part["failed"]) for name, part in whole["parts"].items()} == {
        name: ("done", []) for name in whole["parts"]
    }
    assert len(whole["parts"]) == 8
    faiss = whole["parts"]["faiss"]["found"]["FAISS, 20,000"]
    assert faiss["k=50"]["same ids"] == faiss["after the update"]["same ids"] == 1.0
    for part in ("network", "index"):
        assert whole["parts"]["tests"]["found"][part]["exit status"] == 0
    assert whole["parts"]["chatglm2 int4"]["found"]["engine"]["reused"] > 0
