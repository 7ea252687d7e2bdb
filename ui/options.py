"""The start options of the page: passed from the command line to the script that Streamlit runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEGABYTE = 1024 * 1024
"""In Streamlit's unit."""

MOST_FILES = 500
"""Most files in one upload."""

MOST_MEGABYTES = 100
"""Largest size of one file."""

MOST_TOTAL_MEGABYTES = 500
"""Largest total size of the files in one upload."""

MOST_PASTED = 1_000_000
"""Most characters of a text that is pasted."""

MOST_HELD_MEGABYTES = 2000
"""Largest total size of all users' uploads that wait in memory."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `kb ui`.

    Attributes:
        flags: Settings given as flags.
        login: Whether users need a token.
        folders: Where folders may be added for reading; None allows any, because only this machine's user has
            access.
    """

    flags: dict[str, Any] = field(default_factory=dict)
    login: bool = False
    folders: tuple[Path, ...] | None = None


_now = Options()


def options() -> Options:
    return _now


def set_options(given: Options) -> None:
    global _now
    _now = given
