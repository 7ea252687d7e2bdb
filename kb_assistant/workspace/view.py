"""A knowledge base as one principal sees it: every way to it checks a right, and hides what has other readers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from kb_assistant import base_settings
from kb_assistant.answering.history import asked, turns
from kb_assistant.errors import ForbiddenError, NotFoundError, QuestionError, StoreError
from kb_assistant.messages import _
from kb_assistant.retrieval.filters import parse_conditions
from kb_assistant.store import Chunk, Source, SourceQuery
from kb_assistant.store.readers import ReaderRules, Sighted
from kb_assistant.types import Hit, MissingFiles, Report
from kb_assistant.workspace import (
    bases,
    discreet,
    document_view,
    folders,
    preview,
    removals,
    samples,
    source_list,
    suggestions,
)
from kb_assistant.workspace.rights import RIGHTS, Grant, Principal, Right, checked_grantee
from kb_assistant.workspace.scope import tags_of, types_of
from kb_assistant.workspace.workspace import Workspace

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from kb_assistant.answering.history import History
    from kb_assistant.answering.reply import Reply
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.retrieval.filters import Filter
    from kb_assistant.retrieval.result import Retrieval
    from kb_assistant.workspace.chats import Criticism, SavedTurn
    from kb_assistant.workspace.jobs import Job, Reading

_TITLE = 80
"""Most characters of a pasted text's title."""


