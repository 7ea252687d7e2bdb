"""The knowledge bases of a home: list, make, rename and delete them."""

from __future__ import annotations

import shutil
import uuid

from kb_assistant.errors import StoreError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.store import KnowledgeStore

ATTACHED = "chat."
"""How the names of those begin that hold the files of one conversation; they are listed nowhere."""

_STORE = "kb.sqlite"
_GONE = ".deleted-"


def list_bases(settings: Settings) -> list[str]:
    """Names of the knowledge bases in the settings' home, in order."""
    folder = settings.home / "kbs"
    found = (file.parent.name for file in folder.glob(f"[!.]*/{_STORE}"))
    return sorted(name for name in found if not name.startswith(ATTACHED))


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
        settings.kb_dir.rename(new.kb_dir)


def delete_base(settings: Settings) -> None:
    """Delete the knowledge base that the settings name, with the files uploaded to it. Close it first.

    A kill leaves it whole or gone; what is left of one that is gone goes with the next that is deleted.

    Raises:
        StoreError: it can't be deleted.
        BusyError: somebody writes to it.
    """
    folder = settings.home / "kbs"
    if settings.kb_dir.exists():
        with writing(settings.kb_dir, settings.lock_seconds):
            settings.kb_dir.rename(folder / f"{_GONE}{uuid.uuid4().hex}")
    for left in folder.glob(f"{_GONE}*"):
        shutil.rmtree(left, ignore_errors=True)
