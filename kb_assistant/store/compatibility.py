"""Opens a store for writing, and checks which embedder and which analyzer its index belongs to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from kb_assistant.errors import EmbedderMismatch
from kb_assistant.messages import _
from kb_assistant.model_folder import FLOAT32, INT8
from kb_assistant.store import KnowledgeStore, Snapshot

_log = logging.getLogger(__name__)

Fingerprint = Mapping[str, str | int]


@contextmanager
def open_for_writing(
    store: KnowledgeStore, patience: float, embedder: Fingerprint | None = None
) -> Iterator[KnowledgeStore]:
    """Hold the writer's lock of a store that is ready to be written: it still exists, its words are indexed by the
    current rules, and its vectors are the embedder's. A store without texts is assigned to the embedder.

    Args:
        patience: Seconds to wait for one other writer.
        embedder: The embedder whose vectors are written or whose thresholds are measured; None for neither.

    Raises:
        BusyError: another process or thread is writing.
        EmbedderMismatch: the store has texts, embedded by another embedder.
        StoreError: the store is gone or damaged, or can't be written.
    """
    store.require()
    with store.writing(patience):
        store.require()  # it may have been deleted meanwhile
        if embedder is not None:
            adopt_embedder(store, embedder)
        renew_keywords(store)
        yield store


def prepare_beside_others(store: KnowledgeStore, embedder: Fingerprint) -> None:
    """Check that the vectors of a store that several fill at once are the embedder's, and its words indexed by the
    current rules; each change is one transaction.

    Raises:
        EmbedderMismatch: it has texts, embedded by another embedder.
    """
    with store.read() as snapshot:
        ready = snapshot.meta("embedder") == dict(embedder)
    if not ready:
        adopt_embedder(store, embedder)
    renew_keywords(store)


def require_embedder(snapshot: Snapshot, fingerprint: Fingerprint) -> None:
    """Check that the vectors of this snapshot are the embedder's.

    Raises:
        EmbedderMismatch: they are another embedder's.
    """
    built_with = snapshot.meta("embedder")
    if built_with is not None and built_with != dict(fingerprint):
        chosen, before = fingerprint["name"], built_with.get("name")
        raise EmbedderMismatch(
            _(
                "This index was built with the embedder {before!r}, not with {chosen!r} as it is now.",
                before=before,
                chosen=chosen,
            ),
            _(
                "Run `kb rebuild --embedder {chosen}`, or go on with --embedder {before}.",
                chosen=f"{chosen}{FLOAT32}" if before == f"{chosen}{INT8}" else chosen,
                before=before,
            ),
        )


def adopt_embedder(store: KnowledgeStore, fingerprint: Fingerprint) -> None:
    """Record the embedder of an index without texts; the caller holds the writer's lock.

    Raises:
        EmbedderMismatch: it has texts, embedded by another embedder.
    """
    with store.write() as transaction:
        if transaction.meta("embedder") == dict(fingerprint):
            return
        if transaction.counts()["texts"]:
            require_embedder(transaction, fingerprint)
        transaction.put_meta("embedder", dict(fingerprint))
        transaction.purge_orphaned()
        transaction.begin_vector_epoch()


def renew_keywords(store: KnowledgeStore) -> None:
    """Rebuild a keyword index of an older version; the caller holds the writer's lock."""
    with store.read() as snapshot:
        if snapshot.keywords_fit:
            return
        count = snapshot.counts()["texts"]
    if count:
        _log.warning("Words are indexed anew for this version: %d texts, nothing is embedded.", count)
    with store.write() as transaction:
        transaction.renew_keywords()
