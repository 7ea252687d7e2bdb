"""The command that packs everything for a machine without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json
from kb_assistant.messages import _


def bundle(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder, or a bundle to bring up to date.")],
    extras: Annotated[
        list[str] | None, typer.Option("--extra", help="An extra; repeatable [cpu, llama, ui].", metavar="NAME")
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="An installed model; repeatable [all].", metavar="NAME"),
    ] = None,
    no_models: Annotated[bool, typer.Option("--no-models", help="Take no models along.")] = False,
    wheel: Annotated[
        Path | None,
        typer.Option(help="kb-assistant's wheel [of the program that runs].", exists=True, dir_okay=False),
    ] = None,
    constraints: Annotated[
        Path | None, typer.Option(help="Versions of packages [those installed here].", exists=True, dir_okay=False)
    ] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Pack wheels and models into a folder that installs without a network (sh install.sh)."""
    from kb_assistant.maintenance.bundle import EXTRAS, make_bundle
    from kb_assistant.models.home import ModelHome
    from kb_assistant.settings import Settings

    models = ModelHome(Settings.load(home=home).models_dir)
    kinds = {} if no_models else {model.name: model.kind for model in models.installed()}
    wanted = () if no_models else dict.fromkeys(names or kinds)
    chosen = [models.get(name, kinds.get(name, "chat")) for name in wanted]
    with show.share(_("bundle")) as progress:
        made = make_bundle(
            folder,
            chosen,
            tuple(dict.fromkeys(extras or EXTRAS)),
            wheel=wheel,
            constraints=constraints,
            on_message=show.note,
            on_progress=progress,
        )
    if json:
        show.as_json(made.to_json())
        return
    show.line(
        _(
            "{folder}: kb-assistant {version} [{extras}], {wheels} wheels, {models}",
            folder=made.folder,
            version=made.version,
            extras=",".join(made.extras),
            wheels=made.wheels,
            models=", ".join(made.models) or _("no models"),
        )
    )
    size = _("{megabytes:,.0f} MB", megabytes=made.bytes / 1e6)
    show.line(_("{size}, for {system}, Python {python}", size=size, system=made.system, python=made.python))
    show.line(_("SHA-256 of its list: {sum}", sum=made.sha256))
