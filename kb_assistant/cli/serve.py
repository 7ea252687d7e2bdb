"""Commands that serve knowledge bases to other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kb_assistant.cli.options import Home, K, Kb, Model
from kb_assistant.errors import KBError
from kb_assistant.messages import _


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but this machine's own asks for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8502,
    login: Annotated[bool, typer.Option("--login", help="Ask for a token on this machine, too.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Serve the page as well, from one process.")] = False,
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
            host=host,
            port=port,
            login=login,
            folders=tuple(folder.resolve() for folder in folders or ()),
            certificate=cert,
            key=key,
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
