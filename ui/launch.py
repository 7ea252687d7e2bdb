"""How the page was started: what the command line said, for the script that Streamlit runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_FILES = 200
"""Files in one upload."""

MOST_MEGABYTES = 100
"""Of one file."""


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
