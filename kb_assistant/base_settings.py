"""Settings that a knowledge base has of its own: who answers there, in which language, how long.

They lie in `kb.toml` with the knowledge base (store.home) and count for more than those of the home, and for less
than flags and variables.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from kb_assistant.errors import SettingsError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.settings import Settings, origins, parsed_settings, read_settings, with_line, write_line
from kb_assistant.store.opening import is_on_server, open_home

OWN = ("role", "answer_language", "answer_length")
"""The settings that may be a knowledge base's own."""

FILE = "kb.toml"
_LOCK_S = 10.0


def own_settings(settings: Settings) -> dict[str, str]:
    """What the knowledge base that the settings name has of its own.

    Raises:
        SettingsError: its file can't be read, or has others than OWN.
    """
    path = _place_of(settings)
    if isinstance(path, Path):
        found = read_settings(path)
    else:
        written = open_home(settings.store, settings.home).text(_name(settings))
        found = parsed_settings(written.text, path) if written else {}
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
    return found | {name: str(_place_of(settings)) for name in own_settings(settings) if name not in fixed}


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
    path = _place_of(settings)
    if isinstance(path, Path):
        with writing(settings.home, _LOCK_S, _("the settings")):
            own_settings(settings)
            write_line(path, name, value)
        return
    own_settings(settings)
    open_home(settings.store, settings.home).update(
        _name(settings), lambda text: with_line(text or "", name, value), what=_("the settings")
    )


def _place_of(settings: Settings) -> Path | str:
    """The file with what the knowledge base has of its own, or where it lies on a server."""
    if not is_on_server(settings.store):
        return settings.kb_dir / FILE
    return open_home(settings.store, settings.home).place_of(_name(settings))


def _name(settings: Settings) -> str:
    return f"kbs/{settings.kb}/{FILE}"
