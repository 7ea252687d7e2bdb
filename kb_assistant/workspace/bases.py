"""The knowledge bases of a home: list, create, rename and delete them."""

from __future__ import annotations

import shutil
import uuid
from contextlib import closing
from pathlib import Path

from kb_assistant.errors import SettingsError, StoreError, hint_for
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store import KnowledgeStore
from kb_assistant.store.opening import exists as is_there
from kb_assistant.store.opening import is_on_server, names, open_store, postgres
from kb_assistant.workspace.folders import delete_uploads

ATTACHED = "chat."
"""Name prefix of the knowledge bases with the files of one conversation; they are never listed."""

_GONE = ".deleted-"


def list_bases(settings: Settings) -> list[str]:
    """Sorted names of the knowledge bases in the settings' home, without those that can't be opened."""
    return [name for name in _names(settings) if not name.startswith(ATTACHED) and _is_name(settings, name)]


def list_attached(settings: Settings) -> list[str]:
    """Names of the knowledge bases with the files of one conversation."""
    return [name for name in _names(settings) if name.startswith(ATTACHED) and _is_name(settings, name)]


def odd_names(settings: Settings) -> list[str]:
    """Folders with a knowledge base under an invalid name, which nothing can open."""
    return [name for name in _names(settings) if not _is_name(settings, name)]


def _names(settings: Settings) -> list[str]:
    return names(settings.store, settings.home / "kbs")


def _is_name(settings: Settings, name: str) -> bool:
    try:
        settings.but(kb=name)
    except SettingsError:
        return False
    return True


def exists(settings: Settings) -> bool:
    """Whether the knowledge base named by the settings exists."""
    return is_there(settings.store, settings.kb_dir, settings.kb)


def is_listed(settings: Settings, name: str) -> bool:
    """Whether `list_bases` has this name."""
    return not name.startswith(ATTACHED) and _is_name(settings, name) and exists(settings.but(kb=name))


def create_base(settings: Settings) -> None:
    """Create the knowledge base named by the settings, empty.

    Raises:
        StoreError: it exists already, or can't be written.
    """
    if exists(settings):
        raise StoreError(
            _("There is a knowledge base {name!r} already.", name=settings.kb), _("Choose another name.")
        )
    _open(settings, create=True).close()


def rename_base(settings: Settings, name: str) -> None:
    """Rename the knowledge base named by the settings. Close it first.

    Raises:
        SettingsError: the new name isn't valid.
        StoreError: it doesn't exist, or the new name is taken.
        BusyError: it is being written.
    """
    new = settings.but(kb=name)
    if not exists(settings):
        raise StoreError(_("There is no knowledge base {name!r}.", name=settings.kb), _("Make it first."))
    served = is_on_server(settings.store)
    if exists(new) if served else new.kb_dir.exists():
        raise StoreError(_("There is a knowledge base {name!r} already.", name=name), _("Choose another name."))
    with closing(_open(settings)) as store, store.writing(settings.lock_seconds):
        if served:
            postgres("catalogue").rename_in(settings.store, settings.kb, name)
            _set_aside(new)  # what a knowledge base of this name left on this machine
        _move(settings.kb_dir, new.kb_dir)


def delete_base(settings: Settings) -> None:
    """Delete the knowledge base named by the settings, with the files uploaded to it. Close it first.

    A kill or an error leaves it complete or deleted; leftovers of a deleted one are removed by the next deletion.

    Raises:
        StoreError: it can't be deleted.
        BusyError: it is being written.
    """
    if is_on_server(settings.store) and exists(settings):
        with closing(_open(settings)) as store, store.writing(settings.lock_seconds):
            postgres("catalogue").drop_in(settings.store, settings.kb)
    if is_on_server(settings.store):
        for left in postgres("catalogue").left_in(settings.store):
            delete_uploads(settings, left)
            postgres("catalogue").forget_in(settings.store, left)
    if settings.kb_dir.exists():
        with writing(settings.kb_dir, settings.lock_seconds):
            _set_aside(settings)
    for left in (settings.home / "kbs").glob(f"{_GONE}*"):
        if not is_on_server(settings.store):
            delete_uploads(settings, f"kbs/{left.name}")
        shutil.rmtree(left, ignore_errors=True)


def _open(settings: Settings, create: bool = False) -> KnowledgeStore:
    return open_store(settings.store, settings.kb_dir, settings.kb, create)


def _set_aside(settings: Settings) -> None:
    """Move the folder of a knowledge base, if there is one, to where the next deletion finds it."""
    if settings.kb_dir.exists():
        _move(settings.kb_dir, settings.home / "kbs" / f"{_GONE}{uuid.uuid4().hex}")


def _move(old: Path, new: Path) -> None:
    try:
        old.rename(new)
    except OSError as error:
        raise StoreError(
            _("{path} can't be moved: {reason}.", path=old, reason=error),
            hint_for(error, _("Check the folder's permissions.")),
        ) from error
