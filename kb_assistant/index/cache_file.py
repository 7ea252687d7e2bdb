"""The cache file of an index: written and read in blocks, checked before it is used."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from kb_assistant.index.flat import FlatIndex, import_faiss
from kb_assistant.index.ivf import IVFIndex
from kb_assistant.store import Snapshot

_MAGIC = "kb-index-3"
_LINE = 1000
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class BuiltIndex:
    """An index, and the state of the store that it is of.

    `lineage` changes when all vectors are replaced at once; within one, a text id always means the same vector.
    """

    generation: int
    lineage: str
    stamp: str
    held: FlatIndex | IVFIndex


@dataclass(frozen=True, slots=True)
class Header:
    stamp: str
    facts: dict[str, Any]
    crc: int
    body_crc: int

    def can_be_updated(self, snapshot: Snapshot) -> bool:
        """Whether it is an approximate index of other generations of the same texts."""
        return self.facts["kind"] != FlatIndex.kind and self.stamp.split()[0] == snapshot.lineage


def read_header(file: BinaryIO) -> Header | None:
    lines = [file.readline(_LINE), file.readline(_LINE)]
    crc = zlib.crc32(b"".join(lines))
    magic, _, stamp = lines[0].decode(errors="replace").rstrip("\n").partition(" ")
    if magic != _MAGIC or int.from_bytes(file.read(4), "little") != crc:
        return None
    return Header(stamp, json.loads(lines[1]), crc, int.from_bytes(file.read(4), "little"))


def read_index(file: BinaryIO, header: Header) -> FlatIndex | IVFIndex | None:
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


def write_index(file: BinaryIO, built: BuiltIndex) -> None:
    faiss = import_faiss()
    held = built.held
    header = f"{_MAGIC} {built.stamp}\n{json.dumps(held.facts)}\n".encode()
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
