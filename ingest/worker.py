"""The far side of the sandbox: a process that reads one file after another and answers over a pipe.

A frame is four bytes of length and a body. A request is a frame of JSON, and one of bytes where it brings the file
along; an answer is a frame of JSON. `sandbox` starts this process and is the only one to talk to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

from ingest import archives
from ingest.confine import MEGABYTE, confine
from ingest.readers import Block, Content, read
from kb_assistant.errors import ReadError

PASSWORDS = "KB_READ_PASSWORDS"
"""Variable that brings the passwords, a JSON list: a command line could be seen by other users."""

READY = b"ready"
ALIVE = b"alive"
"""Sent before each page of long work, OCR: the time for a file begins anew."""

OUT_OF_MEMORY = 77
"""Exit code: when memory is short, an answer in words may not fit either."""

_HEADER = struct.Struct(">I")
_LONGEST_REQUEST = 1_000_000
_TRIES = 3
_SECONDS_BETWEEN_TRIES = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a worker process. Seconds are those for one file, 0 for no limit; megabytes are 10⁶ bytes."""

    seconds: float
    read_megabytes: int
    file_megabytes: int
    text_megabytes: int
    archive_megabytes: int
    archive_members: int

    @property
    def in_archives(self) -> archives.Limits:
        return archives.Limits(
            self.archive_megabytes * MEGABYTE, self.file_megabytes * MEGABYTE, self.archive_members
        )


def send(pipe: IO[bytes], body: bytes) -> None:
    pipe.write(_HEADER.pack(len(body)))
    pipe.write(body)
    pipe.flush()


def receive(pipe: IO[bytes], most: int) -> bytes:
    """The next frame's body. Raises EOFError where the other side is gone or says more than it may."""
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise EOFError
    (size,) = _HEADER.unpack(header)
    if size > most:
        raise EOFError
    body = pipe.read(size)
    if len(body) < size:
        raise EOFError
    return body


def work(limits: Limits, scratch: Path) -> None:
    """Answer until the parent closes its end, be it because it was killed."""
    passwords = json.loads(os.environ.pop(PASSWORDS, "[]"))
    requests, replies = _take_pipes()
    confine(limits.read_megabytes, scratch)
    os.environ["TMPDIR"] = tempfile.tempdir = str(scratch)
    os.chdir(scratch)
    opened = archives.OpenArchive()
    send(replies, READY)

    def alive() -> None:
        _limit_time(limits.seconds)
        send(replies, ALIVE)

    while not _is_full(limits):
        try:
            request = json.loads(receive(requests, _LONGEST_REQUEST))
            data = receive(requests, limits.file_megabytes * MEGABYTE) if request["brings"] else None
        except EOFError:
            break
        _limit_time(request["seconds"])
        try:
            if request["lists"]:
                answer = _listing(request["file"], limits)
            else:
                answer = _answer(request, data, opened, limits, passwords, alive)
            reply = _encode(answer, limits.text_megabytes)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        _clear(scratch)
        _limit_time(0)
        send(replies, reply)


def _is_full(limits: Limits) -> bool:
    """Whether so much of the memory was needed once that a fresh process should take the next file."""
    if sys.platform != "linux":
        return False
    # Not getrusage: its ru_maxrss begins with what the parent had when it started this process.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 > limits.read_megabytes * MEGABYTE / 2


def _clear(scratch: Path) -> None:
    for left in scratch.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()


def decode(reply: bytes) -> tuple[str, Content | None, str, bool]:
    """SHA-256, content, error and whether the file is gone, each checked.

    Raises:
        ValueError, TypeError, KeyError: the reply is malformed.
    """
    said = json.loads(reply)
    sha256, error, gone = said["sha256"], said["error"], said["gone"]
    if not (isinstance(sha256, str) and isinstance(error, str) and isinstance(gone, bool)):
        raise TypeError(reply[:100])
    if error:
        return sha256, None, error, gone
    title, blocks = said["title"], tuple(_block(*fields) for fields in said["blocks"])
    metadata, notes = said.get("metadata", {}), tuple(said.get("notes", ()))
    if not (isinstance(title, str) and isinstance(metadata, dict) and len(sha256) == 64):
        raise TypeError(reply[:100])
    if not all(isinstance(note, str) for note in notes):
        raise TypeError(reply[:100])
    return sha256, Content(title, blocks, metadata, notes), "", False


def decode_listing(reply: bytes) -> tuple[str, archives.Contents, str, bool]:
    """The same of an archive: SHA-256, contents, error and whether it is gone."""
    said = json.loads(reply)
    sha256, error, gone = said["sha256"], said["error"], said["gone"]
    if not (isinstance(sha256, str) and isinstance(error, str) and isinstance(gone, bool)):
        raise TypeError(reply[:100])
    contents = archives.Contents()
    for places, size, digest, problem in said.get("members", ()):
        member = archives.Member(tuple((int(number), str(name)) for number, name in places), size, digest, problem)
        if not (isinstance(size, int) and isinstance(digest, str) and isinstance(problem, str) and places):
            raise TypeError(reply[:100])
        contents.members.append(member)
    contents.skipped.update({str(suffix): int(count) for suffix, count in said.get("skipped", {}).items()})
    return sha256, contents, error, gone


