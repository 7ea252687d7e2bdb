"""The store of one knowledge base, opened when it is first used and held open."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from kb_assistant.errors import BusyError, StoreError
from kb_assistant.lock import survive_forks
from kb_assistant.store.compatibility import open_for_writing
from kb_assistant.store.knowledge_store import KnowledgeStore
from kb_assistant.store.opening import exists, open_store
from kb_assistant.text import analyzer as keywords

_log = logging.getLogger(__name__)


class HeldStore:
    """Opens a store, and keeps it until it is closed. Threads may share it.

    Args:
        store, folder, name: As for `open_store`.
    """

    def __init__(self, store: str, folder: Path, name: str) -> None:
        self._where = store, folder, name
        self._store: KnowledgeStore | None = None
        self._fitting: tuple[KnowledgeStore, str] | None = None
        self._lock = threading.RLock()
        survive_forks(self)

    def before_fork(self) -> None:
        """Do nothing: stores prepare themselves."""

    def after_fork(self) -> None:
        """Create a new lock in a forked child."""
        self._lock = threading.RLock()

    @property
    def exists(self) -> bool:
        """Whether there is such a knowledge base.

        Raises:
            StoreError: the server can't be reached.
        """
        return exists(*self._where)

    def open(self, create: bool = False) -> KnowledgeStore:
        """The store.

        Args:
            create: Whether it is created if it doesn't exist.

        Raises:
            StoreError: it is missing, damaged or of a newer version, or can't be reached.
        """
        with self._lock:
            if self._store is None:
                self._store = open_store(*self._where, create)
            return self._store

    def create(self) -> KnowledgeStore:
        """The store, created if it doesn't exist; see `open`."""
        return self.open(create=True)

    def if_any(self) -> KnowledgeStore | None:
        """The store; None if there is none yet."""
        return self.open() if self.exists else None

    def close(self) -> None:
        """Close it; the next use opens it again."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:  # without the lock: closing waits for readers, which may need it
            store.close()

    def renew_keywords(self) -> None:
        """Rebuild a keyword index of an older version, unless another process writes: it may be rebuilding it.
        Until then, searches are dense only."""
        fitting = store, _rules = self.open(), keywords.analyzer_version()
        if fitting == self._fitting:  # what others write since, each search sees
            return
        with store.read() as snapshot:
            if snapshot.keywords_fit:
                self._fitting = fitting
                return
        try:
            with open_for_writing(self.open(), patience=0):
                pass
        except (BusyError, StoreError) as error:
            _log.warning("Searching by meaning alone, words can't be indexed anew now: %s", error.message)
