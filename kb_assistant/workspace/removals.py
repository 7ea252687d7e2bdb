"""Sources that are removed in such a way that they can be brought back for a while."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.errors import StoreError
from kb_assistant.messages import _
from kb_assistant.workspace import folders

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.settings import Settings

KEPT_H = 24
"""Hours for which removed uploads are kept."""

_FOLDER = ".removed"


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed.

    Attributes:
        id: Name of the folder where its uploads are kept.
        paths: All its sources.
    """

    id: str
    paths: tuple[str, ...]


def remove_sources(base: KnowledgeBase, paths: Sequence[str]) -> Removal:
    """Remove sources, and put their files aside if they were uploaded; other files stay where they are, and aren't
    synchronized any more."""
    done = Removal(uuid.uuid4().hex, tuple(paths))
    uploads = folders.folders_of(base.settings).uploads
    folders.leave_out(base.settings, [path for path in map(Path, paths) if path.is_file()])
    base.forget_sources(paths)
    for path in _uploaded(uploads, paths):
        _move(path, uploads / _FOLDER / done.id / path.relative_to(uploads))
    return done


def bring_back(base: KnowledgeBase, done: Removal) -> list[Path]:
    """Put the uploads of a removal back. Returns the files that are to be read again: those that are there.

    A file that was uploaded under the same name since stays.
    """
    folders.take_in(base.settings, map(Path, done.paths))
    uploads = folders.folders_of(base.settings).uploads
    aside = uploads / _FOLDER / Path(done.id).name
    for path in _uploaded(uploads, done.paths):
        kept = aside / path.relative_to(uploads)
        if kept.exists() and not path.exists():
            _move(kept, path)
    shutil.rmtree(aside, ignore_errors=True)
    return [path for path in map(Path, done.paths) if path.exists()]


def delete_old_removals(settings: Settings) -> None:
    """Delete for good what was removed long ago, in all knowledge bases of the home."""
    for aside in settings.uploads_dir.glob(f"*/{_FOLDER}/*"):
        with suppress(OSError):
            if aside.stat().st_mtime < time.time() - KEPT_H * 3600:
                shutil.rmtree(aside)


def _uploaded(uploads: Path, paths: Sequence[str]) -> list[Path]:
    return [path for path in map(Path, paths) if path.is_relative_to(uploads) and ".." not in path.parts]


def _move(path: Path, to: Path) -> None:
    """
    Raises:
        StoreError: it can't be moved.
    """
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        path.replace(to)
    except FileNotFoundError:  # the user deleted it before
        return
    except OSError as error:
        raise StoreError(
            _("{path} can't be moved: {reason}.", path=path.name, reason=error), _("Try again.")
        ) from error
