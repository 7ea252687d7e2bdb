"""The knowledge bases of a home: list, make, rename and delete them."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from kb_assistant.errors import SettingsError, StoreError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store import KnowledgeStore
from kb_assistant.workspace.folders import delete_uploads

ATTACHED = "chat."
"""How the names of those begin that hold the files of one conversation; they are listed nowhere."""

_STORE = "kb.sqlite"
_GONE = ".deleted-"


def list_bases(settings: Settings) -> list[str]:
    """Names of the knowledge bases in the settings' home, in order, without those that can't be opened."""
    return [name for name in _names(settings) if not name.startswith(ATTACHED) and _is_name(settings, name)]


def list_attached(settings: Settings) -> list[str]:
    """Names of those that hold the files of one conversation."""
    return [name for name in _names(settings) if name.startswith(ATTACHED) and _is_name(settings, name)]


def odd_names(settings: Settings) -> list[str]:
    """Folders that hold a knowledge base under a name that none can have, so that nothing opens it."""
    return [name for name in _names(settings) if not _is_name(settings, name)]


def _names(settings: Settings) -> list[str]:
    return sorted(file.parent.name for file in (settings.home / "kbs").glob(f"[!.]*/{_STORE}"))


def _is_name(settings: Settings, name: str) -> bool:
    try:
        settings.but(kb=name)
    except SettingsError:
        return False
    return True


def exists(settings: Settings) -> bool:
    """Whether the knowledge base that the settings name is there."""
    return (settings.kb_dir / _STORE).exists()


def create_base(settings: Settings) -> None:
    """Make the knowledge base that the settings name, empty.

    Raises:
        StoreError: it is there already, or can't be written.
    """
    if exists(settings):
        raise StoreError(
            _("There is a knowledge base {name!r} already.", name=settings.kb), _("Choose another name.")
        )
    KnowledgeStore(settings.kb_dir / _STORE, create=True).close()


def rename_base(settings: Settings, name: str) -> None:
    """Give the knowledge base that the settings name another name. Close it first.

    Raises:
        SettingsError: that can't be a name.
        StoreError: there is none, or there is one of that name.
        BusyError: somebody writes to it.
    """
    new = settings.but(kb=name)
    if not exists(settings):
        raise StoreError(_("There is no knowledge base {name!r}.", name=settings.kb), _("Make it first."))
    if new.kb_dir.exists():
        raise StoreError(_("There is a knowledge base {name!r} already.", name=name), _("Choose another name."))
    with writing(settings.kb_dir, settings.lock_seconds):
        _move(settings.kb_dir, new.kb_dir)


def delete_base(settings: Settings) -> None:
    """Delete the knowledge base that the settings name, with the files uploaded to it. Close it first.

    A kill leaves it whole or gone, and so does an error; what is left of one that is gone goes with the next that
    is deleted.

    Raises:
        StoreError: it can't be deleted.
        BusyError: somebody writes to it.
    """
    folder = settings.home / "kbs"
    if settings.kb_dir.exists():
        with writing(settings.kb_dir, settings.lock_seconds):
            _move(settings.kb_dir, folder / f"{_GONE}{uuid.uuid4().hex}")
    for left in folder.glob(f"{_GONE}*"):
        delete_uploads(settings, left)
        shutil.rmtree(left, ignore_errors=True)


def _move(old: Path, new: Path) -> None:
    try:
        old.rename(new)
    except OSError as error:
        raise StoreError(
            _("{path} can't be moved: {reason}.", path=old, reason=error),
            _("Check the folder's permissions."),
        ) from error
