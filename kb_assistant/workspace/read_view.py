"""What one principal may read of a knowledge base; what has other readers is hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from kb_assistant.answering import documents
from kb_assistant.answering.history import asked, turns
from kb_assistant.errors import NotFoundError
from kb_assistant.messages import _
from kb_assistant.store import Chunk, Source, SourceQuery
from kb_assistant.store.readers import Sighted
from kb_assistant.types import Hit, MissingFiles
from kb_assistant.workspace import (
    discreet,
    document_view,
    folders,
    preview,
    source_list,
    suggestions,
)
from kb_assistant.workspace.scope import tags_of, types_of
from kb_assistant.workspace.seen_base import SeenBase

if TYPE_CHECKING:
    from kb_assistant.answering.history import History
    from kb_assistant.answering.reply import Reply
    from kb_assistant.retrieval.filters import Filter
    from kb_assistant.retrieval.result import Retrieval
    from kb_assistant.workspace.chats import SavedTurn
    from kb_assistant.workspace.jobs import Reading


class ReadView(SeenBase):
    """What a principal reads of a knowledge base."""

    def status(self) -> dict[str, Any]:
        """See KnowledgeBase.status. Who doesn't manage it isn't told its place on disk, and who may not read every
        source is told of no others."""
        known = self._base.status()
        if not self.may("manage"):
            del known["folder"]
        if (sees := self.sight) is not None:
            known |= self._counts(sees)
            known["megabytes"] = known["index"] = None
        return known if self.may("manage") else dict(discreet.named(known, self.naming()))

    def _counts(self, sees: Sighted) -> dict[str, int]:
        with self._base.store.read() as snapshot:
            seen = [source for source in snapshot.sources() if sees(source.path)]
            texts = snapshot.text_ids_of(source.path for source in seen)
        return {
            "sources": len(seen),
            "chunks": sum(source.chunks for source in seen),
            "texts": len(texts),
            "failed": sum(source.failed for source in seen),
        }

    def search(
        self, question: str, k: int | None = None, history: History = (), *, where: Iterable[str | Filter] = ()
    ) -> tuple[Hit, ...]:
        """See KnowledgeBase.search."""
        return self.retrieve(question, k, history, where=where).hits

    def retrieve(
        self,
        question: str,
        k: int | None = None,
        history: History = (),
        *,
        where: Iterable[str | Filter] = (),
        read: bool = False,
        beside: Sequence[ReadView] = (),
    ) -> Retrieval:
        """See KnowledgeBase.retrieve. Conditions on paths are about sources as `naming` has them."""
        chosen = self._conditions(where, beside)
        if not beside:
            return self._base.retrieve(question, k, history, where=chosen, read=read, audience=self._audience)
        from kb_assistant.retrieval.federated import FederatedSearcher

        searchers = [view._base.searcher(view._audience) for view in (self, *beside)]
        count = self._base.settings.k if k is None else k
        return FederatedSearcher(searchers).search(asked(question), turns(history), count, where=chosen, read=read)

    def ask(
        self,
        question: str,
        history: History = (),
        *,
        where: Iterable[str | Filter] = (),
        beside: Sequence[ReadView] = (),
        answers: str = "",
        k: int | None = None,
        model: str = "",
        stop: Callable[[], bool] = lambda: False,
    ) -> Reply:
        """See KnowledgeBase.ask; for `where` see `retrieve`."""
        from kb_assistant.answering.reply import Reply

        searchers = [view._base.searcher(view._audience) for view in (self, *beside)]
        base = self._workspace.answering(self.name)
        chain = base.chain_over(searchers, base.another_model(model) if model else None)
        return Reply(chain, question, history, self._conditions(where, beside), answers, k, stop)

    def sources(
        self, contains: str = "", failed: bool | None = None, *, offset: int = 0, limit: int | None = None
    ) -> list[Source]:
        """See KnowledgeBase.sources, and `find_sources`."""
        return self.find_sources(SourceQuery(contains, failed), offset=offset, limit=limit)

    def count_sources(self, contains: str = "", failed: bool | None = None) -> int:
        """See KnowledgeBase.count_sources, and `find_sources`."""
        return self.count_found(SourceQuery(contains, failed))

    def find_sources(self, query: SourceQuery, *, offset: int = 0, limit: int | None = None) -> list[Source]:
        """See KnowledgeBase.find_sources. A text is looked for in title and path as `naming` has it."""
        if self._is_found_whole(query):
            return self._base.find_sources(query, offset=offset, limit=limit)
        return self._found(query)[offset:][:limit]

    def count_found(self, query: SourceQuery) -> int:
        """See KnowledgeBase.count_found."""
        return self._base.count_found(query) if self._is_found_whole(query) else len(self._found(query))

    def _is_found_whole(self, query: SourceQuery) -> bool:
        """Whether the store alone can tell what is found."""
        return self.sight is None and (not query.contains or self.may("manage"))

    def _found(self, query: SourceQuery) -> list[Source]:
        sees, naming, text = self.sight, self.naming(), query.contains.casefold()
        return [
            source if sees is None else discreet.source(source, sees)
            for source in self._base.find_sources(replace(query, contains=""))
            if (sees is None or sees(source.path)) and text in f"{naming(source.path)} {source.title}".casefold()
        ]

    def facets(self) -> source_list.Facets:
        """See source_list.facets."""
        return source_list.facets(self._base, self.sight)

    def place_of(self, folder: str) -> str:
        """See source_list.place_of; who may only read isn't told of folders that aren't followed."""
        known = folders.folders_of(self._base.settings)
        found = source_list.place_of(folder, known)
        within = any(PurePath(folder).is_relative_to(one) for one in (known.uploads, *known.watched))
        return found if within or self.may("write") else ""

    @property
    def revision(self) -> str:
        """Another one once a source has changed."""
        with self._base.store.read() as snapshot:
            return f"{snapshot.revision_id} {snapshot.counts()}"

    def source(self, path: str) -> Source:
        """
        Raises:
            NotFoundError: there is none of this path that may be read.
        """
        sees = self.sight
        with self._base.store.read() as snapshot:
            found = snapshot.source(path)
        if found is None or (sees is not None and not sees(path)):
            raise NotFoundError(_("There is no document {path!r}.", path=path), _("See which there are."))
        return found if sees is None else discreet.source(found, sees)

    def original(self, path: str) -> bytes:
        """The bytes of a source's file.

        Raises:
            NotFoundError: there is no such source that may be read.
            ReadError: as for document_view.original.
        """
        return document_view.original(self.source(path), self._base.settings.file_megabytes)

    def overview(self) -> document_view.Overview:
        """See document_view.base_overview."""
        return document_view.base_overview(self._base, self.example_questions(5), self.sight)

    def summary(self, path: str) -> tuple[str, ...]:
        """A few of a document's own sentences; none if there is no such source that may be read."""
        document = self._base.searcher(self._audience).document(path)
        return tuple(text for text, _ in documents.summary(document))

    def chunk(self, id_: str) -> Chunk:
        """The chunk with this id, which is the id of the passage that begins with it.

        Raises:
            NotFoundError: there is none that may be read.
        """
        with self._base.store.read() as snapshot:
            found = [chunk for chunk in snapshot.chunks([id_]) if self.sees(chunk.source)]
        if not found:
            raise NotFoundError(_("There is no passage {id!r}.", id=id_), _("Search again."))
        return found[0]

    def missing_files(self) -> MissingFiles:
        """See KnowledgeBase.missing_files; of those that may be read."""
        found, sees = self._base.missing_files(), self.sight
        if sees is None:
            return found
        return MissingFiles(tuple(filter(sees, found.gone)), tuple(filter(sees, found.unreachable)))

    def pieces(self, path: str) -> list[preview.PreviewChunk]:
        """The chunks of a source in reading order; none if there is no such source that may be read."""
        return preview.pieces(self._base, path) if self.sees(path) else []

    def surroundings(self, hit: Hit) -> preview.Surroundings | None:
        """See preview.surroundings; None also if its source may not be read."""
        return preview.surroundings(self._base, hit) if self.sees(hit.source) else None

    def page_image(self, path: str, page: int, quotes: Sequence[str] = (), width: int = 900) -> bytes:
        """See preview.page_image.

        Raises:
            NotFoundError: there is no such source that may be read.
            ReadError: as for preview.page_image.
        """
        return preview.page_image(self.source(path).path, page, quotes, width)

    def example_questions(self, count: int = 4, seed: int = 0, language: str = "") -> list[str]:
        """See suggestions.example_questions."""
        return suggestions.example_questions(self._base, count, seed, self.sight, language)

    def follow_up_questions(self, turn: SavedTurn, count: int = 3) -> list[str]:
        """See suggestions.follow_up_questions."""
        return suggestions.follow_up_questions(self._base, turn, count, self.sight)

    def types(self) -> list[str]:
        """See scope.types_of."""
        return types_of(self._base, self.sight)

    def tags(self) -> list[str]:
        """See scope.tags_of."""
        return tags_of(self._base, self.sight)

    def reading(self) -> Reading | None:
        """See Jobs.reading; nothing is told of sources that may not be read."""
        found, sees = self._workspace.jobs.reading(self._base), self.sight
        return found if found is None or sees is None else discreet.reading(found, sees)
