"""Copies a knowledge base into another store: from its file to a PostgreSQL server, or back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kb_assistant.errors import StoreError
from kb_assistant.messages import _
from kb_assistant.retrieval.thresholds import META
from kb_assistant.store import Chunk, KnowledgeStore, NewChunk, Snapshot, Source, Text
from kb_assistant.store.compatibility import Fingerprint, open_for_writing
from kb_assistant.store.knowledge_store import persistently
from kb_assistant.store.shared_rules import rules_at, set_rules_at

_KEPT = (META,)
"""What is known of a whole knowledge base and holds in another store as well, besides its embedder."""


_ORIGIN = "copy of"
"""Under this name a copy keeps the vector epoch of what it is a copy of."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did.

    Attributes:
        sources: How many the knowledge base has.
        copied: How many of them were written; the others were there already, as they are.
        removed: How many others the copy had, which are gone now.
        stopped: Whether it ended early.
    """

    sources: int
    copied: int
    removed: int = 0
    stopped: bool = False

    def to_json(self) -> dict[str, int | bool]:
        return {
            "sources": self.sources,
            "copied": self.copied,
            "removed": self.removed,
            "stopped": self.stopped,
        }


def copy_into(
    target: KnowledgeStore,
    source: KnowledgeStore,
    folder: Path,
    patience: float,
    replace: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    stop: Callable[[], bool] = lambda: False,
) -> Copied:
    """Make the target what the source is now: documents, texts, vectors, who may read what, thresholds. Each
    document is written in one transaction; what is there already, as it is, is left, so that a copy goes on where
    it ended.

    Args:
        folder: The knowledge base's on this machine, where the rules of a store in a file lie.
        patience: Seconds to wait for another writer.
        replace: Whether the documents of another knowledge base in the target may go.
        progress: Called with the number of sources done and of all.

    Raises:
        StoreError: both are the same, one can't be read or written, or the target has documents and is no copy of
            the source, nor the source of it.
        EmbedderMismatch: the target has texts, embedded by another embedder.
        BusyError: another process is writing to the target.
    """
    if source.place == target.place:
        raise StoreError(
            _("The knowledge base is in {path} already.", path=source.place), _("Name another store with --to.")
        )
    with source.read() as origin:
        fingerprint = origin.meta("embedder")
        _check_kin(target, origin, replace)
        with open_for_writing(target, patience, fingerprint):
            _check_kin(target, origin, replace)  # it may have been filled meanwhile
            with target.write() as transaction:
                transaction.put_meta(_ORIGIN, origin.vector_epoch)
            _copy_rules(target, source, folder)
            found = _copy_sources(target, origin, fingerprint, progress, stop)
            if not found.stopped:
                _finish(target, origin)
    return found


def _check_kin(target: KnowledgeStore, origin: Snapshot, replace: bool) -> None:
    """Refuse to remove documents that never were the source's."""
    with target.read() as there:
        kin = there.meta(_ORIGIN) == origin.vector_epoch or origin.meta(_ORIGIN) == there.vector_epoch
        if not replace and not kin and there.counts()["sources"]:
            raise StoreError(
                _("{path} holds another knowledge base of this name.", path=target.place),
                _("Rename yours, or add --replace: then its documents go."),
            )


def _copy_rules(target: KnowledgeStore, source: KnowledgeStore, folder: Path) -> None:
    """Before any document: none is found meanwhile by those who may not read it."""
    wanted, there = dict(rules_at(source, folder).rules), dict(rules_at(target, folder).rules)
    for path in wanted.keys() | there.keys():
        if wanted.get(path) != there.get(path):
            set_rules_at(target, folder, [path], wanted.get(path))


def _copy_sources(
    target: KnowledgeStore,
    origin: Snapshot,
    fingerprint: Fingerprint | None,
    progress: Callable[[int, int], None],
    stop: Callable[[], bool],
) -> Copied:
    paths = origin.paths()
    with target.read() as snapshot:
        known = {source.path: source for source in snapshot.sources()}
    copied = 0
    for done, path in enumerate(paths):
        if stop():
            return Copied(len(paths), copied, stopped=True)
        source = origin.source(path)
        if source and source != known.get(path):
            _put(target, origin, source, fingerprint)
            copied += 1
        progress(done + 1, len(paths))
    gone = sorted(known.keys() - set(paths))
    for path in gone:
        _remove(target, path)
    return Copied(len(paths), copied, len(gone))


def _put(target: KnowledgeStore, origin: Snapshot, source: Source, fingerprint: Fingerprint | None) -> None:
    chunks = origin.chunks_of_source(source.path)
    vectors = origin.vectors([chunk.text_id for chunk in chunks])
    new = [_new(chunk) for chunk in chunks]
    by_text = {chunk.text.hash: row.tobytes() for chunk, row in zip(new, vectors, strict=True)}

    def put() -> None:
        with target.write(fingerprint) as transaction:
            transaction.put_source(source, new, by_text)

    persistently(put)


def _remove(target: KnowledgeStore, path: str) -> None:
    def remove() -> None:
        with target.write() as transaction:
            transaction.remove_source(path)

    persistently(remove)


def _finish(target: KnowledgeStore, origin: Snapshot) -> None:
    kept = {key: value for key in _KEPT if (value := origin.meta(key)) is not None}
    with target.write() as transaction:
        for key, value in kept.items():
            transaction.put_meta(key, value)


def _new(chunk: Chunk) -> NewChunk:
    place = chunk.locator
    return NewChunk(
        Text(chunk.text.heading, chunk.text.body),
        place.page,
        place.lines,
        place.slide,
        place.sheet,
        place.attachment,
    )
