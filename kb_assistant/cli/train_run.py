"""`kb train MODEL DATA`: says what it takes, trains, and goes on where it was broken off."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json, stopping
from kb_assistant.cli.train_data import plan_lines
from kb_assistant.errors import DatasetError, ModelError, SettingsError
from kb_assistant.messages import _, here

if TYPE_CHECKING:
    from kb_assistant.model_folder import Model
    from kb_assistant.models.adapters import Adapter, AdapterHome
    from kb_assistant.models.home import ModelHome
    from kb_assistant.settings import Settings
    from kb_assistant.training.encode import Encoder, Example
    from kb_assistant.training.job import Job
    from kb_assistant.training.plan import Plan
    from kb_assistant.training.prepare import DataSet
    from kb_assistant.training.recipe import Recipe

_EXAMPLES = 3


def run(
    model: Annotated[
        str,
        typer.Argument(
            help="A ChatGLM2: an installed name, or the official folder; or a GGUF file of a Llama, such as "
            "smollm2-135m-instruct.",
            metavar="MODEL",
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(help="What `kb train data` wrote, or a file of questions and answers.", metavar="DATA"),
    ],
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the adapter.", metavar="NAME")],
    recipe: Annotated[
        Path | None, typer.Option(help="A file that `kb train init` wrote; flags win.", metavar="FILE")
    ] = None,
    rank: Annotated[int | None, typer.Option(help="Rank of the adapter.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Its update is scaled by alpha / rank.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Largest step.")] = None,
    epochs: Annotated[float | None, typer.Option(help="How often each example is seen.")] = None,
    batch: Annotated[int | None, typer.Option(help="Examples that are computed together.")] = None,
    accumulation: Annotated[int | None, typer.Option(help="Batches that make one step.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, int4, nf4, bf16, fp16 or fp32.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest prompt and answer together.")] = None,
    save_steps: Annotated[int | None, typer.Option(help="Steps between two checkpoints.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same adapter.")] = None,
    start: Annotated[
        str | None, typer.Option(help="An adapter to begin with: a name, or a folder.", metavar="NAME")
    ] = None,
    fsdp: Annotated[
        bool, typer.Option("--fsdp", help="With torchrun: share the model out between the processes.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it takes and three examples; train nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Train even if memory seems too small, or for days.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Train an adapter on one's own questions and answers; broken off, the same command goes on."""
    from kb_assistant.models.adapters import AdapterHome
    from kb_assistant.models.home import ModelHome
    from kb_assistant.settings import Settings
    from kb_assistant.torch_runtime import import_torch
    from kb_assistant.training.encode import encoder_of
    from kb_assistant.training.recipe import Recipe

    settings = Settings.load(home=home)
    flags = {
        "rank": rank, "alpha": alpha, "learning_rate": learning_rate, "epochs": epochs, "batch": batch,
        "accumulation": accumulation, "precision": precision, "max_tokens": max_tokens, "save_steps": save_steps,
        "seed": seed,
    }  # fmt: skip
    chosen = (Recipe.read(recipe) if recipe else Recipe()).with_values(flags)
    base = trainable(ModelHome(settings.models_dir), model)
    encoder = encoder_of(base, settings, chosen.max_tokens)
    job = _job(name, base, data, encoder, chosen, settings, start, fsdp)
    planned = _planned(job)
    if _is_first():
        _show(planned, chosen, json and dry_run)
    if dry_run:
        if not json:
            _show_examples(job.train, encoder)
        return
    _refuse(planned, chosen, force)
    if fsdp:
        _require_shareable(planned)
    if settings.threads:
        import_torch().set_num_threads(settings.threads)
    adapter = _trained(job, AdapterHome(settings.home))
    if adapter and json:
        show.as_json({"name": adapter.name, "folder": str(adapter.folder), **adapter.facts})
    elif adapter:
        show.line(_("{name} is trained: {folder}", name=adapter.name, folder=adapter.folder))
        show.note(_("Measure it: kb train eval {name}    Use it: kb chat --adapter {name}", name=name))


