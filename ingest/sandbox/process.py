"""The parent's side of a reader process: starts it on demand, queries it, limits its time, kills its whole
group."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from ingest.sandbox.confine import MEGABYTE
from ingest.sandbox.protocol import HEARTBEAT, OUT_OF_MEMORY, PASSWORDS, READY, ReaderLimits, receive, send
from kb_assistant.errors import KBError
from kb_assistant.messages import _

Done = TypeVar("Done")

_START_SECONDS = 60.0
_SCRATCH = "kb-readers-"
# What a process needs to start and to find its libraries, without proxies, PYTHON* and credentials.
_KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")
# Ctrl-C is the parent's business. The parent's search path makes `ingest` importable wherever it is installed; -I
# would leave out all but the standard library and site-packages.
_START = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import json, sys; from pathlib import Path; "
    "sys.path[:] = json.loads(sys.argv[1]); from ingest.sandbox.protocol import ReaderLimits; "
    "from ingest.sandbox.worker import work; "
    "work(ReaderLimits(**json.loads(sys.argv[2])), Path(sys.argv[3]))"
)


class Scratch:
    """The parent folder of the processes' scratch folders. Its name has our process id, so that a later process
    can recognise the leftovers of a killed one."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._lock = threading.Lock()

    def make(self) -> Path:
        """Create a folder for a worker."""
        with self._lock:
            if self._path is None:
                _remove_orphans()
                self._path = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-")).resolve()
            return Path(tempfile.mkdtemp(dir=self._path))

    def remove(self) -> None:
        with self._lock:
            if self._path is not None:
                shutil.rmtree(self._path, ignore_errors=True)
                self._path = None
                _remove_dead_sockets()


def _remove_orphans() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        owner = folder.name.removeprefix(_SCRATCH).partition("-")[0]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_dead_sockets() -> None:
    """Delete the sockets that LibreOffice left in /tmp, where nothing listens any more."""
    if sys.platform == "win32":
        return
    for place in Path("/tmp").glob(f"OSL_PIPE_{os.getuid()}_SingleOfficeIPC_*"):
        with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
            try:
                line.connect(str(place))
            except ConnectionRefusedError:
                place.unlink()


def _lives(process: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(process))


class ReaderProcess:
    """The parent's end of one process, which starts on demand and restarts after a failure."""

    def __init__(self, limits: ReaderLimits, scratch: Scratch, passwords: Sequence[str]) -> None:
        self.limits, self._passwords = limits, passwords
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._used = False
        self._expired = False
        self._closed = False
        self._lock = threading.Lock()

    def reply(
        self, request: dict[str, Any], data: bytes | None, seconds: float, decoded: Callable[[bytes], Done]
    ) -> tuple[tuple[Done, int] | None, str]:
        """The decoded reply and its size; or why there is no reply. A process that has read other files may have
        been damaged by them: then a fresh one is tried."""
        while True:
            used = self._used
            try:
                process = self._process or self._start()
                self._used = True
                frame = json.dumps(request | {"seconds": seconds}).encode()
                reply = self._ask(process, [frame] if data is None else [frame, data], seconds)
                if self._expired:  # time ran out just after the reply
                    self.stop()
                return (decoded(reply), len(reply)), ""
            except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError):
                error = self._why(self.stop(), seconds)
                if not used or self._expired or self._closed:
                    return None, error

    def kill(self) -> None:
        """End the process and prevent another start; a caller waiting for a reply is released."""
        with self._lock:
            self._closed, process = True, self._process
        if process:
            _kill(process)

    def stop(self) -> int | None:
        """Reap the process and its children, and close its pipes. Returns its exit code."""
        process, self._process = self._process, None
        self._used = False
        if process is None:
            return None
        _wait_for_end(process, 0.5)  # a kill would hide the exit code of a crash
        _kill(process)
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # unwritten data can't be written any more
                if pipe:
                    pipe.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        return code

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise EOFError
            self._folder = self._scratch.make()
            self._process = process = _spawn(self.limits, self._folder, self._passwords)
        with suppress(OSError, EOFError):
            if self._ask(process, [], _START_SECONDS) == READY:
                return process
        code = self.stop()
        if self._closed:
            raise EOFError
        raise KBError(
            _("The process that reads files doesn't start (exit code {code}).", code=code),
            _("Check the installation, and that read_megabytes isn't too small."),
        )

    def _ask(self, process: subprocess.Popen[bytes], frames: list[bytes], seconds: float) -> bytes:
        """Send the request and wait for a reply."""
        reply = self._next(process, frames, seconds)
        while reply == HEARTBEAT:
            reply = self._next(process, [], seconds)
        return reply

    def _next(self, process: subprocess.Popen[bytes], frames: list[bytes], seconds: float) -> bytes:
        """The next frame of the process. On timeout the process is killed, which ends the wait."""

        def expire() -> None:
            self._expired = True
            _kill(process)

        self._expired = False
        clock = threading.Timer(seconds or threading.TIMEOUT_MAX, expire)
        clock.daemon = True
        clock.start()
        try:
            if process.stdin is None or process.stdout is None:
                raise EOFError
            for frame in frames:
                send(process.stdin, frame)
            return receive(process.stdout, self.limits.text_megabytes * MEGABYTE)
        finally:
            clock.cancel()
            clock.join()

    def _why(self, code: int | None, seconds: float) -> str:
        if self._closed:
            return _("Reading was stopped.")
        if self._expired:
            return _(
                "Reading took longer than {seconds:g} s. Split the file, or raise read_seconds.", seconds=seconds
            )
        if code == OUT_OF_MEMORY:
            most = self.limits.read_megabytes
            return _(
                "Reading took more than {megabytes} MB of memory. Split the file, or raise read_megabytes.",
                megabytes=most,
            )
        return _(
            "The reader crashed on this file, or ran out of memory. Save the file anew, or in another format."
        )


def _wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait without reaping: the process id stays reserved, so that its group can still be killed."""
    if not hasattr(os, "waitid"):
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(ChildProcessError):
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                time.sleep(0.005)
                continue
        return


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all its children."""
    if process.returncode is not None:
        return
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _spawn(limits: ReaderLimits, scratch: Path, passwords: Sequence[str]) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).absolute().parents[2])
    search = [here, *(str(Path(entry).absolute()) for entry in sys.path if entry)]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    with _without_ctrl_c():
        return subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-B",
                "-c",
                _START,
                json.dumps(search),
                json.dumps(asdict(limits)),
                str(scratch),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | ({PASSWORDS: json.dumps(list(passwords))} if passwords else {}),
            process_group=0,  # so that its children can be killed; ignored on systems without groups
        )


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Block Ctrl-C in a process started within this context from its first moment, before it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
