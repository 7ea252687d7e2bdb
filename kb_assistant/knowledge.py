"""KnowledgeBase: all operations on documents, as one object. CLI, page and tools are thin layers over it."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kb_assistant import telemetry
from kb_assistant.answering.history import History, asked, turns
from kb_assistant.answering.rewrite import rewritten
from kb_assistant.base_settings import OWN, given, with_own
from kb_assistant.deprecation import renamed_arguments, renamed_attribute
from kb_assistant.errors import KBError, QuestionError, StoreError, how_to_make
from kb_assistant.index.dense_index import open_index
from kb_assistant.index.server_index import ServerIndex
from kb_assistant.ingestion import DocumentWriter, object_addresses
from kb_assistant.maintenance.rebuild import rebuild
from kb_assistant.maintenance.sqlite_check import SQLiteCheck
from kb_assistant.maintenance.verify import Checkable, VerifyReport, verify
from kb_assistant.messages import _
from kb_assistant.open_models import OpenModels
from kb_assistant.retrieval.bm25 import PostingsCache
from kb_assistant.retrieval.candidates import SIDES, Side
from kb_assistant.retrieval.filters import Filter, Scope, parse_conditions
from kb_assistant.retrieval.result import Retrieval, Thresholds
from kb_assistant.retrieval.searcher import Searcher
from kb_assistant.retrieval.sights import Sights
from kb_assistant.retrieval.thresholds import choose_thresholds, keep_thresholds, thresholds_at
from kb_assistant.settings import OLD_NAMES, Settings
from kb_assistant.shared_work import SharedWork
from kb_assistant.store import Chunk, KnowledgeStore, Source, SourceQuery, Text
from kb_assistant.store.compatibility import open_for_writing, require_embedder
from kb_assistant.store.held_store import HeldStore
from kb_assistant.store.opening import FILE, is_on_server, open_store
from kb_assistant.store.presence import missing_files
from kb_assistant.store.readers import ReaderRules, rule_path
from kb_assistant.store.shared_rules import rules_at, set_rules_at
from kb_assistant.store.source_paths import given_paths, named_sources
from kb_assistant.types import Hit, IngestRequest, MissingFiles, Report

if TYPE_CHECKING:
    from langchain_core.documents import Document
    from langchain_core.language_models import BaseChatModel
    from langchain_core.retrievers import BaseRetriever

    from kb_assistant.adapters.vectorstore import KnowledgeVectorStore
    from kb_assistant.answering.chain import AnswerChain
    from kb_assistant.answering.reply import Reply
    from kb_assistant.embedding.base import TextEmbeddings
    from kb_assistant.maintenance.copying import Copied
    from kb_assistant.reader.reader import Reader
    from kb_assistant.types import Progress

_log = logging.getLogger(__name__)

MOST_PASSAGES = 1_000_000
"""Most passages of one search; a larger k gives no more."""


class KnowledgeBase:
    """A set of documents to search and ask questions of. Safe to share between threads; close it after use.

    Args:
        settings: Its location and its models.
        embedder: Used instead of the settings' embedder; it must have TextEmbeddings' methods.
        chat_model: Used instead of the settings' model: any LangChain chat model.

    Attributes:
        shared_work: What several machines do together, where the knowledge base is on a server.

    Example:
        >>> with KnowledgeBase.open("handbook") as kb:       # doctest: +SKIP
        ...     kb.ingest("docs")
        ...     first = kb.ask("Who founded the station?")
        ...     for piece in first:
        ...         print(piece, end="")
        ...     second = kb.ask("and who runs it now?", history=[first.turn])
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        embedder: TextEmbeddings | None = None,
        chat_model: BaseChatModel | None = None,
        models: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings.load()
        telemetry.start(self.settings.telemetry)
        self._held = HeldStore(self.settings.store, self.settings.kb_dir, self.settings.kb)
        self.model_settings = models or self.settings
        self._open = OpenModels(self.model_settings, self._kept_fingerprints, embedder, chat_model)
        self.models, self.adapters = self._open.home, self._open.adapters
        self._index = open_index(self.settings.index, self.settings.kb_dir / "index.cache")
        self._postings = PostingsCache()
        self._sights = Sights(lambda: self.reader_rules)
        self._documents = DocumentWriter(
            self.settings, self._held.create, lambda: self._open.embedder, self._index
        )
        self.shared_work = SharedWork(self.settings, self._held, lambda: self._open.embedder, self._index)

    @classmethod
    @renamed_arguments(**OLD_NAMES)
    def open(cls, kb: str | None = None, **settings: Any) -> KnowledgeBase:
        """Open a knowledge base by name, any settings by keyword: `KnowledgeBase.open("notes", model="extract")`.

        What the knowledge base has of its own counts for more than the home's settings; see base_settings.
        Nothing is created on disk before the first ingest.
        """
        return cls(with_own(Settings.load(kb=kb, **settings), given(kb=kb, **settings)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take_over(self, settings: Settings) -> None:
        """Answer with what these settings say of OWN (see base_settings) from now on. Nothing is opened anew but
        the chat models, whose longest answer goes with the length; an answer in progress ends as it began."""
        own = {name: getattr(settings, name) for name in OWN}
        self.settings, self.model_settings = self.settings.but(**own), self.model_settings.but(**own)
        self._open.take_over(self.model_settings)

    def close(self) -> None:
        """Close the store. Models stay loaded for other knowledge bases of this process."""
        self._held.close()

    @property
    def store(self) -> KnowledgeStore:
        """The open store.

        Raises:
            StoreError: there is no such knowledge base, or its file is damaged.
        """
        return self._held.open()

    @property
    def embedder(self) -> TextEmbeddings:
        """The embedding model, an `Embeddings` of LangChain; its weights load when it first embeds.

        Raises:
            ModelError: it isn't installed, or no server can be named so.
        """
        from kb_assistant.embedding.base import as_langchain

        return as_langchain(self._open.embedder)

    @property
    def chat_model(self) -> BaseChatModel:
        """The model that answers; it loads when it is first asked.

        Raises:
            ModelError: it isn't installed.
        """
        return self._open.chat_models.answering

    @property
    def reader(self) -> Reader | None:
        """Reads questions and passages together; None if it is off, or its base isn't installed.

        Raises:
            ModelError: the one that is named isn't there, is damaged, or stands on another embedder.
        """
        return self._open.reader

    @renamed_arguments(progress="on_progress")
    def ingest(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        prune: bool = False,
        dry_run: bool = False,
        passwords: Sequence[str] = (),
        changed: Sequence[Path] | None = None,
        readers: Collection[str] | None = None,
        workers: bool = False,
        left_out: Collection[Path] = (),
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_message: Callable[[str], None] = _log.warning,
        stop: Callable[[], bool] = lambda: False,
    ) -> Report:
        """Synchronize the knowledge base with files and folders; sources elsewhere stay as they are.

        New and changed files are read and embedded, unchanged files aren't parsed, vanished files are removed.
        Each file is committed by itself: a stop or a kill loses at most the files in progress.

        Args:
            paths: Files and folders.
            include: Take only files that match one of these patterns (as in .gitignore, relative to the folder).
            exclude: Skip files that match one of these patterns.
            prune: Also remove sources that exist but are now excluded, and the sources of a missing path.
            dry_run: Only report what would be done.
            passwords: Tried in turn on encrypted files; never stored.
            changed: Absolute paths; only files at or under them are checked. The caller knows that nothing else
                changed.
            readers: Who may read what is at and under the paths, from now on, as for set_readers; None leaves that
                as it is.
            workers: Have the workers of all machines read and embed (see shared_work), and wait for them; a stop
                ends the waiting alone. Passwords are given to the workers instead.
            left_out: Absolute paths of files that aren't taken where only their folder is named.
            on_progress: Called with the progress.
            on_message: Called with what the user should know, such as that no worker is there.
            stop: Called often; once it returns true, the ingest ends after the files in progress.

        Raises:
            KBError: a path doesn't exist.
            BusyError: another process is writing.
            EmbedderMismatch: the index was built with another embedder.
            StoreError: the disk is full, or the home can't be written.
        """
        request = IngestRequest(
            given_paths(paths),
            include,
            exclude,
            prune,
            dry_run,
            passwords,
            changed,
            on_progress=on_progress,
            stop=stop,
            left_out=left_out,
        )
        if dry_run:
            return self._documents.foretell(self._peek(), request)
        if readers is not None:  # first: nothing is found by others meanwhile
            if object_addresses(request.paths):
                raise KBError(_("Objects can't have readers of their own."), _("Use a knowledge base of its own."))
            self.set_readers(request.paths, readers)
        return self.shared_work.ingest(request, on_message) if workers else self._documents.ingest(request)

    @renamed_arguments(progress="on_progress", say="on_message")
    def watch(
        self,
        paths: str | Path | Iterable[str | Path],
        *,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        prune: bool = False,
        passwords: Sequence[str] = (),
        on_progress: Callable[[Progress], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
        on_message: Callable[[str], None] = _log.warning,
    ) -> Iterator[Report]:
        """Ingest files and folders, then every change in them, until stopped.

        Writes, moves and deletions are seen when they happen; from time to time everything is compared again, to
        find changes that the system doesn't report. Between changes other processes may write. The sources of a
        folder that disappears stay; the folder is compared when it comes back.

        Args:
            paths, include, exclude, prune, passwords, on_progress: As for ingest.
            stop: Called several times a second; once it returns true, the iteration ends after the files in
                progress.
            on_message: Called with what the user should know, such as that another process is writing.

        Yields:
            A report of the first ingest, then one for each ingest that changed something.

        Raises:
            As ingest does.
        """
        request = IngestRequest(
            given_paths(paths), include, exclude, prune, passwords=passwords, on_progress=on_progress, stop=stop
        )
        return self._documents.watch(request, on_message)

    def writing_documents(self) -> AbstractContextManager[KnowledgeStore]:
        """The store for this embedder, created if missing; nobody else writes meanwhile.

        Raises:
            BusyError: another process or thread is writing.
            EmbedderMismatch: the index was built with another embedder.
        """
        return self._documents.writing()

    @renamed_arguments(progress="on_progress")
    def add(
        self,
        documents: Iterable[Document | str | tuple[str, bytes]],
        *,
        passwords: Sequence[str] = (),
        readers: Collection[str] | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Report:
        """Add or replace documents that aren't files on disk; each is split like a file's text.

        Args:
            documents: LangChain documents; plain texts; or (name, bytes), a file of any type that ingest reads,
                such as ("report.pdf", data). The source is `document:NAME`: the document's `id`, the file's name,
                or else the text's hash. A document's metadata["title"], if any, stands above every chunk; its
                other metadata are kept.
            passwords, on_progress, stop: As for ingest.
            readers: Who may read them, as for set_readers; None leaves that as it is.

        Raises:
            TypeError: a document is none of these.
            KBError: as for ingest.
        """
        request = IngestRequest(passwords=passwords, on_progress=on_progress, stop=stop)
        return self._documents.add(documents, request, readers)

    def search(
        self,
        question: str,
        k: int | None = None,
        history: History = (),
        *,
        where: Iterable[str | Filter] = (),
        audience: Collection[str] | None = None,
    ) -> tuple[Hit, ...]:
        """The k passages most relevant to the question, best first.

        Args:
            where: Conditions on sources such as "type=pdf", or filters; see kb_assistant.retrieval.filters.
            audience: Whom it is for, such as {"user:ann", "group:staff"}: sources that have readers are found only
                for one of them. None finds all.

        Raises:
            QuestionError: an empty question, an impossible k, or a history or condition of another form.
            StoreError: there is no such knowledge base.
            EmbedderMismatch: the index was built with another embedder.
        """
        return self.retrieve(question, k, history, where=where, audience=audience).hits

    def retrieve(
        self,
        question: str,
        k: int | None = None,
        history: History = (),
        *,
        where: Iterable[str | Filter] = (),
        sides: Sequence[Side] = SIDES,
        rewrite: bool = True,
        rerank: bool = True,
        read: bool = False,
        audience: Collection[str] | None = None,
    ) -> Retrieval:
        """Like `search`, with the queries that were searched, the evidence, and timings.

        Args:
            sides: Run only one of the searches, for comparison.
            rewrite: False skips the chat model even if the setting `rewrite` asks for it.
            rerank: False skips the reranker even if one is set.
            read: The reader reads the best passages, as before an answer: it orders them, marks their answers and
                judges the evidence.
        """
        return self.searcher(audience).search(
            asked(question),
            turns(history),
            _count(self.settings.k if k is None else k),
            where=parse_conditions(where),
            sides=sides,
            rewrite=rewrite,
            rerank=rerank,
            read=read,
        )

    def searcher(self, audience: Collection[str] | None = None) -> Searcher:
        """The searcher over the current state; `audience` as for search."""
        self._held.renew_keywords()
        models, cosines = self._open, self._open.background_cosines
        return Searcher(
            self.store,
            self._index,
            self._open.embedder,
            partial(thresholds_at, self.settings, cosines is not None),
            cosines,
            self._postings,
            models.reranker,
            partial(rewritten, models.chat_models, self.settings) if self.settings.rewrite == "model" else None,
            lambda: self.reader,
            self.settings.answer_reader_seconds,
            self._sights.of(audience),
            self.settings.kb,
        )

    def ask(
        self,
        question: str,
        history: History = (),
        *,
        where: Iterable[str | Filter] = (),
        beside: Sequence[KnowledgeBase] = (),
        answers: str = "",
        k: int | None = None,
        model: str = "",
        audience: Collection[str] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Reply:
        """An answer from the documents, with checked citations; iterate over it to stream the text.

        Args:
            history: Earlier turns, oldest first: `reply.turn` of each, or {"role", "text"} messages.
            where, audience: As for search.
            beside: Other knowledge bases to search as well.
            answers: Instead of the setting of this name: "documents", "documents-first" or "model".
            k: Instead of the setting of this name: how many passages.
            model: Instead of the setting of this name. The last few models stay open.
            stop: Called often, also before the first word; once it returns true, the answer ends.

        Raises:
            QuestionError: an empty question, an impossible k, a history of another form, or no such `answers`.
            ModelError: the model is missing or can't answer.
            StoreError, EmbedderMismatch: as for search.
        """
        from kb_assistant.answering.reply import Reply

        searchers, count = [one.searcher(audience) for one in (self, *beside)], None if k is None else _count(k)
        chain = self.chain_over(searchers, self.another_model(model) if model else None)
        return Reply(chain, question, history, tuple(where), answers, count, stop)

    def another_model(self, name: str) -> BaseChatModel:
        """The chat model of this name, as the setting `model` takes it; the last few stay open.

        Raises:
            ModelError: there is no such model, or it can't be opened.
        """
        return self._open.another_chat_model(name)

    def as_chain(
        self, beside: Sequence[KnowledgeBase] = (), chat_model: BaseChatModel | None = None
    ) -> AnswerChain:
        """The turn as a LangChain runnable: {"question", "history", "where", "answers", "k"} in, dictionaries
        that add up out.

        Args:
            beside: Other knowledge bases to search as well.
            chat_model: Answers instead of the knowledge base's own.
        """
        return self.chain_over([one.searcher() for one in (self, *beside)], chat_model)

    def chain_over(self, searchers: Sequence[Searcher], chat_model: BaseChatModel | None = None) -> AnswerChain:
        """The same over given searchers, of this knowledge base or others; at least one."""
        from kb_assistant.answering.chain import AnswerChain
        from kb_assistant.retrieval.federated import FederatedSearcher

        both = FederatedSearcher(searchers) if len(searchers) > 1 else searchers[0]
        models = self._open.chat_models if chat_model is None else self._open.chat_models_with(chat_model)
        return AnswerChain(both, models, self.settings)

    def as_retriever(self, k: int | None = None, where: Iterable[str] = ()) -> BaseRetriever:
        """This knowledge base as a LangChain retriever; `k` and `where` as for search."""
        from kb_assistant.adapters.retriever import KnowledgeRetriever

        return KnowledgeRetriever(kb=self, k=_count(self.settings.k if k is None else k), where=tuple(where))

    def as_vectorstore(self) -> KnowledgeVectorStore:
        """This knowledge base as a LangChain vector store; created on disk if missing."""
        from kb_assistant.adapters.vectorstore import KnowledgeVectorStore

        with self.writing_documents():
            return KnowledgeVectorStore(self)

    @property
    def thresholds(self) -> Thresholds:
        """Evidence below which a question is refused, and below which an answer is marked uncertain: from the
        settings, else kept with the index, else the defaults, which refuse nothing with an unmeasured embedder."""
        measured = self._open.background_cosines is not None
        if (store := self._held.if_any()) is None:
            return choose_thresholds(self.settings, None, measured).thresholds
        with store.read() as snapshot:
            return choose_thresholds(self.settings, snapshot, measured).thresholds

    def keep_thresholds(self, thresholds: Thresholds) -> None:
        """Use these from now on where the settings give none; a change of embedder ends this.

        Raises:
            StoreError: there is no such knowledge base.
            BusyError: another process is writing.
        """
        with (
            open_for_writing(self.store, self.settings.lock_seconds, self._open.embedder.fingerprint) as store,
            store.write() as transaction,
        ):
            keep_thresholds(transaction, thresholds, self.settings)

    floors = renamed_attribute("floors", "thresholds")
    keep_floors = renamed_attribute("keep_floors", "keep_thresholds")

    def sources(
        self, contains: str = "", failed: bool | None = None, *, offset: int = 0, limit: int | None = None
    ) -> list[Source]:
        """The known files in path order, failed ones included.

        Args:
            contains: Only sources with this text in path or title, ignoring case.
            failed: Only sources that couldn't be read (True), or only the others (False).
            offset: How many to skip.
            limit: How many at most; None for all.
        """
        with self.store.read() as snapshot:
            return snapshot.sources(contains, failed, offset, limit)

    def count_sources(self, contains: str = "", failed: bool | None = None) -> int:
        """The number of known files; arguments as for `sources`."""
        with self.store.read() as snapshot:
            return snapshot.count_sources(contains, failed)

    def find_sources(self, query: SourceQuery, *, offset: int = 0, limit: int | None = None) -> list[Source]:
        """The known files of a query, in its order; offset and limit as for `sources`."""
        with self.store.read() as snapshot:
            return snapshot.find_sources(query, offset, limit)

    def count_found(self, query: SourceQuery) -> int:
        """The number of known files of a query."""
        with self.store.read() as snapshot:
            return snapshot.count_found(query)

    @property
    def reader_rules(self) -> ReaderRules:
        """Which sources have readers of their own; see set_readers.

        Raises:
            StoreError: they are damaged.
        """
        shared = is_on_server(self.settings.store)
        return rules_at(self._held.if_any() if shared else None, self.settings.kb_dir)

    def set_readers(self, paths: Iterable[str | Path], readers: Collection[str] | None) -> None:
        """Say who may read what is at and under files, folders, and documents (`document:NAME`), now and later. It
        holds where others use the knowledge base by their tokens, and for searches with an `audience`.

        Args:
            readers: "user:NAME", "group:NAME", or "anyone"; None for whoever may read what is around them.

        Raises:
            SettingsError: a reader is neither a user nor a group, or there are none.
            StoreError: the rules are damaged, or can't be written.
        """
        shared = is_on_server(self.settings.store)
        store = self._held.create() if shared else None
        set_rules_at(store, self.settings.kb_dir, map(rule_path, paths), readers)

    def paths_of(self, documents: Iterable[Document | str | tuple[str, bytes]]) -> list[str]:
        """The paths of the sources that `add` makes of these documents.

        Raises:
            TypeError: as for add.
        """
        return self._documents.paths_of(documents)

    def missing_files(self) -> MissingFiles:
        """The sources that have no file now. Looks for the file of each; searches find them as before, and say so
        (`Hit.file`). `ingest` of the place where they are now follows them, `remove` forgets them."""
        with self.store.read() as snapshot:
            return missing_files(snapshot)

    def remove(self, paths: Iterable[str | Path]) -> list[str]:
        """Remove files, all files under folders, and documents by their names. The files on disk stay.

        Returns:
            The removed sources.

        Raises:
            BusyError: another process is writing.
        """
        return self._documents.remove(self.store, partial(named_sources, list(paths)))

    def refresh(self) -> None:
        """Bring the index in step with what others wrote, so that the next question doesn't wait for that. Does
        nothing before the first question."""
        with self.store.read() as snapshot:
            self._index.refresh(snapshot)

    def status(self) -> dict[str, Any]:
        """Counts, sizes, index (see `DenseIndex.describe`) and models, as JSON values. Loads no model."""
        with self.store.read() as snapshot:
            counts, embedder = snapshot.counts(), snapshot.meta("embedder")
            failed = snapshot.count_sources(failed=True)
            index = self._index.describe(snapshot)
            thresholds = choose_thresholds(self.settings, snapshot, self._open.is_measured())
        return {
            "kb": self.settings.kb,
            "folder": str(self.settings.kb_dir),
            **counts,
            "failed": failed,
            "megabytes": round(sum(map(_size, self.settings.kb_dir.rglob("*"))) / 1e6, 1),
            "index": index,
            "embedder": (embedder or {}).get("name"),
            "floors": thresholds.to_json(),
            "model": self.settings.model,
        }

    @renamed_arguments(mend="repair")
    def verify(self, repair: bool = False) -> VerifyReport:
        """Check that sources, chunks, vectors, keyword index and FAISS agree.

        Args:
            repair: Repair what doesn't: sound sources are kept, the next ingest reads the others again.

        Raises:
            StoreError: there is no such knowledge base, or it can't be read or locked, which isn't damage.
            BusyError: another process is writing (only with `repair`).
        """
        if not self._held.exists:
            raise StoreError(
                _("There is no knowledge base at {folder}.", folder=self.settings.kb_dir),
                how_to_make(self.settings.kb),
            )
        report = verify(self._checkable(), self._index, self.settings.lock_seconds, repair)
        return replace(report, missing=self.missing_files()) if report.sound else report

    @renamed_arguments(progress="on_progress")
    def rebuild(
        self,
        on_progress: Callable[[int, int], None] = lambda _done, _all: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Embed all texts again with the current embedder, beside the old vectors, then swap them in.

        Searches with the old embedder work meanwhile. After a stop or a kill the next call continues.

        Args:
            on_progress: Called with the number of texts done and of all texts.

        Returns:
            False if it was stopped before the end.
        """
        with open_for_writing(self.store, self.settings.lock_seconds) as store:
            if not rebuild(store, self._open.embedder, on_progress, stop):
                return False
            self._documents.save_index(store)
        return True

    def copy(
        self,
        store: str,
        *,
        replace: bool = False,
        on_progress: Callable[[int, int], None] = lambda _done, _all: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Copied:
        """Copy the knowledge base into another store, which then holds the same; nothing is embedded. Searches go
        on meanwhile. After a stop or a kill the next call continues.

        Args:
            store: As the setting of this name: "sqlite", or "postgresql://USER@HOST/DATABASE".
            replace: Whether the documents of another knowledge base of this name there may go.
            on_progress: Called with the number of sources done and of all.

        Raises:
            SettingsError: there is no such kind of store.
            StoreError: it is the knowledge base's own, can't be reached or written, or holds another one of this
                name.
            EmbedderMismatch: a knowledge base of this name is there, embedded by another embedder.
            BusyError: another process is writing there.
        """
        from kb_assistant.maintenance.copying import copy_into

        index = self.settings.index if is_on_server(store) else "local"
        settings = self.settings.but(store=store, index=index)
        source = self.store
        target = open_store(settings.store, settings.kb_dir, settings.kb, create=True)
        try:
            done = copy_into(target, source, settings.kb_dir, settings.lock_seconds, replace, on_progress, stop)
            if settings.index == "server" and not done.stopped:
                ServerIndex().save(target)
            return done
        finally:
            target.close()

    def put_texts(self, sources: Sequence[tuple[Source, Text]]) -> None:
        """Store texts as sources of one chunk each, in one transaction; a source with the same path is replaced.

        Raises:
            BusyError: another process or thread is writing.
            EmbedderMismatch: the index was built with another embedder.
        """
        self._documents.put_texts(sources)

    def forget_sources(self, paths: Sequence[str]) -> None:
        """Remove sources by their exact names, in one transaction; unknown names are ignored.

        Raises:
            BusyError: another process or thread is writing.
        """
        if paths:
            wanted = set(paths)
            self._documents.remove(self.store, lambda known: [path for path in known if path in wanted])

    def nearest(self, question: str, k: int, where: Iterable[str | Filter] = ()) -> list[tuple[Chunk, float]]:
        """The chunks of the k texts nearest in meaning with their cosines: dense search alone.

        Args:
            where: Conditions on sources, as for search.
        """
        k = _count(k)
        vectors = self._open.embedder.encode_queries([question])
        with self.store.read() as snapshot:
            require_embedder(snapshot, self._open.embedder.fingerprint)
            scope = Scope.of(snapshot, parse_conditions(where))
            ranked = self._index.search(snapshot, vectors, k, scope.text_ids)[0]
            places = scope.chunks_of_texts([text_id for text_id, _ in ranked])
        return [(chunk, score) for text_id, score in ranked for chunk in places.get(text_id, ())]

    def _checkable(self) -> Checkable:
        if is_on_server(self.settings.store):
            from kb_assistant.maintenance.postgres_check import PostgresCheck

            return PostgresCheck(lambda: self.store)
        return SQLiteCheck(self.settings.kb_dir / FILE, lambda: self.store)

    def _peek(self) -> KnowledgeStore | None:
        """The store for read-only use; None if there is none yet."""
        store = self._held.if_any()
        if store is not None:
            with store.read() as snapshot:
                if snapshot.counts()["texts"] > 0:
                    require_embedder(snapshot, self._open.embedder.fingerprint)
        return store

    def _kept_fingerprints(self) -> list[dict[str, str | int]]:
        """Of the index's vectors, and of those being built."""
        if (store := self._held.if_any()) is None:
            return []
        with store.read() as snapshot:
            return [found for name in ("embedder", "rebuild") if (found := snapshot.meta(name))]


def _count(k: object) -> int:
    """The requested number of passages.

    Raises:
        QuestionError: it isn't a whole number of at least 1.
    """
    try:
        count = -1 if isinstance(k, bool) else index(k)  # type: ignore[arg-type]
    except TypeError:
        count = -1
    if count < 1:
        raise QuestionError(_("k = {k} is not possible.", k=repr(k)), _("Ask for at least one passage."))
    return min(count, MOST_PASSAGES)


def _size(path: Path) -> int:
    """Size of a file in bytes; 0 for a folder, or if it was deleted after listing."""
    with suppress(OSError):
        found = path.stat()
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    return 0
