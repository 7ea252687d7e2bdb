"""The far side of the sandbox: a process that reads one file after another and answers over a pipe.

A frame is four bytes of length and a body: the path's bytes one way, a JSON object the other. `sandbox` starts
this process and is the only one to talk to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import IO, Any

from ingest.readers import Block, Content, read
from kb_assistant.errors import ReadError

MEGABYTE = 1_000_000
MOST_WRITTEN = 500_000_000
"""Bytes of the largest file that a reader may allow itself to write."""

PASSWORDS = "KB_READ_PASSWORDS"
"""Variable that brings the passwords, a JSON list: a command line could be seen by other users."""

READY = b"ready"
ALIVE = b"alive"
"""Sent before each page of long work, OCR: the time for a file begins anew."""

OUT_OF_MEMORY = 77
"""Exit code: when memory is short, an answer in words may not fit either."""

_HEADER = struct.Struct(">I")
_LONGEST_PATH = 1_000_000


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


def work(seconds: float, read_megabytes: int, file_megabytes: int, text_megabytes: int) -> None:
    """Answer until the parent closes its end, be it because it was killed."""
    passwords = json.loads(os.environ.pop(PASSWORDS, "[]"))
    requests, replies = _take_pipes()
    _limit(read_megabytes)
    send(replies, READY)

    def alive() -> None:
        _limit_time(seconds)
        send(replies, ALIVE)

    while True:
        try:
            path = receive(requests, _LONGEST_PATH)
        except EOFError:
            return
        _limit_time(seconds)
        try:
            reply = _encode(_answer(path, file_megabytes, passwords, alive), text_megabytes)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        send(replies, reply)


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
        _failure(f"There is more than {text_megabytes} MB of text in it.", answer["sha256"])
    ).encode()


def _failure(error: str, sha256: str = "", gone: bool = False) -> dict[str, Any]:
    return {"sha256": sha256, "error": error, "gone": gone}


def _answer(
    path: bytes, file_megabytes: int, passwords: Sequence[str], alive: Callable[[], None]
) -> dict[str, Any]:
    try:
        data = _file_bytes(path, file_megabytes)
    except (FileNotFoundError, NotADirectoryError):
        return _failure("The file vanished while it was being read.", gone=True)
    except OSError as error:
        return _failure(f"The file can't be opened: {error.strerror or error}.")
    except ReadError as error:
        return _failure(_in_words(error))
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        name = os.fsdecode(os.path.basename(path))  # noqa: PTH119 - a Path holds no bytes
        content = read(name, data, passwords, alive=alive)
    except MemoryError:
        raise
    except ReadError as error:
        return _failure(_in_words(error), sha256)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a reader's bug is one failed file; a panic in Rust is no Exception
        return _failure(f"The reader failed on this file ({type(error).__name__}).", sha256)
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


def _file_bytes(path: bytes, file_megabytes: int) -> bytes:
    """All bytes of a plain file. Non-blocking, because opening a pipe would wait for a writer."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ReadError("This isn't a regular file.")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(file_megabytes * MEGABYTE + 1)
    if len(data) > file_megabytes * MEGABYTE:
        raise ReadError(f"The file is larger than {file_megabytes} MB.", "Split it, or raise file_megabytes.")
    return data


def _in_words(error: ReadError) -> str:
    return f"{error.message} {error.hint}".strip()


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes under other numbers, so that a library that prints or reads can't get into the talk."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, replies


def _limit(read_megabytes: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    memory = read_megabytes * MEGABYTE
    # Nothing may be written, but by the one reader that needs a scratch folder for another program.
    limits = (
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, 0, MOST_WRITTEN),
        (resource.RLIMIT_CORE, 0, 0),
    )
    for which, *most in limits:
        hard = resource.getrlimit(which)[1]
        soft, most_ever = (one if hard == resource.RLIM_INFINITY else min(one, hard) for one in most)
        try:
            resource.setrlimit(which, (soft, most_ever))
        except (OSError, ValueError):
            continue  # macOS knows the name but refuses the limit


def _limit_time(seconds: float) -> None:
    """The parent's clock ends a slow reader; this one ends it where the parent is no more."""
    if sys.platform == "win32" or not seconds:
        return
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most = int(usage.ru_utime + usage.ru_stime + 2 * seconds + 5)
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
