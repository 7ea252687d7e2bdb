"""The cache file of an index: written and read in blocks, checked before use.

It contains a line with the id of the store's revision, a line of JSON with the facts, the CRC-32 of both and of
the whole (4 bytes each, little-endian); then the text ids, for an approximate index the checksums of their
vectors, and FAISS's own bytes. It uses blocks because a second copy of a large index may not fit into memory.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kb_assistant.index.flat import FlatIndex, import_faiss
from kb_assistant.index.ivf import IVFIndex
from kb_assistant.store import Snapshot

_MAGIC = "kb-index-3"
_LINE = 1000
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class BuiltIndex:
    """An index, and the state of the store that it belongs to.

    `vector_epoch` changes when all vectors are replaced at once; within one, a text id always means the same
    vector.
    """

    revision: int
    vector_epoch: str
    revision_id: str
    held: FlatIndex | IVFIndex


@dataclass(frozen=True, slots=True)
class Header:
    """The first lines of a cache file.

    Attributes:
        revision_id: The state of the store that the index belongs to.
        facts: The description of the index, as JSON values.
        crc: CRC-32 of these lines.
        body_crc: CRC-32 of these lines and everything after them.
    """

    revision_id: str
    facts: dict[str, Any]
    crc: int
    body_crc: int

    def can_be_updated(self, snapshot: Snapshot) -> bool:
        """Whether it is an approximate index of another revision of the same texts."""
        return self.facts["kind"] != FlatIndex.kind and self.revision_id.split()[0] == snapshot.vector_epoch


def read_header(cache: Path) -> Header | None:
    """The first lines of the file; None if it is missing or they are damaged."""
    try:
        with cache.open("rb") as file:
            return _read_header(file)
    except OSError:
        return None


def read_index(cache: Path, usable: Callable[[Header], bool]) -> tuple[Header, FlatIndex | IVFIndex] | None:
    """The header and the index in the file; None if it is missing or damaged, or its header isn't usable."""
    try:
        with cache.open("rb") as file:
            header = _read_header(file)
            if header is None or not usable(header):
                return None
            index = _read_body(file, header)
    except (OSError, RuntimeError):  # RuntimeError: another version of FAISS doesn't know the format
        return None
    return None if index is None else (header, index)


def write_index(cache: Path, built: BuiltIndex) -> None:
    """Replace the file. A reader finds the old one or the new one; a failed write leaves the old one."""
    temporary = cache.with_name(f"{cache.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with temporary.open("wb") as file:
            _write(file, built)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(cache)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def clear_leftovers(cache: Path) -> None:
    """Delete incomplete files of a killed process."""
    for leftover in cache.parent.glob(f"{cache.name}.*"):
        with suppress(OSError):
            leftover.unlink()


def _read_header(file: BinaryIO) -> Header | None:
    lines = [file.readline(_LINE), file.readline(_LINE)]
    crc = zlib.crc32(b"".join(lines))
    magic, _, revision_id = lines[0].decode(errors="replace").rstrip("\n").partition(" ")
    if magic != _MAGIC or int.from_bytes(file.read(4), "little") != crc:
        return None
    return Header(revision_id, json.loads(lines[1]), crc, int.from_bytes(file.read(4), "little"))


def _read_body(file: BinaryIO, header: Header) -> FlatIndex | IVFIndex | None:
    import numpy as np

    start, crc = file.tell(), header.crc
    for block in _blocks(file):
        crc = zlib.crc32(block, crc)
    if crc != header.body_crc:
        return None
    file.seek(start)
    faiss = import_faiss()
    count = 8 * header.facts["vectors"]
    ids = np.frombuffer(file.read(count), dtype="<i8")
    exact = header.facts["kind"] == FlatIndex.kind
    sums = None if exact else np.frombuffer(file.read(count), dtype="<i8")
    index = faiss.read_index(faiss.PyCallbackIOReader(file.read))
    return FlatIndex(ids, index) if sums is None else IVFIndex.from_facts(header.facts, ids, sums, index)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _write(file: BinaryIO, built: BuiltIndex) -> None:
    faiss = import_faiss()
    held = built.held
    header = f"{_MAGIC} {built.revision_id}\n{json.dumps(held.facts)}\n".encode()
    crc = zlib.crc32(header)
    file.write(header + crc.to_bytes(4, "little"))
    place = file.tell()
    file.write(bytes(4))

    def write(block: bytes) -> None:
        nonlocal crc
        crc = zlib.crc32(block, crc)
        file.write(block)

    write(held.ids.astype("<i8").tobytes())
    if isinstance(held, IVFIndex):
        write(held.sums.astype("<i8").tobytes())
    faiss.write_index(held.index, faiss.PyCallbackIOWriter(write))
    file.seek(place)
    file.write(crc.to_bytes(4, "little"))
