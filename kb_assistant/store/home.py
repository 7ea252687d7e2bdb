"""What a home keeps besides its knowledge bases: small files, and the conversations.

On one machine they lie in the home's folder. Where the knowledge bases lie on a PostgreSQL server, these do, too,
in a schema of their own, so that every machine that serves them shows the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kb_assistant.small_file import json_change
from kb_assistant.store.database import Statements


@dataclass(frozen=True, slots=True)
class SmallFile:
    """What a small file held when it was read.

    Attributes:
        stamp: Another one for every other text.
    """

    stamp: object
    text: str


class HomeStore(Protocol):
    """The small files and the conversations of a home. Threads and processes share it.

    Small files have names as in the home's folder, with `/`: `access.json`, or `kbs/NAME/jobs.json` for what
    belongs to a knowledge base, follows its name and goes with it.

    Attributes:
        place: Where conversations lie, for messages.
        is_shared: Whether several machines use it.
        like: The operator of a LIKE that doesn't tell capitals from small letters.
    """

    place: Path | str
    is_shared: bool
    like: str

    def place_of(self, name: str) -> Path | str:
        """Where a small file lies, for messages."""

    def text(self, name: str, known: SmallFile | None = None) -> SmallFile | None:
        """A small file; None if there is none; `known` itself if that still holds.

        Raises:
            OSError, ValueError: it can't be read.
            StoreError: the server can't be reached.
        """

    def update(
        self, name: str, change: Callable[[str | None], str | None], *, what: str, mode: int | None = None
    ) -> None:
        """Read a small file, change its text and write it; nobody else does so meanwhile. See
        small_file.update_text."""

    def holds(self, base: str) -> bool:
        """Whether there is a knowledge base of this name."""

    def read(self) -> AbstractContextManager[Statements | None]:
        """The tables of the conversations, in a transaction; None if nothing was ever saved.

        Raises:
            StoreError: they can't be read.
        """

    def write(self) -> AbstractContextManager[Statements]:
        """The same to be written: all together, or nothing."""

    def process(self) -> str:
        """A name of this process that no other has, on any machine."""

    def lives(self, process: str) -> bool:
        """Whether the process of this name still runs."""

    def close(self) -> None:
        """Close what stays open between calls. A later call opens it again."""


def update_json(
    home: HomeStore, name: str, change: Callable[[Any], Any], *, what: str, mode: int | None = None,
    indent: int | None = None,
) -> None:  # fmt: skip
    """See small_file.update_json, for a small file of a home."""
    home.update(name, json_change(change, indent), what=what, mode=mode)
