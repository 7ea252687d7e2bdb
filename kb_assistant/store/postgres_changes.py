"""Tells which knowledge bases of a database change, as soon as the server says so (LISTEN and NOTIFY)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg

from kb_assistant.store.postgres_connections import Connections

CHANNEL = "kb_changed"

_GATHER_S = 1.0
_AGAIN_S = 2.0


def changes_in(address: str, stop: Callable[[], bool]) -> Iterator[set[str] | None]:
    """The names of the knowledge bases that changed since the last ones, every second at most. None for any: at
    the beginning, and after the server was lost. Ends within a second after a stop."""
    while not stop():
        try:
            with closing(Connections(address, "pg_catalog").open()) as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                yield None
                while not stop():
                    names = {told.payload for told in connection.notifies(timeout=_GATHER_S)}
                    if names:
                        yield names
        except psycopg.Error:
            time.sleep(_AGAIN_S)
