"""The command of the page: ui."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb_assistant.cli.options import Home, K, Kb, Model
from kb_assistant.errors import KBError
from kb_assistant.messages import _


def register(app: typer.Typer) -> None:
    """Give `kb` the page's command; the entry point `kb_assistant.commands` names this."""
    app.command()(ui)


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
    from kb_assistant.workspace.listening import LOOPBACK
    from ui.options import Options
    from ui.server import serve

    flags = {"model": model, "k": k, "kb": kb, "home": home}
    login = login or host not in LOOPBACK
    allowed = tuple(folder.resolve() for folder in folders or ())
    options = Options(flags, login, allowed if login else None)
    serve(options, Settings.load(**flags).home, host, port, certificate=cert, key=key, browser=browser)
