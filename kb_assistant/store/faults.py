"""SQLite's errors as what happened and what to do next."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kb_assistant.errors import CorruptStore, StoreError
from kb_assistant.messages import _, reason_of

T = TypeVar("T")


class CorruptRow(Exception):
    """A row holds a value that was never written: SQLite returns any type that a damaged page claims."""


def expect_type(kind: type[T], value: object) -> T:
    """The value, checked to be of that type. Raises CorruptRow."""
    if not isinstance(value, kind):
        raise CorruptRow(f"{kind.__name__} wanted, {type(value).__name__} found")
    return value


@contextmanager
def map_sqlite_errors(path: Path) -> Iterator[None]:
    """SQLite's errors as StoreError with what to do next."""
    try:
        yield
    except sqlite3.Error as error:
        raise explained(path, error) from error
    except (CorruptRow, UnicodeDecodeError, json.JSONDecodeError) as error:
        # UnicodeDecodeError also comes from an SQLite error whose text quotes the damage.
        raise damaged(path, _("a row can't be decoded")) from error


def explained(path: Path, error: sqlite3.Error) -> StoreError:
    """The StoreError for it; a CorruptStore if the file is damaged."""
    text = str(error)
    if "full" in text:
        return StoreError(
            _("The disk that holds {path} is full.", path=path), _("Free some space and run the command again.")
        )
    if "readonly" in text or "unable to open" in text:
        return StoreError(
            _("{path} can't be written.", path=path),
            _("Check the folder's permissions, or choose another --home."),
        )
    if "locked" in text or "busy" in text:
        return StoreError(
            _("{path} is in use by another program.", path=path), _("Close it, then run the command again.")
        )
    if "I/O" in text:
        hint = _("Check the disk, its free space and any limit on file sizes; then run `kb verify`.")
        return StoreError(_("{path} can't be read or written: {reason}.", path=path, reason=error), hint)
    if isinstance(error, sqlite3.OperationalError) and "no such" not in text:
        return CorruptStore(_("{path} can't be used: {reason}.", path=path, reason=error), _("Run `kb verify`."))
    return damaged(path, reason_of(error))


def damaged(path: Path | str, what: str) -> CorruptStore:
    return CorruptStore(
        _("{path} is damaged: {reason}.", path=path, reason=what),
        _("Run `kb verify --repair`; it keeps what is sound."),
    )
