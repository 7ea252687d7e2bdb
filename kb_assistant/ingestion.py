"""Write and remove documents: ingest, watch, add, remove. Every write goes through one function."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kb_assistant import telemetry
from kb_assistant.errors import BusyError, KBError, StoreError
from kb_assistant.index.dense_index import DenseIndex
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store import KnowledgeStore, NewChunk, Source, Text
from kb_assistant.store.compatibility import open_for_writing
from kb_assistant.store.opening import is_on_server
from kb_assistant.store.shared_rules import set_rules_at
from kb_assistant.types import IngestRequest, Report

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from kb_assistant.embedding.base import TextEmbeddings
    from kb_assistant.types import Changes


class DocumentWriter:
    """Writes the documents of one knowledge base.

    Args:
        open_store: Opens the store, creating it if missing.
        embedder: Returns the embedding model.
        index: The index, saved after a change.
    """

    def __init__(
        self,
        settings: Settings,
        open_store: Callable[[], KnowledgeStore],
        embedder: Callable[[], TextEmbeddings],
        index: DenseIndex,
    ) -> None:
        self._settings, self._open_store, self._index = settings, open_store, index
        self._embedder = embedder

    @contextmanager
    def writing(self) -> Iterator[KnowledgeStore]:
        """The store for this embedder, created if missing; nobody else writes meanwhile. Errors: see
        `open_for_writing`."""
        fingerprint, patience = self._embedder().fingerprint, self._settings.lock_seconds
        with open_for_writing(self._open_store(), patience, fingerprint) as store:
            self._index.prepare(store)
            yield store

    def ingest(self, request: IngestRequest) -> Report:
        """See KnowledgeBase.ingest."""
        with self._pool(request) as pool, self.writing() as store:
            report = self._sync(store, request, pool)
            self.save_index(store)
        return report

    def foretell(self, store: KnowledgeStore | None, request: IngestRequest) -> Report:
        """What an ingest would do; the store is None if there is none yet."""
        with self._pool(request) as pool:
            return self._sync(store, request, pool)

    def watch(self, request: IngestRequest, say: Callable[[str], None]) -> Iterator[Report]:
        """See KnowledgeBase.watch."""
        if object_addresses(request.paths):
            raise KBError(_("Objects can't be watched."), _("Run `kb ingest s3://…` again from time to time."))
        watching = import_ingest("watch")
        roots = [Path(os.path.abspath(path)) for path in request.paths]  # noqa: PTH100 - links stay
        whole = replace(request, paths=roots)
        watcher = watching.Watcher(roots, request.stop, say, self._settings.home)
        written: list[KnowledgeStore] = []
        with self._pool(request) as pool:

            def bring_in_step(changes: Changes, first: bool) -> Report:
                here = replace(whole, paths=watcher.present) if changes.everything and not first else whole
                changed = None if changes.everything else sorted(changes.paths)
                with self.writing() as store:
                    report = self._sync(store, replace(here, changed=changed), pool)
                    if first:
                        self.save_index(store)
                        self._embedder().embed_documents([""])  # loads the model before the first change
                written[:] = [store]
                return report

            yield from watching.follow(watcher, bring_in_step, say)
            for last in written:
                with suppress(BusyError), open_for_writing(last, 0) as store:
                    self.save_index(store)

    def add(
        self,
        documents: Iterable[Document | str | tuple[str, bytes]],
        request: IngestRequest,
        readers: Collection[str] | None = None,
    ) -> Report:
        """See KnowledgeBase.add."""
        given_in = import_ingest("documents")
        given = [given_in.given(document) for document in documents]
        if readers is not None:  # first: nothing is found by others meanwhile
            store = self._open_store() if is_on_server(self._settings.store) else None
            set_rules_at(store, self._settings.kb_dir, [one.path for one in given], readers)
        with self._pool(request) as pool, self.writing() as store, telemetry.ingest(self._settings.kb):
            report: Report = given_in.put_documents(store, self._embedder(), self._settings, given, request, pool)
            self.save_index(store)
        return report

    def paths_of(self, documents: Iterable[Document | str | tuple[str, bytes]]) -> list[str]:
        """See KnowledgeBase.paths_of."""
        given_in = import_ingest("documents")
        return [given_in.given(document).path for document in documents]

    def put_texts(self, sources: Sequence[tuple[Source, Text]]) -> None:
        """Store texts as sources of one chunk each, in one transaction."""
        with self.writing() as store:
            with store.read() as snapshot:
                known = snapshot.known_vectors(text.hash for _, text in sources)
            new = {text.hash: text.embedded for _, text in sources if text.hash not in known}
            rows = self._embedder().encode_passages(list(new.values()))
            vectors = {key: row.astype("<f4").tobytes() for key, row in zip(new, rows, strict=True)}
            last = {source.path: (source, [NewChunk(text)]) for source, text in sources}
            with store.write(self._embedder().fingerprint) as transaction:
                transaction.put_sources(list(last.values()), vectors)

    def remove(self, store: KnowledgeStore, choose: Callable[[list[str]], Sequence[str]]) -> list[str]:
        """Remove sources in one transaction. Returns their paths.

        Args:
            choose: Given the paths of all current sources, returns those to remove.
        """
        with open_for_writing(store, self._settings.lock_seconds):
            with store.write() as transaction:
                gone = list(choose([source.path for source in transaction.sources()]))
                for path in gone:
                    transaction.remove_source(path)
                if gone:
                    transaction.purge_orphaned()
            if gone:
                self.save_index(store)
        return gone

    def save_index(self, store: KnowledgeStore) -> None:
        """Bring what is kept of the index to the store's state."""
        self._index.save(store)

    def _pool(self, request: IngestRequest) -> Any:
        return import_ingest("sync").open_pool(self._settings, request.passwords)

    def _sync(self, store: KnowledgeStore | None, request: IngestRequest, pool: Any) -> Report:
        with telemetry.ingest(self._settings.kb):
            if addresses := object_addresses(request.paths):
                objects = import_ingest("objects")
                found: Report = objects.sync_objects(
                    store, self._embedder(), self._settings, request, addresses, pool
                )
                return found
            report: Report = import_ingest("sync").sync(store, self._embedder(), self._settings, request, pool)
        return report


def object_addresses(paths: Sequence[Path]) -> list[str]:
    """The addresses of objects among the paths, `s3://bucket/prefix`, which a path shows with one slash.

    Raises:
        KBError: there are files, too.
    """
    found = [f"s3://{text[4:].lstrip('/')}" for path in paths if f"{(text := str(path))}/".startswith("s3:/")]
    if found and len(found) < len(paths):
        raise KBError(_("Files and objects can't be read at once."), _("Give each a command of its own."))
    return found


def import_ingest(module: str) -> ModuleType:
    """The only place where the core uses ingest."""
    try:
        return import_module(f"ingest.{module}")
    except ImportError as error:
        raise StoreError(
            _("Another package named 'ingest' stands before ours: {reason}.", reason=error),
            _("Start from a folder without one, or uninstall it."),
        ) from error
