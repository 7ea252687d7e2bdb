"""Finds the files under a folder, always in the same order. Opens only ignore files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pathspec import GitIgnoreSpec

from ingest.archives import is_archive
from ingest.readers import SUFFIXES
from kb_assistant.messages import _, reason_of
from kb_assistant.small_file import decode_text

IGNORE_FILES = (".gitignore", ".kbignore")
_NEVER_WALKED = frozenset(("__pycache__", "node_modules"))
_HOMES_OWN = frozenset((
    *("kbs", "models", "eval", "kb.toml", "access.json", "token-uses.json", "jobs.json", "folders.json"),
    *("shared-links.json", "writer.json", "chats.sqlite", "chats.sqlite-wal", "chats.sqlite-shm"),
))  # fmt: skip
"""What the program keeps in its home, but for uploads, which are documents."""
_LONGEST_IGNORE_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """One file, or a folder that couldn't be walked.

    Attributes:
        path: Its path, below the root as given.
        problem: Why it can't be read, in words; else empty.
        unsupported: No reader for this suffix.
        ignored: Excluded by an ignore file or by include and exclude; nothing else was checked.
    """

    path: Path
    problem: str = ""
    unsupported: bool = False
    ignored: bool = False


@dataclass(frozen=True)
class Choice:
    """Selects files by patterns as in .gitignore, relative to the root. With `include` only matching files are
    selected; `exclude` takes precedence.

    Attributes:
        prune: Remove known files that are now excluded.
        left_out: Files that aren't taken though they are under the root.
        home: Home of knowledge bases; what the program keeps there isn't found on a walk through it.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    prune: bool = False
    home: Path | None = None
    left_out: frozenset[str] = frozenset()

    def leaves_out(self, relative: str, folder: bool = False) -> bool:
        """Whether a file is excluded. For a folder, such as an archive, only `exclude` counts."""
        if self.include and not folder and not self._included.match_file(relative):
            return True
        return self._excluded.match_file(relative)

    @cached_property
    def _included(self) -> GitIgnoreSpec:
        return _spec(self.include)

    @cached_property
    def _excluded(self) -> GitIgnoreSpec:
        return _spec(self.exclude)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder in the walk, with the ignore rules in force: each with its folder, outermost first.

    `whole` is true if everything under it is requested, not only the path to something requested.
    """

    path: Path
    rules: tuple[tuple[Path, GitIgnoreSpec], ...] = ()
    ignored: bool = False
    linked: bool = False
    inside: frozenset[tuple[int, int]] = frozenset()
    whole: bool = True


def discover(root: Path, choice: Choice | None = None, only: Collection[Path] | None = None) -> Iterator[Found]:
    """Every file at or under `root`, folders in name order.

    Hidden files and folders, `__pycache__` and `node_modules` are skipped. `.gitignore` and `.kbignore` apply to
    their folders. Symbolic links are followed; each folder is walked once. Ignore files don't apply to a `root`
    that is a file, because the user named it.

    Args:
        only: Only files at or under one of these paths, all of them under `root`; None for all.
    """
    try:
        status = root.stat()
    except OSError as error:
        yield Found(root, problem=_in_words(error, _("no such file or folder")))
        return
    walk = _Walk(root, choice or Choice(), only)
    if stat.S_ISDIR(status.st_mode):
        yield from walk.folders()
    else:
        yield walk.file(root, ignored=walk.choice.leaves_out(root.name, is_archive(root.name)))


class _Walk:
    def __init__(self, root: Path, choice: Choice, only: Collection[Path] | None) -> None:
        self._root = root
        self.choice = choice
        self._wanted = None if only is None else {str(path) for path in only}
        self._above = {str(folder) for path in only or () for folder in path.parents}
        self._walked: set[tuple[int, int]] = set()
        self._real: set[tuple[int, int]] | None = None
        self._home = _identity(choice.home) if choice.home and choice.home.is_dir() else None

    def folders(self) -> Iterator[Found]:
        """Walk depth first with an explicit stack: folders can be nested deeper than Python recurses."""
        open_folders = [self._contents(_Folder(self._root, whole=self._is_wanted(str(self._root))))]
        while open_folders:
            item = next(open_folders[-1], None)
            if item is None:
                open_folders.pop()
            elif isinstance(item, _Folder):
                open_folders.append(self._contents(item))
            else:
                yield item

    def _contents(self, folder: _Folder) -> Iterator[_Folder | Found]:
        try:
            identity = _identity(folder.path)
            if folder.linked and (problem := self._link_problem(folder, identity)):
                yield Found(folder.path, problem=problem, ignored=folder.ignored)
                return
            with os.scandir(folder.path) as entries:
                concerned = [entry for entry in entries if folder.whole or self._concerns(entry.path)]
            if identity == self._home:
                concerned = [entry for entry in concerned if entry.name not in _HOMES_OWN]
        except OSError as error:
            yield Found(folder.path, problem=_in_words(error, _("vanished while it was being read")))
            return
        self._walked.add(identity)
        rules = folder.rules
        for name in IGNORE_FILES if not folder.ignored else ():
            try:
                rules += _rules(folder.path, name)
            except OSError as error:
                yield Found(folder.path / name, problem=_in_words(error, ""))
        inside = folder.inside | {identity}
        here = _Folder(folder.path, rules, folder.ignored, inside=inside, whole=folder.whole)
        concerned.sort(key=lambda entry: entry.name)
        yield from (found for entry in concerned if (found := self._entry(here, entry)))

    def _entry(self, folder: _Folder, entry: os.DirEntry[str]) -> _Folder | Found | None:
        if is_hidden(entry.name):
            return None
        path = folder.path / entry.name
        if not _is_utf8(entry.name):
            return Found(path, problem=_("file name is not valid UTF-8"))
        is_folder = _is_folder(entry)
        ignored = folder.ignored or _is_ignored(folder.rules, path, is_folder)
        if not is_folder:
            left_out = self.choice.leaves_out(path.relative_to(self._root).as_posix(), is_archive(path.name))
            return self.file(path, ignored or left_out or str(path) in self.choice.left_out)
        whole = folder.whole or self._is_wanted(entry.path)
        return _Folder(path, folder.rules, ignored, entry.is_symlink(), folder.inside, whole)

    def _is_wanted(self, path: str) -> bool:
        return self._wanted is None or path in self._wanted

    def _concerns(self, path: str) -> bool:
        return self._is_wanted(path) or path in self._above

    def _link_problem(self, folder: _Folder, identity: tuple[int, int]) -> str:
        """Why a link isn't followed, as the walk meets its folder under its own name anyway; else ""."""
        if self._real is None:
            self._real = _real_folders(self._root)
        if identity in folder.inside:
            return _("symbolic link loop")
        if identity in self._real or identity in self._walked:
            return _("symbolic link to a folder that is read already")
        return ""

    def file(self, path: Path, ignored: bool) -> Found:
        if ignored:
            return Found(path, ignored=True)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            return Found(path, problem=_in_words(error, _("broken symbolic link")))
        if not stat.S_ISREG(mode):
            return Found(path, problem=_("not a regular file"))
        if path.suffix.lower() not in SUFFIXES and not is_archive(path.name):
            return Found(path, unsupported=True)
        return Found(path, problem="" if os.access(path, os.R_OK) else _("no permission to read it"))


