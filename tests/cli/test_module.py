"""`python -m kb_assistant` is `kb`."""

from __future__ import annotations

import subprocess
import sys

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
