"""The one door to knowledge bases for everybody who isn't the owner of the machine: page, HTTP API and MCP.

A desk serves one principal. It hands out views of the knowledge bases that the principal may read; a view has no
way around its rights. What may not be read is told exactly as what isn't there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import ForbiddenError, NotFoundError
from kb_assistant.messages import _
from kb_assistant.store import Chunk, Source
from kb_assistant.types import Hit, Report
from kb_assistant.workspace import bases, preview
from kb_assistant.workspace.rights import RIGHTS, Principal, Right
from kb_assistant.workspace.workspace import Workspace

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from kb_assistant.answering.history import History
    from kb_assistant.answering.reply import Reply
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.retrieval.result import Retrieval
    from kb_assistant.workspace.jobs import Job


class Desk:
    """What one principal may see and do in a home."""

    def __init__(self, workspace: Workspace, principal: Principal) -> None:
        self._workspace, self.principal = workspace, principal

    def bases(self) -> list[str]:
        """The names of the knowledge bases that it may read."""
        return [name for name in bases.list_bases(self._workspace.settings) if self.principal.may("read", name)]

    def base(self, name: str, right: Right = "read") -> View:
        """A knowledge base.

        Raises:
            NotFoundError: there is none of this name that the principal may read.
            ForbiddenError: it may read it, but hasn't this right.
        """
        exists = bases.is_listed(self._workspace.settings, name)
        held = self.principal.right_on(name)
        if not exists or held is None:
            raise NotFoundError(_("There is no knowledge base {name!r}.", name=name), _("See which there are."))
        view = View(self._workspace, name, self.principal, held)
        view.expect(right)
        return view

    def create_base(self, name: str) -> View:
        """Create an empty knowledge base.

        Raises:
            ForbiddenError: the principal doesn't manage all knowledge bases.
            SettingsError, StoreError: as for `Workspace.create_base`.
        """
        if not self.principal.is_admin:
            raise ForbiddenError(
                _("You may not create knowledge bases."), _("Ask somebody who manages all of them.")
            )
        self._workspace.create_base(name)
        return self.base(name)


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

    # read

    def status(self) -> dict[str, Any]:
        """See KnowledgeBase.status; without the place on disk for those who don't manage it."""
        known = self._base.status()
        if not self.may("manage"):
            del known["folder"]
        return known

    def search(
        self, question: str, k: int | None = None, history: History = (), *, where: Iterable[str] = ()
    ) -> tuple[Hit, ...]:
        """See KnowledgeBase.search."""
        return self.retrieve(question, k, history, where=where).hits

    def retrieve(
        self,
        question: str,
        k: int | None = None,
        history: History = (),
        *,
        where: Iterable[str] = (),
        read: bool = False,
    ) -> Retrieval:
        """See KnowledgeBase.retrieve."""
        return self._base.retrieve(question, k, history, where=where, read=read)

    def ask(
        self,
        question: str,
        history: History = (),
        *,
        where: Iterable[str] = (),
        beside: Sequence[View] = (),
        answers: str = "",
    ) -> Reply:
        """See KnowledgeBase.ask."""
        others = [view._base for view in beside]
        return self._base.ask(question, history, where=where, beside=others, answers=answers)

    def sources(
        self, contains: str = "", failed: bool | None = None, *, offset: int = 0, limit: int | None = None
    ) -> list[Source]:
        """See KnowledgeBase.sources."""
        return self._base.sources(contains, failed, offset=offset, limit=limit)

    def count_sources(self, contains: str = "", failed: bool | None = None) -> int:
        """See KnowledgeBase.count_sources."""
        return self._base.count_sources(contains, failed)

    def source(self, path: str) -> Source:
        """
        Raises:
            NotFoundError: there is none of this path that may be read.
        """
        with self._base.store.read() as snapshot:
            found = snapshot.source(path)
        if found is None:
            raise NotFoundError(_("There is no document {path!r}.", path=path), _("See which there are."))
        return found

    def chunk(self, id_: str) -> Chunk:
        """The chunk with this id, which is the id of the passage that begins with it.

        Raises:
            NotFoundError: there is none that may be read.
        """
        with self._base.store.read() as snapshot:
            found = snapshot.chunks([id_])
        if not found:
            raise NotFoundError(_("There is no passage {id!r}.", id=id_), _("Search again."))
        return found[0]

    def pieces(self, path: str) -> list[preview.PreviewChunk]:
        """The chunks of a source in reading order; none if there is no such source."""
        return preview.pieces(self._base, path)

    def surroundings(self, hit: Hit) -> preview.Surroundings | None:
        """See preview.surroundings."""
        return preview.surroundings(self._base, hit)

    def page_image(self, path: str, page: int, quotes: Sequence[str] = (), width: int = 900) -> bytes:
        """See preview.page_image.

        Raises:
            NotFoundError: there is no such source that may be read.
            ReadError: as for preview.page_image.
        """
        return preview.page_image(self.source(path).path, page, quotes, width)

    # write

    def add(self, documents: Iterable[Document | str | tuple[str, bytes]]) -> Report:
        """See KnowledgeBase.add.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        return self._base.add(documents)

    def remove(self, paths: Iterable[str]) -> list[str]:
        """Remove sources by their exact paths. Returns those that were there.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        wanted = list(dict.fromkeys(paths))
        with self._base.store.read() as snapshot:
            known = [path for path in wanted if snapshot.source(path)]
        self._base.forget_sources(known)
        return known

    def ingest(self, paths: Sequence[str | Path]) -> Job:
        """Begin to read files and folders of this machine, which the caller allows; see Jobs.ingest.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        return self._workspace.jobs.ingest(self._base, paths)

    def jobs(self) -> list[Job]:
        """Work on this knowledge base, latest first."""
        return self._workspace.jobs.of(self._base)

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
