"""Standard streams that are closed or full end with a message, not with a traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.shell import KB
from tests.waiting import PATIENCE


def kb(command: str, home: Path, stderr: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"exec {KB} {command}"],
        env=os.environ | {"KB_HOME": str(home)}, stderr=stderr, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["chat", "ask question --history -", "ingest - --name a.md"])
def test_standard_input_that_is_closed_is_empty(command: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("")
    made = kb(f"ingest {tmp_path / 'a.md'} >&-", home)
    assert made.returncode == 0, made.stderr
    done = kb(f"{command} <&- >{tmp_path / 'out'}", home)
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_is_full_is_told(home: Path) -> None:
    done = kb("settings > /dev/full", home)
    assert done.returncode == 2
    assert done.stderr.startswith("kb: The output or a file can't be written: No space left on device.")
    assert "Traceback" not in done.stderr


def test_all_streams_may_be_closed(home: Path) -> None:
    assert kb("settings <&- >&- 2>&-", home).returncode == 0
