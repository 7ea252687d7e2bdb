"""`python -m kb_assistant` is `kb`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.samples import ROOT


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kb_assistant", "--version"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout[0].isdigit()


def test_errors_leave_with_the_same_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kb_assistant", "search"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "kb search" in done.stderr


INTERRUPT = """
import sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupting())
"""


def test_ctrl_c_while_the_command_is_loaded_ends_it_in_order(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT)
    done = subprocess.run(
        [sys.executable, "-m", "kb_assistant", "--version"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
