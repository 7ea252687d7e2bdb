"""Commands on work that several machines share: worker, jobs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Embedder, Home, Json, Kb, open_kb, stopping
from kb_assistant.errors import KBError, LostConnection
from kb_assistant.messages import _, here, join

if TYPE_CHECKING:
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.shared_work import Until
    from kb_assistant.store.work import IngestState, Share, WorkerState
    from kb_assistant.workspace.jobs import Job


_STATES = {
    "waiting": _("waiting"),
    "running": _("running"),
    "done": _("done"),
    "cancelled": _("cancelled"),
    "stopped": _("stopped"),
    "failed": _("failed"),
    "interrupted": _("interrupted"),
}
"""What ingests and jobs are, on a terminal."""


def worker(
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End once nothing is left to read, also with other workers.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Take files once, then end.")] = False,
    lease: Annotated[
        float,
        typer.Option(help="After so many seconds without a sign of life others take its files.", min=1.0),
    ] = 30.0,
    password: Annotated[
        list[str] | None,
        typer.Option(
            help="For locked PDF and Office files; repeatable, each is tried; '-' asks for one.",
            show_default=False,
        ),
    ] = None,
    gentle: Annotated[
        bool, typer.Option("--gentle", help="Let other programs go first, and compute with one thread.")
    ] = False,
    embedder: Embedder = None,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Read and embed what `kb ingest --workers` asks for, on this machine, for a knowledge base on a server.

    Start one on each machine that sees the files under the same path, more where there are cores.
    Ctrl-C ends it after the files in work; of a killed one others take over what it had. --json: a line a share.
    """
    if until_empty and once:
        raise KBError(_("These options don't go together."), _("See `kb worker --help`."))
    from kb_assistant.priority import lower_priority

    if gentle:
        lower_priority()
    asked = [typer.prompt("Password", hide_input=True, err=True) if one == "-" else one for one in password or ()]
    stopped, heard = threading.Event(), set[str]()

    def note(message: str) -> None:
        if message not in heard:  # one that waits says why once
            heard.add(message)
            show.note(message)

    def told(share: Share) -> None:
        heard.clear()
        if json:
            show.as_json_line(share.to_json())
        elif share.files or share.lost:
            show.note(_share(share))

    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    until: Until = "empty" if until_empty else "once" if once else "stopped"
    with (
        stopping(stopped.set),
        _opened(
            lambda: open_kb(kb, home, embedder=embedder, threads=1 if gentle else None), until, stopped, note
        ) as base,
    ):
        total = base.shared_work.work(
            until, passwords=asked, lease_seconds=lease, stop=stopped.is_set, on_share=told, on_message=note,
        )  # fmt: skip
    if not json:
        show.line(_share(total))
    raise typer.Exit(130 if stopped.is_set() and (until_empty or once) else 0)


def on_ray(address: str | None, base: KnowledgeBase) -> AbstractContextManager[object]:
    """Within it workers run on the nodes of a Ray cluster, if there is an address."""
    if address is None:
        return nullcontext()
    from kb_assistant.ray_workers import ray_workers

    return ray_workers(address, base.settings, show.note)


def _opened(
    open_base: Callable[[], KnowledgeBase], until: Until, stopped: threading.Event, say: Callable[[str], None]
) -> KnowledgeBase:
    """The knowledge base. Who stays until stopped waits for the server, until then."""
    while True:
        try:
            return open_base()
        except LostConnection as error:
            if until != "stopped":
                raise
            if stopped.is_set():
                raise typer.Exit from error
            say(error.message)
            stopped.wait(1)


def _share(share: Share) -> str:
    failed = _("{count} failed", count=share.failed)
    told = join([failed, _("{count} given back", count=share.lost) if share.lost else ""], ", ")
    return _(
        "{files} files ({told}), {chunks} chunks, {embedded} embedded, {seconds:.1f} s",
        files=share.files,
        told=told,
        chunks=share.chunks,
        embedded=share.embedded,
        seconds=share.seconds,
    )


def jobs(
    retry: Annotated[bool, typer.Option("--retry", help="Have workers try parked files again.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Take back what no worker has begun; nothing is removed.")
    ] = False,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Show what goes on and what was done last: ingests by workers, the workers, parked files, the page's jobs."""
    if retry and cancel:
        raise KBError(_("These options don't go together."), _("See `kb jobs --help`."))
    from kb_assistant.workspace.jobs import Jobs

    with open_kb(kb, home) as base:
        changed = base.shared_work.retry() if retry else base.shared_work.cancel() if cancel else None
        state, own = base.shared_work.state(), Jobs().of(base)
    if json:
        count: dict[str, Any] = {} if changed is None else {"changed": changed}
        show.as_json(state.to_json() | {"jobs": [asdict(job) for job in own]} | count)
        return
    if changed is not None:
        again = _("{count} files are to be tried again", count=changed)
        show.line(again if retry else _("{count} files taken back", count=changed))
    for ingest in state.ingests:
        show.line(_ingest(ingest))
    for one in state.workers:
        show.line("  " + here(_worker(one)))
    for file in state.parked:
        show.line("  " + here(_("parked {file}", file=show.place(file.path, file.reason))))
    for job in own:
        show.line(_job(job))
    if not (state.ingests or own):
        show.note(_("No jobs."))


def _ingest(one: IngestState) -> str:
    counts = {
        _("done"): one.done, _("failed"): one.failed, _("reading"): one.reading, _("waiting"): one.waiting,
        _("parked"): one.parked,
    }  # fmt: skip
    told = join([_("{count} {status}", count=count, status=name) for name, count in counts.items() if count], ", ")
    return _(
        "ingest {id} {state}: {paths}: {told} of {files} files; {when}",
        id=one.id,
        state=_STATES.get(one.state, one.state),
        paths=", ".join(one.paths),
        told=told or _("nothing"),
        files=one.files,
        when=one.asked_at,
    )


def _worker(one: WorkerState) -> str:
    mark = _("lost {seconds:.0f} s ago", seconds=one.seen) if one.lost else _("at work")
    return _(
        "worker {host}, process {pid}: {mark}, {count} files",
        host=one.host,
        pid=one.pid,
        mark=mark,
        count=one.files,
    )


def _job(job: Job) -> str:
    where = ", ".join(job.paths)
    state = _STATES.get(job.state, job.state)
    return f"{job.kind} {here(state)}: {where + '; ' if where else ''}{job.asked_at}"
