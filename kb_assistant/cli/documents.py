"""Commands on documents: ingest, search, sources, rm, status, verify, rebuild."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb_assistant.cli import show
from kb_assistant.cli.causes import Cause, causes
from kb_assistant.cli.options import Embedder, Home, Json, K, Kb, Where, open_kb, stopping
from kb_assistant.cli.work import on_ray
from kb_assistant.errors import KBError
from kb_assistant.messages import _
from kb_assistant.types import MissingFiles, Report

if TYPE_CHECKING:
    from kb_assistant.store import Source

_BUSY = 2.0
"""Programs that compute, for each core, from which on an ingest says that the machine is busy."""

_STATUS = {
    "kb": _("kb"),
    "folder": _("folder"),
    "sources": _("sources"),
    "chunks": _("chunks"),
    "texts": _("texts"),
    "failed": _("failed"),
    "megabytes": _("megabytes"),
    "index": _("index"),
    "embedder": _("embedder"),
    "floors": _("floors"),
    "model": _("model"),
}
"""What a status is called on a terminal."""


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files and folders; s3://bucket/prefix; - for a document from standard input.", show_default=False
        ),
    ],
    include: Annotated[
        list[str] | None, typer.Option(help="Only files matching this pattern, as in .gitignore; repeatable.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No files matching this pattern; repeatable.")] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also remove what the patterns or ignore files leave out now.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Then go on with what changes there, until Ctrl-C.")
    ] = False,
    password: Annotated[
        list[str] | None,
        typer.Option(
            help="For locked PDF and Office files; repeatable, each is tried; '-' asks for one.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the document from standard input; its suffix says how it is read."),
    ] = None,
    readers: Annotated[
        list[str] | None,
        typer.Option(
            help="Where others use it by tokens: who may read what is there, now and later; NAME or group:NAME,"
            " repeatable.",
            metavar="WHO",
        ),
    ] = None,
    gentle: Annotated[
        bool, typer.Option("--gentle", help="Let other programs go first, and compute with one thread.")
    ] = False,
    workers: Annotated[
        bool,
        typer.Option(
            "--workers", help="Have the workers of all machines read (see kb worker), and wait for them."
        ),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Likewise, and start a worker on each node of this Ray cluster; 'local' starts one.",
            metavar="ADDRESS",
        ),
    ] = None,
    embedder: Embedder = None,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Bring the knowledge base in step with files and folders.

    New and changed files are read, unchanged ones skipped, vanished ones removed. Ctrl-C stops after the files in
    work; what is committed stays, and the next run goes on from there. Zip and tar archives are read as folders.
    """
    workers = workers or ray is not None
    at_odds = (dry_run and bool(watch or readers)) or (workers and bool(watch or name or dry_run))
    _check_input(paths, name, at_odds, watch or dry_run or prune or bool(include or exclude))
    asked = [typer.prompt("Password", hide_input=True, err=True) if one == "-" else one for one in password or ()]
    choice: dict[str, Any] = {
        "include": include or (),
        "exclude": exclude or (),
        "prune": prune,
        "passwords": asked,
    }
    stopped = threading.Event()

    def stop() -> None:
        if workers and not ray:
            show.note(_("The workers go on; `kb jobs` shows how far they are, `kb jobs --cancel` ends it."))
        elif not watch:
            show.note(_("Stopping after the files in work; Ctrl-C again breaks off at once."))
        stopped.set()

    threads = _step_back(gentle)
    with (
        open_kb(kb, home, embedder=embedder, threads=threads) as base,
        show.ingest_progress() as progress,
        stopping(stop),
    ):
        if watch:
            if readers:
                base.set_readers(paths, readers)
            reports = base.watch(paths, **choice, on_progress=progress, stop=stopped.is_set, on_message=show.note)
            raise typer.Exit(_watch(reports, json, kb, home))
        if name:
            data = sys.stdin.buffer.read(base.settings.file_megabytes * 1_000_000 + 1)
            report = base.add(
                [(name, data)], passwords=asked, readers=readers, on_progress=progress, stop=stopped.is_set
            )
        else:
            with on_ray(ray, base):
                report = base.ingest(
                    paths, **choice, dry_run=dry_run, readers=readers, workers=workers, on_progress=progress,
                    on_message=show.note, stop=stopped.is_set,
                )  # fmt: skip
    failed = _causes(report, kb, home)
    if json:
        show.as_json(report.to_json() | {"causes": [cause.to_json() for cause in failed]})
    else:
        show.report(report, failed)
    raise typer.Exit(130 if report.stopped else int(report.failed > 0))


def _step_back(gentle: bool) -> int | None:
    """How many threads to take, if that is chosen. On a terminal, says when the machine is busy."""
    from kb_assistant.priority import lower_priority
    from kb_assistant.processor import load_per_core

    if gentle:
        lower_priority()
        return 1
    if sys.stderr.isatty() and load_per_core() >= _BUSY:
        show.note(_("This machine is busy with other programs: this takes longer. --gentle lets them go first."))
    return None


def _check_input(paths: list[Path], name: str | None, at_odds: bool, of_files: bool) -> None:
    """Raise KBError where options are `at_odds`, or are those `of_files` for a document from standard input."""
    piped = [str(path) for path in paths] == ["-"]
    if piped != bool(name) or name == "":
        raise KBError(
            _("A document from standard input needs a name."), _("Write `kb ingest - --name report.pdf < FILE`.")
        )
    if at_odds or (piped and of_files):
        raise KBError(_("These options don't go together."), _("See `kb ingest --help`."))


