"""Reads untrusted files in a pool of subprocesses with limits on time, memory and output.

The output of a process is checked like any input and never unpickled. `confine` defines its rights; it keeps the
user's right to read, so this protects against files that crash a reader, less against files that take it over.
"""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ingest.archives import Contents, MemberPlace
from ingest.readers.blocks import Content
from ingest.sandbox.confine import MEGABYTE
from ingest.sandbox.process import ReaderProcess, Scratch
from ingest.sandbox.protocol import ReaderLimits, decode, decode_listing
from kb_assistant.messages import _, join

Done = TypeVar("Done")

AHEAD = 256
"""Number of files read ahead, so that readers have work while other texts are embedded."""

_AHEAD_BYTES = 64 * MEGABYTE
_UNPACKED_A_SECOND = 10 * MEGABYTE
_BLOCK = 1 << 20
_WITHOUT_SIZE = 100 * MEGABYTE


@dataclass(frozen=True, slots=True)
class Item:
    """An input to read as one source: a file, a member of an archive, or bytes given by a program.

    Attributes:
        source: The path of the source that it becomes.
        file: The file or the archive; for bytes, their name.
        places: Its position in the archive.
    """

    source: str
    file: str
    places: tuple[MemberPlace, ...] = ()
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one item.

    Attributes:
        sha256: Hash of exactly the bytes read; empty if unknown.
        content: None if it couldn't be read.
        error: The reason, for the user; else empty.
        gone: True if the file disappeared before it was read.
        lost: True if the process that read it ended, or was ended, without a reply.
        seconds: How long the reading took.
    """

    source: str
    sha256: str
    content: Content | None
    error: str
    gone: bool = False
    seconds: float = 0.0
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """The contents of an archive; the attributes are those of Outcome."""

    source: str
    sha256: str
    contents: Contents
    error: str
    gone: bool = False


def hash_file(path: Path) -> tuple[str, int]:
    """SHA-256 of a file as hex digits, and its size in bytes.

    Only the first 100 MB count for an endless file of size 0, as in /proc. Raises OSError, also if it isn't a
    regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        hashed, size, most = hashlib.sha256(), 0, max(status.st_size, _WITHOUT_SIZE)
        while size < most and (block := file.read(_BLOCK)):
            hashed.update(block)
            size += len(block)
    return hashed.hexdigest(), size


class ReaderPool:
    """Processes that read files; a context manager. They start when first needed.

    Args:
        workers: Number of processes; 0 takes one per core.
        seconds: Longest time for one file, or for each page if it needs OCR; 0 sets no limit.
        read_megabytes: Most address space for a process, where the platform can limit it.
        file_megabytes: Largest file.
        text_megabytes: Longest reply for one file: its text with headings.
        archive_megabytes: Largest archive, packed and unpacked.
        archive_members: Most files in an archive.
        passwords: Tried on encrypted files.
        ocr_pages: Most pages of a file that OCR reads; 0 for no limit.
        ocr_seconds: Time after which OCR begins no other page of a file; 0 for no limit.
    """

    def __init__(
        self,
        workers: int,
        seconds: float,
        read_megabytes: int,
        file_megabytes: int,
        text_megabytes: int = 32,
        archive_megabytes: int = 1000,
        archive_members: int = 10_000,
        passwords: Sequence[str] = (),
        ocr_pages: int = 0,
        ocr_seconds: float = 0.0,
    ) -> None:
        limits = ReaderLimits(
            seconds,
            read_megabytes,
            file_megabytes,
            text_megabytes,
            archive_megabytes,
            archive_members,
            ocr_pages,
            ocr_seconds,
        )
        self._scratch = Scratch()
        count = workers or os.cpu_count() or 1
        self._processes = [ReaderProcess(limits, self._scratch, passwords) for _ in range(count)]
        # The worker used last is reused first, so that only as many start as are needed.
        self._idle: queue.LifoQueue[ReaderProcess] = queue.LifoQueue()
        for process in self._processes:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(len(self._processes), thread_name_prefix="reader")

    def read(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """Outcomes as they are ready, not in the order of `items`, which is consumed only as outcomes are taken.

        Raises:
            KBError: a process doesn't start.
        """
        return self._all(_read, items)

    def list_archives(self, paths: Iterable[str]) -> Iterator[Listing]:
        """The contents of each archive, as they are ready. Raises like `read`."""
        return self._all(_list, paths)

    def _all(
        self, ask: Callable[[ReaderProcess, Any], tuple[Done, int]], requests: Iterable[Any]
    ) -> Iterator[Done]:
        running: set[Future[tuple[Done, int]]] = set()
        ahead: _Ahead[Done] = _Ahead()
        try:
            for request in requests:
                running.add(self._threads.submit(self._one, ask, request, ahead))
                if len(running) >= AHEAD:
                    yield from ahead.taken(running)
            while running:
                yield from ahead.taken(running)
        finally:
            ahead.end()
            for future in running:
                future.cancel()

    def _one(
        self, ask: Callable[[ReaderProcess, Any], tuple[Done, int]], request: Any, ahead: _Ahead[Done]
    ) -> tuple[Done, int]:
        ahead.wait()
        process = self._idle.get()
        try:
            done, size = ask(process, request)
        finally:
            self._idle.put(process)
        ahead.add(size)
        return done, size

    def close(self) -> None:
        """End the workers, even in the middle of a file, and wait for them."""
        for process in self._processes:
            process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for process in self._processes:
            process.stop()
        self._scratch.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Ahead(Generic[Done]):
    """Limits the bytes that were read but not yet taken."""

    def __init__(self) -> None:
        self._bytes = 0
        self._ended = False
        self._changed = threading.Condition()

    def wait(self) -> None:
        """Wait until there is room for more."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._bytes < _AHEAD_BYTES)

    def add(self, size: int) -> None:
        with self._changed:
            self._bytes += size

    def taken(self, running: set[Future[tuple[Done, int]]]) -> Iterator[Done]:
        """At least one finished future, removed from `running`."""
        for future in wait(running, return_when=FIRST_COMPLETED)[0]:
            running.discard(future)
            done, size = future.result()
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()
            yield done

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _read(process: ReaderProcess, item: Item) -> tuple[Outcome, int]:
    """The outcome, and an upper bound of its memory."""
    if len(item.data or b"") > process.limits.file_megabytes * MEGABYTE:
        why = _("It is larger than {megabytes} MB.", megabytes=process.limits.file_megabytes)
        return Outcome(item.source, "", None, join((why, _("Split it, or raise file_megabytes.")))), 0
    request = {"lists": False, "file": item.file, "places": item.places, "brings": item.data is not None}
    began = time.monotonic()
    reply, error = process.reply(request, item.data, process.limits.seconds, decode)
    if reply is None:
        return Outcome(item.source, "", None, error, lost=True), 0
    (sha256, content, problem, gone), size = reply
    return Outcome(item.source, sha256, content, problem, gone, time.monotonic() - began), size


def _list(process: ReaderProcess, path: str) -> tuple[Listing, int]:
    limits = process.limits
    ample = limits.archive_megabytes * MEGABYTE / _UNPACKED_A_SECOND
    seconds = limits.seconds + ample if limits.seconds else 0
    reply, error = process.reply({"lists": True, "file": path, "brings": False}, None, seconds, decode_listing)
    if reply is None:
        return Listing(path, "", Contents(), error), 0
    (sha256, contents, problem, gone), size = reply
    return Listing(path, sha256, contents, problem, gone), size
