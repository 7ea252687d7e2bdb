"""Connections of uvicorn that end where a request's head doesn't come: it waits for ever by itself, and as many
connections as the process may have open files would bar everybody else."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_SECONDS = 30.0
"""In which a connection's first request must have begun, or the next one after an answer."""


class PatientProtocol(AutoHTTPProtocol):  # type: ignore[valid-type, misc]
    """One connection."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._await_head()

    def _await_head(self) -> None:
        if self._late:
            self._late.cancel()
        self._late = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._drop, self.cycle)

    def _drop(self, last: object) -> None:
        """End the connection if the last request is still the same."""
        if self.cycle is last and not self.transport.is_closing():
            self.transport.close()
