"""Which processes still run, as the PostgreSQL server sees it."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time

import psycopg
from psycopg import Connection

from kb_assistant.lock import survive_forks
from kb_assistant.store.database import Row
from kb_assistant.store.postgres_connections import Connections
from kb_assistant.store.postgres_schema import lock_of

_ASKED_EVERY_S = 5.0
"""How long a connection counts as open without being asked."""

_HELD = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid::bigint = %s AND objid::bigint = %s LIMIT 1"
)


class Liveness:
    """This process as others see it. It holds an advisory lock on a connection of its own; the server frees that
    when the process has ended, or its machine is gone.

    Args:
        schema: Processes of another one have other locks.
    """

    def __init__(self, connections: Connections, schema: str) -> None:
        self._connections, self._schema = connections, schema
        self._lock, self._asked = threading.Lock(), 0.0
        self._held: Connection[Row] | None = None
        self._name = _new_name()
        survive_forks(self)

    @property
    def is_known(self) -> bool:
        """Whether others were told of this process."""
        return self._held is not None

    def name(self) -> str:
        """The name of this process, which lives as long as it does: also after the server has restarted."""
        with self._lock:
            if not self._is_held():
                self._held = held = self._connections.open()
                held.execute("SELECT pg_advisory_lock(%s)", (self._number(self._name),))
                self._asked = time.monotonic()
            return self._name

    def lives(self, process: str, connection: Connection[Row]) -> bool:
        """Whether the process of this name still holds its lock."""
        halves = divmod(self._number(process) % 2**64, 2**32)
        return connection.execute(_HELD, halves).fetchone() is not None

    def before_fork(self) -> None:
        """Do nothing: the parent goes on."""

    def after_fork(self) -> None:
        """Be another process. The parent's connection stays the parent's."""
        self._lock, self._asked = threading.Lock(), 0.0
        self._held, self._name = None, _new_name()

    def _is_held(self) -> bool:
        if self._held is None:
            return False
        if time.monotonic() - self._asked < _ASKED_EVERY_S:
            return True
        try:
            self._held.execute("SELECT 1")
        except psycopg.Error:
            self._held.close()
            return False
        self._asked = time.monotonic()
        return True

    def _number(self, process: str) -> int:
        return lock_of(self._schema, f"process {process}")


def _new_name() -> str:
    return f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(6)}"
