"""The command on settings: show them with their origin, or write one permanently."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json
from kb_assistant.errors import KBError, NotFoundError
from kb_assistant.messages import _, here, language_here, translate_words

if TYPE_CHECKING:
    from kb_assistant.settings import Settings


def settings(
    name: Annotated[str | None, typer.Argument(help="One setting; without it, all.", show_default=False)] = None,
    value: Annotated[
        str | None, typer.Argument(help="What it is from now on, kept in kb.toml.", show_default=False)
    ] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Back to its default.")] = False,
    kb: Annotated[
        str | None,
        typer.Option("--kb", help="What holds in this knowledge base alone, kept beside it.", metavar="NAME"),
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show settings with their meaning and where each comes from, or keep one in kb.toml."""
    from kb_assistant.settings import home_of, meanings, new_name, write_setting

    shown = None if name is None else new_name(name)
    if shown is not None and shown not in meanings():
        raise KBError(_("There is no setting {name!r}.", name=name), _("`kb settings` lists them."))
    if unset and (name is None or value is not None):
        raise KBError(_("--unset takes the name of one setting."), _("Such as: kb settings k --unset"))
    if shown is not None and (value is not None or unset):
        if kb is None:
            write_setting(home_of(home), shown, value)
        else:
            _keep_own(kb, home, shown, value)
    rows = [row for row in _rows(home, kb) if shown in (None, row["name"])]
    if json:
        show.as_json(rows)
        return
    for row in rows:
        usual = "" if row["from"] == "default" else "   " + here(_origin(row))
        meaning = translate_words(row["meaning"], language_here())
        show.line(f"{row['name']} = {_shown(row['value'])}{usual}\n    {meaning}")
    if (value is not None or unset) and rows[0]["from"] in ("environment", "arguments"):
        name = rows[0]["name"].upper()
        show.note(_("KB_{name} is set in the environment and counts for more.", name=name))


def _origin(row: dict[str, Any]) -> str:
    return _("(from {origin}; default {default})", origin=row["from"], default=_shown(row["default"]))


def _keep_own(kb: str, home: Path | None, name: str, value: str | None) -> None:
    """Write a setting of a knowledge base's own, or take it out."""
    from kb_assistant.base_settings import write_own

    write_own(_of(kb, home), name, value)


def _of(kb: str, home: Path | None) -> Settings:
    """
    Raises:
        NotFoundError: there is no such knowledge base.
    """
    from kb_assistant.settings import Settings
    from kb_assistant.workspace import bases

    settings = Settings.load(kb=kb, home=home)
    if not bases.exists(settings):
        raise NotFoundError(_("There is no knowledge base {name!r}.", name=kb), _("See which there are."))
    return settings


def _rows(home: Path | None, kb: str | None) -> list[dict[str, Any]]:
    from kb_assistant.base_settings import origins_with_own, with_own
    from kb_assistant.settings import Settings, defaults, meanings, origins

    if kb is None:
        now, places = Settings.load(home=home), origins(home=home)
    else:
        now, places = _of(kb, home), origins_with_own(_of(kb, home), home=home)
        now = with_own(now, [name for name, place in places.items() if place in ("arguments", "environment")])
    return [
        {
            "name": name,
            "value": str(found) if name == "home" else found,
            "default": str(default) if name == "home" else default,
            "from": places.get(name, "default"),
            "meaning": meaning,
        }
        for (name, default), meaning in zip(defaults().items(), meanings().values(), strict=True)
        for found in [getattr(now, name)]
    ]


def _shown(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)
