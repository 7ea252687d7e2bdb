"""The protocol between the sandbox and its processes, over a pipe.

A frame is four bytes of length and a body. A request is a frame of JSON, followed by a frame of bytes if it
carries the file; an answer is a frame of JSON.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import IO, Any

from ingest import archives
from ingest.readers.blocks import Block, Content
from ingest.readers.ocr_budget import OcrBudget
from ingest.sandbox.confine import MEGABYTE
from kb_assistant.messages import _, from_json, to_json

PASSWORDS = "KB_READ_PASSWORDS"
"""Environment variable with the passwords, a JSON list: other users could see a command line."""

READY = b"ready"
HEARTBEAT = b"heartbeat"
"""Sent before each page of OCR: the time for a file restarts."""

OUT_OF_MEMORY = 77
"""Exit code for lack of memory: an answer in words may not fit either."""

_HEADER = struct.Struct(">I")
LONGEST_REQUEST = 1_000_000


@dataclass(frozen=True, slots=True)
class ReaderLimits:
    """Limits of a worker process. Seconds are for one file, 0 for no limit; megabytes are 10⁶ bytes; `ocr_pages`
    and `ocr_seconds` are those of a file, 0 for no limit."""

    seconds: float
    read_megabytes: int
    file_megabytes: int
    text_megabytes: int
    archive_megabytes: int
    archive_members: int
    ocr_pages: int = 0
    ocr_seconds: float = 0.0

    @property
    def in_archives(self) -> archives.ArchiveLimits:
        return archives.ArchiveLimits(
            self.archive_megabytes * MEGABYTE, self.file_megabytes * MEGABYTE, self.archive_members
        )


def send(pipe: IO[bytes], body: bytes) -> None:
    pipe.write(_HEADER.pack(len(body)))
    pipe.write(body)
    pipe.flush()


def receive(pipe: IO[bytes], most: int) -> bytes:
    """The next frame's body. Raises EOFError if the other side is gone or the frame is too long."""
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


def encode(answer: dict[str, Any], text_megabytes: int) -> bytes:
    """The answer as JSON; if that is too long, an answer that says so."""
    reply = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    if len(reply) <= text_megabytes * MEGABYTE:
        return reply
    return json.dumps(
        failure(
            _("There is more than {megabytes} MB of text in it. Split it.", megabytes=text_megabytes),
            answer["sha256"],
        )
    ).encode()


def failure(error: str, sha256: str = "", gone: bool = False) -> dict[str, Any]:
    """The answer that a file can't be read, and why."""
    return {"sha256": sha256, "error": to_json(error), "gone": gone}


def decode(reply: bytes) -> tuple[str, Content | None, str, bool]:
    """SHA-256, content, error, and whether the file is gone, each checked.

    Raises:
        ValueError, TypeError, KeyError: the reply is malformed.
    """
    said = json.loads(reply, object_hook=from_json)
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
    most, pages, left, seconds, most_seconds = said.get("ocr", (0, 0, 0, 0.0, 0.0))
    if not all(isinstance(number, int) for number in (most, pages, left)):
        raise TypeError(reply[:100])
    budget = OcrBudget(most, pages, left, float(seconds), float(most_seconds))
    return sha256, Content(title, blocks, metadata, notes, budget), "", False


def decode_listing(reply: bytes) -> tuple[str, archives.Contents, str, bool]:
    """The same for an archive: SHA-256, contents, error, and whether it is gone."""
    said = json.loads(reply, object_hook=from_json)
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
