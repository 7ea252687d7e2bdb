"""Checks and repairs a store on a PostgreSQL server, in place: a repair is one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from kb_assistant.errors import CorruptStore
from kb_assistant.index.dense_index import DenseIndex
from kb_assistant.maintenance.soundness import content_faults, is_whole, meta_faults, sound_parts
from kb_assistant.maintenance.verify import VerifyReport
from kb_assistant.messages import _
from kb_assistant.store import Database, KnowledgeStore, Transaction, chunk_id
from kb_assistant.store.faults import CorruptRow
from kb_assistant.store.postgres_schema import keys_of
from kb_assistant.store.postgres_vectors import HalfVectors
from kb_assistant.store.shared_rules import RULES


class PostgresCheck:
    """A store on a server as it is checked; see Checkable. Files that the server itself finds damaged are for its
    own tools and backups."""

    def __init__(self, open_store: Callable[[], KnowledgeStore]) -> None:
        self._open = open_store

    def writing(self, patience: float) -> AbstractContextManager[None]:
        """See Checkable."""
        return self._open().writing(patience)

    def check(self, index: DenseIndex) -> VerifyReport:
        """See Checkable."""
        try:
            with self._open().read() as snapshot:
                db = snapshot.database
                faults = list(meta_faults(db)) or [*content_faults(db, snapshot), *_derived_faults(db)]
                return VerifyReport(tuple(faults or index.check(snapshot)))
        except CorruptStore as error:
            return VerifyReport((error.message,))

    def repair(self) -> tuple[str, ...]:
        """See Checkable."""
        with self._open().write() as transaction:
            db = transaction.database
            rows = db.rows("SELECT key, value, crc FROM meta")
            # Altered rules on who reads what stay: without them everybody would.
            altered = [key for key, value, crc in rows if key != RULES and not is_whole(value, crc)]
            for key in altered:
                transaction.delete_meta(key)
            lost = [path for source_id, path in list(db.rows("SELECT id, path FROM sources ORDER BY path"))
                    if "embedder" in altered or not _is_sound(transaction, source_id, path)]  # fmt: skip
            for path in lost:
                db.run("DELETE FROM sources WHERE path = ?", (path,))
            transaction.purge_orphaned()
            for source in transaction.sources():
                _derive(db, source.path, source.title)
            _mend_half_vectors(transaction)
            transaction.delete_meta("keywords")
            transaction.renew_keywords()
            transaction.begin_vector_epoch()
        return tuple(lost)


def _is_sound(transaction: Transaction, source_id: int, path: str) -> bool:
    try:
        source = transaction.source(path)
        if source is None:
            return False
        chunks, vectors = sound_parts(transaction.database, source_id, source)
    except (CorruptRow, ValueError, TypeError):
        return False
    ids = transaction.database.rows("SELECT id FROM chunks WHERE source_id = ? ORDER BY seq", (source_id,))
    seen: Counter[bytes] = Counter()
    for (id_,), chunk in zip(ids, chunks, strict=True):
        if id_ != chunk_id(path, chunk.text, seen[chunk.text.hash]):
            return False
        seen[chunk.text.hash] += 1
    return all(len(vector) == 4 * transaction.dimension for vector in vectors.values())


def _derived_faults(db: Database) -> Iterator[str]:
    """What is kept only to be found: facts of sources, and the indexed words of texts."""
    wrong = 0
    for path, title, *kept in db.rows("SELECT path, title, path_hash, folded, name, kind, folder FROM sources"):
        wrong += list(db.derived(path, title).values()) != kept
    if wrong:
        yield _("sources: {count} are listed under other names than theirs", count=wrong)
    if any(keys_of(line) != tokens for line, tokens in db.rows("SELECT line, tokens FROM keywords")):
        yield _("keywords: the index disagrees with its text")
    if altered := _half_vectors(db).altered():
        yield _("vectors: {count} are others in the server's index", count=len(altered))


def _mend_half_vectors(transaction: Transaction) -> None:
    held = _half_vectors(transaction.database)
    wrong = held.altered()
    held.delete(wrong)
    held.put({text_id: row.tobytes() for text_id, row in zip(wrong, transaction.vectors(wrong), strict=True)})


def _half_vectors(db: Any) -> HalfVectors:
    held: HalfVectors = db.half_vectors
    return held


def _derive(db: Database, path: str, title: str) -> None:
    derived: dict[str, Any] = db.derived(path, title)
    columns = ", ".join(f"{column} = ?" for column in derived)
    db.run(f"UPDATE sources SET {columns} WHERE path = ?", (*derived.values(), path))
