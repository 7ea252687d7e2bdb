"""PostgreSQL's errors as what happened and what to do next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Error, OperationalError, errors

from kb_assistant.errors import CorruptStore, LostConnection, StoreError
from kb_assistant.messages import _
from kb_assistant.store.faults import CorruptRow, damaged

_DAMAGE = (errors.DataCorrupted, errors.IndexCorrupted)


@contextmanager
def map_postgres_errors(place: str) -> Iterator[None]:
    """PostgreSQL's errors as StoreError with what to do next."""
    try:
        yield
    except Error as error:
        raise explained(place, error) from error
    except (CorruptRow, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise damaged(place, _("a row can't be decoded")) from error


def explained(place: str, error: Error) -> StoreError:
    """The StoreError for it; a CorruptStore if the server's files are damaged, a LostConnection if trying again
    may help."""
    reason = " ".join(str(error).split())
    if isinstance(error, _DAMAGE):
        return CorruptStore(_("{path} is damaged: {reason}.", path=place, reason=reason), _("Run `kb verify`."))
    if isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName):
        return StoreError(
            _("There is no knowledge base at {path}.", path=place), _("Make it with `kb ingest FOLDER`.")
        )
    if isinstance(error, errors.LockNotAvailable):
        return StoreError(
            _("{path} is in use by another program.", path=place), _("Close it, then run the command again.")
        )
    if isinstance(error, errors.DiskFull):
        return StoreError(
            _("The disk that holds {path} is full.", path=place),
            _("Free some space and run the command again."),
        )
    if isinstance(error, errors.InsufficientPrivilege | errors.ReadOnlySqlTransaction):
        return StoreError(
            _("{path} can't be written: {reason}.", path=place, reason=reason),
            _("Give the database's user the right to create schemas in it."),
        )
    if isinstance(error, OperationalError | errors.IdleInTransactionSessionTimeout):
        return LostConnection(
            _("The server of {path} can't be reached: {reason}", path=place, reason=reason),
            _("Check that it runs and takes connections, then run the command again."),
        )
    return StoreError(_("{path} can't be used: {reason}.", path=place, reason=reason), _("Run `kb verify`."))
