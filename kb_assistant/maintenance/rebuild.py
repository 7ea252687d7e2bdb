"""Changes an index to another embedder: new vectors are built beside the old ones, then swapped in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kb_assistant.store import KnowledgeStore

if TYPE_CHECKING:
    from kb_assistant.embedding.base import TextEmbeddings

BATCH = 256
"""Vectors committed together: the most that a kill can lose."""


def rebuild(
    store: KnowledgeStore,
    embedder: TextEmbeddings,
    progress: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> bool:
    """Embed every live text again; the caller holds the writer's lock. See KnowledgeBase.rebuild."""
    fingerprint = dict(embedder.fingerprint)
    with store.write() as transaction:
        transaction.begin_rebuild(fingerprint)
        missing = transaction.missing_in_rebuild()
        total = transaction.counts()["texts"]
    done = total - len(missing)
    for start in range(0, len(missing), BATCH):
        if stop():
            return False
        batch = missing[start : start + BATCH]
        _embed(store, embedder, batch)
        done += len(batch)
        progress(done, total)
    with store.write() as transaction:
        transaction.finish_rebuild(fingerprint)
    return True


def _embed(store: KnowledgeStore, embedder: TextEmbeddings, text_ids: Sequence[int]) -> None:
    with store.read() as snapshot:
        texts = [text.embedded for text in snapshot.texts(text_ids)]
    rows = embedder.encode_passages(texts)
    with store.write() as transaction:
        transaction.put_rebuilt(
            {text_id: row.astype("<f4").tobytes() for text_id, row in zip(text_ids, rows, strict=True)}
        )
