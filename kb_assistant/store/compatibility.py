"""Which embedder an index belongs to."""

from __future__ import annotations

from collections.abc import Mapping

from kb_assistant.errors import EmbedderMismatch
from kb_assistant.messages import _
from kb_assistant.store import KnowledgeStore, Snapshot


def require_embedder(snapshot: Snapshot, fingerprint: Mapping[str, str | int]) -> None:
    """Make sure that the vectors of this very snapshot are the embedder's.

    Raises:
        EmbedderMismatch: they are another's.
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
                chosen=chosen,
                before=before,
            ),
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
