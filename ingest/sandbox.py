"""Reads files nobody vouches for, in a pool of subprocesses with limits on time, memory and output.

What a worker says is checked like any input and never unpickled. Workers keep the user's rights: this guards
against files that break a reader, not against one that takes it over.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ingest.readers import Content
from ingest.worker import ALIVE, MEGABYTE, OUT_OF_MEMORY, PASSWORDS, READY, decode, receive, send
from kb_assistant.errors import KBError

_START_SECONDS = 60.0
# Without proxies, PYTHON* and credentials: what a process needs to start and to find its libraries.
_KEPT_VARIABLES = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE")
# Ctrl-C is the parent's business (`process_group` below covers the moments before this line runs). The parent's
# search path makes `ingest` importable wherever it is installed; -I would leave out all but the standard library
# and site-packages.
_START = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import json, sys; "
    "sys.path[:] = json.loads(sys.argv[1]); from ingest.worker import work; work(**json.loads(sys.argv[2]))"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file.

    Attributes:
        sha256: Of the very bytes that were read; empty where it isn't known.
        content: None where it couldn't be read.
        error: Why not, for the user; else empty.
        gone: True where the file vanished before it could be read.
    """

    path: Path
    sha256: str
    content: Content | None
    error: str
    gone: bool = False


@dataclass(frozen=True, slots=True)
class _Limits:
    seconds: float
    read_megabytes: int
    file_megabytes: int
    text_megabytes: int


def hash_file(path: Path) -> str:
    """SHA-256 of a file as hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ReaderPool:
    """Worker processes that read files; a context manager.

    Args:
        workers: How many processes; 0 takes one a core. They start when first needed.
        seconds: Longest time for one file, for each of its pages where it needs OCR; 0 sets no limit.
        read_megabytes: Most address space for a worker, where the platform can limit it.
        file_megabytes: Largest file.
        text_megabytes: Longest reply for one file: its text with headings.
        passwords: Tried on files that are locked.
    """

    def __init__(
        self,
        workers: int,
        seconds: float,
        read_megabytes: int,
        file_megabytes: int,
        text_megabytes: int = 32,
        passwords: Sequence[str] = (),
    ) -> None:
        limits = _Limits(seconds, read_megabytes, file_megabytes, text_megabytes)
        self._workers = [_Worker(limits, passwords) for _ in range(workers or os.cpu_count() or 1)]
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(len(self._workers), thread_name_prefix="reader")

    def read(self, paths: Iterable[Path]) -> Iterator[Outcome]:
        """Outcomes as they come, not in the order of `paths`, which is drawn on only as outcomes are taken.

        Raises:
            KBError: a worker process doesn't start.
        """
        running: set[Future[Outcome]] = set()
        try:
            for path in paths:
                running.add(self._threads.submit(self._read_one, path))
                if len(running) >= 2 * len(self._workers):
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """End the workers, also those in the middle of a file, and wait for them."""
        for worker in self._workers:
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_one(self, path: Path) -> Outcome:
        worker = self._idle.get()
        try:
            return worker.read(path)
        finally:
            self._idle.put(worker)


class _Worker:
    """The parent's end of one process, which starts when first needed and anew after it failed."""

    def __init__(self, limits: _Limits, passwords: Sequence[str]) -> None:
        self._limits, self._passwords = limits, passwords
        self._process: subprocess.Popen[bytes] | None = None
        self._expired = False
        self._closed = False
        self._lock = threading.Lock()

    def read(self, path: Path) -> Outcome:
        try:
            process = self._process or self._start()
            reply = decode(self._ask(process, os.fsencode(path), self._limits.seconds))
        except (OSError, EOFError, ValueError, KeyError, TypeError, RecursionError):
            return Outcome(path, "", None, self._why(self.stop()))
        if self._expired:  # the clock struck just after the reply
            self.stop()
        return Outcome(path, *reply)

    def kill(self) -> None:
        """End the process and let none start; whoever waits for its reply is freed."""
        with self._lock:
            self._closed, process = True, self._process
        if process:
            process.kill()

    def stop(self) -> int | None:
        """Reap the process and close its pipes. Returns its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            process.wait(timeout=0.5)  # one that crashed has an exit code to tell, which a kill would hide
        except subprocess.TimeoutExpired:
            process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what was still to be written can't be
                if pipe:
                    pipe.close()
        return code

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise EOFError
            self._process = process = _spawn(self._limits, self._passwords)
        with suppress(OSError, EOFError):
            if self._ask(process, None, _START_SECONDS) == READY:
                return process
        code = self.stop()
        if self._closed:
            raise EOFError
        raise KBError(
            f"The process that reads files doesn't start (exit code {code}).",
            "Check the installation, and that read_megabytes isn't too small.",
        )

    def _ask(self, process: subprocess.Popen[bytes], request: bytes | None, seconds: float) -> bytes:
        """Send the request, if any, and wait for a reply."""
        reply = self._next(process, request, seconds)
        while reply == ALIVE:
            reply = self._next(process, None, seconds)
        return reply

    def _next(self, process: subprocess.Popen[bytes], request: bytes | None, seconds: float) -> bytes:
        """What the process says next. When time is up it dies, and so the wait."""

        def expire() -> None:
            self._expired = True
            process.kill()

        self._expired = False
        clock = threading.Timer(seconds or threading.TIMEOUT_MAX, expire)
        clock.daemon = True
        clock.start()
        try:
            if process.stdin is None or process.stdout is None:
                raise EOFError
            if request is not None:
                send(process.stdin, request)
            return receive(process.stdout, self._limits.text_megabytes * MEGABYTE)
        finally:
            clock.cancel()
            clock.join()

    def _why(self, code: int | None) -> str:
        if self._closed:
            return "Reading was stopped."
        if self._expired:
            return f"Reading took longer than {self._limits.seconds:g} s (read_seconds)."
        if code == OUT_OF_MEMORY:
            return f"Reading took more than {self._limits.read_megabytes} MB of memory (read_megabytes)."
        return "The reader crashed on this file, or ran out of memory."


def _spawn(limits: _Limits, passwords: Sequence[str]) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).absolute().parent.parent)
    search = [here, *(str(Path(entry).absolute()) for entry in sys.path if entry)]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", _START, json.dumps(search), json.dumps(asdict(limits))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment | ({PASSWORDS: json.dumps(list(passwords))} if passwords else {}),
        process_group=0,  # so that a terminal's Ctrl-C doesn't reach them; where the system has no groups, ignored
    )
