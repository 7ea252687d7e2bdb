"""What the processor offers to this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kb_assistant import processor
from kb_assistant.processor import load_per_core, usable_cores

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a process's affinity and quota")


def test_a_system_that_tells_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.getloadavg")
    assert load_per_core() == 0.0


@linux
def test_threads_are_as_many_as_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: 16 if logical else 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)))
    monkeypatch.setattr(processor, "_QUOTA", tmp_path / "cpu.max")
    assert usable_cores() == 8
    for quota, cores in (
        ("max 100000", 8),
        ("250000 100000", 3),
        ("20000 100000", 1),
        ("", 8),
        ("1 0", 8),
        ("x", 8),
    ):
        (tmp_path / "cpu.max").write_text(quota)
        assert usable_cores() == cores, quota
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 4})
    assert usable_cores() == 2
    monkeypatch.setattr("psutil.cpu_count", lambda **_: None)
    assert usable_cores() == 2
