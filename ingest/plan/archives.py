"""Decides about archives and what is in them. A reader process lists them: their contents have to be unpacked."""

from __future__ import annotations

import os
from pathlib import Path

from ingest.archives import Member
from ingest.plan.files import FilePlanner, relative
from ingest.plan.known import seal
from ingest.plan.result import Archive, unreadable
from ingest.sandbox.confine import MEGABYTE
from ingest.sandbox.pool import Listing, ReaderPool, hash_file
from kb_assistant.messages import _, join
from kb_assistant.store import Source
from kb_assistant.types import FileResult, Status

ARCHIVES_VERSION = 1
"""Incremented when an archive gives other documents for the same bytes."""


class ArchivePlanner:
    """Decides about the archives that were found among the files."""

    def __init__(self, files: FilePlanner) -> None:
        self._files, self._plan = files, files.plan
        self._to_list: dict[str, Path] = {}

    def _look_at(self, name: str, root: Path) -> None:
        """Add rows if neither the archive nor its stored members changed, else list it."""
        path = Path(name)
        known = self._files.known.source(name)
        try:
            large = path.stat().st_size > self._files.settings.archive_megabytes * MEGABYTE
            digest = "" if large else hash_file(path)[0]
        except OSError as error:
            self._files.closed.append(f"{name}{os.sep}")
            self._files.fail(name, unreadable(error, known), known)
            return
        if known is None or not self._is_settled(known, digest, self._recipe(path, root)):
            self._to_list[name] = root
            return
        for source in self._files.known.under(name):
            self._plan.rows[source.path] = FileResult(source.path, "unchanged", source.chunks, source.reason)
        self._plan.skipped.update(known.metadata.get("skipped", {}))

    def _is_settled(self, archive: Source, digest: str, recipe: str) -> bool:
        """Whether the archive is unchanged and completely in the store, also unchanged there."""
        if (archive.digest, archive.recipe) != (digest, recipe) or archive.metadata.get("again"):
            return False
        return bool(archive.metadata.get("seal") == seal(self._files.known.members(archive.path)))

    def _recipe(self, path: Path, root: Path) -> str:
        """Other inputs that decide what is read of an archive: filters, and their base folder."""
        choice = self._files.choice
        filters = f"; {[*choice.include, '|', *choice.exclude, choice.prune, relative(path, root)]}"
        filtered = choice.include or choice.exclude
        return f"{self._files.recipe}; archives {ARCHIVES_VERSION}{filters if filtered else ''}"

    def look_into(self, pool: ReaderPool) -> None:
        """List the archives that changed, and decide about each of their documents."""
        for name, root in self._files.archives.items():
            self._look_at(name, root)
        for listing in pool.list_archives(self._to_list):
            path, known = listing.source, self._files.known.source(listing.source)
            if listing.gone and known:
                continue  # so it is found to be missing
            if listing.error:
                self._refuse(listing, known)
                continue
            for member in listing.contents.members:
                self._decide_member(path, member)
            self._plan.skipped.update(listing.contents.skipped)
            refused = sum(bool(member.problem) for member in listing.contents.members)
            count = len(listing.contents.members) - refused
            reason = (
                _("an archive of 1 document") if count == 1 else _("an archive of {count} documents", count=count)
            )
            self._note(listing, known, reason, {"skipped": dict(listing.contents.skipped)})

    def _refuse(self, listing: Listing, known: Source | None) -> None:
        """Handle an archive that can't be listed. Its members are removed, unless it can't be opened or hasn't
        changed."""
        path, same = listing.source, known is not None and known.digest == listing.sha256 and not known.failed
        if same or not listing.sha256:
            self._files.closed.append(f"{path}{os.sep}")
            kept = _("its last version stays in the index") if any(self._files.known.members(path)) else ""
            self._files.fail(path, join((listing.error, kept), "; "), known)
        else:
            self._note(listing, known, listing.error, {"again": True}, failed=True)

    def _note(
        self,
        listing: Listing,
        known: Source | None,
        reason: str,
        metadata: dict[str, object],
        failed: bool = False,
    ) -> None:
        path = listing.source
        recipe = self._recipe(Path(path), self._to_list[path])
        same = known is not None and (known.digest, known.failed) == (listing.sha256, failed)
        status: Status = "failed" if failed else "unchanged" if same else "updated" if known else "added"
        source = Source(path, listing.sha256, recipe, "", reason, failed, "", 0, metadata)
        self._plan.archives[path] = Archive(source, status, reason)

    def _decide_member(self, archive: str, member: Member) -> None:
        path = str(Path(archive, *member.path.split("/")))
        if member.problem:
            if self._files.known.source(path):
                self._plan.forget.append(path)
            self._files.fail(path, member.problem, None)
        elif self._files.choice.leaves_out(f"{relative(Path(archive), self._to_list[archive])}/{member.path}"):
            self._files.keep_left_out(path)
        else:
            self._files.look_at_content(path, member.sha256, member.size, archive, member.places)
