"""How the page was started: what the command line said, for the script that Streamlit runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEGABYTE = 1024 * 1024
"""As Streamlit counts it."""

MOST_FILES = 200
"""Files in one upload."""

MOST_MEGABYTES = 100
"""Of one file."""

MOST_TOTAL_MEGABYTES = 500
"""Of all files in one upload."""

MOST_HELD_MEGABYTES = 2000
"""Of all uploads, whoever sent them, that wait in memory to be taken over."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `kb ui` was told.

    Attributes:
        flags: Settings given as flags.
        login: Whether users have to show a token.
        folders: Where folders may be named to be read; None allows any, as only this machine's user is there.
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