def _block(
    text: Any, kind: Any, page: Any, lines: Any, heading: Any, slide: Any, sheet: Any, attachment: Any, header: Any
) -> Block:
    if not (all(isinstance(one, str) for one in (text, heading, header)) and kind in ("prose", "code", "table")):
        raise TypeError(kind)
    if not all(number is None or isinstance(number, int) for number in (page, slide)):
        raise TypeError(page)
    if not all(name is None or isinstance(name, str) for name in (sheet, attachment)):
        raise TypeError(sheet)
    if lines is not None:
        first, last = lines
        if not (isinstance(first, int) and isinstance(last, int)):
            raise TypeError(lines)
        lines = first, last
    return Block(text, kind, page, lines, heading, slide, sheet, attachment, header)


def _encode(answer: dict[str, Any], text_megabytes: int) -> bytes:
    reply = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    if len(reply) <= text_megabytes * MEGABYTE:
        return reply
    return json.dumps(
        _failure(f"There is more than {text_megabytes} MB of text in it. Split it.", answer["sha256"])
    ).encode()


def _failure(error: str, sha256: str = "", gone: bool = False) -> dict[str, Any]:
    return {"sha256": sha256, "error": error, "gone": gone}


def _answer(
    request: dict[str, Any],
    data: bytes | None,
    opened: archives.OpenArchive,
    limits: Limits,
    passwords: Sequence[str],
    alive: Callable[[], None],
) -> dict[str, Any]:
    """What the reader makes of a file, of a member of an archive, or of `data`."""
    path, places = request["file"], tuple((number, name) for number, name in request["places"])
    try:
        if data is None:
            data = _member(path, places, opened, limits) if places else _file_bytes(path, limits.file_megabytes)
    except (FileNotFoundError, NotADirectoryError):
        return _failure("The file vanished while it was being read.", gone=True)
    except OSError as error:
        return _failure(f"The file can't be opened: {error.strerror or error}.")
    except ReadError as error:
        return _failure(_in_words(error))
    sha256 = hashlib.sha256(data).hexdigest()
    name = places[-1][1].rpartition("/")[2] if places else os.path.basename(path)  # noqa: PTH119 - no Path: any bytes
    try:
        content = read(name, data, passwords, alive=alive)
    except MemoryError:
        raise
    except ReadError as error:
        return _failure(_in_words(error), sha256)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a reader's bug is one failed file; a panic in Rust is no Exception
        return _failure(
            f"The reader failed on this file ({type(error).__name__}). Save it in another format.", sha256
        )
    blocks = [astuple(block) for block in content.blocks]
    return {
        "sha256": sha256,
        "error": "",
        "gone": False,
        "title": content.title,
        "blocks": blocks,
        "metadata": dict(content.metadata),
        "notes": content.notes,
    }


def _listing(path: str, limits: Limits) -> dict[str, Any]:
    """What is in an archive."""
    sha256 = ""
    try:
        with _open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limits.archive_megabytes * MEGABYTE:
                hint = "Unpack it into a folder, or raise archive_megabytes."
                raise ReadError(f"The archive is larger than {limits.archive_megabytes:,} MB.", hint)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            contents = archives.list_contents(path, file, size, limits.in_archives)
    except (FileNotFoundError, NotADirectoryError):
        return _failure("The file vanished while it was being read.", gone=True)
    except OSError as error:
        return _failure(f"The file can't be opened: {error.strerror or error}.")
    except ReadError as error:
        return _failure(_in_words(error), sha256)
    members = [(member.places, member.size, member.sha256, member.problem) for member in contents.members]
    return {"sha256": sha256, "error": "", "gone": False, "members": members, "skipped": dict(contents.skipped)}


def _member(path: str, places: tuple[archives.Place, ...], opened: archives.OpenArchive, limits: Limits) -> bytes:
    file = _open_plain(path)
    status = os.fstat(file.fileno())
    identity = (path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return opened.member(identity, path, file, places, limits.in_archives)


def _open_plain(path: str) -> BufferedReader:
    """A plain file, open. Non-blocking, because opening a pipe would wait for a writer."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ReadError("This isn't a regular file.")
    return os.fdopen(descriptor, "rb")


def _file_bytes(path: str, file_megabytes: int) -> bytes:
    """All bytes of a plain file, as they were at one moment: one that changes meanwhile is read again."""
    for left in reversed(range(_TRIES)):
        with _open_plain(path) as file:
            before = os.fstat(file.fileno())
            data = file.read(file_megabytes * MEGABYTE + 1)
            after = os.fstat(file.fileno())
        if len(data) > file_megabytes * MEGABYTE:
            raise ReadError(f"The file is larger than {file_megabytes} MB.", "Split it, or raise file_megabytes.")
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return data
        if not left and after.st_size >= before.st_size and before.st_size:
            return data  # such as a log that grows all the time
        time.sleep(_SECONDS_BETWEEN_TRIES)
    raise ReadError("The file kept changing while it was being read.", "Ingest it again when it is at rest.")


def _in_words(error: ReadError) -> str:
    return f"{error.message} {error.hint}".strip()


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes under other numbers, so that a library that prints or reads can't get into the talk."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, replies


def _limit_time(seconds: float) -> None:
    """The parent's clock ends a slow reader; these end it where the parent is no more. 0 lifts them."""
    if sys.platform == "win32":
        return
    import resource

    ample = 2 * seconds + 5 if seconds else 0
    signal.setitimer(signal.ITIMER_REAL, ample)  # its signal is fatal where nobody handles it
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = int(usage.ru_utime + usage.ru_stime + ample) if ample else hard
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