def _job(
    name: str, base: Model, data: Path, encoder: Encoder, recipe: Recipe, settings: Settings, start: str | None,
    fsdp: bool,
) -> Job:  # fmt: skip
    """What the training is made of.

    Raises:
        DatasetError: there is no data, or nothing in it is short enough to be learned.
        ModelError: there is no adapter `start`, or it goes with another model.
    """
    from kb_assistant.models.adapters import AdapterHome
    from kb_assistant.torch_runtime import torch_device
    from kb_assistant.training.held_back import keys
    from kb_assistant.training.job import Job
    from kb_assistant.training.prepare import open_data

    content = open_data(data)
    train, validation = (_examples(rows, encoder) for rows in (content.train, content.validation))
    if not train:
        raise DatasetError(
            _("Nothing is left to learn: all examples are longer than {tokens} tokens.", tokens=recipe.max_tokens),
            _("Raise max_tokens, or shorten them."),
        )
    begun = AdapterHome(settings.home).get(start) if start else None
    if begun:
        begun.require("lora", "prefix")
        begun.require_base(base)
    return Job(
        name, base, train, validation, content.sha256, recipe, _style(content), torch_device(settings.device),
        begun, fsdp, str(data.absolute()),
        keys((*content.train, *content.validation)) | (begun.learned() if begun else set()),
    )  # fmt: skip


def _trained(job: Job, adapters: AdapterHome) -> Adapter | None:
    """The finished adapter; None in all processes of torchrun but the first. Ctrl-C ends the command in order."""
    from kb_assistant.training.run import train

    halted = threading.Event()
    with stopping(halted.set):
        adapter = train(job, adapters, show.note if _is_first() else lambda _line: None, halted.is_set)
    if halted.is_set() and adapter is None:
        show.note(_("Stopped. The same command goes on."))
        raise typer.Exit(130)
    return adapter


def trainable(models: ModelHome, name: str) -> Model:
    """What a model is trained from: its GGUF file, or its official folder; of a converted ChatGLM2 the folder that
    it was made from, under its name.

    Raises:
        ModelError: there is no such model, it is of another kind, or its folder is gone.
    """
    model = models.get(name, "chat")
    if model.path.is_dir() or not model.template:
        return model
    gone = ModelError(
        _("{name!r} is trained from the folder that it was converted from, which isn't known or gone.", name=name),
        _("Name that folder: kb train FOLDER DATA --name NAME"),
    )
    if not model.source or not Path(model.source).is_dir():
        raise gone
    source = replace(models.get(model.source, "chat"), name=model.name)
    if source.sha256 != model.source_sha256:
        raise gone
    return source


def _examples(rows: Any, encoder: Encoder) -> list[Example]:
    from kb_assistant.training.encode import encoded

    kept, long = encoded(rows, encoder)
    if long and _is_first():
        places = ", ".join(one.source for one in long[:_EXAMPLES])
        show.note(
            _(
                "Left out, longer than {tokens} tokens: {count} ({places} …)",
                tokens=encoder.limit,
                count=len(long),
                places=places,
            )
        )
    return kept


def _planned(job: Job) -> Plan:
    from kb_assistant.training.network import network_of
    from kb_assistant.training.plan import plan

    lengths = [(len(one.ids), one.learned) for one in job.train]
    return plan(network_of(job.base), job.recipe, lengths, job.device)


def _show(planned: Plan, recipe: Recipe, json: bool) -> None:
    if json:
        show.as_json(planned.to_json())
        return
    for line in plan_lines(planned, recipe):
        show.note(line)


def _show_examples(train: Sequence[Example], encoder: Encoder) -> None:
    from kb_assistant.training.encode import marked

    for number, example in enumerate(train[:_EXAMPLES], start=1):
        learned = _(
            "example {n} ({source}): what stands between ⟦ and ⟧ is learned", n=number, source=example.source
        )
        show.line(f"--- {here(learned)}")
        typer.echo(show.plain(marked(example, encoder.template)))


def _refuse(planned: Plan, recipe: Recipe, force: bool) -> None:
    if (planned.fits and not planned.takes_days) or force:
        return
    advice = list(planned.advice(recipe))
    raise ModelError(advice[0], _("Do so all the same with: --force"))


def _require_shareable(planned: Plan) -> None:
    """Raises:
    SettingsError: the model can't be shared out between processes.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        raise SettingsError(
            _("--fsdp shares the model out between processes, and there is one."),
            _("Begin with: torchrun --nproc-per-node 2 -m kb_assistant train …; or leave --fsdp out."),
        )
    if planned.precision in ("int4", "nf4"):
        raise SettingsError(
            _("{precision} weights can't be shared out by --fsdp.", precision=planned.precision),
            _("Leave --fsdp out: each process then has all of them; or set precision to bf16."),
        )


def _style(content: DataSet) -> str:
    return ",".join(sorted({one.style for one in content.train}))


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"
