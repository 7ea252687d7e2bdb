"""Commands of the page: ui, and token for remote users."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json, K, Kb, Model
from kb_assistant.errors import KBError
from kb_assistant.messages import _

if TYPE_CHECKING:
    from kb_assistant.workspace.access import Access

tokens = typer.Typer(help="Who may use a page that others can reach.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Give `kb` the page's commands; the entry point `kb_assistant.commands` names this."""
    app.command()(ui)
    app.add_typer(tokens, name="token")


def ui(
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but this machine's own asks users for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8501,
    login: Annotated[bool, typer.Option("--login", help="Ask for a token on this machine, too.")] = False,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder",
            help="With tokens: folders under it may be named to be read; repeatable.",
            metavar="DIR",
        ),
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="TLS certificate.", metavar="FILE")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key.", metavar="FILE")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the browser.")] = True,
    model: Model = None,
    k: K = None,
    kb: Kb = None,
    home: Home = None,
) -> None:
    """Open the page in the browser: chat, sources, knowledge bases."""
    from importlib.util import find_spec

    if find_spec("streamlit") is None:
        raise KBError(_("The page needs Streamlit."), _('Install it: pip install "kb-assistant[ui]"'))
    from kb_assistant.settings import Settings
    from ui.options import Options
    from ui.server import LOOPBACK, serve

    flags = {"model": model, "k": k, "kb": kb, "home": home}
    login = login or host not in LOOPBACK
    allowed = tuple(folder.resolve() for folder in folders or ())
    options = Options(flags, login, allowed if login else None)
    serve(options, Settings.load(**flags).home, host, port, certificate=cert, key=key, browser=browser)


@tokens.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Of the user.", show_default=False)],
    read_only: Annotated[bool, typer.Option("--read-only", help="May ask, not change anything.")] = False,
    home: Home = None,
) -> None:
    """Make a token and print it, this once; an earlier one of that user no longer opens."""
    typer.echo(_access(home).add(name, "read" if read_only else "full"))
    show.note("Only a hash of it is kept: note it now.")


@tokens.command("list")
def list_tokens(home: Home = None, json: Json = False) -> None:
    """List who has a token."""
    users = _access(home).users()
    if json:
        show.as_json([{"name": user.name, "role": user.role} for user in users])
    else:
        for user in users:
            typer.echo(f"{user.role:>5}  {user.name}")


@tokens.command("rm")
def remove_token(
    name: Annotated[str, typer.Argument(help="Of the user.", show_default=False)], home: Home = None
) -> None:
    """Take a user's token away; who is signed in with it is out at once."""
    if not _access(home).remove(name):
        raise KBError(_("{name!r} has no token.", name=name), _("`kb token list` shows who has."))


def _access(home: Path | None) -> Access:
    from kb_assistant.settings import Settings
    from kb_assistant.workspace.access import Access

    return Access(Settings.load(home=home).home)
