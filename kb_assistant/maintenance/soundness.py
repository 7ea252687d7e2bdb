"""What is sound in a store, whichever engine holds it: checksums, ids, texts, vectors and keyword lines."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from kb_assistant.messages import _
from kb_assistant.store import Database, NewChunk, Snapshot, Source, Text, chunk_id, row_checksum

_TOGETHER = 500
"""Texts that are checked together."""


def meta_faults(db: Database) -> Iterator[str]:
    """Altered meta values, in words."""
    for key, value, crc in db.rows("SELECT key, value, crc FROM meta"):
        if not is_whole(value, crc):
            yield _("database: the {key} was altered", key=key)


def is_whole(value: object, crc: object) -> bool:
    """Whether a value has its checksum."""
    return zlib.crc32(value if isinstance(value, bytes) else str(value).encode()) == crc


def content_faults(db: Database, snapshot: Snapshot) -> Iterator[str]:
    """Sources, chunks, texts, vectors and keyword lines that disagree, in words."""
    yield from _chunk_faults(db)
    live = {row[0] for row in db.rows("SELECT DISTINCT text_id FROM chunks")}
    indexed = set(db.indexed_ids())
    if missing := live - indexed:
        yield _("keywords: {count} texts are not in the keyword index", count=len(missing))
    if stale := indexed - live:
        yield _("keywords: {count} texts in the keyword index belong to no chunk", count=len(stale))
    fit, size = snapshot.keywords_fit, 4 * snapshot.dimension
    texts = vectors = entries = 0
    rows = db.rows(
        "SELECT t.id, t.hash, t.heading, t.body, v.vector, v.crc FROM texts t"
        " LEFT JOIN vectors v ON v.text_id = t.id"
    )
    while part := list(islice(rows, _TOGETHER)):
        known: dict[int, Text] = {}
        for text_id, digest, heading, body, vector, crc in part:
            text = Text.stored(heading, body)
            if text_id in indexed:
                known[text_id] = text
            texts += text.hash != digest
            vectors += not (isinstance(vector, bytes) and len(vector) == size and is_whole(vector, crc))
        if fit:
            lines = db.token_lines(known)
            entries += sum(lines[text_id] != line for text_id, line in snapshot.keyword_lines(known))
    if texts:
        yield _("texts: {count} differ from their hash", count=texts)
    if vectors:
        yield _("vectors: {count} are missing or altered", count=vectors)
    if entries:
        yield _("keywords: {count} entries differ from their text", count=entries)


def _chunk_faults(db: Database) -> Iterator[str]:
    for id_, path, checksum in list(db.rows("SELECT id, path, seal FROM sources")):
        if checksum != row_checksum(db, id_):
            yield _("sources: {path} or its list of chunks was altered", path=path)
    seen: Counter[tuple[str, bytes]] = Counter()
    wrong = 0
    rows = db.rows(
        "SELECT c.id, s.path, t.heading, t.body FROM chunks c JOIN sources s ON s.id = c.source_id"
        " JOIN texts t ON t.id = c.text_id ORDER BY c.source_id, c.seq"
    )
    for id_, path, heading, body in rows:
        text = Text.stored(heading, body)
        wrong += id_ != chunk_id(path, text, seen[path, text.hash])
        seen[path, text.hash] += 1
    if wrong:
        yield _("chunks: {count} ids differ from what they stand for", count=wrong)


def sound_parts(db: Database, source_id: int, source: Source) -> tuple[list[NewChunk], dict[bytes, bytes]]:
    """A source's chunks and vectors.

    Raises:
        ValueError, TypeError: a part is missing or altered.
        Exception: a part can't be read; the engine's error.
    """
    [(checksum,)] = db.rows("SELECT seal FROM sources WHERE id = ?", (source_id,))
    if checksum != row_checksum(db, source_id):
        raise ValueError("its row or those of its chunks were altered")
    chunks, vectors = [], {}
    found = db.rows(
        "SELECT t.hash, t.heading, t.body, v.vector, v.crc, c.*"
        " FROM chunks c LEFT JOIN texts t ON t.id = c.text_id LEFT JOIN vectors v ON v.text_id = c.text_id"
        " WHERE c.source_id = ? ORDER BY c.seq",
        (source_id,),
    )
    rows = list(found)
    if len(rows) != source.chunks:
        raise ValueError("chunks are missing")
    for place, (digest, heading, body, vector, crc, *places) in enumerate(rows):
        _, _, seq, _, page, first, last, *part = places  # stores of version 1 have no `part`
        if seq != place or not isinstance(vector, bytes) or not is_whole(vector, crc):
            raise ValueError("a part is missing")
        text = Text.stored(heading, body)
        if text.hash != digest:
            raise ValueError("a text was altered")
        chunks.append(
            NewChunk.stored(text, page, None if first is None else (first, last), part[0] if part else None)
        )
        vectors[digest] = vector
    return chunks, vectors
