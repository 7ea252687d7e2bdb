"""Writes to the store, all within one transaction: a source with its chunks, texts, vectors and postings."""

from __future__ import annotations

import json
import secrets
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
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

    def put_source(self, source: Source, chunks: Sequence[NewChunk], vectors: Mapping[bytes, bytes]) -> None:
        """Replace everything stored for `source.path`; see put_sources."""
        self.put_sources([(source, chunks)], vectors)

    def put_sources(
        self, sources: Sequence[tuple[Source, Sequence[NewChunk]]], vectors: Mapping[bytes, bytes]
    ) -> None:
        """Replace everything stored for the paths of these sources, each of another path. Together they need as
        many statements as one.

        Args:
            sources: With their chunks in reading order.
            vectors: float32 vectors as little-endian bytes, by text hash, for texts without a stored one.

        Raises:
            EmbedderMismatch: `vectors` come from another model than the index.
            StoreError: a text has neither a stored vector nor one in `vectors`.
        """
        if not sources:
            return
        self._check_vectors(vectors)
        paths = [source.path for source, _chunks in sources]
        before = self._texts_of(paths)
        texts = {chunk.text.hash: chunk.text for _source, chunks in sources for chunk in chunks}
        text_ids = self._put_texts(texts, vectors)
        self._delete_sources(paths)
        self._put_rows([(source, list(_chunk_rows(source.path, chunks, text_ids))) for source, chunks in sources])
        self._sync_keywords(before | set(text_ids.values()), paths)

    def _delete_sources(self, paths: Sequence[str]) -> None:
        list(self._db.rows_among("DELETE FROM sources WHERE path {among} RETURNING id", paths))

    def _put_rows(self, sources: Sequence[tuple[Source, Sequence[Row]]]) -> None:
        """Insert the rows of sources and of their chunks."""
        rows = [self._row(source, chunks) for source, chunks in sources]
        columns, marks = ", ".join(rows[0]), ", ".join("?" * len(rows[0]))
        self._db.run_many(
            f"INSERT INTO sources ({columns}) VALUES ({marks})", [list(row.values()) for row in rows]
        )
        paths = [source.path for source, _chunks in sources]
        ids: dict[str, int] = dict(self._db.rows_among("SELECT path, id FROM sources WHERE path {among}", paths))
        self._db.run_many(
            "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(row[0], ids[source.path], *row[1:]) for source, chunks in sources for row in chunks],
        )

    def _row(self, source: Source, chunks: Sequence[Row]) -> dict[str, Value]:
        """What is stored of a source with the rows of these chunks, by column."""
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
        seal = rows_checksum(tuple(row.values()), chunks)
        return row | {"seal": seal, **self._db.derived(source.path, source.title)}

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
        before = self._texts_of([path])
        self._delete_sources([path])
        self._sync_keywords(before, [path])

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

    def _texts_of(self, paths: Sequence[str]) -> set[int]:
        query = "SELECT c.text_id FROM chunks c JOIN sources s ON s.id = c.source_id WHERE s.path {among}"
        return {row[0] for row in self._db.rows_among(query, paths)}

    def _put_texts(self, texts: Mapping[bytes, Text], vectors: Mapping[bytes, bytes]) -> dict[bytes, int]:
        """Store texts, by hash, that have no vector yet, each with its own. Returns the ids of all."""
        query = (
            "SELECT t.hash, t.id, v.crc FROM texts t LEFT JOIN vectors v ON v.text_id = t.id WHERE t.hash {among}"
        )
        stored = list(self._db.rows_among(query, texts))
        ids: dict[bytes, int] = {row[0]: row[1] for row in stored}
        embedded = {row[0] for row in stored if row[2] is not None}
        bare = [key for key in texts if key not in embedded]
        if any(key not in vectors for key in bare):
            raise StoreError(_("A text came without its vector."), _("Run the ingest again."))
        new = [key for key in bare if key not in ids]
        self._db.run_many(
            "INSERT INTO texts (hash, heading, body) VALUES (?, ?, ?)",
            [(key, texts[key].heading, texts[key].body) for key in new],
        )
        ids.update(self._db.rows_among("SELECT hash, id FROM texts WHERE hash {among}", new))
        self._db.run_many(
            "INSERT INTO vectors VALUES (?, ?, ?)",
            [(ids[key], vectors[key], zlib.crc32(vectors[key])) for key in bare],
        )
        self._db.index_vectors({ids[key]: vectors[key] for key in bare})
        return ids

    def _sync_keywords(self, touched: Collection[int], paths: Sequence[str]) -> None:
        """Update the keyword index for the texts that these sources had or have, and increment the generation."""
        self.renew_keywords()  # words of two sets of rules never mix
        here = sorted(touched)
        used = "EXISTS (SELECT 1 FROM chunks c WHERE c.text_id = t.id)"
        rows = self._db.rows_among(f"SELECT t.id FROM texts t WHERE t.id {{among}} AND {used}", here)
        live = {row[0] for row in rows}
        indexed = self._db.token_lines(here)
        named = self.named_by([text_id for text_id in here if text_id in indexed], min(paths))
        known = self.keyword_lines(self.texts_by_id(sorted(live & named)))
        changed = {text_id: line for text_id, line in known if indexed[text_id] != line}
        self._db.delete_token_lines([text_id for text_id in indexed if text_id not in live or text_id in changed])
        new = self.keyword_lines(self.texts_by_id(sorted(live - indexed.keys())))
        self._db.put_token_lines(chain(changed.items(), new))
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
