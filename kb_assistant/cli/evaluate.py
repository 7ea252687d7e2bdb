"""The command that measures: eval."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Embedder, Home, Json, Kb, open_kb, stopping
from kb_assistant.messages import _

if TYPE_CHECKING:
    from kb_assistant.evaluate.datasets import EvalSet
    from kb_assistant.evaluate.run import Evaluation
    from kb_assistant.knowledge import KnowledgeBase


def evaluate(
    sets: Annotated[
        list[Path] | None, typer.Argument(help="Folders of sets.", show_default=False, metavar="[DIR...]")
    ] = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="Measure one's own knowledge base, by its headings or --questions.")
    ] = False,
    questions: Annotated[
        Path | None,
        typer.Option(help='With --mine: lines of {"text": question, "source": file}.', metavar="FILE"),
    ] = None,
    k: Annotated[str, typer.Option("--k", help="How many documents count, parted by commas.")] = "5,10",
    others: Annotated[
        list[Path] | None,
        typer.Option("--other", help="A set whose questions they don't answer; repeatable.", metavar="DIR"),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option(
            help="Also answer with this chat model, named as for kb ask, and compare with the reference answers; "
            "repeatable.",
            metavar="MODEL",
        ),
    ] = None,
    keep_floor: Annotated[
        bool,
        typer.Option("--keep-floor", help="With --questions: refuse below the recommended floor from now on."),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(help="Questions of each kind at most, evenly spread [all].", min=1)
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots here.", metavar="FILE")] = None,
    embedder: Embedder = None,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Measure how well documents are found and questions refused and answered, on one's own or public sets.

    A set is a folder with corpus.jsonl ({"id", "title", "text"}), queries.jsonl ({"id", "text"} and perhaps
    "history", "rewrite", "answers", "labels", "answerable") and qrels.tsv (question, document, score; a header
    line). Documents are embedded once and kept in the home.
    """
    from kb_assistant.evaluate.datasets import read_set
    from kb_assistant.evaluate.run import evaluate as run

    if bool(sets) == mine:
        raise typer.BadParameter("give either folders of sets or --mine")
    if keep_floor and not (mine and questions):
        raise typer.BadParameter("--keep-floor goes with --mine and --questions: headings tell no floor")
    depths, models, done = _depths(k), answer or (), []
    read, strange = [read_set(folder) for folder in sets or ()], [read_set(folder) for folder in others or ()]
    with open_kb(kb, home, embedder=embedder) as base:
        _check(base, models)
        for data, filled in _own(base, questions) if mine else _embedded(base, read):
            with show.share(data.name) as progress:
                done.append(run(data, filled, depths=depths, limit=limit, others=strange, models=models,
                                progress=progress))  # fmt: skip
        _tell(done, report, json)
        if keep_floor:
            _keep_floor(base, done[0])


def _tell(done: Sequence[Evaluation], report: Path | None, json: bool) -> None:
    if report:
        from kb_assistant.evaluate.report import page

        report.write_text(page(done), encoding="utf-8")
    if json:
        show.as_json([evaluation.to_json() for evaluation in done])
    else:
        for evaluation in done:
            show.evaluation(evaluation)


def _keep_floor(base: KnowledgeBase, found: Evaluation) -> None:
    from kb_assistant.errors import DatasetError

    if found.refusal is None:
        raise DatasetError(
            _("No question has an answer in the documents."), _('Name its file: {{…, "source": …}}.')
        )
    thresholds = found.refusal.thresholds()
    base.keep_thresholds(thresholds)
    refuse, uncertain = thresholds.refuse_below, thresholds.uncertain_below
    show.note(f"Kept with the index: refused below {refuse:.2f}, uncertain below {uncertain:.2f}.")
    if base.thresholds != thresholds:
        show.note("The settings name others, which win.")


def _check(base: KnowledgeBase, models: Sequence[str]) -> None:
    """Miss a model now rather than after an hour of embedding."""
    if models:
        from kb_assistant.evaluate.answers import open_model

        for name in models:
            open_model(base, name)


def _own(base: KnowledgeBase, questions: Path | None) -> Iterator[tuple[EvalSet, KnowledgeBase]]:
    from kb_assistant.evaluate.mine import FILE_NOTE, HEADINGS_NOTE, own_set

    show.note(FILE_NOTE if questions else HEADINGS_NOTE)
    yield own_set(base, questions), base


def _embedded(base: KnowledgeBase, read: Sequence[EvalSet]) -> Iterator[tuple[EvalSet, KnowledgeBase]]:
    """Each set with the knowledge base of its documents."""
    from kb_assistant.evaluate.corpus import fill, open_corpus

    stopped = threading.Event()
    for data in read:
        with open_corpus(data, base.settings, base.embedder) as filled:
            with stopping(stopped.set), show.ingest_progress() as progress:
                fill(filled, data, progress, stopped.is_set)
            yield data, filled


def _depths(text: str) -> tuple[int, ...]:
    try:
        depths = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        depths = ()
    if not depths or depths[0] < 1:
        raise typer.BadParameter(f"{text!r} isn't a list of numbers such as 5,10", param_hint="--k")
    return depths
