"""Writes to the store, all within one transaction: a source with its chunks, texts, vectors and postings."""

from __future__ import annotations

import json
import secrets
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kb_assistant.errors import EmbedderMismatch, StoreError
from kb_assistant.messages import _
from kb_assistant.store.records import NewChunk, Source, Text, chunk_id, written_reason
from kb_assistant.store.snapshot import Snapshot, row_checksum
from kb_assistant.text import analyzer as keywords


class Transaction(Snapshot):
    """Reads and writes within one transaction.

    Args:
        embedder: Fingerprint of the model whose vectors are written; None if none are.
    """

    def __init__(
        self, path: Path, connection: sqlite3.Connection, embedder: Mapping[str, str | int] | None = None
    ) -> None:
        super().__init__(path, connection)
        self._embedder = embedder

    def put_meta(self, key: str, value: Any) -> None:
        text = json.dumps(value)
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (key, text, zlib.crc32(text.encode())))

    def begin_vector_epoch(self) -> None:
        """Begin a new vector epoch: text ids may mean other vectors than before."""
        self.put_meta("lineage", secrets.token_hex(16))
        self._count_revision()

    def renew_keywords(self) -> None:
        """Rebuild the keyword index if other rules made it."""
        if self.keywords_fit:
            return
        self._db.execute("DELETE FROM keywords")
        for (text_id,) in self._db.execute("SELECT DISTINCT text_id FROM chunks").fetchall():
            self._put_line(text_id, self.keyword_line(text_id, self.texts([text_id])[0]))
        self.put_meta("keywords", keywords.analyzer_version())

    def put_source(self, source: Source, chunks: Sequence[NewChunk], vectors: dict[bytes, bytes]) -> None:
        """Replace everything stored for `source.path`.

        Args:
            chunks: Its chunks in reading order.
            vectors: float32 vectors as little-endian bytes, by text hash, for texts without a stored one.

        Raises:
            EmbedderMismatch: `vectors` come from another model than the index.
            StoreError: a text has neither a stored vector nor one in `vectors`.
        """
        self._check_vectors(vectors)
        before = self._texts_of(source.path)
        self._db.execute("DELETE FROM sources WHERE path = ?", (source.path,))
        source_id = self._db.execute(
            "INSERT INTO sources (path, digest, recipe, title, reason, failed, ingested_at, metadata, chunks)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                source.path,
                source.digest,
                source.recipe,
                source.title,
                written_reason(source.reason),
                source.failed,
                source.ingested_at,
                json.dumps(dict(source.metadata), ensure_ascii=False),
                len(chunks),
            ),
        ).lastrowid
        seen: dict[bytes, int] = {}
        for seq, chunk in enumerate(chunks):
            key = chunk.text.hash
            occurrence = seen[key] = seen.get(key, -1) + 1
            first, last = chunk.lines or (None, None)
            self._db.execute(
                "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (chunk_id(source.path, chunk.text, occurrence), source_id, seq,
                 self._put_text(chunk.text, vectors.get(key)), chunk.page, first, last, chunk.part),
            )  # fmt: skip
        self._put_checksum(source.path)
        self._sync_keywords(before | self._texts_of(source.path), source.path)

    def _check_vectors(self, vectors: Mapping[bytes, bytes]) -> None:
        if not vectors:
            return
        built_with = self.meta("embedder") or {}
        if self._embedder is None or dict(self._embedder) != built_with:
            name = (self._embedder or {}).get("name", "an unnamed model")
            raise EmbedderMismatch(
                _(
                    "Vectors of '{name}' can't be added: this index belongs to '{owner}'.",
                    name=name,
                    owner=str(built_with.get("name")),
                ),
                _("Open it with that embedder, or run `kb rebuild`."),
            )
        lengths = {len(vector) // 4 for vector in vectors.values()}
        if lengths != {self.dimension}:
            raise EmbedderMismatch(
                _(
                    "Vectors of {length} numbers can't be added: this index has {dimension}.",
                    length=max(lengths),
                    dimension=self.dimension,
                ),
                _("The embedder is damaged or not the one it claims to be: install it again."),
            )

    def remove_source(self, path: str) -> None:
        before = self._texts_of(path)
        self._db.execute("DELETE FROM sources WHERE path = ?", (path,))
        self._sync_keywords(before, path)

    def update_source(self, source: Source) -> None:
        """Record a new recipe, title and reason for a source whose chunks stay as they are."""
        self._db.execute(
            "UPDATE sources SET recipe = ?, title = ?, reason = ?, failed = ? WHERE path = ?",
            (source.recipe, source.title, written_reason(source.reason), source.failed, source.path),
        )
        self._put_checksum(source.path)

    def purge_orphaned(self) -> int:
        """Delete texts and vectors that no chunk uses. Returns their number."""
        unused = "SELECT id FROM texts WHERE id NOT IN (SELECT text_id FROM chunks)"
        self._db.execute(f"DELETE FROM vectors WHERE text_id IN ({unused})")
        return self._db.execute(f"DELETE FROM texts WHERE id IN ({unused})").rowcount

    def begin_rebuild(self, fingerprint: Any) -> None:
        """Create a second table of vectors beside the first, or continue one begun with the same embedder."""
        if self.meta("rebuild") != fingerprint:
            self._db.execute("DROP TABLE IF EXISTS new_vectors")
            self._db.execute(
                "CREATE TABLE new_vectors"
                " (text_id INTEGER PRIMARY KEY, vector BLOB NOT NULL, crc INTEGER NOT NULL)"
            )
            self.put_meta("rebuild", fingerprint)

    def missing_in_rebuild(self) -> list[int]:
        """Ids of the live texts without a vector in the new table."""
        rows = self._db.execute(
            "SELECT DISTINCT text_id FROM chunks WHERE text_id NOT IN (SELECT text_id FROM new_vectors)"
        )
        return [row[0] for row in rows]

    def put_rebuilt(self, text_id: int, vector: bytes) -> None:
        """Write a vector into the new table; the meta value `rebuild` names its model."""
        self._db.execute(
            "INSERT OR REPLACE INTO new_vectors VALUES (?, ?, ?)", (text_id, vector, zlib.crc32(vector))
        )

    def finish_rebuild(self, fingerprint: Any) -> None:
        """Replace the old vectors by the new ones."""
        self._db.execute("DELETE FROM new_vectors WHERE text_id NOT IN (SELECT text_id FROM chunks)")
        self._db.execute("DROP TABLE vectors")
        self._db.execute("ALTER TABLE new_vectors RENAME TO vectors")
        self._db.execute("DELETE FROM meta WHERE key = 'rebuild'")
        self.put_meta("embedder", fingerprint)
        self.purge_orphaned()
        self.begin_vector_epoch()

    def _texts_of(self, path: str) -> set[int]:
        rows = self._db.execute(
            "SELECT c.text_id FROM chunks c JOIN sources s ON s.id = c.source_id WHERE s.path = ?", (path,)
        )
        return {row[0] for row in rows}

    def _put_text(self, text: Text, vector: bytes | None) -> int:
        row = self._db.execute(
            "SELECT t.id, v.text_id FROM texts t LEFT JOIN vectors v ON v.text_id = t.id WHERE t.hash = ?",
            (text.hash,),
        ).fetchone()
        if row and row[1] is not None:
            return int(row[0])
        if vector is None:
            raise StoreError(_("A text came without its vector."), _("Run the ingest again."))
        text_id: int = self._db.execute(
            "INSERT INTO texts (hash, heading, body) VALUES (?, ?, ?)"
            " ON CONFLICT (hash) DO UPDATE SET heading = heading RETURNING id",
            (text.hash, text.heading, text.body),
        ).fetchone()[0]
        self._db.execute("INSERT INTO vectors VALUES (?, ?, ?)", (text_id, vector, zlib.crc32(vector)))
        return text_id

    def _sync_keywords(self, touched: set[int], path: str) -> None:
        """Update the keyword index for the texts that a source had or has, and increment the generation."""
        self.renew_keywords()  # words of two sets of rules never mix
        for text_id in touched:
            live = self._db.execute("SELECT 1 FROM chunks WHERE text_id = ? LIMIT 1", (text_id,)).fetchone()
            indexed = self._db.execute("SELECT tokens FROM keywords WHERE rowid = ?", (text_id,)).fetchone()
            if live and indexed and not self.is_named_by(text_id, path):
                continue
            line = self.keyword_line(text_id, self.texts([text_id])[0]) if live else None
            if indexed and indexed[0] != line:
                self._db.execute("DELETE FROM keywords WHERE rowid = ?", (text_id,))
            if line is not None and (not indexed or indexed[0] != line):
                self._put_line(text_id, line)
        self._count_revision()

    def _put_line(self, text_id: int, line: str) -> None:
        self._db.execute("INSERT INTO keywords (rowid, tokens) VALUES (?, ?)", (text_id, line))

    def _count_revision(self) -> None:
        self.put_meta("generation", [self.revision + 1, secrets.token_hex(8)])

    def _put_checksum(self, path: str) -> None:
        (source_id,) = self._db.execute("SELECT id FROM sources WHERE path = ?", (path,)).fetchone()
        checksum = row_checksum(self._db, source_id)
        self._db.execute("UPDATE sources SET seal = ? WHERE id = ?", (checksum, source_id))