class View:
    """A knowledge base, as one principal sees it.

    Args:
        who: Finds the principal, each time.
        given: A right that isn't granted, such as on the files of one's own conversation.
    """

    def __init__(
        self, workspace: Workspace, name: str, who: Callable[[], Principal], given: Right | None = None
    ) -> None:
        self._workspace, self.name, self._who, self._given = workspace, name, who, given

    @property
    def principal(self) -> Principal:
        return self._who()

    @property
    def right(self) -> Right:
        """The widest right that the principal has on it.

        Raises:
            NotFoundError: it has none any more.
        """
        found = self._given or self.principal.right_on(self.name)
        if found is None:
            raise NotFoundError(
                _("There is no knowledge base {name!r}.", name=self.name), _("See which there are.")
            )
        return found

    @property
    def _base(self) -> KnowledgeBase:
        """It, as long as it may be read; raises NotFoundError as `right`."""
        assert self.right
        return self._workspace.base(self.name)

    @property
    def _audience(self) -> frozenset[str] | None:
        """Whom searches are for; None finds everything: who manages it says who reads what, too."""
        return None if self.may("manage") else self.principal.audience

    @property
    def sight(self) -> Sighted | None:
        """Which sources it may read, which needn't exist; None for all."""
        seen_as = self.seen_as
        return seen_as and seen_as[0].seen_by(seen_as[1])

    @property
    def seen_as(self) -> tuple[ReaderRules, frozenset[str]] | None:
        """Two principals with an equal one see the same sources; None for all of them."""
        audience = self._audience
        rules = self._base.reader_rules if audience is not None else None
        return (rules, audience) if rules and audience is not None else None

    def sees(self, path: str) -> bool:
        """Whether it may read the source with this path, which needn't exist."""
        sees = self.sight
        return sees is None or sees(path)

    def naming(self, beside: Sequence[View] = ()) -> discreet.Naming:
        """How sources' paths are told: who doesn't manage it isn't told of the folders of this machine.

        Args:
            beside: Searched together with it; then everything is told only to who manages all of them.
        """
        views = (self, *beside)
        if all(view.may("manage") for view in views):
            return str
        return partial(source_list.name_in, [known for view in views if (known := view._known_folders())])

    def _known_folders(self) -> folders.Folders | None:
        try:
            return folders.folders_of(self._base.settings)
        except StoreError:
            return None

    def _conditions(self, where: Iterable[str | Filter], beside: Sequence[View] = ()) -> tuple[Filter, ...]:
        """
        Raises:
            QuestionError: a condition has the wrong form.
        """
        given, naming = parse_conditions(where), self.naming(beside)
        return given if naming is str else tuple(discreet.Named(one, naming) for one in given)

    def may(self, right: Right) -> bool:
        """Whether the principal has this right, or a wider one; raises NotFoundError as `right`."""
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
        beside: Sequence[View] = (),
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
        beside: Sequence[View] = (),
        answers: str = "",
        k: int | None = None,
        model: str = "",
        stop: Callable[[], bool] = lambda: False,
    ) -> Reply:
        """See KnowledgeBase.ask; for `where` see `retrieve`."""
        from kb_assistant.answering.reply import Reply

        searchers = [view._base.searcher(view._audience) for view in (self, *beside)]
        chain = self._base.chain_over(searchers, self._base.another_model(model) if model else None)
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
        self._expect_free(self._base.paths_of(given))
        report = self._base.add(given, readers=readers, stop=stop)
        return replace(report, files=tuple(discreet.row(row, sees) for row in report.files))

    def _expect_free(self, paths: Iterable[str]) -> None:
        """
        Raises:
            ForbiddenError: one of the paths may not be read, so that nothing may take its place.
        """
        sees = self.sight
        for path in paths:
            if sees is not None and not sees(path):
                raise ForbiddenError(
                    _("The name of {path!r} is taken.", path=PurePath(path).name),
                    _("Give the document another name."),
                )

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
            ForbiddenError: the principal may not write, or a file of one of the names that it may not read is
                there.
            StoreError: they can't be saved.
        """
        self.expect("write")
        given = list(files)
        place = folders.folders_of(self._base.settings).uploads
        self._expect_free([str(place / name) for name in folders.distinct_names(name for name, _data in given)])
        return self.ingest(folders.put_uploads(self._base.settings, given))

    def paste(self, title: str, text: str) -> Job:
        """Save a text as a document of its own and begin to read it.

        Args:
            title: Its title and name; else its first line is.

        Raises:
            QuestionError: it is empty.
            ForbiddenError, StoreError: as for upload.
        """
        if not text.strip():
            raise QuestionError(_("There is no text."), _("Paste or write one."))
        first = " ".join((title.strip() or text.strip().splitlines()[0].lstrip("# ")).split())[:_TITLE]
        written = text if text.lstrip().startswith("# ") else f"# {first}\n\n{text.strip()}\n"
        name = folders.free_name(self._base.settings, f"{' '.join(first.replace('/', ' ').split())}.md")
        return self.upload([(name, written.encode())])

    def add_samples(self) -> Job:
        """Begin to read the sample documents; raises as `upload`."""
        return self.upload(samples.sample_files())

    def folders(self) -> folders.Folders:
        """See folders.folders_of.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        return folders.folders_of(self._base.settings)

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

    def wait(self, job: str) -> None:
        """See Jobs.wait."""
        self._workspace.jobs.wait(job)

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

    def watch_folder(self, folder: str) -> Path:
        """See folders.watch_folder, for a folder that the caller allows; raises as `verify`, too."""
        self.expect("manage")
        return folders.watch_folder(self._base.settings, folder)

    def unwatch_folder(self, folder: Path) -> None:
        """See folders.unwatch_folder; raises as `verify`, too."""
        self.expect("manage")
        folders.unwatch_folder(self._base.settings, folder)

    def rated_bad(self) -> list[Criticism]:
        """See ChatStore.rated_bad; raises as `verify`."""
        self.expect("manage")
        return self._workspace.chats.rated_bad(self.name)

    def grants(self) -> list[Grant]:
        """What is granted on it alone; raises as `verify`."""
        self.expect("manage")
        found = [one for one in self._workspace.access.register().grants if one.base == self.name]
        return sorted(found, key=lambda one: one.to)

    def grant(self, to: str, right: Right) -> None:
        """See Access.grant; `to` as for checked_grantee. Raises as `verify`, too."""
        self.expect("manage")
        self._workspace.access.grant(self.name, checked_grantee(to), right)

    def withdraw(self, to: str) -> bool:
        """See Access.withdraw; raises as `verify`, too."""
        self.expect("manage")
        return self._workspace.access.withdraw(self.name, to)

    def own_settings(self) -> dict[str, str]:
        """See base_settings.own_settings; raises as `verify`, too."""
        self.expect("manage")
        return base_settings.own_settings(self._workspace.named(self.name))

    def change_own(self, setting: str, value: str | None) -> None:
        """See Workspace.change_own; raises as `verify`, too."""
        self.expect("manage")
        self._workspace.change_own(self.name, setting, value)

    def rename(self, name: str) -> None:
        """See Workspace.rename_base; raises as `verify`, too."""
        self.expect("manage")
        self._workspace.rename_base(self.name, name)
        self.name = name

    def delete(self) -> None:
        """See Workspace.delete_base; raises as `verify`, too."""
        self.expect("manage")
        self._workspace.delete_base(self.name)
