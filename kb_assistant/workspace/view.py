"""A knowledge base as one principal sees it: every way to it checks a right, and hides what has other readers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from kb_assistant import base_settings
from kb_assistant.errors import ForbiddenError, NotFoundError, QuestionError
from kb_assistant.messages import _
from kb_assistant.types import Report
from kb_assistant.workspace import discreet, folders, removals, samples
from kb_assistant.workspace.read_view import ReadView
from kb_assistant.workspace.rights import Grant, Right, checked_grantee

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from kb_assistant.workspace.chats import Criticism
    from kb_assistant.workspace.jobs import Job

_TITLE = 80
"""Most characters of a pasted text's title."""


class View(ReadView):
    """What a principal reads, writes and manages of a knowledge base."""

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

    def ingest(self, paths: Sequence[str | Path], passwords: Sequence[str] = ()) -> Job:
        """Begin to read files and folders of this machine, which the caller allows; see Jobs.ingest.

        Raises:
            ForbiddenError: the principal may not write.
        """
        self.expect("write")
        return self._workspace.jobs.ingest(self._base, paths, passwords=passwords)

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
        self._workspace.jobs.stop(found.id, self._base)

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

    def sync_again(self, file: Path) -> Job:
        """Synchronize a file that was left out of its folder again, and read it; raises as `verify`, too."""
        self.expect("manage")
        folders.take_in(self._base.settings, [file])
        return self.ingest([file])

    def own_settings(self) -> dict[str, str]:
        """See base_settings.own_settings; raises as `verify`, too."""
        self.expect("manage")
        return base_settings.own_settings(self._workspace.named(self.name))

    def change_own(self, setting: str, value: str | None) -> None:
        """See base_settings.write_own; it holds for the next answer, on any machine. Raises as `verify`, too."""
        self.expect("manage")
        base_settings.write_own(self._workspace.named(self.name), setting, value)

    def rename(self, name: str) -> None:
        """See Workspace.rename_base; raises as `verify`, too."""
        self.expect("manage")
        self._workspace.rename_base(self.name, name)
        self.name = name

    def delete(self) -> None:
        """See Workspace.delete_base; raises as `verify`, too."""
        self.expect("manage")
        self._workspace.delete_base(self.name)