def _causes(report: Report, kb: str | None, home: Path | None) -> list[Cause]:
    return causes(((row.path, row.reason) for row in report if row.status == "failed"), kb, home)


def _watch(reports: Iterator[Report], json: bool, kb: str | None, home: Path | None) -> int:
    """Print each report. Returns the exit code: 130 where a stop cut an ingest short, else 0."""
    stopped = False
    for number, report in enumerate(reports):
        stopped = report.stopped
        if json:
            show.as_json_line(report.to_json())
        elif number == 0:
            show.report(report, _causes(report, kb, home))
            show.note(_("Watching; Ctrl-C ends it."))
        else:
            show.changes(report)
    return 130 if stopped else 0


def search(
    question: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    where: Where = None,
    k: K = None,
    read: Annotated[
        bool, typer.Option("--read", help="Read the best passages with the question, as before an answer.")
    ] = False,
    embedder: Embedder = None,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Find the passages that bear most on a question, by meaning and by word."""
    with open_kb(kb, home, embedder=embedder) as base:
        found = base.retrieve(question, k, where=where or (), read=read)
    hits = found.hits
    if json:
        listed = [hit.to_json() for hit in hits]
        show.as_json({"query": question, "evidence": round(found.evidence, 4), "hits": listed})
    elif hits:
        show.hits(hits)
    else:
        show.note(_("Nothing found."))


def sources(
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that couldn't be read, by the cause.")
    ] = False,
    missing: Annotated[bool, typer.Option("--missing", help="Only those that have no file now.")] = False,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """List the files it knows, with their chunks."""
    with open_kb(kb, home) as base:
        known = base.sources(failed=True if failed else None)
        lost = base.missing_files() if missing else MissingFiles()
    if missing:
        known = [source for source in known if source.path in {*lost.gone, *lost.unreachable}]
    if json:
        states = dict.fromkeys(lost.gone, "gone") | dict.fromkeys(lost.unreachable, "unreachable")
        show.as_json([source.to_json() | ({"file": states[source.path]} if missing else {}) for source in known])
    elif failed:
        show.failures(causes(((source.path, source.reason) for source in known), kb, home))
    elif missing:
        show.missing(lost)
    else:
        _list(known)


def _list(known: Sequence[Source]) -> None:
    for source in known:
        mark = _("failed") if source.failed else _("{count} chunks", count=source.chunks)
        typer.echo(f"{show.right(mark, 12)}  {show.place(source.path, source.reason)}")


def rm(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders with all under them, or documents by their names.", show_default=False
        ),
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Forget those whose files are certainly gone.")
    ] = False,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Forget files. The files themselves stay; the next ingest of their folder brings them back."""
    if not paths and not missing:
        raise KBError(_("There is nothing to forget."), _("Name files or folders, or give --missing."))
    with open_kb(kb, home) as base:
        lost = base.missing_files().gone if missing else ()
        base.forget_sources(lost)
        gone = [*lost, *(base.remove(paths) if paths else ())]
    if json:
        show.as_json({"removed": gone})
    else:
        show.line(_("{count} forgotten", count=len(gone)))
    if not gone:
        none = _("No source lies there; `kb sources` lists them.")
        show.note(none if paths else _("Every source has its file."))
        raise typer.Exit(int(bool(paths)))


def status(kb: Kb = None, home: Home = None, json: Json = False) -> None:
    """Show counts, size and models."""
    with open_kb(kb, home) as base:
        state, lost, work = base.status(), base.missing_files(), base.shared_work.state()
    if json:
        show.as_json(state | {"missing": lost.to_json(), "work": work.to_json()})
    else:
        shown = state | {"index": show.facts(state["index"]), "floors": show.floors(state["floors"])}
        for name, value in shown.items():
            show.row(_STATUS.get(name, name), value)
        if work.summary:
            show.row(_("work"), work.summary)
        show.missing(lost)


def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Keep what is sound, drop the rest.")] = False,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Prove that sources, chunks, vectors, keyword index and FAISS agree."""
    with open_kb(kb, home) as base:
        verdict = base.verify(repair=repair)
    if json:
        show.as_json(verdict.to_json())
    else:
        for fault in verdict.faults:
            show.line(fault)
        for part in verdict.unchecked:
            show.line(_("not checked now: {part}", part=part))
        for path in verdict.to_reingest:
            show.line(_("to be read again: {path}", path=path))
        show.missing(verdict.missing)
        unsound = _("all agrees") if verdict.sound else _("faults found")
        show.line(_("repaired") if verdict.repaired else unsound)
    if verdict.repaired:
        show.note(_("Run `kb ingest` on your folders again: it reads what was lost, and only that."))
    elif not verdict.sound:
        show.note(_("Run `kb verify --repair`."))
    raise typer.Exit(0 if verdict.sound else 1)


def rebuild(embedder: Embedder = None, kb: Kb = None, home: Home = None) -> None:
    """Embed all texts again with another embedder, beside the old index, then swap.

    Stopped or killed, it goes on where it was; searches with the old embedder go on meanwhile.
    """
    stopped = threading.Event()
    with open_kb(kb, home, embedder=embedder) as base, stopping(stopped.set):
        done = base.rebuild(lambda now, total: show.note(_("{n}/{all} texts", n=now, all=total)), stopped.is_set)
        name = base.embedder.fingerprint["name"]
    if not done:
        show.note(_("Stopped; the old index is in use. Run it again to go on."))
        raise typer.Exit(130)
    show.line(_("The index uses {name} now.", name=name))
    if embedder:
        keep = f"kb settings embedder {shlex.quote(embedder)}"
        show.note(_("Keep it: {command}   (or pass --embedder from now on)", command=keep))
