"""What everything else asks of a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from kb_assistant.errors import LostConnection
from kb_assistant.store.snapshot import Snapshot
from kb_assistant.store.transaction import Transaction

T = TypeVar("T")

_ATTEMPTS = 3


class KnowledgeStore(Protocol):
    """One knowledge base: sources, chunks, texts, vectors and keyword postings. Threads may share it.

    Attributes:
        place: As in Database.
    """

    place: Path | str

    def require(self) -> None:
        """Check that it is there.

        Raises:
            StoreError: it was deleted, or never existed.
        """

    def read(self) -> AbstractContextManager[Snapshot]:
        """A consistent view: later commits appear in the next one.

        Raises:
            StoreError: it can't be read.
        """

    def write(self, embedder: Mapping[str, str | int] | None = None) -> AbstractContextManager[Transaction]:
        """One transaction: committed as a whole, or, after an error or a kill, not at all.

        Args:
            embedder: Fingerprint of the model whose vectors are written; without it no vectors are accepted.
        """

    def writing(self, patience: float) -> AbstractContextManager[None]:
        """Hold the writer's lock over several transactions. The thread that holds it may acquire it again.

        Args:
            patience: Seconds to wait for one other writer; 0 doesn't wait at all.

        Raises:
            BusyError: another process, or another thread of this one, still writes after that time.
        """

    def close(self) -> None:
        """Close all connections, those in use as soon as they no longer are. A later read opens a new one."""


def persistently(work: Callable[[], T]) -> T:
    """Do what is one transaction, or may be done twice, again where the server went away meanwhile.

    Raises:
        LostConnection: the server stays away.
    """
    for _attempt in range(_ATTEMPTS - 1):
        try:
            return work()
        except LostConnection:
            pass  # the store waits for the server when it next begins
    return work()
