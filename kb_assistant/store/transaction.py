"""Writes to the store, all within one transaction: a source with its chunks, texts, vectors and postings."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kb_assistant.errors import EmbedderMismatch, StoreError
from kb_assistant.messages import _
from kb_assistant.store.database import Database, Row, Value
from kb_assistant.store.records import NewChunk, Source, Text, chunk_id, written_reason
from kb_assistant.store.snapshot import Snapshot, row_checksum, rows_checksum
from kb_assistant.text import analyzer as keywords

_BATCH = 1000
"""Texts that are indexed anew together."""


class Transaction(Snapshot):
    """Reads and writes within one transaction.

    Args:
        embedder: Fingerprint of the model whose vectors are written; None if none are.
    """

    def __init__(self, database: Database, embedder: Mapping[str, str | int] | None = None) -> None:
        super().__init__(database)
        self._embedder = embedder

    def put_meta(self, key: str, value: Any) -> None:
        text = json.dumps(value)
        self._db.run(
            "INSERT INTO meta VALUES (?, ?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, crc = excluded.crc",
            (key, text, zlib.crc32(text.encode())),
        )
        if self._values is not None:  # nobody else writes meanwhile
            self._values[key] = (text, zlib.crc32(text.encode()))

    def delete_meta(self, key: str) -> None:
        self._db.run("DELETE FROM meta WHERE key = ?", (key,))
        self._values = None

    def begin_vector_epoch(self) -> None:
        """Begin a new vector epoch: text ids may mean other vectors than before."""
        self.put_meta("lineage", secrets.token_hex(16))
        self._count_revision()

    def renew_keywords(self) -> None:
        """Rebuild the keyword index if other rules made it."""
        if self.keywords_fit:
            return
        self._db.delete_token_lines(None)
        live = self.live_ids().tolist()
        for start in range(0, len(live), _BATCH):
            texts = self.texts_by_id(live[start : start + _BATCH])
            self._db.put_token_lines(self.keyword_lines(texts))
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
        text_ids = self._put_texts({chunk.text.hash: chunk.text for chunk in chunks}, vectors)
        self._db.run("DELETE FROM sources WHERE path = ?", (source.path,))
        rows = list(_chunk_rows(source.path, chunks, text_ids))
        source_id = self._put_row(source, rows)
        self._db.run_many(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(row[0], source_id, *row[1:]) for row in rows],
        )
        self._sync_keywords(before | set(text_ids.values()), source.path)

    def _put_row(self, source: Source, chunks: Sequence[Row]) -> int:
        """Insert the row of a source with the rows of these chunks. Returns its id."""
        row: dict[str, Value] = {
            "path": source.path,
            "digest": source.digest,
            "recipe": source.recipe,
            "title": source.title,
            "reason": written_reason(source.reason),
            "failed": int(source.failed),
            "ingested_at": source.ingested_at,
            "metadata": json.dumps(dict(source.metadata), ensure_ascii=False),
            "chunks": len(chunks),
        }
        row |= {
            "seal": rows_checksum(tuple(row.values()), chunks),
            **self._db.derived(source.path, source.title),
        }
        marks = ", ".join("?" * len(row))
        inserted = f"INSERT INTO sources ({', '.join(row)}) VALUES ({marks}) RETURNING id"
        return int(self._one(inserted, list(row.values()))[0])

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
        self._db.run("DELETE FROM sources WHERE path = ?", (path,))
        self._sync_keywords(before, path)

    def update_source(self, source: Source) -> None:
        """Record a new recipe, title and reason for a source whose chunks stay as they are."""
        row: dict[str, Value] = {
            "recipe": source.recipe,
            "title": source.title,
            "reason": written_reason(source.reason),
            "failed": int(source.failed),
            **self._db.derived(source.path, source.title),
        }
        changed = f"UPDATE sources SET {', '.join(f'{name} = ?' for name in row)} WHERE path = ? RETURNING id"
        self._put_checksum(self._one(changed, [*row.values(), source.path])[0])

    def purge_orphaned(self) -> int:
        """Delete texts and vectors that no chunk uses. Returns their number."""
        unused = "NOT EXISTS (SELECT 1 FROM chunks c WHERE c.text_id = "
        self._db.run(f"DELETE FROM vectors WHERE {unused}vectors.text_id)")
        return self._db.run(f"DELETE FROM texts WHERE {unused}texts.id)")

    def begin_rebuild(self, fingerprint: Any) -> None:
        """Create a second table of vectors beside the first, or continue one begun with the same embedder."""
        if self.meta("rebuild") != fingerprint:
            self._db.clear_new_vectors()
            self.put_meta("rebuild", fingerprint)

    def missing_in_rebuild(self) -> list[int]:
        """Ids of the live texts without a vector in the new table."""
        rows = self._db.rows(
            "SELECT DISTINCT c.text_id FROM chunks c"
            " WHERE NOT EXISTS (SELECT 1 FROM new_vectors n WHERE n.text_id = c.text_id)"
        )
        return [row[0] for row in rows]

    def put_rebuilt(self, vectors: Mapping[int, bytes]) -> None:
        """Write vectors, by text id, into the new table; the meta value `rebuild` names their model."""
        self._db.run_many(
            "INSERT INTO new_vectors VALUES (?, ?, ?)"
            " ON CONFLICT (text_id) DO UPDATE SET vector = excluded.vector, crc = excluded.crc",
            [(text_id, vector, zlib.crc32(vector)) for text_id, vector in vectors.items()],
        )

    def finish_rebuild(self, fingerprint: Any) -> None:
        """Replace the old vectors by the new ones."""
        self._db.adopt_new_vectors()
        self.delete_meta("rebuild")
        self.put_meta("embedder", fingerprint)
        self.purge_orphaned()
        self.begin_vector_epoch()

    def _texts_of(self, path: str) -> set[int]:
        rows = self._db.rows(
            "SELECT c.text_id FROM chunks c JOIN sources s ON s.id = c.source_id WHERE s.path = ?", (path,)
        )
        return {row[0] for row in rows}

    def _put_texts(self, texts: Mapping[bytes, Text], vectors: Mapping[bytes, bytes]) -> dict[bytes, int]:
        """Store texts, by hash, that have no vector yet, each with its own. Returns the ids of all."""
        known: dict[bytes, int] = dict(self._db.rows_among(
            "SELECT t.hash, t.id FROM texts t JOIN vectors v ON v.text_id = t.id WHERE t.hash {among}", texts
        ))  # fmt: skip
        new = [key for key in texts if key not in known]
        if any(key not in vectors for key in new):
            raise StoreError(_("A text came without its vector."), _("Run the ingest again."))
        self._db.run_many(
            "INSERT INTO texts (hash, heading, body) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING",
            [(key, texts[key].heading, texts[key].body) for key in new],
        )
        ids: dict[bytes, int] = dict(self._db.rows_among("SELECT hash, id FROM texts WHERE hash {among}", new))
        self._db.run_many(
            "INSERT INTO vectors VALUES (?, ?, ?)",
            [(ids[key], vectors[key], zlib.crc32(vectors[key])) for key in new],
        )
        self._db.index_vectors({ids[key]: vectors[key] for key in new})
        return known | ids

    def _sync_keywords(self, touched: Collection[int], path: str) -> None:
        """Update the keyword index for the texts that a source had or has, and increment the generation."""
        self.renew_keywords()  # words of two sets of rules never mix
        here = sorted(touched)
        used = "EXISTS (SELECT 1 FROM chunks c WHERE c.text_id = t.id)"
        rows = self._db.rows_among(f"SELECT t.id FROM texts t WHERE t.id {{among}} AND {used}", here)
        live = {row[0] for row in rows}
        indexed = self._db.token_lines(here)
        named = self.named_by([text_id for text_id in here if text_id in indexed], path)
        lines = self.keyword_lines(self.texts_by_id(sorted(live - (indexed.keys() - named))))
        changed = {text_id: line for text_id, line in lines.items() if indexed.get(text_id) != line}
        self._db.delete_token_lines([text_id for text_id in indexed if text_id not in live or text_id in changed])
        self._db.put_token_lines(changed)
        self._count_revision()

    def _count_revision(self) -> None:
        self.put_meta("generation", [self.revision + 1, secrets.token_hex(8)])

    def _put_checksum(self, source_id: int) -> None:
        self._db.run("UPDATE sources SET seal = ? WHERE id = ?", (row_checksum(self._db, source_id), source_id))


def _chunk_rows(
    path: str, chunks: Sequence[NewChunk], text_ids: Mapping[bytes, int]
) -> Iterator[tuple[str | int | None, ...]]:
    """The rows of a source's chunks, without its id."""
    seen: dict[bytes, int] = {}
    for seq, chunk in enumerate(chunks):
        key = chunk.text.hash
        occurrence = seen[key] = seen.get(key, -1) + 1
        first, last = chunk.lines or (None, None)
        id_ = chunk_id(path, chunk.text, occurrence)
        yield id_, seq, text_ids[key], chunk.page, first, last, chunk.part
