"""The cache file of an index: written in blocks, read where it lies, checked before use.

It contains a line with the id of the store's revision, a line of JSON with the facts, the CRC-32 of both and of
the whole (4 bytes each, little-endian); then the text ids, for an approximate index the checksums of their
vectors, and FAISS's own bytes. An approximate index stays in the file, mapped into memory: processes share it, and
the system may drop what no search reads. So the file is never changed, only replaced.
"""

from __future__ import annotations

import json
import mmap
import os
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kb_assistant.index.flat import FlatIndex, import_faiss
from kb_assistant.index.ivf import IVFIndex
from kb_assistant.store import Snapshot

_MAGIC = "kb-index-3"
_LINE = 1000


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

    faiss = import_faiss()
    start, count = file.tell(), header.facts["vectors"]
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_WILLNEED"):
        mapped.madvise(mmap.MADV_WILLNEED)
    if zlib.crc32(memoryview(mapped)[start:], header.crc) != header.body_crc:
        return None
    exact = header.facts["kind"] == FlatIndex.kind
    numbers = 1 if exact else 2
    ids, *sums = np.frombuffer(mapped, "<i8", numbers * count, start).reshape(numbers, count).copy()
    start += ids.nbytes * numbers
    if exact:
        mapped.close()
        file.seek(start)
        return FlatIndex(ids, faiss.read_index(faiss.PyCallbackIOReader(file.read)))
    own = np.frombuffer(mapped, np.uint8, offset=start)
    index = faiss.read_index(faiss.ZeroCopyIOReader(faiss.swig_ptr(own), len(own)))
    return IVFIndex.from_facts(header.facts, ids, sums[0], index, own)


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
