"""Connections to a PostgreSQL server, which threads take and give back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import Connection, errors, sql

from kb_assistant.lock import survive_forks
from kb_assistant.store.database import Row

RESTART_SECONDS = 20.0
"""How long a server that was there may be away, as when it starts again."""

_MOST_IDLE = 4
"""Most connections that stay open without a use."""

_POLL_S = 0.2

_ALIVE = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
"""The server notices within a minute that a client's machine is gone, and frees what it held."""

_PLANS = "-c jit=off -c enable_seqscan=off"
"""Statements are short and have their index. Fresh tables have no statistics, and comparing arrays one by one
costs much more than the planner thinks."""


class Connections:
    """The connections of one process to one schema.

    Args:
        address: As libpq takes it; a password comes from its password file.
        schema: Where tables are looked for.
    """

    def __init__(self, address: str, schema: str) -> None:
        self._address, self._schema = address, schema
        self._idle: list[Connection[Row]] = []
        self._lock, self._opened, self._met = threading.Lock(), 0, False
        survive_forks(self)

    def open(self) -> Connection[Row]:
        """A new connection, which the caller closes.

        Raises:
            psycopg.Error: there is none to be had.
        """
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            try:
                return self._open()
            except errors.CannotConnectNow:  # it is starting
                if time.monotonic() > deadline:
                    raise
            except psycopg.OperationalError:
                if not self._met or time.monotonic() > deadline:
                    raise
            time.sleep(_POLL_S)

    def _open(self) -> Connection[Row]:
        connection = psycopg.connect(
            self._address, autocommit=True, connect_timeout=10, keepalives_idle=30, client_encoding="UTF8",
            options=f"{_ALIVE} {_PLANS}", application_name="kb-assistant",
        )  # fmt: skip
        connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self._schema)))
        self._met = True
        return connection

    @contextmanager
    def begun(self, statements: str) -> Iterator[Connection[Row]]:
        """A connection on which these statements, which change nothing, were run. It is given back without an open
        transaction."""
        opened, connection = self._opened, self._begin(statements)
        try:
            yield connection
        finally:
            if not connection.closed:
                with suppress(psycopg.Error):
                    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                        connection.execute("ROLLBACK")
            self._give_back(connection, opened)

    def _begin(self, statements: str) -> Connection[Row]:
        """Run the statements on a connection that has been idle or, if those were lost, on a new one."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self.open()
                connection.execute(statements.encode())
                return connection
            try:
                connection.execute(statements.encode())
                return connection
            except psycopg.OperationalError as error:
                lost = connection.closed
                connection.close()
                if not lost:
                    raise error

    def _give_back(self, connection: Connection[Row], opened: int) -> None:
        with self._lock:
            keep = not connection.closed and opened == self._opened and len(self._idle) < _MOST_IDLE
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def close(self) -> None:
        """Close all, those in use when they are given back."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._opened += 1
        for connection in idle:
            connection.close()

    def before_fork(self) -> None:
        """Do nothing: the parent goes on with its connections."""

    def after_fork(self) -> None:
        """Leave the parent's connections, which psycopg closes in the process that opened them only."""
        self._idle, self._lock, self._opened = [], threading.Lock(), self._opened + 1
