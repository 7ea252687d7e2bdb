"""Settings that a knowledge base has of its own: who answers there, in which language, how long.

They lie in `kb.toml` beside its documents and count for more than those of the home, and for less than flags and
variables.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kb_assistant.errors import SettingsError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.settings import Settings, origins, read_settings, write_line

OWN = ("role", "answer_language", "answer_length")
"""The settings that may be a knowledge base's own."""

_FILE = "kb.toml"
_LOCK_S = 10.0


def own_settings(settings: Settings) -> dict[str, str]:
    """What the knowledge base that the settings name has of its own.

    Raises:
        SettingsError: its file can't be read, or has others than OWN.
    """
    path = settings.kb_dir / _FILE
    found = read_settings(path)
    if others := sorted(set(found) - set(OWN)):
        raise SettingsError(
            _("{name!r} can't be set in {path}.", name=others[0], path=path),
            _("A knowledge base has only these of its own: {names}.", names=", ".join(OWN)),
        )
    return found


def given(**flags: Any) -> frozenset[str]:
    """The settings given by flags and variables: they count for more than a knowledge base's own."""
    return frozenset(name for name, place in origins(**flags).items() if place in ("arguments", "environment"))


def origins_with_own(settings: Settings, **flags: Any) -> dict[str, str]:
    """Where the settings that hold in the knowledge base that the settings name come from, as `origins` has it; of
    its own ones the path of its kb.toml.

    Raises:
        SettingsError: as for `own_settings`.
    """
    found, fixed = origins(**flags), given(**flags)
    return found | {name: str(settings.kb_dir / _FILE) for name in own_settings(settings) if name not in fixed}


def with_own(settings: Settings, fixed: Collection[str] = ()) -> Settings:
    """The settings, with what the knowledge base that they name has of its own.

    Args:
        fixed: What stays as it is; see `given`.

    Raises:
        SettingsError: as for `own_settings`, or a value isn't possible.
    """
    own = {name: value for name, value in own_settings(settings).items() if name not in fixed}
    return settings.but(**own) if own else settings


def write_own(settings: Settings, name: str, value: str | None) -> None:
    """Write one of OWN for the knowledge base that the settings name; None takes it out.

    Raises:
        SettingsError: the value isn't possible, or as for `own_settings`.
        BusyError: another process is writing settings.
        StoreError: the file can't be written.
    """
    if name not in OWN:
        raise SettingsError(
            _("{name!r} holds in all knowledge bases alike.", name=name),
            _("A knowledge base has only these of its own: {names}.", names=", ".join(OWN)),
        )
    if value is not None:
        settings.but(**{name: value})
    with writing(settings.home, _LOCK_S, _("the settings")):
        own_settings(settings)
        write_line(settings.kb_dir / _FILE, name, value)
