"""pgvector in a database: whether it is there, whether it is new enough, and setting it up."""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from psycopg import Connection

from kb_assistant.errors import StoreError
from kb_assistant.messages import _
from kb_assistant.store.database import Row

LEAST_VERSION = (0, 8)
"""Of pgvector: before, a search with a condition ends with whatever of its first candidates fulfils it."""

_FOUND = """
SELECT (SELECT extversion FROM pg_extension WHERE extname = 'vector'),
 to_regclass('half_vectors')::oid::bigint,
 (SELECT atttypmod FROM pg_attribute WHERE attrelid = to_regclass('half_vectors') AND attname = 'vector'),
 to_regclass('half_vectors_graph') IS NOT NULL
"""

_INSTALLED = "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"

_NAME_TYPES = """
SELECT set_config('search_path', concat_ws(', ', quote_ident(current_schema()), quote_ident(nspname)), true)
FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'vector'
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of pgvector and of its table.

    Attributes:
        version: Of the extension in this database; None if it isn't set up.
        table: The number of the table; None without one.
        dimension: Length of its vectors.
        graph: Whether it has one.
    """

    version: str | None
    table: int | None
    dimension: int | None
    graph: bool


def found_by(connection: Connection[Row]) -> Found:
    """What there is of it, and of the table in the schema of the connection."""
    (row,) = connection.execute(_FOUND)
    return Found(*row)


def require(place: str, connection: Connection[Row]) -> Found:
    """The same, if it can be searched.

    Args:
        place: The knowledge base's, for messages.

    Raises:
        StoreError: pgvector isn't set up in this database, or is too old.
    """
    found = found_by(connection)
    if found.version is None:
        raise _missing(place, _installed(connection))
    if _numbers(found.version) < LEAST_VERSION:
        raise _old(place, found.version)
    return found


def set_up(place: str, connection: Connection[Row]) -> None:
    """Set up pgvector in this database, unless it is.

    Raises:
        StoreError: the server has none or an old one, or the user may not.
    """
    if found_by(connection).version is not None:
        return
    installed = _installed(connection)
    if installed is None:
        raise _missing(place, installed)
    if _numbers(installed) < LEAST_VERSION:
        raise _old(place, installed)
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    except psycopg.Error as error:
        raise StoreError(
            _("pgvector can't be set up in {path}: {reason}.", path=place, reason=" ".join(str(error).split())),
            _("Have who runs the server do it in this database, once: CREATE EXTENSION vector;"),
        ) from error


def name_types(connection: Connection[Row]) -> None:
    """Have its types and operators found within this transaction, whatever schema they are in."""
    connection.execute(_NAME_TYPES)


def _installed(connection: Connection[Row]) -> str | None:
    """The version on the server's disk."""
    row = connection.execute(_INSTALLED).fetchone()
    return row[0] if row else None


def _missing(place: str, installed: str | None) -> StoreError:
    if installed is not None:
        return StoreError(
            _("pgvector isn't set up in {path}.", path=place),
            _("Run `kb ingest`, or have who runs the server do it in this database: CREATE EXTENSION vector;"),
        )
    return StoreError(
        _("The server of {path} has no pgvector, which `index = server` needs.", path=place),
        _(
            "Install it there, 0.8 or later (Debian, Ubuntu: postgresql-NN-pgvector of apt.postgresql.org),"
            " or run `kb settings index local`."
        ),
    )


def _old(place: str, version: str) -> StoreError:
    return StoreError(
        _("{path} has pgvector {version}, and 0.8 or later is needed.", path=place, version=version),
        _("Install a newer one on the server, then say in this database: ALTER EXTENSION vector UPDATE;"),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
