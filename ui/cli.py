"""The command of the page: ui."""

from __future__ import annotations

from typing import Annotated

import typer

from kb_assistant.cli.options import (
    Certificate,
    Folders,
    Home,
    Host,
    K,
    Kb,
    Key,
    Login,
    Model,
    Port,
    listening,
)
from kb_assistant.errors import KBError
from kb_assistant.messages import _


def register(app: typer.Typer) -> None:
    """Give `kb` the page's command; the entry point `kb_assistant.commands` names this."""
    app.command()(ui)


def ui(
    host: Host = "127.0.0.1",
    port: Port = 8501,
    login: Login = False,
    folders: Folders = None,
    cert: Certificate = None,
    key: Key = None,
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
    from kb_assistant.workspace.access import Access
    from ui.options import Options
    from ui.server import serve

    flags = {"model": model, "k": k, "kb": kb, "home": home}
    at = listening(host, port, login, folders, cert, key)
    settings = Settings.load(**flags)
    serve(Options(flags, at.needs_token, at.readable), Access.of(settings), at, browser=browser)
