"""`kb worker` where no server answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import ROOT

NOBODY = "postgresql://kb@127.0.0.1:9/nothing"
PATIENCE = 120


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_waits_for_its_server_can_be_stopped(by: signal.Signals, tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    command = [sys.executable, "-m", "kb_assistant", "worker", "--home", str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | {"KB_STORE": NOBODY}, stderr=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stderr
        assert "can't be reached" in worker.stderr.readline()
        worker.send_signal(by)
        assert worker.wait(PATIENCE) == 0
        assert worker.stderr.read() == ""
