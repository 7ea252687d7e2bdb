"""Commands that serve knowledge bases to other programs."""

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


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8502,
    login: Login = False,
    page: Annotated[bool, typer.Option("--page", help="Serve the page as well, from one process.")] = False,
    folders: Folders = None,
    cert: Certificate = None,
    key: Key = None,
    public_url: Annotated[
        str, typer.Option(help="Where clients reach it, if a proxy stands before it.", metavar="URL")
    ] = "",
    queue: Annotated[
        int, typer.Option(help="How many questions may wait; more are told to come back.", min=0)
    ] = 32,
    allow_write: Annotated[
        bool, typer.Option("--allow-write", help="Give MCP clients whose token may write tools that do.")
    ] = False,
    model: Model = None,
    k: K = None,
    kb: Kb = None,
    home: Home = None,
) -> None:
    """Serve knowledge bases to other programs: OpenAI's protocol, Dify's, MCP, and an API of its own."""
    _require("fastapi")
    if page:
        _require("streamlit", "ui")
    from kb_assistant.serve.server import ServeOptions
    from kb_assistant.serve.server import serve as run

    run(
        ServeOptions(
            flags={"model": model, "k": k, "kb": kb, "home": home},
            listening=listening(host, port, login, folders, cert, key),
            public_url=public_url,
            waiting=queue,
            page=page,
            allow_write=allow_write,
        )
    )


def mcp(
    names: Annotated[
        list[str] | None,
        typer.Option("--kb", help="Only this knowledge base; repeatable.", metavar="NAME"),
    ] = None,
    allow_write: Annotated[
        bool, typer.Option("--allow-write", help="Also give tools that add and remove documents.")
    ] = False,
    public_url: Annotated[
        str, typer.Option(help="Where a `kb serve` shows passages, for links.", metavar="URL")
    ] = "",
    model: Model = None,
    k: K = None,
    home: Home = None,
) -> None:
    """Serve knowledge bases to an MCP client (an editor, an agent) on standard input and output."""
    _require("mcp")
    from kb_assistant.serve.server import serve_stdio

    flags = {"model": model, "k": k, "home": home}
    serve_stdio(flags, names or (), allow_write=allow_write, public_url=public_url)


def _require(package: str, extra: str = "serve") -> None:
    """
    Raises:
        KBError: the package isn't installed.
    """
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise KBError(
            _("This needs the package {package}.", package=package),
            _('Install it: pip install "kb-assistant[{extra}]"', extra=extra),
        )
