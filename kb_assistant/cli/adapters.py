"""Commands on trained adapters: train list, rm, export, merge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json
from kb_assistant.messages import _, here

if TYPE_CHECKING:
    from kb_assistant.models.adapters import Adapter, AdapterHome
    from kb_assistant.models.home import ModelHome

Name = Annotated[str, typer.Argument(help="An adapter of `kb train list`.")]


def _adapters(home: Path | None) -> AdapterHome:
    from kb_assistant.models.adapters import AdapterHome
    from kb_assistant.settings import Settings

    return AdapterHome(Settings.load(home=home).home)


def _models(home: Path | None) -> ModelHome:
    from kb_assistant.models.home import ModelHome
    from kb_assistant.settings import Settings

    return ModelHome(Settings.load(home=home).models_dir)


def list_adapters(home: Home = None, json: Json = False) -> None:
    """List trained adapters, and those whose training was broken off."""
    adapters = _adapters(home)
    trained, unfinished = adapters.trained(), adapters.unfinished()
    if json:
        rows = [
            {
                "name": one.name,
                "method": one.method,
                "base": one.base,
                "style": one.style,
                "folder": str(one.folder),
                **one.facts,
            }
            for one in trained
        ]
        show.as_json({"adapters": rows, "unfinished": unfinished})
        return
    for one in trained:
        kind = "reader" if one.method == "reader" else one.style
        typer.echo(f"{one.name:<24} on {one.base:<24} {kind:<14} {_told(one):<12} {one.facts.get('created', '')}")
    for name in unfinished:
        go_on = _("unfinished: repeat its `kb train` to go on, or: kb train rm {name}", name=name)
        show.line(f"{name:<24} {here(go_on)}")
    if not trained and not unfinished:
        show.note(_("None yet: kb train MODEL DATA --name NAME"))


def _told(adapter: Adapter) -> str:
    """How good it was at the end of its training."""
    own = adapter.facts.get("own")
    gain = own["gain"]["mean"] if adapter.method == "reader" and own else None
    if isinstance(gain, float):
        return f"gain {gain:+.3f}"
    loss = adapter.facts.get("validation_loss") or adapter.facts.get("loss")
    return f"loss {loss:.3f}" if isinstance(loss, float) else ""


def rm(name: Name, home: Home = None) -> None:
    """Delete an adapter, or what a training that was broken off has left."""
    _adapters(home).remove(name)


def export(
    name: Name,
    folder: Annotated[Path | None, typer.Argument(help="Where to: a new folder, which peft loads.")] = None,
    gguf: Annotated[bool, typer.Option("--gguf", help="Write its file for llama.cpp, if it has none.")] = False,
    home: Home = None,
) -> None:
    """Copy an adapter into a folder in peft's form, with its file for llama.cpp."""
    from kb_assistant.cli.train_run import trainable
    from kb_assistant.training.export import export_adapter, with_gguf

    adapter = _adapters(home).get(name)
    if gguf:
        adapter.require("lora", "prefix")
        adapter = with_gguf(adapter, trainable(_models(home), adapter.base), show.note)
    if folder is None:
        if not gguf:
            raise typer.BadParameter("give a folder, or --gguf")
        return
    export_adapter(adapter, folder)
    show.line(_("written: {folder}", folder=folder))


def merge(
    name: Name,
    as_name: Annotated[str, typer.Option("--as", help="Name of the merged model.", metavar="NAME")],
    precision: Annotated[str, typer.Option(help="f16 or q8_0.")] = "q8_0",
    home: Home = None,
) -> None:
    """Merge an adapter into its model, as a new model for llama.cpp: in F16 or Q8_0, which says what is lost."""
    from kb_assistant.cli.train_run import trainable
    from kb_assistant.training.merge import merge as merged

    adapter, models = _adapters(home).get(name), _models(home)
    adapter.require("lora", "prefix")
    base = trainable(models, adapter.base)
    with show.share(_("writing")) as progress:
        model = merged(adapter, base, models, as_name, precision, show.note, progress)
    show.line(_("{name} is installed: {path}", name=model.name, path=model.path))
