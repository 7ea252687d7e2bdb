"""Commands on models and on the machine: models list, pull, add, rm; doctor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json, Model
from kb_assistant.messages import _, here

if TYPE_CHECKING:
    from kb_assistant.model_folder import Model as Described
    from kb_assistant.models.home import ModelHome

_STATES = {"ok": _("ok"), "missing": _("missing"), "broken": _("broken")}
"""What findings on the machine are, on a terminal."""

app = typer.Typer(help="Models: what is installed, what can be.", no_args_is_help=True, rich_markup_mode=None)


def _models(home: Path | None) -> ModelHome:
    from kb_assistant.models.home import ModelHome
    from kb_assistant.settings import Settings

    return ModelHome(Settings.load(home=home).models_dir)


def _row(model: Described, *, installed: bool) -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "installed": installed,
        "licence": model.licence,
        "languages": list(model.languages),
        "context_tokens": model.context_tokens or None,
        "path": str(model.path) if installed else None,
    }


@app.command("list")
def list_models(home: Home = None, json: Json = False) -> None:
    """List installed models and those that can be pulled by name."""
    from kb_assistant.models.home import CATALOGUE

    installed = _models(home).installed()
    names = {model.name for model in installed}
    rows = [(model, True) for model in installed] + [
        (offer.model, False) for offer in CATALOGUE.values() if offer.model.name not in names
    ]
    if json:
        show.as_json([_row(model, installed=there) for model, there in rows])
        return
    for model, there in rows:
        state = _("installed") if there else f"kb models pull {model.name}"
        languages = ",".join(model.languages) or "?"
        show.line(f"{model.name:<26} {model.kind:<9} {languages:<6} {model.licence or '?':<21} {here(state)}")
    for name in _models(home).unfinished():
        unfinished = _("unfinished: repeat its `kb models add` to go on, or: kb models rm {name}", name=name)
        show.line(f"{name:<26} {here(unfinished)}")
    built_in = here(_("built in: quotes passages, no language model"))
    show.line(f"{'extract':<26} {'chat':<9} {'any':<6} {'-':<21} {built_in}")


@app.command()
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names from `kb models list`, or org/name on the Hugging Face hub; default: all listed."
        ),
    ] = None,
    home: Home = None,
) -> None:
    """Download models. Only this command and `kb bundle` use the network by themselves."""
    from kb_assistant.models.home import CATALOGUE

    models = _models(home)
    for name in names or list(CATALOGUE):
        models.pull(name, show.note)


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="A model's folder, or a .gguf file. It stays where it is.")],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    engine: Annotated[
        Literal["auto", "llama", "torch"],
        typer.Option(help="For ChatGLM2; auto is torch with a CUDA GPU or without llama.cpp."),
    ] = "auto",
    precision: Annotated[
        Literal["q4_0", "q8_0", "f16", "f32"],
        typer.Option(help="For ChatGLM2's fp16 weights and llama.cpp; INT4 stays as it is."),
    ] = "q4_0",
    home: Home = None,
    json: Json = False,
) -> None:
    """Make a model on this machine known by a name; a ChatGLM2 folder is made ready for its engine."""
    with show.share(_("writing")) as progress:
        model = _models(home).add(
            path,
            name,
            engine=engine,
            precision=precision,
            on_message=show.note,
            on_progress=progress,
        )
    if json:
        show.as_json(_row(model, installed=True))
    else:
        typer.echo(f"{model.name}: {model.kind}, {model.path}")


@app.command()
def rm(name: Annotated[str, typer.Argument(help="Its name.")], home: Home = None) -> None:
    """Remove a model; one that was added stays where it lies."""
    _models(home).remove(name)
    show.line(_("{name} removed", name=name))


@app.command("build-engine")
def build_engine(
    again: Annotated[bool, typer.Option("--again", help="Even if it is there.")] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Build llama.cpp for this machine's processor; prompts are read faster then. The packaged one stays.

    It needs CMake, a C++ compiler and some eleven minutes of one core, and lets other programs go first.
    """
    from kb_assistant.models.native_engine import build_engine
    from kb_assistant.settings import Settings

    with show.share(_("building")) as progress:
        built = build_engine(Settings.load(home=home).home, progress, again)
    if json:
        show.as_json({"path": str(built.path), "seconds": round(built.seconds, 1), "system": built.system})
    else:
        typer.echo(f"{built.path}: {built.system}")


def doctor(
    model: Model = None,
    context: Annotated[int | None, typer.Option(help="Tokens of prompt and answer.", min=1)] = None,
    quantize: Annotated[str | None, typer.Option(help="For torch: auto, none, int4 or nf4.")] = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Check this machine: what is there, what is missing, whether the chat model fits, what to install."""
    from kb_assistant.maintenance.doctor import examine
    from kb_assistant.settings import Settings

    findings = examine(Settings.load(home=home, model=model, context_tokens=context, quantize=quantize))
    if json:
        show.as_json([finding.to_json() for finding in findings])
    else:
        for finding in findings:
            state = show.right(_STATES.get(finding.state, finding.state), 7)
            show.line(f"{state}  {here(finding.subject)}: {here(finding.detail)}")
            if finding.advice:
                show.line(f"         → {here(finding.advice)}")
    raise typer.Exit(int(any(finding.state == "broken" for finding in findings)))
