"""Finds the files of an ingest, and decides which have to be read."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from ingest.archives import MemberPlace, is_archive
from ingest.discover import Choice, Found, discover
from ingest.plan.known import Known, is_printable, printable
from ingest.plan.result import Plan, Task, cut_recipe, kept_note, unreadable
from ingest.sandbox.pool import hash_file
from kb_assistant.errors import KBError
from kb_assistant.messages import _, join
from kb_assistant.settings import Settings
from kb_assistant.store import Source
from kb_assistant.types import FileResult


class FilePlanner:
    """Finds files and decides about each that isn't an archive.

    Attributes:
        plan: What is decided.
        scopes: The places that were searched whole.
        closed: Starts of paths below which nothing can be seen now: their sources stay.
        archives: The archives found, each with the root that it was found under.
    """

    def __init__(self, known: Known, choice: Choice, recipe: str, settings: Settings) -> None:
        self.plan = Plan()
        self.known, self.choice, self.recipe, self.settings = known, choice, recipe, settings
        self.scopes: list[str] = []
        self.closed: list[str] = []
        self.archives: dict[str, Path] = {}

    def look_at(self, root: Path, changed: Sequence[Path] | None) -> None:
        """Find the files at or under `root`, and decide about each that isn't an archive."""
        absolute = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow links
        there = _exists(absolute)
        if not there and changed is None:
            under = sum(1 for _ in self.known.under(str(absolute))) if is_printable(absolute) else 0
            if not (self.choice.prune and under):
                raise _missing_root(root, under)
        if not is_printable(absolute):
            raise KBError(
                _("{path} is no valid UTF-8 name.", path=printable(root)),
                _("Rename it, then run the command again."),
            )
        only = None if changed is None else [path for path in changed if path.is_relative_to(absolute)]
        self.scopes += [str(absolute)] if only is None else map(str, only)
        for item in discover(absolute, self.choice, only) if there and only != [] else ():
            self._decide(item, absolute)

    def _decide(self, item: Found, root: Path) -> None:
        """Add a row if the file needs no reading, else add it to the files to read or list."""
        path = str(item.path)
        if path in self.plan.rows or path in self.plan.tasks or path in self.archives:
            return
        if item.problem:
            known = self.known.source(path)
            self.closed.append(f"{path}{os.sep}")
            self.fail(printable(path), join((item.problem, kept_note(known)), "; "), known)
        elif item.ignored:
            self.keep_left_out(path)
        elif item.unsupported and item.path != root and not self._holds(path):
            # A file named explicitly is read anyway: it may be text, or recognised by its bytes.
            self.plan.skipped[item.path.suffix.lower() or "no suffix"] += 1
        elif is_archive(item.path.name):
            self.archives[path] = root
        else:
            self._look_at_file(item.path)

    def _holds(self, path: str) -> bool:
        known = self.known.source(path)
        return known is not None and known.chunks > 0

    def keep_left_out(self, path: str) -> None:
        """Add rows for the known sources at a path that is left out, unless they are to be pruned."""
        if self.choice.prune:
            return
        reason = _("left out by filters or ignore files, kept in the index; --prune removes it")
        for known in self.known.under(path) if is_archive(path) else filter(None, [self.known.source(path)]):
            self.plan.rows[known.path] = FileResult(known.path, "unchanged", known.chunks, reason)

    def _look_at_file(self, path: Path) -> None:
        try:
            digest, size = hash_file(path)
        except OSError as error:
            known = self.known.source(str(path))
            self.fail(str(path), unreadable(error, known), known)
            return
        self.look_at_content(str(path), digest, size, str(path))

    def look_at_content(
        self, path: str, digest: str, size: int, file: str, places: tuple[MemberPlace, ...] = ()
    ) -> None:
        """Add a row if the content is known already, else add it to the sources to read."""
        known = self.known.source(path)
        limits = self.settings.ocr_pages, self.settings.ocr_seconds
        recipes = (self.recipe, cut_recipe(self.recipe, *limits))
        if known and known.digest == digest and known.recipe in recipes and not known.failed:
            self.plan.rows[path] = FileResult(path, "unchanged", known.chunks, known.reason)
        else:
            self.plan.tasks[path] = Task("updated" if known else "added", "", digest, size, file, places)

    def fail(self, path: str, reason: str, known: Source | None) -> None:
        self.plan.rows[path] = FileResult(path, "failed", known.chunks if known else 0, reason)


def _missing_root(root: Path, under: int) -> KBError:
    """The error for a path that doesn't exist, with the number of known sources there."""
    stay = _(
        "Its {count} sources stay. If it has another name now, ingest that; `kb rm {path}` or --prune"
        " removes them.",
        count=under,
        path=root,
    )
    return KBError(_("{path} doesn't exist.", path=printable(root)), stay if under else _("Check the path."))


def relative(path: Path, root: Path) -> str:
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
