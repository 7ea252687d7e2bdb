"""The store: sources, chunks, texts, vectors and keyword postings, the single source of truth.

Each source changes in one transaction, so a kill at any moment leaves the last complete state. Equal texts are
stored once, with one vector, however many files contain them. A text that no chunk uses any more is "orphaned": no
search finds it, but its vector is kept until the end of the ingest in case the text comes back elsewhere.
"""

from __future__ import annotations

from kb_assistant.store.database import Database
from kb_assistant.store.faults import damaged
from kb_assistant.store.knowledge_store import KnowledgeStore, persistently
from kb_assistant.store.records import DOCUMENT_PREFIX, Chunk, NewChunk, Source, Text, chunk_id
from kb_assistant.store.snapshot import Snapshot, row_checksum
from kb_assistant.store.source_query import ORDERS, Order, SourceQuery
from kb_assistant.store.sqlite_store import SQLiteStore
from kb_assistant.store.transaction import Transaction

__all__ = [
    "DOCUMENT_PREFIX",
    "ORDERS",
    "Chunk",
    "Database",
    "KnowledgeStore",
    "NewChunk",
    "Order",
    "SQLiteStore",
    "Snapshot",
    "Source",
    "SourceQuery",
    "Text",
    "Transaction",
    "chunk_id",
    "damaged",
    "persistently",
    "row_checksum",
]
