"""The lease of a worker, renewed by a thread as long as the worker lives."""

from __future__ import annotations

import os
import platform
import threading
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kb_assistant.errors import StoreError

if TYPE_CHECKING:
    from kb_assistant.store.postgres_work import WorkTable


class WorkLease:
    """Says that a worker is alive; a context manager.

    Args:
        seconds: How long others believe it without hearing of it again.
    """

    def __init__(self, table: WorkTable, worker: str, seconds: float) -> None:
        self._table, self._worker, self._seconds = table, worker, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_on, name="lease", daemon=True)

    def renew(self) -> None:
        """Renew it now.

        Raises:
            StoreError: the server can't be reached.
        """
        self._table.renew(self._worker, platform.node() or "?", os.getpid(), self._seconds)

    def _renew_on(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            with suppress(StoreError):  # the server may come back in time
                self.renew()

    def __enter__(self) -> Self:
        self.renew()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()  # or it might begin anew what was just ended
