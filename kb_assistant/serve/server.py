"""Starts the server, by itself or on the page's own process and address."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kb_assistant import telemetry
from kb_assistant.base_settings import given
from kb_assistant.errors import KBError
from kb_assistant.messages import _, here
from kb_assistant.settings import Settings
from kb_assistant.workspace import bases
from kb_assistant.workspace.access import Access
from kb_assistant.workspace.folder_sync import follow_folders
from kb_assistant.workspace.index_refresh import follow_changes
from kb_assistant.workspace.listening import Listening
from kb_assistant.workspace.rights import LOCAL_USER
from kb_assistant.workspace.workspace import Workspace

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from kb_assistant.serve.service import Service

_log = logging.getLogger(__name__)

_LEAVING_S = 5


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of `kb serve`.

    Attributes:
        flags: Settings given as flags.
        public_url: Where clients reach the server, if a proxy stands before it.
        waiting: How many requests of a kind may wait.
        page: Whether the page is served, too.
        allow_write: Whether MCP clients whose token may write get tools that do.
    """

    flags: dict[str, Any] = field(default_factory=dict)
    listening: Listening = field(default_factory=Listening)
    public_url: str = ""
    waiting: int = 32
    page: bool = False
    allow_write: bool = False


def serve(options: ServeOptions) -> None:
    """Serve until Ctrl-C.

    Raises:
        KBError: others could reach it without a token, a package is missing, or it can't listen on the address.
    """
    settings = Settings.load(**options.flags)
    telemetry.start(settings.telemetry)
    access = Access.of(settings)
    options.listening.check(access)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("kb_assistant.audit").setLevel(logging.INFO)
    if options.page:
        _with_page(options, access)
    else:
        _alone(options, settings)


def _alone(options: ServeOptions, settings: Settings) -> None:
    import uvicorn

    from kb_assistant.serve.connections import PatientProtocol

    workspace = Workspace(settings, given(**options.flags))
    service = _service(options, lambda: workspace)
    api = Api(service, options, warm=lambda: _warm(workspace))
    at = options.listening
    print(here(_("The API is at {address} (Ctrl-C ends it).", address=at.address)), flush=True)
    uvicorn.run(
        api,
        host=at.host,
        port=at.port,
        ssl_certfile=at.certificate,
        ssl_keyfile=at.key,
        access_log=False,
        log_config=None,
        server_header=False,
        ws="none",
        http=PatientProtocol,
        timeout_graceful_shutdown=_LEAVING_S,
    )


def _with_page(options: ServeOptions, access: Access) -> None:
    page = import_module("ui.server")
    shared: Callable[[], Workspace] = import_module("ui.app_state").app_state
    service = _service(options, shared)
    at = options.listening
    chosen = import_module("ui.options").Options(options.flags, at.needs_token, at.readable)
    import_module("ui.options").set_options(chosen)  # what both share is opened with them
    signed_in = import_module("ui.gate").sessions.signed_in
    api = Api(service, options, warm=lambda: _until_warm(shared()), signed_in=signed_in)
    page.serve(chosen, access, at, browser=False, beside=api)


def _service(options: ServeOptions, workspace: Callable[[], Workspace]) -> Service:
    from kb_assistant.serve.service import Service

    at = options.listening
    return Service(workspace, at.needs_token, at.readable, options.public_url, options.waiting)


class Api:
    """The API as an ASGI application with its lifespan.

    Args:
        warm: Loads what the first question needs; called in a thread.
        signed_in: The caller of a browser's session, by its cookies.
    """

    def __init__(
        self,
        service: Service,
        options: ServeOptions,
        *,
        warm: Callable[[], None] = lambda: None,
        signed_in: Callable[[dict[str, str]], Any] = lambda _: None,
    ) -> None:
        from kb_assistant.serve.app import gated
        from kb_assistant.serve.mcp_server import McpOverHttp

        self._service, self._warm = service, warm
        self._mcp = McpOverHttp(service, allow_write=options.allow_write)
        self._app = gated(service, self._mcp, any_host=service.login, signed_in=signed_in)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app(scope, receive, send)

    def over(self, page: ASGIApp) -> ASGIApp:
        """The API on its own paths, the page on all others."""
        from kb_assistant.serve.app import PREFIXES

        async def both(scope: Scope, receive: Receive, send: Send) -> None:
            ours = scope["type"] == "http" and scope["path"].startswith(PREFIXES)
            await (self._app if ours else page)(scope, receive, send)

        return both

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return self._lifespan()

    @asynccontextmanager
    async def _lifespan(self) -> AsyncGenerator[None]:
        threading.Thread(target=self._get_ready, name="serve-warm", daemon=True).start()
        try:
            async with self._mcp.lifespan():
                yield
        finally:
            self._service.close()

    def _get_ready(self) -> None:
        try:
            self._warm()
        except Exception:
            _log.exception("What the first question needs couldn't be loaded.")  # it is said then, too
        self._service.ready = True

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self._lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        finally:
            await send({"type": "lifespan.shutdown.complete"})


def _warm(workspace: Workspace) -> None:
    """Follow the folders of the knowledge bases, and load what the first question needs."""
    with suppress(KBError):
        workspace.sweep()
    follow_folders(workspace.jobs, lambda: [workspace.base(name) for name in bases.list_bases(workspace.settings)])
    follow_changes(workspace.settings.store, workspace.opened)
    _until_warm(workspace)


def _until_warm(workspace: Workspace) -> None:
    with suppress(KBError):
        base = workspace.base(workspace.settings.kb)
        base.retrieve("?", 1, read=True)
        base.embedder.load()


def serve_stdio(flags: dict[str, Any], names: Sequence[str], *, allow_write: bool, public_url: str = "") -> None:
    """Serve one MCP client on standard input and output, with the rights of this machine's user.

    Args:
        flags: Settings given as flags.
        names: The knowledge bases it may use; all without any.
    """
    from kb_assistant.serve.mcp_server import run_stdio
    from kb_assistant.serve.service import Service

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    workspace = Workspace(Settings.load(**flags), given(**flags))
    service = Service(lambda: workspace, public_url=public_url)
    limited = frozenset(names) if names else None
    principal = replace(LOCAL_USER, bases=limited, most="write" if allow_write else "read")
    threading.Thread(target=_until_warm, args=(workspace,), name="serve-warm", daemon=True).start()
    run_stdio(service, principal, writing=allow_write)
