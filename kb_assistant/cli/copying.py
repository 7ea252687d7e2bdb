"""The command that copies a knowledge base, or all of a home, into another store."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path
from typing import Annotated

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json, Kb, open_kb, stopping
from kb_assistant.errors import KBError
from kb_assistant.messages import _, join


def copy(
    to: Annotated[
        str, typer.Option(help="Where to: sqlite, or postgresql://USER@HOST/DATABASE.", metavar="STORE")
    ],
    everything: Annotated[
        bool,
        typer.Option("--all", help="All knowledge bases, users, tokens, rights, conversations and links."),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Also where another knowledge base of this name is, or with --all users: what is there goes.",
        ),
    ] = False,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Copy the knowledge base into another store: from its file to a PostgreSQL server, or back.

    Nothing is embedded anew. Stopped or killed, it goes on where it was; run again, it brings what has changed.
    """
    if everything:
        _copy_home(to, replace, kb, home, json)
        return
    stopped = threading.Event()
    with open_kb(kb, home) as base, stopping(stopped.set), show.share(_("copying")) as progress:
        done = base.copy(
            to, replace=replace, on_progress=lambda now, total: progress(now / total), stop=stopped.is_set
        )
    if json:
        show.as_json(done.to_json())
    elif not done.stopped:
        copied = _("{n} of {all} sources copied; the others were there already.", n=done.copied, all=done.sources)
        show.line(join([copied, _("{n} removed there.", n=done.removed) if done.removed else ""]))
        _say_use(to)
    _end(done.stopped)


def _copy_home(to: str, replacing: bool, kb: str | None, home: Path | None, json: bool) -> None:
    from kb_assistant.settings import Settings
    from kb_assistant.workspace.home_copy import copy_home

    if kb is not None:
        raise KBError(_("These options don't go together."), _("See `kb copy --help`."))
    stopped = threading.Event()
    with stopping(stopped.set), show.share(_("copying")) as progress:
        done = copy_home(Settings.load(home=home), to, replacing=replacing, progress=progress, stop=stopped.is_set)
    if json:
        show.as_json(done.to_json())
    elif not done.stopped:
        show.line(
            _(
                "{bases} knowledge bases: {n} sources copied; the others were there already. {chats} conversations"
                " copied.",
                bases=done.bases,
                n=done.copied,
                chats=done.conversations,
            )
        )
        _say_use(to)
    _end(done.stopped)


def _say_use(store: str) -> None:
    show.note(_("Use it: {command}", command=f"kb settings store {shlex.quote(store)}"))


def _end(stopped: bool) -> None:
    if stopped:
        show.note(_("Stopped. Run it again to go on."))
        raise typer.Exit(130)
