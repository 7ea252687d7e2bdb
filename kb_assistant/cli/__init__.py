"""`kb`: a thin layer over KnowledgeBase and ModelHome. Heavy modules load inside the commands that need them.

Exit codes: 0 done; 1 done, but something failed (a file, a check); 2 not done, the error says why; 3 done, and not
kept (kb train reader); 130 stopped.
"""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import sys
from importlib.metadata import entry_points

import typer

from kb_assistant.cli import (
    bundle,
    copying,
    documents,
    evaluate,
    grants,
    models,
    serve,
    settings,
    show,
    talk,
    train,
    users,
    work,
)
from kb_assistant.errors import KBError
from kb_assistant.messages import _, here, language_here

app = typer.Typer(
    name="kb",
    help="Ask your own documents, on your own machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    documents.ingest,
    documents.search,
    talk.ask,
    talk.chat,
    documents.sources,
    documents.rm,
    documents.status,
    documents.verify,
    documents.rebuild,
    copying.copy,
    work.worker,
    work.jobs,
    settings.settings,
    models.doctor,
    bundle.bundle,
    serve.serve,
    serve.mcp,
):
    app.command()(command)
app.command("eval")(evaluate.evaluate)
app.add_typer(models.app, name="models")
app.add_typer(users.tokens, name="token")
app.add_typer(users.users, name="user")
app.add_typer(grants.grants, name="grant")
app.add_typer(grants.readers, name="readers")
app.add_typer(train.app, name="train")
for entry in entry_points(group="kb_assistant.commands"):  # those of the page, which stands on the public API
    entry.load()(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("kb-assistant"))
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_print_version
    ),
) -> None:
    del version


def main() -> None:
    """Run the command line. Errors meant for users go to stderr in two lines, or as JSON where --json is given."""
    # Loading makes a million objects that stay: to look through them took 5 % of a search, and at its end 15 %.
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Chinese shows escapes, not a traceback
            stream.reconfigure(errors="backslashreplace")
    command = typer.main.get_command(app)
    if (language := language_here()) != "en":
        from kb_assistant.cli.help import translate_help

        translate_help(command, language)
    try:
        command(prog_name="kb")
    except KBError as error:
        if "--json" in sys.argv:
            show.as_json(error.to_json())
        show.note(f"kb: {here(error.message)}")
        if error.hint:
            show.note(f"    {here(error.hint)}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone: nobody is left to tell
        _say_no_more()
        sys.exit(1)
    except OSError as error:
        if error.errno not in _UNWRITTEN:
            raise
        _say_no_more()
        message = _("The output or a file can't be written: {reason}.", reason=error)
        show.note(f"kb: {here(message)}")
        show.note(f"    {here(_('Make room on the disk, or send the output elsewhere.'))}")
        sys.exit(2)


_UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


def _open_closed_streams() -> None:
    """Standard streams that the caller closed are empty, or lead nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def _say_no_more() -> None:
    """What is still to be written out at the end is left."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
