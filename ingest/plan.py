"""Plans an ingest by comparing existing files with known sources.

Reads no document and writes nothing: a dry run ends here. A reader process lists archives, because their contents
have to be unpacked for comparison.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingest.archives import Member, MemberPlace, is_archive
from ingest.discover import Choice, Found, discover
from ingest.sandbox.confine import MEGABYTE
from ingest.sandbox.pool import Listing, ReaderPool, hash_file
from ingest.vanished import Move, drives_of, followed, gone_files, moved_files
from kb_assistant.errors import KBError
from kb_assistant.messages import _, join
from kb_assistant.settings import Settings
from kb_assistant.store import Snapshot, Source
from kb_assistant.store.presence import FilePresence
from kb_assistant.types import FileResult, MissingFiles, Status

ARCHIVES_VERSION = 1
"""Incremented when an archive gives other documents for the same bytes."""


@dataclass(slots=True)
class Task:
    """A source to read: a file, or the member at `places` of an archive."""

    status: Status
    reason: str
    digest: str
    size: int
    file: str
    places: tuple[MemberPlace, ...] = ()


@dataclass(slots=True)
class Archive:
    """An archive to record once all its members are committed; `source` is final except for the seal."""

    source: Source
    status: Status
    reason: str


@dataclass(slots=True)
class Plan:
    """The plan, before any file is read.

    Attributes:
        tasks: Sources to read, by source path.
        archives: Archives whose contents were listed again.
        remove: Sources to remove, with the reason.
        moved: Those of them that are elsewhere now, with the source there: removed once that is committed.
        forget: Sources to remove whose row reports something else.
        rows: Report rows of files that need no reading.
        skipped: Number of files without a reader, by suffix.
        missing: Sources that stay though they have no file now.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    archives: dict[str, Archive] = field(default_factory=dict)
    remove: dict[str, str] = field(default_factory=dict)
    moved: dict[str, Move] = field(default_factory=dict)
    forget: list[str] = field(default_factory=list)
    rows: dict[str, FileResult] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    missing: MissingFiles = field(default_factory=MissingFiles)


def make_plan(
    snapshot: Snapshot | None,
    paths: Sequence[Path],
    choice: Choice,
    recipe: str,
    settings: Settings,
    pool: ReaderPool,
    changed: Sequence[Path] | None = None,
) -> Plan:
    """Plan what to do about each file at or under `paths`. Hashes files, reads none.

    Args:
        snapshot: The current store; None if there is none yet.
        changed: Check only files at or under one of these; None for all.

    Raises:
        KBError: a path doesn't exist, or can't be encoded in UTF-8.
    """
    planner = _Planner(_Known(snapshot), choice, recipe, settings, FilePresence.of(snapshot))
    for root in paths:
        planner.look_at(root, changed)
    planner.look_into_archives(pool)
    planner.plan_removals()
    if snapshot and changed is None:
        planner.look_beside(snapshot)
    planner.tell_changes()
    return planner.plan


def plan_documents(
    snapshot: Snapshot, given: Mapping[str, tuple[str, int]], recipe: str, settings: Settings
) -> Plan:
    """Plan what to do about given documents: digest and size by source path."""
    planner = _Planner(_Known(snapshot), Choice(), recipe, settings, FilePresence())
    for path, (digest, size) in given.items():
        planner.look_at_content(path, digest, size, path)
    planner.tell_changes()
    return planner.plan


def cut_recipe(recipe: str, pages: int, seconds: float) -> str:
    """The recipe of a source of which OCR left pages, because it may read no more or for no longer: another limit
    reads it again."""
    return f"{recipe}; {pages} pages, {seconds:g} s of OCR"


def kept_note(known: Source | None) -> str:
    return _("its last version stays in the index") if known and known.chunks else ""


def unreadable(error: OSError, known: Source | None) -> str:
    """Why a file can't be read, and what stays of it."""
    return join((_("can't be read: {reason}", reason=error), kept_note(known)), "; ")


def seal(members: Iterator[Source]) -> str:
    """A hash of an archive's members in the store: other members or contents give another seal."""
    hashed = hashlib.sha256()
    for member in members:
        hashed.update(f"{member.path}\0{member.digest}\0{member.failed}\0{member.recipe}\n".encode())
    return hashed.hexdigest()


