"""Work in the background steps back, and nothing else does."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.priority import NICENESS, lower_priority
from tests.shell import KB, kb_here
from tests.waiting import until

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a priority of one thread")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@linux
def test_a_thread_steps_back_with_what_it_starts_and_no_other_does() -> None:
    before, seen = niceness(), []

    def work() -> None:
        lower_priority()
        seen.append(niceness())
        seen.append(int(subprocess.check_output(["nice"])))
        inner = threading.Thread(target=lambda: seen.append(niceness()))
        inner.start()
        inner.join()
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        lower_priority()
        seen.append(niceness())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    back = max(before, NICENESS)
    assert (seen, niceness()) == ([back, back, back, 15], before)


@linux
def test_a_gentle_ingest_has_a_low_priority(tmp_path: Path) -> None:
    command = [str(KB), "ingest", "-", "--name", "a.md", "--gentle", "--home", str(tmp_path)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: psutil.Process(process.pid).nice() >= NICENESS)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("flags", "threads"), [([], 0), (["--gentle"], 1)])
def test_a_gentle_ingest_takes_one_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: list[str], threads: int
) -> None:
    monkeypatch.setattr("kb_assistant.priority.lower_priority", lambda: None)  # it can't be undone
    seen: list[Any] = []
    real = KnowledgeBase.ingest

    def ingest(self: KnowledgeBase, *arguments: Any, **more: Any) -> Any:
        seen.append(self.settings.threads)
        return real(self, *arguments, **more)

    monkeypatch.setattr(KnowledgeBase, "ingest", ingest)
    (tmp_path / "a.md").write_text("A pump.")
    done = kb_here(monkeypatch, tmp_path / "home", "ingest", tmp_path / "a.md", *flags)
    assert (done.returncode, seen) == (0, [threads]), done.stderr


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("load", "flags", "said"), [(8.0, [], True), (1.0, [], False), (8.0, ["--gentle"], False)]
)
def test_a_busy_machine_is_told_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, load: float, flags: list[str], said: bool
) -> None:
    monkeypatch.setattr("kb_assistant.priority.lower_priority", lambda: None)
    monkeypatch.setattr("os.getloadavg", lambda: (load * (os.cpu_count() or 1), 0.0, 0.0))
    (tmp_path / "a.md").write_text("A pump.")
    monkeypatch.setattr(io, "StringIO", Screen)
    done = kb_here(monkeypatch, tmp_path / "home", "ingest", tmp_path / "a.md", *flags)
    assert ("machine is busy" in done.stderr) is said
    assert done.returncode == 0