def is_hidden(name: str) -> bool:
    """Whether files and folders of this name are skipped."""
    return name.startswith(".") or name in _NEVER_WALKED


def is_homes_own(path: Path, home: Path) -> bool:
    """Whether the program keeps this path in its home."""
    return path.is_relative_to(home) and not _HOMES_OWN.isdisjoint(path.relative_to(home).parts[:1])


def _real_folders(root: Path) -> set[tuple[int, int]]:
    """Identities of the folders that the walk reaches without following a link."""
    found, waiting = {_identity(root)}, [root]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if not is_hidden(entry.name) and entry.is_dir(follow_symlinks=False):
                        found.add(_identity(Path(entry.path)))
                        waiting.append(Path(entry.path))
        except OSError:
            continue  # the walk itself reports it
    return found


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a broken link: reported as a file


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rules(folder: Path, name: str) -> tuple[tuple[Path, GitIgnoreSpec], ...]:
    """The folder's ignore file, if any. Only regular files count, because a pipe of that name would never end."""
    path = folder / name
    try:
        if not path.is_file():
            return ()
        with path.open("rb") as file:
            data = file.read(_LONGEST_IGNORE_FILE)
    except FileNotFoundError:
        return ()
    try:
        text = decode_text(data)
    except ValueError:
        text = data.decode("gb18030", "replace")  # the patterns in ASCII hold, whatever the encoding
    return ((folder, _spec(text.splitlines())),)


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    """Parse patterns like git: an invalid one matches nothing and doesn't affect the others."""
    good = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        good.append(line)
    return GitIgnoreSpec.from_lines(good)


def _is_ignored(rules: tuple[tuple[Path, GitIgnoreSpec], ...], path: Path, is_folder: bool) -> bool:
    """Apply the ignore files: the innermost one with a rule for the path decides."""
    for folder, spec in reversed(rules):
        relative = path.relative_to(folder).as_posix() + ("/" if is_folder else "")
        verdict = spec.check_file(relative).include
        if verdict is not None:
            return verdict
    return False


def _in_words(error: OSError, missing: str) -> str:
    if isinstance(error, FileNotFoundError) and missing:
        return missing
    if isinstance(error, PermissionError):
        return _("no permission to read it")
    if error.errno == errno.ELOOP:
        return _("symbolic link loop")
    return reason_of(error)
