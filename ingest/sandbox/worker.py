"""The worker side of the sandbox: a process that reads one file after another and answers over a pipe by
`protocol`. Only `process` starts it and communicates with it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from ingest import archives
from ingest.readers import read
from ingest.readers.ocr_budget import OcrBudget
from ingest.sandbox.confine import MEGABYTE, confine
from ingest.sandbox.protocol import (
    HEARTBEAT,
    LONGEST_REQUEST,
    OUT_OF_MEMORY,
    PASSWORDS,
    READY,
    ReaderLimits,
    encode,
    failure,
    receive,
    send,
)
from kb_assistant.errors import ReadError
from kb_assistant.messages import _, to_json

_TRIES = 3
_SECONDS_BETWEEN_TRIES = 0.05


def work(limits: ReaderLimits, scratch: Path) -> None:
    """Answer until the parent closes its end, possibly because it was killed."""
    passwords = json.loads(os.environ.pop(PASSWORDS, "[]"))
    requests, replies = _take_pipes()
    confine(limits.read_megabytes, scratch)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    os.chdir(scratch)
    opened = archives.OpenArchive(passwords)
    send(replies, READY)

    def heartbeat() -> None:
        _limit_time(limits.seconds)
        send(replies, HEARTBEAT)

    while not _is_full(limits):
        try:
            request = json.loads(receive(requests, LONGEST_REQUEST))
            data = receive(requests, limits.file_megabytes * MEGABYTE) if request["brings"] else None
        except EOFError:
            break
        _limit_time(request["seconds"])
        try:
            if request["lists"]:
                answer = _listing(request["file"], limits, passwords)
            else:
                answer = _answer(request, data, opened, limits, passwords, heartbeat)
            reply = encode(answer, limits.text_megabytes)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        _clear(scratch)
        _limit_time(0)
        send(replies, reply)


def _is_full(limits: ReaderLimits) -> bool:
    """Whether the peak memory use was so high that a fresh process should take the next file."""
    if sys.platform != "linux":
        return False
    # Not getrusage: its ru_maxrss starts at the parent's value when it started this process.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 > limits.read_megabytes * MEGABYTE / 2


def _clear(scratch: Path) -> None:
    for left in scratch.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()


def _answer(
    request: dict[str, Any],
    data: bytes | None,
    opened: archives.OpenArchive,
    limits: ReaderLimits,
    passwords: Sequence[str],
    heartbeat: Callable[[], None],
) -> dict[str, Any]:
    """The reader's result for a file, a member of an archive, or `data`."""
    path, places = request["file"], tuple((number, name) for number, name in request["places"])
    try:
        if data is None:
            data = _member(path, places, opened, limits) if places else _file_bytes(path, limits.file_megabytes)
    except (FileNotFoundError, NotADirectoryError):
        return failure(_("The file vanished while it was being read."), gone=True)
    except OSError as error:
        return failure(_("The file can't be opened: {reason}.", reason=error))
    except ReadError as error:
        return failure(error.full_message)
    name = places[-1][1].rpartition("/")[2] if places else os.path.basename(path)  # noqa: PTH119 - no Path: any bytes
    return _read(name, data, passwords, heartbeat, OcrBudget(limits.ocr_pages, most_seconds=limits.ocr_seconds))


def _read(
    name: str, data: bytes, passwords: Sequence[str], heartbeat: Callable[[], None], budget: OcrBudget
) -> dict[str, Any]:
    """The reader's result for these bytes."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        content = read(name, data, passwords, heartbeat=heartbeat, budget=budget)
    except MemoryError:
        raise
    except ReadError as error:
        return failure(error.full_message, sha256)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a reader's bug fails one file only; a Rust panic isn't an Exception
        return failure(
            _("The reader failed on this file ({error}). Save it in another format.", error=type(error).__name__),
            sha256,
        )
    blocks = [astuple(block) for block in content.blocks]
    return {
        "sha256": sha256,
        "error": "",
        "gone": False,
        "title": content.title,
        "blocks": blocks,
        "metadata": dict(content.metadata),
        "notes": to_json(content.notes),
        "ocr": astuple(content.ocr),
    }


def _listing(path: str, limits: ReaderLimits, passwords: Sequence[str]) -> dict[str, Any]:
    """The contents of an archive."""
    sha256 = ""
    try:
        with _open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limits.archive_megabytes * MEGABYTE:
                hint = _("Unpack it into a folder, or raise archive_megabytes.")
                raise ReadError(
                    _("The archive is larger than {megabytes:,} MB.", megabytes=limits.archive_megabytes), hint
                )
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            contents = archives.list_contents(path, file, size, limits.in_archives, passwords)
    except (FileNotFoundError, NotADirectoryError):
        return failure(_("The file vanished while it was being read."), gone=True)
    except OSError as error:
        return failure(_("The file can't be opened: {reason}.", reason=error))
    except ReadError as error:
        return failure(error.full_message, sha256)
    members = [(member.places, member.size, member.sha256, to_json(member.problem)) for member in contents.members]
    return {"sha256": sha256, "error": "", "gone": False, "members": members, "skipped": dict(contents.skipped)}


def _member(
    path: str, places: tuple[archives.MemberPlace, ...], opened: archives.OpenArchive, limits: ReaderLimits
) -> bytes:
    file = _open_plain(path)
    status = os.fstat(file.fileno())
    identity = (path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return opened.member(identity, path, file, places, limits.in_archives)


def _open_plain(path: str) -> BufferedReader:
    """An open regular file. Non-blocking, because opening a pipe would wait for a writer."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ReadError(_("This isn't a regular file."))
    return os.fdopen(descriptor, "rb")


def _file_bytes(path: str, file_megabytes: int) -> bytes:
    """All bytes of a regular file at one moment: a file that changes meanwhile is read again."""
    for left in reversed(range(_TRIES)):
        with _open_plain(path) as file:
            before = os.fstat(file.fileno())
            data = file.read(file_megabytes * MEGABYTE + 1)
            after = os.fstat(file.fileno())
        if len(data) > file_megabytes * MEGABYTE:
            raise ReadError(
                _("The file is larger than {megabytes} MB.", megabytes=file_megabytes),
                _("Split it, or raise file_megabytes."),
            )
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return data
        if not left and after.st_size >= before.st_size and before.st_size:
            return data  # such as a log that grows constantly
        time.sleep(_SECONDS_BETWEEN_TRIES)
    raise ReadError(_("The file kept changing while it was being read."), _("Ingest it again when it is at rest."))


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Move the pipes to other descriptors, so that a library that prints or reads can't disturb the protocol."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, replies


def _limit_time(seconds: float) -> None:
    """Set backup limits. The parent's timer ends a slow reader; these end it if the parent is gone. 0 removes
    them."""
    if sys.platform == "win32":
        return
    import resource

    ample = 2 * seconds + 5 if seconds else 0
    signal.setitimer(signal.ITIMER_REAL, ample)  # its signal is fatal unless handled
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = int(usage.ru_utime + usage.ru_stime + ample) if ample else hard
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
