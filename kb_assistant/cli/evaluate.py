"""The command that measures: eval."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Embedder, Home, Json, Kb, open_kb, stopping
from kb_assistant.messages import _

if TYPE_CHECKING:
    from kb_assistant.evaluate.datasets import EvalSet
    from kb_assistant.evaluate.held_out import HeldOut
    from kb_assistant.evaluate.run import Evaluation
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.types import Progress


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
    adapter: Annotated[
        str | None, typer.Option(help="Answer with this adapter of kb train list.", metavar="NAME")
    ] = None,
    spans: Annotated[
        bool,
        typer.Option(
            "--spans",
            help="Compare what is shown as the answer, and what answers in the right passage, "
            "with the reference answers, as SQuAD does.",
        ),
    ] = False,
    leave_one_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-out",
            help="Also search each set with weights of earlier turns that only the other sets chose.",
        ),
    ] = False,
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

    Or it is a folder of yours with everyday questions (questions.tsv: question, must_hold, source) and dialogues
    (dialogues.jsonl), asked to the files in its folder `documents`, or else to the knowledge base.
    """
    from kb_assistant.evaluate.datasets import read_set
    from kb_assistant.evaluate.run import evaluate as run

    if bool(sets) == mine:
        raise typer.BadParameter("give either folders of sets or --mine")
    if keep_floor and not (mine and questions):
        raise typer.BadParameter("--keep-floor goes with --mine and --questions: headings tell no floor")
    if leave_one_out and len(sets or ()) < 2:
        raise typer.BadParameter("--leave-one-out needs two sets at least: the others choose")
    depths, models, done = _depths(k), answer or (), []
    strange = [read_set(folder) for folder in others or ()]
    with open_kb(kb, home, embedder=embedder, adapter=adapter) as base:
        _check(base, models)
        held = _held_out(base, sets or (), limit) if leave_one_out else None
        for data, filled in _own(base, questions) if mine else _sets(base, sets or ()):
            way = held.way(data) if held else None
            with show.share(data.name) as progress:
                done.append(run(data, filled, depths=depths, limit=limit, others=strange, models=models,
                                spans=spans, besides=[way] if way else [], progress=progress))  # fmt: skip
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
        show.evaluations(done)


def _keep_floor(base: KnowledgeBase, found: Evaluation) -> None:
    from kb_assistant.errors import DatasetError

    if found.refusal is None:
        raise DatasetError(
            _("No question has an answer in the documents."), _('Name its file: {{…, "source": …}}.')
        )
    thresholds = found.refusal.thresholds()
    base.keep_thresholds(thresholds)
    refuse, uncertain = thresholds.refuse_below, thresholds.uncertain_below
    show.note(
        _(
            "Kept with the index: refused below {refuse:.2f}, uncertain below {uncertain:.2f}.",
            refuse=refuse,
            uncertain=uncertain,
        )
    )
    if base.thresholds != thresholds:
        show.note(_("The settings name others, which win."))


def _check(base: KnowledgeBase, models: Sequence[str]) -> None:
    """Miss a model now rather than after an hour of embedding."""
    if models:
        from kb_assistant.evaluate.answers import open_model

        for name in models:
            open_model(base, name)


def _held_out(base: KnowledgeBase, folders: Sequence[Path], limit: int | None) -> HeldOut:
    """What the sets tell about the weights of earlier turns; what all of them choose is said."""
    from kb_assistant.evaluate.held_out import HeldOut

    held = HeldOut()
    for data, filled in _sets(base, folders):
        with show.share(f"{data.name}: weights") as progress:
            held.add(data, filled, limit, progress)
    for headed, kind in ((True, "with titles"), (False, "without titles")):
        if shares := held.chosen(headed):
            chosen = ", ".join(f"{name} {share:g}" for name, share in shares.items())
            show.note(f"All sets together choose, for documents {kind}: {chosen}.")
    return held


def _own(base: KnowledgeBase, questions: Path | None) -> Iterator[tuple[EvalSet, KnowledgeBase]]:
    from kb_assistant.evaluate.mine import FILE_NOTE, HEADINGS_NOTE, own_set

    show.note(FILE_NOTE if questions else HEADINGS_NOTE)
    yield own_set(base, questions), base


def _sets(base: KnowledgeBase, folders: Sequence[Path]) -> Iterator[tuple[EvalSet, KnowledgeBase]]:
    """Each set with the knowledge base of its documents."""
    from kb_assistant.evaluate.corpus import fill, open_corpus
    from kb_assistant.evaluate.datasets import read_set
    from kb_assistant.evaluate.mine import is_everyday

    read = [(folder, None if is_everyday(folder) else read_set(folder)) for folder in folders]
    for folder, data in read:
        if data is None:
            yield from _everyday(base, folder)
            continue
        with open_corpus(data, base.settings) as filled:
            with _filling() as (progress, stop):
                fill(filled, data, progress, stop)
            yield data, filled


def _everyday(base: KnowledgeBase, folder: Path) -> Iterator[tuple[EvalSet, KnowledgeBase]]:
    from kb_assistant.evaluate.corpus import fill_from, open_corpus
    from kb_assistant.evaluate.datasets import EvalSet
    from kb_assistant.evaluate.mine import DOCUMENTS, everyday_set

    if not (folder / DOCUMENTS).is_dir():
        yield everyday_set(base, folder), base
        return
    with open_corpus(EvalSet(folder.resolve(), ()), base.settings) as filled:
        with _filling() as (progress, stop):
            report = fill_from(filled, folder / DOCUMENTS, progress, stop)
        for row in report:
            if row.status == "failed":
                show.note(f"{show.plain(row.path)}: {row.reason}")
        yield everyday_set(filled, folder), filled


@contextmanager
def _filling() -> Iterator[tuple[Callable[[Progress], None], Callable[[], bool]]]:
    """The progress of embedding, and whether Ctrl-C was pressed."""
    stopped = threading.Event()
    with stopping(stopped.set), show.ingest_progress() as progress:
        yield progress, stopped.is_set


def _depths(text: str) -> tuple[int, ...]:
    try:
        depths = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        depths = ()
    if not depths or depths[0] < 1:
        raise typer.BadParameter(f"{text!r} isn't a list of numbers such as 5,10", param_hint="--k")
    return depths
