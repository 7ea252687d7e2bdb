"""Code that forks, run in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
_PRELUDE = """
import os, signal, sys
def fork(act):
    pid = os.fork()
    if pid == 0:
        signal.alarm(900)  # a child that hangs is ended by the system
        act()
        sys.exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        sys.exit(f"the child ended with {status}")
"""


def run_forking(code: str, *arguments: object) -> str:
    """What code prints that calls `fork(act)`, which runs `act` in a child and ends it as a program ends."""
    ended = subprocess.run(
        [sys.executable, "-c", _PRELUDE + code, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
