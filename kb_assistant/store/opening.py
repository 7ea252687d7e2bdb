"""Which store a knowledge base has, and what a home keeps, by the setting `store`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from kb_assistant.errors import StoreError
from kb_assistant.messages import _
from kb_assistant.store.home import HomeStore
from kb_assistant.store.knowledge_store import KnowledgeStore
from kb_assistant.store.local_home import LocalHome
from kb_assistant.store.sqlite_store import SQLiteStore

FILE = "kb.sqlite"
"""Name of the file of a knowledge base in its folder."""


def is_on_server(store: str) -> bool:
    """Whether the setting names a server."""
    return store != "sqlite"


def open_store(store: str, folder: Path, name: str, create: bool = False) -> KnowledgeStore:
    """The store of a knowledge base.

    Args:
        store: The setting: "sqlite", or the address of a PostgreSQL database.
        folder: The knowledge base's, on this machine.
        name: The knowledge base's, on the server.
        create: Whether it is created if it doesn't exist.

    Raises:
        StoreError: it is missing, damaged or of a newer version, or can't be reached.
    """
    if not is_on_server(store):
        return SQLiteStore(folder / FILE, create)
    opened: KnowledgeStore = postgres("store").PostgresStore(store, name, folder, create)
    return opened


def open_home(store: str, folder: Path) -> HomeStore:
    """What a home keeps, by the setting `store`.

    Args:
        folder: The home.

    Raises:
        StoreError: what speaks to the server isn't installed.
    """
    if not is_on_server(store):
        return LocalHome(folder)
    opened: HomeStore = postgres("home").open_postgres_home(store)
    return opened


def exists(store: str, folder: Path, name: str) -> bool:
    """Whether there is such a knowledge base.

    Raises:
        StoreError: the server can't be reached.
    """
    return name in names(store, folder.parent) if is_on_server(store) else (folder / FILE).exists()


def names(store: str, folder: Path) -> list[str]:
    """The names of all knowledge bases; `folder` is the one that holds theirs on this machine."""
    if is_on_server(store):
        found: list[str] = postgres("catalogue").names_in(store)
        return found
    return sorted(file.parent.name for file in folder.glob(f"[!.]*/{FILE}"))


def changes(store: str, stop: Callable[[], bool]) -> Iterator[set[str] | None]:
    """The names of the knowledge bases that change on a server, until stopped; None for any. Nothing for files."""
    if is_on_server(store):
        yield from postgres("changes").changes_in(store, stop)


def postgres(module: str) -> ModuleType:
    """A module that needs psycopg.

    Raises:
        StoreError: it isn't installed.
    """
    from importlib import import_module

    try:
        return import_module(f"kb_assistant.store.postgres_{module}")
    except ImportError as error:
        raise StoreError(
            _(
                "The store is on a PostgreSQL server, and what speaks to it isn't installed: {reason}.",
                reason=error,
            ),
            _('pip install "kb-assistant[postgres]"'),
        ) from error
