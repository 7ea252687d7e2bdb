"""What the store keeps: texts, chunks and sources, as values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kb_assistant.messages import Message, from_json, to_json
from kb_assistant.types import Locator

PARTS = ("slide", "sheet", "attachment")

DOCUMENT_PREFIX = "document:"
"""Prefix of the path of a source that isn't a file."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is embedded and searched: a chunk's own words under the headings above it. NUL characters, which many
    programs take for the end of a text, and lone surrogates, which UTF-8 can't encode, are removed."""

    heading: str
    body: str
    _hash: bytes = field(default=b"", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("heading", "body"):
            object.__setattr__(self, name, _clean(getattr(self, name)))

    @classmethod
    def stored(cls, heading: str, body: str) -> Text:
        """A text as stored; earlier versions kept NUL characters."""
        text = object.__new__(cls)
        object.__setattr__(text, "heading", heading)
        object.__setattr__(text, "body", body)
        object.__setattr__(text, "_hash", b"")
        return text

    @property
    def hash(self) -> bytes:
        """SHA-256 of heading and body, 32 bytes: equal texts share it, a damaged one no longer matches."""
        if not self._hash:  # an ingest asks for it five times
            object.__setattr__(self, "_hash", hashlib.sha256(f"{self.heading}\x00{self.body}".encode()).digest())
        return self._hash

    @property
    def embedded(self) -> str:
        return f"{self.heading}\n{self.body}" if self.heading else self.body


def _clean(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk on its way into the store. `slide`, `sheet` and `attachment` as in Locator."""

    text: Text
    page: int | None = None
    lines: tuple[int, int] | None = None
    slide: int | None = None
    sheet: str | None = None
    attachment: str | None = None

    @property
    def part(self) -> str | None:
        """The stored form of the last three: a JSON object of those present, or nothing."""
        known = {name: value for name in PARTS if (value := getattr(self, name)) is not None}
        return json.dumps(known, ensure_ascii=False) if known else None

    @classmethod
    def stored(cls, text: Text, page: int | None, lines: tuple[int, int] | None, part: str | None) -> NewChunk:
        """The chunk from its stored form. Raises ValueError or TypeError if `part` was altered."""
        return cls(text, page, lines, **parts_of(part))


@dataclass(frozen=True, slots=True)
class Source:
    """A file in the store. `recipe` names reader and splitter: another recipe gives another result. NUL characters
    in path, title and reason are removed, as in Text."""

    path: str
    digest: str
    recipe: str
    title: str
    reason: str
    failed: bool
    ingested_at: str
    chunks: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("path", "title", "reason"):
            if "\0" in (value := getattr(self, name)):
                object.__setattr__(self, name, str(value).replace("\0", ""))

    def to_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "title": self.title,
            "chunks": self.chunks,
            "failed": self.failed,
            "reason": self.reason,
            "ingested_at": self.ingested_at,
            "sha256": self.digest,
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stored chunk: one occurrence of a text, the seq-th chunk of its source, from 0."""

    id: str
    text_id: int
    text: Text
    source: str
    locator: Locator
    metadata: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0


def parts_of(part: str | None) -> dict[str, Any]:
    """Slide, sheet and attachment from NewChunk.part."""
    known = json.loads(part) if part else {}
    return {name: known.get(name) for name in PARTS}


def written_reason(reason: str) -> str:
    """The stored form of a source's reason: a message as JSON, with its template and values; another text as it
    is."""
    return json.dumps(to_json(reason), ensure_ascii=False) if isinstance(reason, Message) else reason


def read_reason(written: str) -> str:
    """The inverse of written_reason; older versions wrote plain texts only."""
    if not written.startswith('{"text": '):
        return written
    try:
        reason = json.loads(written, object_hook=from_json)
    except ValueError:
        return written
    return reason if isinstance(reason, Message) else written


def chunk_id(path: str, text: Text, occurrence: int) -> str:
    """Id of the occurrence-th chunk with this text in this source: independent of the chunks around it."""
    digest = hashlib.sha256(f"{path}\x00".encode() + text.hash + str(occurrence).encode())
    return digest.hexdigest()[:32]
