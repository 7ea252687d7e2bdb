"""A knowledge base as one principal sees it: every way to it checks a right, and hides what has other readers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.answering.history import asked, turns
from kb_assistant.errors import ForbiddenError, NotFoundError
from kb_assistant.messages import _
from kb_assistant.retrieval.filters import parse_conditions
from kb_assistant.store import Chunk, Source, SourceQuery
from kb_assistant.store.readers import Sighted
from kb_assistant.types import Hit, MissingFiles, Report
from kb_assistant.workspace import bases, discreet, folders, preview, removals, source_list, suggestions
from kb_assistant.workspace.rights import RIGHTS, Principal, Right
from kb_assistant.workspace.workspace import Workspace

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from kb_assistant.answering.history import History
    from kb_assistant.answering.reply import Reply
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.retrieval.filters import Filter
    from kb_assistant.retrieval.result import Retrieval
    from kb_assistant.workspace.jobs import Job


class View:
    """A knowledge base, as one principal sees it.

    Attributes:
        right: The widest right that the principal has on it.
    """

    def __init__(self, workspace: Workspace, name: str, principal: Principal, right: Right) -> None:
        self._workspace, self.name, self.principal, self.right = workspace, name, principal, right

    @property
    def _base(self) -> KnowledgeBase:
        return self._workspace.base(self.name)

    @property
    def _audience(self) -> frozenset[str] | None:
        """Whom searches are for; None finds everything: who manages it says who reads what, too."""
        return None if self.may("manage") else self.principal.audience

    @property
    def sight(self) -> Sighted | None:
        """Which sources it may read, which needn't exist; None for all."""
        audience = self._audience
        rules = self._base.reader_rules if audience is not None else None
        return rules.seen_by(audience) if rules and audience is not None else None

    def sees(self, path: str) -> bool:
        """Whether it may read the source with this path, which needn't exist."""
        sees = self.sight
        return sees is None or sees(path)

    def may(self, right: Right) -> bool:
        return RIGHTS.index(self.right) >= RIGHTS.index(right)

    def expect(self, right: Right) -> None:
        """
        Raises:
            ForbiddenError: the principal hasn't this right.
        """
        if not self.may(right):
            raise ForbiddenError(
                _("You may not do this in the knowledge base {name!r}.", name=self.name),
                _("It takes the right to {right} it.", right=right),
            )

    def hidden_paths(self, sees: Sighted) -> list[str]:
        """The sources that may not be read; for checks, never to be told."""
        if not bases.exists(self._workspace.named(self.name)):
            return []
        with self._base.store.read() as snapshot:
            return [path for path in snapshot.paths() if not sees(path)]

    # read

    def status(self) -> dict[str, Any]:
        """See KnowledgeBase.status. Who doesn't manage it isn't told its place on disk, and who may not read every
        source is told of no others."""
        known = self._base.status()
        if not self.may("manage"):
            del known["folder"]
        if (sees := self.sight) is not None:
            known |= self._counts(sees)
            known["megabytes"] = known["index"] = None
        return known

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
        beside: Sequence[View] = (),
    ) -> Retrieval:
        """See KnowledgeBase.retrieve."""
        if not beside:
            return self._base.retrieve(question, k, history, where=where, read=read, audience=self._audience)
        from kb_assistant.retrieval.federated import FederatedSearcher

        searchers = [view._base.searcher(view._audience) for view in (self, *beside)]
        count = self._base.settings.k if k is None else k
        return FederatedSearcher(searchers).search(
            asked(question), turns(history), count, where=parse_conditions(where), read=read
        )

    def ask(
        self,
        question: str,
        history: History = (),
        *,
        where: Iterable[str | Filter] = (),
        beside: Sequence[View] = (),
        answers: str = "",
        k: int | None = None,
        model: str = "",
        stop: Callable[[], bool] = lambda: False,
    ) -> Reply:
        """See KnowledgeBase.ask."""
        from kb_assistant.answering.reply import Reply

        searchers = [view._base.searcher(view._audience) for view in (self, *beside)]
        chain = self._base.chain_over(searchers, self._base.another_model(model) if model else None)
        return Reply(chain, question, history, tuple(where), answers, k, stop)

    def sources(
        self, contains: str = "", failed: bool | None = None, *, offset: int = 0, limit: int | None = None
    ) -> list[Source]:
        """See KnowledgeBase.sources."""
        if (sees := self.sight) is None:
            return self._base.sources(contains, failed, offset=offset, limit=limit)
        seen = [source for source in self._base.sources(contains, failed) if sees(source.path)]
        return [discreet.source(source, sees) for source in seen[offset:][:limit]]

    def count_sources(self, contains: str = "", failed: bool | None = None) -> int:
        """See KnowledgeBase.count_sources."""
        if self.sight is None:
            return self._base.count_sources(contains, failed)
        return len(self.sources(contains, failed))

    def find_sources(self, query: SourceQuery, *, offset: int = 0, limit: int | None = None) -> list[Source]:
        """See KnowledgeBase.find_sources."""
        if (sees := self.sight) is None:
            return self._base.find_sources(query, offset=offset, limit=limit)
        seen = [source for source in self._base.find_sources(query) if sees(source.path)]
        return [discreet.source(source, sees) for source in seen[offset:][:limit]]

    def count_found(self, query: SourceQuery) -> int:
        """See KnowledgeBase.count_found."""
        return self._base.count_found(query) if self.sight is None else len(self.find_sources(query))

    def facets(self) -> source_list.Facets:
        """See source_list.facets."""
        return source_list.facets(self._base, self.sight)

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

    def example_questions(self, count: int = 4, seed: int = 0) -> list[str]:
        """See suggestions.example_questions."""
        return suggestions.example_questions(self._base, count, seed, self.sight)

    # write

    def add(
        self,
        documents: Iterable[Document | str | tuple[str, bytes]],
        *,
        readers: Collection[str] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Report:
        """See KnowledgeBase.add.

        Raises:
            ForbiddenError: the principal may not write, or there is a document of one of the names that it may not
                read.
        """
        self.expect("write")
        sees, given = self.sight, list(documents)
        if sees is None:
            return self._base.add(given, readers=readers, stop=stop)
        for path in self._base.paths_of(given):
            if not sees(path):
                raise ForbiddenError(
                    _("The name of {path!r} is taken.", path=path), _("Give the document another name.")
                )
        report = self._base.add(given, readers=readers, stop=stop)
        return replace(report, files=tuple(discreet.row(row, sees) for row in report.files))

    def remove(self, paths: Iterable[str]) -> list[str]:
        """Remove sources by their exact paths, and the files of those that were uploaded. Returns those that were
        there.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        wanted = [path for path in dict.fromkeys(paths) if self.sees(path)]
        with self._base.store.read() as snapshot:
            known = [path for path in wanted if snapshot.source(path)]
        self._base.forget_sources(known)
        folders.drop_uploads(self._base.settings, known)
        return known

    def take_out(self, paths: Iterable[str]) -> removals.Removal:
        """See removals.remove_sources; of those that are there and may be read.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        wanted = [path for path in dict.fromkeys(paths) if self.sees(path)]
        with self._base.store.read() as snapshot:
            known = [path for path in wanted if snapshot.source(path)]
        return removals.remove_sources(self._base, known)

    def bring_back(self, done: removals.Removal) -> Job | None:
        """Bring back what was taken out, and begin to read it again; None if no file of it is there.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        there = removals.bring_back(self._base, done)
        return self.ingest(there) if there else None

    def ingest(self, paths: Sequence[str | Path]) -> Job:
        """Begin to read files and folders of this machine, which the caller allows; see Jobs.ingest.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        return self._workspace.jobs.ingest(self._base, paths)

    def upload(self, files: Iterable[tuple[str, bytes]]) -> Job:
        """Save files, by name, and begin to read them.

        Raises:
            ForbiddenError: the principal may not write.
            StoreError: they can't be saved.
        """
        self.expect("write")
        return self.ingest(folders.put_uploads(self._base.settings, files))

    def folders(self) -> folders.Folders:
        """See folders.folders_of.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        return folders.folders_of(self._base.settings)

    def watch_folder(self, folder: str) -> Path:
        """See folders.watch_folder, for a folder that the caller allows; raises as `folders`, too."""
        self.expect("write")
        return folders.watch_folder(self._base.settings, folder)

    def unwatch_folder(self, folder: Path) -> None:
        """See folders.unwatch_folder; raises as `folders`, too."""
        self.expect("write")
        folders.unwatch_folder(self._base.settings, folder)

    def is_busy(self) -> bool:
        """Whether work on it goes on."""
        return self._workspace.jobs.busy(self._base)

    def jobs(self) -> list[Job]:
        """Work on this knowledge base, latest first; sources that may not be read aren't named."""
        sees, found = self.sight, self._workspace.jobs.of(self._base)
        return found if sees is None else [discreet.job(job, sees) for job in found]

    def job(self, id_: str) -> Job:
        """
        Raises:
            NotFoundError: there is none of this id in this knowledge base.
        """
        found = next((job for job in self.jobs() if job.id == id_), None)
        if found is None:
            raise NotFoundError(_("There is no job {id!r}.", id=id_), _("See which there are."))
        return found

    def stop_job(self, id_: str) -> None:
        """
        Raises:
            NotFoundError: as for `job`.
            ForbiddenError: the principal may not write.
        """
        found = self.job(id_)
        self.expect("write")
        self._workspace.jobs.stop(found.id)

    # manage

    def verify(self, repair: bool = False) -> Job:
        """See Jobs.verify.

        Raises:
            ForbiddenError: the principal doesn't manage it.
        """
        self.expect("manage")
        return self._workspace.jobs.verify(self._base, repair)

    def rebuild(self) -> Job:
        """See Jobs.rebuild; raises as `verify`."""
        self.expect("manage")
        return self._workspace.jobs.rebuild(self._base)

    def rename(self, name: str) -> None:
        """See Workspace.rename_base; raises as `verify`, too."""
        self.expect("manage")
        self._workspace.rename_base(self.name, name)
        self.name = name

    def delete(self) -> None:
        """See Workspace.delete_base; raises as `verify`, too."""
        self.expect("manage")
        self._workspace.delete_base(self.name)
