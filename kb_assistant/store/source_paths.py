"""Which sources are meant by the paths and names that a user gives."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from kb_assistant.store.records import DOCUMENT_PREFIX


def given_paths(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """One path or several, with the user's home in place of ~."""
    roots = [paths] if isinstance(paths, str | Path) else paths
    return [expanded(root) for root in roots]


def expanded(path: str | Path) -> Path:
    """The path with the user's home in place of ~; a name such as ~draft.md stays."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no such user
        return Path(path)


def named_sources(roots: Sequence[str | Path], known: Sequence[str]) -> list[str]:
    """The known sources that are a root, lie under one, or are documents of its name."""
    chosen = {path for root in roots for path in (_files_at(root, known) or _documents_named(root, known))}
    return [path for path in known if path in chosen]


def _files_at(root: str | Path, known: Sequence[str]) -> list[str]:
    if str(root).startswith("s3://"):
        return [path for path in known if path == root or path.startswith(f"{str(root).rstrip('/')}/")]
    folder = os.path.abspath(expanded(root))  # noqa: PTH100 - links stay
    below = folder.rstrip(os.sep) + os.sep
    return [path for path in known if path in (str(root), folder) or path.startswith(below)]


def _documents_named(root: str | Path, known: Sequence[str]) -> list[str]:
    """Documents without a file of this name, in whatever Unicode normal form it is typed."""
    name = unicodedata.normalize("NFC", str(root))
    names = {name, f"{DOCUMENT_PREFIX}{name}"}
    return [
        path for path in known
        if path.startswith(DOCUMENT_PREFIX) and unicodedata.normalize("NFC", path) in names
    ]  # fmt: skip