class _Known:
    """The store's sources, queried one by one: there may be more than fit into memory."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot

    def source(self, path: str) -> Source | None:
        return self._snapshot.source(path) if self._snapshot and _printable(path) == path else None

    def under(self, path: str) -> Iterator[Source]:
        """The source at this path and those below it, in path order."""
        yield from self._snapshot.sources_under(path) if self._snapshot else ()

    def members(self, archive: str) -> Iterator[Source]:
        return (source for source in self.under(archive) if source.path != archive)

    def on_drive(self, drive: Path, presence: FilePresence) -> Iterator[str]:
        for path in self._snapshot.paths() if self._snapshot else ():
            if presence.drive_of(Path(path).parent) == drive:
                yield path

    def is_stored_on(self, drive: Path, presence: FilePresence) -> bool:
        return self._snapshot is not None and presence.drive_of(self._snapshot.path.absolute().parent) == drive

    def holders(self, digest: str) -> list[str]:
        """Sound sources with this content, in path order."""
        return self._snapshot.holders_of(digest) if self._snapshot else []


class _Planner:
    def __init__(
        self, known: _Known, choice: Choice, recipe: str, settings: Settings, presence: FilePresence
    ) -> None:
        self.plan = Plan()
        self._known, self._choice, self._recipe, self._settings = known, choice, recipe, settings
        self._presence = presence
        self._scopes: list[str] = []
        self._closed: list[str] = []
        self._to_list: dict[str, Path] = {}

    def look_at(self, root: Path, changed: Sequence[Path] | None) -> None:
        """Find the files at or under `root`, and decide about each that isn't an archive."""
        absolute = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links
        there = _exists(absolute)
        if not there and changed is None:
            under = sum(1 for _ in self._known.under(str(absolute))) if _is_printable(absolute) else 0
            if not (self._choice.prune and under):
                raise _missing_root(root, under)
        if not _is_printable(absolute):
            raise KBError(
                _("{path} is no valid UTF-8 name.", path=_printable(root)),
                _("Rename it, then run the command again."),
            )
        only = None if changed is None else [path for path in changed if path.is_relative_to(absolute)]
        self._scopes += [str(absolute)] if only is None else map(str, only)
        for item in discover(absolute, self._choice, only) if there and only != [] else ():
            self._decide(item, absolute)

    def _decide(self, item: Found, root: Path) -> None:
        """Add a row if the file needs no reading, else add it to the files to read or list."""
        path = str(item.path)
        if path in self.plan.rows or path in self.plan.tasks or path in self._to_list:
            return
        if item.problem:
            known = self._known.source(path)
            self._closed.append(f"{path}{os.sep}")
            self._fail(_printable(path), join((item.problem, kept_note(known)), "; "), known)
        elif item.ignored:
            self._keep_known(path, _("left out by filters or ignore files, kept in the index; --prune removes it"))
        elif item.unsupported and item.path != root and not self._holds(path):
            # A file named explicitly is read anyway: it may be text, or recognised by its bytes.
            self.plan.skipped[item.path.suffix.lower() or "no suffix"] += 1
        elif is_archive(item.path.name):
            self._look_at_archive(item.path, root)
        else:
            self._look_at_file(item.path)

    def _holds(self, path: str) -> bool:
        known = self._known.source(path)
        return known is not None and known.chunks > 0

    def _keep_known(self, path: str, reason: str) -> None:
        if self._choice.prune:
            return
        for known in self._known.under(path) if is_archive(path) else filter(None, [self._known.source(path)]):
            self.plan.rows[known.path] = FileResult(known.path, "unchanged", known.chunks, reason)

    def _look_at_file(self, path: Path) -> None:
        try:
            digest, size = hash_file(path)
        except OSError as error:
            known = self._known.source(str(path))
            self._fail(str(path), unreadable(error, known), known)
            return
        self.look_at_content(str(path), digest, size, str(path))

    def look_at_content(
        self, path: str, digest: str, size: int, file: str, places: tuple[MemberPlace, ...] = ()
    ) -> None:
        """Add a row if the content is known already, else add it to the sources to read."""
        known = self._known.source(path)
        limits = self._settings.ocr_pages, self._settings.ocr_seconds
        recipes = (self._recipe, cut_recipe(self._recipe, *limits))
        if known and known.digest == digest and known.recipe in recipes and not known.failed:
            self.plan.rows[path] = FileResult(path, "unchanged", known.chunks, known.reason)
        else:
            self.plan.tasks[path] = Task("updated" if known else "added", "", digest, size, file, places)

    def _look_at_archive(self, path: Path, root: Path) -> None:
        """Add rows if neither the archive nor its stored members changed, else list it."""
        name = str(path)
        known = self._known.source(name)
        try:
            large = path.stat().st_size > self._settings.archive_megabytes * MEGABYTE
            digest = "" if large else hash_file(path)[0]
        except OSError as error:
            self._closed.append(f"{name}{os.sep}")
            self._fail(name, unreadable(error, known), known)
            return
        if known is None or not self._is_settled(known, digest, self._archive_recipe(path, root)):
            self._to_list[name] = root
            return
        for source in self._known.under(name):
            self.plan.rows[source.path] = FileResult(source.path, "unchanged", source.chunks, source.reason)
        self.plan.skipped.update(known.metadata.get("skipped", {}))

    def _is_settled(self, archive: Source, digest: str, recipe: str) -> bool:
        """Whether the archive is unchanged and completely in the store, also unchanged there."""
        if (archive.digest, archive.recipe) != (digest, recipe) or archive.metadata.get("again"):
            return False
        return bool(archive.metadata.get("seal") == seal(self._known.members(archive.path)))

    def _archive_recipe(self, path: Path, root: Path) -> str:
        """Other inputs that decide what is read of an archive: filters, and their base folder."""
        choice = self._choice
        filters = f"; {[*choice.include, '|', *choice.exclude, choice.prune, _relative(path, root)]}"
        filtered = choice.include or choice.exclude
        return f"{self._recipe}; archives {ARCHIVES_VERSION}{filters if filtered else ''}"

    def look_into_archives(self, pool: ReaderPool) -> None:
        """List archives, and decide about each of their documents."""
        for listing in pool.list_archives(self._to_list):
            path, known = listing.source, self._known.source(listing.source)
            if listing.gone and known:
                continue  # so it is found to be missing
            if listing.error:
                self._refuse_archive(listing, known)
                continue
            for member in listing.contents.members:
                self._decide_member(path, member)
            self.plan.skipped.update(listing.contents.skipped)
            refused = sum(bool(member.problem) for member in listing.contents.members)
            count = len(listing.contents.members) - refused
            reason = (
                _("an archive of 1 document") if count == 1 else _("an archive of {count} documents", count=count)
            )
            self._note_archive(listing, known, reason, {"skipped": dict(listing.contents.skipped)})

    def _refuse_archive(self, listing: Listing, known: Source | None) -> None:
        """Handle an archive that can't be listed. Its members are removed, unless it can't be opened or hasn't
        changed."""
        path, same = listing.source, known is not None and known.digest == listing.sha256 and not known.failed
        if same or not listing.sha256:
            self._closed.append(f"{path}{os.sep}")
            kept = _("its last version stays in the index") if any(self._known.members(path)) else ""
            self._fail(path, join((listing.error, kept), "; "), known)
        else:
            self._note_archive(listing, known, listing.error, {"again": True}, failed=True)

    def _note_archive(
        self,
        listing: Listing,
        known: Source | None,
        reason: str,
        metadata: dict[str, object],
        failed: bool = False,
    ) -> None:
        path = listing.source
        recipe = self._archive_recipe(Path(path), self._to_list[path])
        same = known is not None and (known.digest, known.failed) == (listing.sha256, failed)
        status: Status = "failed" if failed else "unchanged" if same else "updated" if known else "added"
        source = Source(path, listing.sha256, recipe, "", reason, failed, "", 0, metadata)
        self.plan.archives[path] = Archive(source, status, reason)

    def _decide_member(self, archive: str, member: Member) -> None:
        path = str(Path(archive, *member.path.split("/")))
        if member.problem:
            if self._known.source(path):
                self.plan.forget.append(path)
            self._fail(path, member.problem, None)
        elif self._choice.leaves_out(f"{_relative(Path(archive), self._to_list[archive])}/{member.path}"):
            self._keep_known(path, _("left out by filters or ignore files, kept in the index; --prune removes it"))
        else:
            self.look_at_content(path, member.sha256, member.size, archive, member.places)

    def plan_removals(self) -> None:
        """Known sources in the searched places that weren't found. Those on a drive that isn't mounted now, and
        those that can't be looked at, stay, unless they are to be pruned."""
        plan, closed, away = self.plan, tuple(self._closed), list[str]()
        lost: dict[Path | None, list[str]] = defaultdict(list)
        met = (plan.rows, plan.tasks, plan.archives)
        for scope in self._scopes:
            for known in self._known.under(scope) if _is_printable(scope) else ():
                path = known.path
                if any(path in there for there in met) or path.startswith(closed or ("\0",)):
                    continue
                state = self._presence.state(path)
                if state == "there" and _has_its_name(Path(path)):
                    plan.remove[path] = _("left out by filters or ignore files")
                elif state == "unreachable" and not self._choice.prune:
                    away.append(path)
                else:
                    lost[self._presence.drive_of(Path(path).parent)].append(path)
        for drive, paths in lost.items():
            if drive and not self._choice.prune and self._is_another(drive):
                away += paths
            else:
                plan.remove |= dict.fromkeys(paths, _("no longer there"))
        plan.missing = MissingFiles(unreachable=tuple(sorted(away)))

    def _is_another(self, drive: Path) -> bool:
        """Whether another drive than the known one seems to be mounted there: no known file is on it. That of the
        store is the same."""
        known, presence = self._known, self._presence
        return not known.is_stored_on(drive, presence) and not any(
            presence.state(path) == "there" for path in known.on_drive(drive, presence)
        )

    def look_beside(self, snapshot: Snapshot) -> None:
        """Known files outside of the searched places that are gone: remove those that were found elsewhere."""
        plan, presence, roots = self.plan, self._presence, [Path(scope) for scope in self._scopes]
        drives = drives_of(presence, roots)
        read = {path: (task.status, task.digest) for path, task in plan.tasks.items()}
        read |= {path: (one.status, one.source.digest) for path, one in plan.archives.items()}
        by_digest = {digest: path for path, (_status, digest) in reversed(read.items())}
        moves = moved_files(snapshot, presence, drives, by_digest)
        moves = {path: move for path, move in moves.items() if path not in plan.remove}
        beside, elsewhere = gone_files(snapshot, presence, drives, roots)
        gone = [path for path in (*beside, *elsewhere) if path not in plan.remove and path not in moves]
        new = {path: digest for path, (status, digest) in read.items() if status == "added"}
        moves |= followed(snapshot, presence, drives, gone, moves, new)
        plan.moved = moves
        plan.remove |= {path: move.reason for path, move in moves.items()}
        plan.missing = MissingFiles(
            gone=tuple(path for path in beside if path not in plan.remove),
            unreachable=tuple(path for path in plan.missing.unreachable if path not in plan.remove),
        )

    def tell_changes(self) -> None:
        """Set the status of each source to read, now that the other sources with its content are known."""
        fresh: dict[str, str] = {}
        for path, task in [*self.plan.tasks.items()]:
            if task.status != "updated":
                task.status, task.reason = self._origin(task.digest, fresh)
            fresh.setdefault(task.digest, path)
        for archive in self.plan.archives.values():
            if archive.status == "added":
                archive.status, origin = self._origin(archive.source.digest, fresh)
                archive.reason = "; ".join(filter(None, [archive.reason, origin]))
            fresh.setdefault(archive.source.digest, archive.source.path)

    def _origin(self, digest: str, fresh: dict[str, str]) -> tuple[Status, str]:
        """Whether a new source is a copy of another, or a moved one. `fresh` remembers one source for each
        content, so that many copies are compared once."""
        if digest in fresh:
            return "duplicate", _("same content as {path}", path=fresh[digest])
        plan, holders = self.plan, self._known.holders(digest)
        for path in holders:
            if path not in plan.remove and self._digest_after(path, digest) == digest:
                fresh[digest] = path
                return "duplicate", _("same content as {path}", path=path)
        gone = [path for path in holders if path in plan.remove]
        return "added", _("moved from {path}", path=gone[0]) if gone else ""

    def _digest_after(self, path: str, digest: str) -> str:
        """The digest after this ingest of a known source whose digest is now `digest`."""
        task, archive = self.plan.tasks.get(path), self.plan.archives.get(path)
        return task.digest if task else archive.source.digest if archive else digest

    def _fail(self, path: str, reason: str, known: Source | None) -> None:
        self.plan.rows[path] = FileResult(path, "failed", known.chunks if known else 0, reason)


def _missing_root(root: Path, under: int) -> KBError:
    """The error for a path that doesn't exist, with the number of known sources there."""
    stay = _(
        "Its {count} sources stay. If it has another name now, ingest that; `kb rm {path}` or --prune"
        " removes them.",
        count=under,
        path=root,
    )
    return KBError(_("{path} doesn't exist.", path=_printable(root)), stay if under else _("Check the path."))


def _relative(path: Path, root: Path) -> str:
    return path.name if path == root else path.relative_to(root).as_posix()


def _exists(path: Path) -> bool:
    """Whether a path exists; False only if certain: an inaccessible file must not look deleted."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG
    return True


def _has_its_name(path: Path) -> bool:
    """Whether a file that is there has exactly this name, even on a case-insensitive system."""
    try:
        return path in path.parent.iterdir()
    except NotADirectoryError:
        return False  # its archive is a file without it now
    except OSError:
        return True


def _printable(path: Path | str) -> str:
    return str(path).encode("utf-8", "backslashreplace").decode()


def _is_printable(path: Path | str) -> bool:
    return _printable(path) == str(path)
