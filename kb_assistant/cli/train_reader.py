"""`kb train reader DATA`: trains the answer reader on one's own questions, and keeps it only if it gains."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json, stopping
from kb_assistant.messages import _, here

if TYPE_CHECKING:
    from kb_assistant.settings import Settings
    from kb_assistant.training.reader.asked import Asked
    from kb_assistant.training.reader.own import Change, Outcome, ReaderJob

NOT_KEPT = 3
"""Exit code where the reader gained nothing."""
_EXAMPLES = 3


def reader(
    data: Annotated[
        Path, typer.Argument(help="What kb train data --from-kb or --from-chats wrote.", metavar="DATA")
    ],
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the reader.", metavar="NAME")],
    epochs: Annotated[int, typer.Option(help="How often each question is learned.", min=1, max=50)] = 3,
    learning_rate: Annotated[float, typer.Option(help="Largest step.", min=1e-6, max=1e-2)] = 2e-4,
    seed: Annotated[int, typer.Option(help="The same seed gives the same reader.", min=0)] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what is learned and how long it takes; train nothing.")
    ] = False,
    home: Home = None,
    json: Json = False,
) -> None:
    """Train the answer reader on the questions of one's own index and votes; broken off, the same command goes on.

    It begins with the reader that comes along, mixes in questions that this was made with, and is measured on
    those of one's own that were kept back and on others that come along. The exit code is 3 where it gains
    nothing: then nothing is kept.
    """
    from kb_assistant.settings import Settings

    settings = Settings.load(home=home)
    job = _job(settings, data, name, {"epochs": epochs, "rate": learning_rate, "seed": seed})
    _tell_plan(job, json and dry_run)
    if dry_run:
        if not json:
            _show_examples(job.learned)
        return
    outcome = _trained(job, settings)
    if json:
        show.as_json({"name": name, "kept": bool(outcome.adapter), **outcome.to_json()})
    else:
        for line in (_line("own questions", outcome.own), _line("usual questions", outcome.usual)):
            typer.echo(line)
    if outcome.adapter is None:
        show.note(_("Not kept: it gains nothing on your questions, or loses on the usual ones."))
        raise typer.Exit(NOT_KEPT)
    if outcome.own.gain.low <= 0:
        show.note(_("So few questions don't prove the gain: its interval reaches 0. More of them would."))
    show.note(_('Use it: answer_reader = "{name}" in kb.toml, or KB_ANSWER_READER={name}', name=name))


def _job(settings: Settings, data: Path, name: str, choices: dict[str, Any]) -> ReaderJob:
    from kb_assistant.models.home import ModelHome
    from kb_assistant.reader.reader import BASE
    from kb_assistant.training.held_back import keys
    from kb_assistant.training.prepare import open_data
    from kb_assistant.training.reader.own import ReaderJob, asked_of, require_packages

    require_packages()
    base = ModelHome(settings.models_dir).get(BASE, "embedder")
    content = open_data(data)
    learned, held = asked_of(content)
    return ReaderJob(name, base, learned, held, content.sha256, keys=keys(content.train), **choices)


def _trained(job: ReaderJob, settings: Settings) -> Outcome:
    """What the training came to. Ctrl-C ends the command in order."""
    from kb_assistant.models.adapters import AdapterHome
    from kb_assistant.torch_runtime import import_torch
    from kb_assistant.training.reader.own import train_reader

    if settings.threads:
        import_torch().set_num_threads(settings.threads)
    halted = threading.Event()
    with stopping(halted.set):
        outcome = train_reader(job, AdapterHome(settings.home), show.note, halted.is_set)
    if outcome is None:
        show.note(_("Stopped. The same command goes on."))
        raise typer.Exit(130)
    return outcome


def _tell_plan(job: ReaderJob, json: bool) -> None:
    marked = sum(bool(one.answers) for one in job.learned)
    refused = sum(one.right is None for one in job.learned)
    if json:
        counts = {"learned": len(job.learned), "marked": marked, "unanswered": refused, "held": len(job.held)}
        show.as_json({**counts, "seconds": round(job.seconds)})
        return
    show.note(
        _(
            "{learned:,} questions to learn ({marked:,} with their answer marked, {refused:,} without an answer), "
            "{held:,} to measure; about {minutes} minutes of one core",
            learned=len(job.learned),
            marked=marked,
            refused=refused,
            held=len(job.held),
            minutes=max(1, round(job.seconds / 60)),
        )
    )


def _show_examples(learned: Sequence[Asked]) -> None:
    for number, one in enumerate(learned[:_EXAMPLES], start=1):
        show.line("--- " + here(_("example {n}: what stands between ⟦ and ⟧ answers", n=number)))
        typer.echo(show.plain("\n".join([*one.earlier, one.question])))
        for place, (heading, body) in enumerate(one.passages):
            answer = one.answers[0] if place == one.right and one.answers else ""
            text = body.replace(answer, f"⟦{answer}⟧", 1) if answer else body
            sign = "+" if place == one.right else "-" if place in one.wrong else " "
            typer.echo(show.plain(f"  {sign} {heading}: {' '.join(text.split())}"))


def _line(name: str, change: Change) -> str:
    def shown(part: str) -> str:
        before, after = getattr(change.before, part), getattr(change.after, part)
        return f"{before:.3f} → {after:.3f}"

    return (
        f"{name:<16} {change.before.questions:,} answered: right passage first {shown('first')}, "
        f"answer {shown('f1')} (F1), {shown('exact')} (exact); gain {change.gain}"
    )
