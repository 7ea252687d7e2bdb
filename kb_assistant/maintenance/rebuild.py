"""Which embedder and which rules for words an index belongs to, and how they change.

New vectors grow beside the old, then are swapped in; the keyword index is made anew in one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from kb_assistant.errors import EmbedderMismatch
from kb_assistant.store import KnowledgeStore, Snapshot

if TYPE_CHECKING:
    from kb_assistant.embedding.local import LocalEmbeddings

_log = logging.getLogger(__name__)

BATCH = 256
"""Vectors committed together: what a kill can cost."""


def require_embedder(snapshot: Snapshot, fingerprint: Mapping[str, str | int]) -> None:
    """Make sure that the vectors of this very snapshot are the embedder's.

    Raises:
        EmbedderMismatch: they are another's.
    """
    built_with = snapshot.meta("embedder")
    if built_with is not None and built_with != dict(fingerprint):
        chosen, before = fingerprint["name"], built_with.get("name")
        raise EmbedderMismatch(
            f"This index was built with the embedder {before!r}, not with {chosen!r} as it is now.",
            f"Run `kb rebuild --embedder {chosen}`, or go on with --embedder {before}.",
        )


def adopt_embedder(store: KnowledgeStore, fingerprint: Mapping[str, str | int]) -> None:
    """Note the embedder of an index that has no texts yet; the caller holds the writer's lock.

    Raises:
        EmbedderMismatch: it has texts, embedded by another.
    """
    with store.write() as transaction:
        if transaction.meta("embedder") == dict(fingerprint):
            return
        if transaction.counts()["texts"]:
            require_embedder(transaction, fingerprint)
        transaction.put_meta("embedder", dict(fingerprint))
        transaction.purge_retired()
        transaction.begin_lineage()


def renew_keywords(store: KnowledgeStore) -> None:
    """Make the keyword index anew where an older version made it; the caller holds the writer's lock."""
    with store.read() as snapshot:
        if snapshot.keywords_fit:
            return
        count = snapshot.counts()["texts"]
    if count:
        _log.warning("Words are indexed anew for this version: %d texts, nothing is embedded.", count)
    with store.write() as transaction:
        transaction.renew_keywords()


def rebuild(
    store: KnowledgeStore,
    embedder: LocalEmbeddings,
    progress: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> bool:
    """Embed every live text anew; the caller holds the writer's lock. See KnowledgeBase.rebuild."""
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


def _embed(store: KnowledgeStore, embedder: LocalEmbeddings, text_ids: Sequence[int]) -> None:
    with store.read() as snapshot:
        texts = [text.embedded for text in snapshot.texts(text_ids)]
    rows = embedder.encode_passages(texts)
    with store.write() as transaction:
        for text_id, row in zip(text_ids, rows, strict=True):
            transaction.put_rebuilt(text_id, row.astype("<f4").tobytes())
