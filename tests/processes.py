"""The kb command as a process of its own, to be stopped, killed and starved."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.samples import ROOT
from tests.waiting import PATIENCE


@dataclass
class Command:
    """Runs `kb` with a fake embedder on one home. Its processes bear `scratch` as TMPDIR, and so are known.

    Attributes:
        before: What stands before the command, as to run it in another namespace.
        more: More variables.
        module: What is run in place of `kb`.
    """

    home: Path
    scratch: Path
    delay: float = 0.0
    before: tuple[str, ...] = ()
    more: dict[str, str] = field(default_factory=dict)
    module: str = "tests.kb_fake"

    @property
    def log(self) -> Path:
        return self.scratch / "embedded.log"

    @property
    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def has_gone_on(self, process: subprocess.Popen[str], size: int) -> bool:
        """Whether it has asked for an embedding since the log had that size, or has ended."""
        return self.log_size > size or process.poll() is not None

    def embedded(self) -> list[str]:
        """All texts embedded so far, repeats included. A line that is just being written doesn't count yet."""
        if not self.log.exists():
            return []
        whole, _, _ = self.log.read_text().rpartition("\n")
        entries = [json.loads(line) for line in whole.splitlines()]
        return [entry for entry in entries if entry is not None]

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        self.scratch.mkdir(exist_ok=True)
        settings = {
            "KB_HOME": str(self.home),
            "KB_CHUNK_TOKENS": "32",
            "KB_READERS": "2",
            "KB_FAKE_DELAY": str(self.delay),
            "KB_FAKE_LOG": str(self.log),
            "TMPDIR": str(self.scratch),
        }
        return subprocess.Popen(
            [*self.before, sys.executable, "-m", self.module, *map(str, arguments)],
            cwd=ROOT,
            env=os.environ | settings | self.more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """kill -9 for the process and its group. The readers have groups of their own; they end by themselves."""
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)

    def left_over(self) -> list[int]:
        """Processes of ours that still run. Knows them by their environment."""
        mark = f"TMPDIR={self.scratch}\0".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    environment = (folder / "environ").read_bytes()
                except OSError:
                    continue
                if mark in environment:
                    found.append(int(folder.name))
        return found


@contextmanager
def another_writer(folder: Path) -> Iterator[int]:
    """A process that holds the writer's lock."""
    code = (
        "import sys; from pathlib import Path; from kb_assistant.lock import writing\n"
        "with writing(Path(sys.argv[1]), 5): print('holds', flush=True); sys.stdin.readline()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "holds\n"
        yield process.pid
    finally:
        process.communicate("end\n", timeout=PATIENCE)


def in_a_fork(work: Callable[[], str], seconds: float = PATIENCE) -> str:
    """What `work` gives in a forked child of this process; its error as text. A child that hangs is killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            found = work()
        except BaseException as error:
            found = f"{type(error).__name__}: {error}"
        os.write(writer, found.encode())
        os._exit(0)
    os.close(writer)
    try:
        if not select.select([reader], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
            raise TimeoutError
        return os.read(reader, 1 << 16).decode()
    finally:
        os.close(reader)
        os.waitpid(child, 0)
