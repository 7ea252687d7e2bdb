"""Finds the files under a folder, in the same order each time. Opens none of them but ignore files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from ingest.readers import SUFFIXES

IGNORE_FILES = (".gitignore", ".kbignore")
_NEVER_WALKED = frozenset(("__pycache__", "node_modules"))
_LONGEST_IGNORE_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """One file, or a folder that couldn't be walked.

    Attributes:
        path: Where it is, below the root as it was given.
        problem: Why it can't be read, in words; empty where it can.
        unsupported: No reader for this suffix.
        ignored: Left out by an ignore file or by include and exclude; nothing else was asked about it.
    """

    path: Path
    problem: str = ""
    unsupported: bool = False
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder in the walk, with the ignore rules in force: each with the folder it stands in, outermost first."""

    path: Path
    rules: tuple[tuple[Path, GitIgnoreSpec], ...] = ()
    ignored: bool = False
    linked: bool = False
    inside: frozenset[tuple[int, int]] = frozenset()


def discover(root: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> Iterator[Found]:
    """Every file at or under `root`, folders in name order.

    Hidden files and folders, `__pycache__` and `node_modules` are passed over. `.gitignore` and `.kbignore` hold
    in their folders; `include` and `exclude` are patterns of the same kind, relative to `root`. With `include`
    only what matches counts; `exclude` wins. Symbolic links are followed, each folder is walked once.
    A `root` that is a file was named by the user, so ignore files don't apply to it.
    """
    try:
        status = root.stat()
    except OSError as error:
        yield Found(root, problem=_in_words(error, "no such file or folder"))
        return
    walk = _Walk(root, include, exclude)
    if stat.S_ISDIR(status.st_mode):
        yield from walk.folders()
    else:
        yield walk.file(root, ignored=walk.left_out(root.name))


class _Walk:
    def __init__(self, root: Path, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._root = root
        self._include = _spec(include) if include else None
        self._exclude = _spec(exclude)
        self._walked: set[tuple[int, int]] = set()
        self._real: set[tuple[int, int]] | None = None

    def left_out(self, relative: str) -> bool:
        if self._include is not None and not self._include.match_file(relative):
            return True
        return self._exclude.match_file(relative)

    def folders(self) -> Iterator[Found]:
        """Depth first, with a stack of our own: folders can be nested deeper than Python recurses."""
        waiting: list[_Folder | Found] = [_Folder(self._root)]
        while waiting:
            item = waiting.pop()
            if isinstance(item, _Folder):
                waiting += reversed(self._contents(item))
            else:
                yield item

    def _contents(self, folder: _Folder) -> list[_Folder | Found]:
        try:
            identity = _identity(folder.path)
            if folder.linked and (problem := self._link_problem(folder, identity)):
                return [Found(folder.path, problem=problem, ignored=folder.ignored)]
            with os.scandir(folder.path) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            return [Found(folder.path, problem=_in_words(error, "vanished while it was being read"))]
        self._walked.add(identity)
        rules, problems = folder.rules, []
        for name in IGNORE_FILES if not folder.ignored else ():
            try:
                rules += _rules(folder.path, name)
            except OSError as error:
                problems.append(Found(folder.path / name, problem=_in_words(error, "")))
        here = _Folder(folder.path, rules, folder.ignored, inside=folder.inside | {identity})
        return [*problems, *(found for entry in ordered if (found := self._entry(here, entry)))]

    def _entry(self, folder: _Folder, entry: os.DirEntry[str]) -> _Folder | Found | None:
        if entry.name.startswith(".") or entry.name in _NEVER_WALKED:
            return None
        path = folder.path / entry.name
        if not _is_utf8(entry.name):
            return Found(path, problem="file name is not valid UTF-8")
        is_folder = _is_folder(entry)
        ignored = folder.ignored or _is_ignored(folder.rules, path, is_folder)
        if not is_folder:
            return self.file(path, ignored or self.left_out(path.relative_to(self._root).as_posix()))
        return _Folder(path, folder.rules, ignored, entry.is_symlink(), folder.inside)

    def _link_problem(self, folder: _Folder, identity: tuple[int, int]) -> str:
        """A link to a folder that the walk meets under its own name anyway isn't followed."""
        if self._real is None:
            self._real = _real_folders(self._root)
        if identity in folder.inside:
            return "symbolic link loop"
        if identity in self._real or identity in self._walked:
            return "symbolic link to a folder that is read already"
        return ""

    def file(self, path: Path, ignored: bool) -> Found:
        if ignored:
            return Found(path, ignored=True)
        try:
            mode = path.stat().st_mode
        except OSError as error:
            return Found(path, problem=_in_words(error, "broken symbolic link"))
        if not stat.S_ISREG(mode):
            return Found(path, problem="not a regular file")
        if path.suffix.lower() not in SUFFIXES:
            return Found(path, unsupported=True)
        return Found(path, problem="" if os.access(path, os.R_OK) else "no permission to read it")


def _real_folders(root: Path) -> set[tuple[int, int]]:
    """Identities of the folders that the walk reaches without following a link."""
    found, waiting = {_identity(root)}, [root]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    hidden = entry.name.startswith(".") or entry.name in _NEVER_WALKED
                    if not hidden and entry.is_dir(follow_symlinks=False):
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
        return False  # a link that leads nowhere: told as a file


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rules(folder: Path, name: str) -> tuple[tuple[Path, GitIgnoreSpec], ...]:
    """The folder's ignore file, if it has one. A pipe of that name would never end, so only plain files count."""
    path = folder / name
    try:
        if not path.is_file():
            return ()
        with path.open("rb") as file:
            text = file.read(_LONGEST_IGNORE_FILE).decode("utf-8-sig", "replace")
    except FileNotFoundError:
        return ()
    return ((folder, _spec(text.splitlines())),)


def _spec(lines: Iterable[str]) -> GitIgnoreSpec:
    """Patterns as git reads them: one that makes no sense matches nothing and spoils no other."""
    good = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        good.append(line)
    return GitIgnoreSpec.from_lines(good)


def _is_ignored(rules: tuple[tuple[Path, GitIgnoreSpec], ...], path: Path, is_folder: bool) -> bool:
    """The innermost ignore file that says anything about the path decides."""
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
        return "no permission to read it"
    if error.errno == errno.ELOOP:
        return "symbolic link loop"
    return (error.strerror or str(error)).lower()
