"""Starts the page: Streamlit's server behind the gate, without telemetry."""

from __future__ import annotations

import logging
import threading
import webbrowser
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from kb_assistant import Access, Settings
from kb_assistant.messages import _, here
from kb_assistant.workspace.listening import Listening
from ui.options import MOST_MEGABYTES, Options, set_options
from ui.stray_uploads import FOLDER, StrayMiddleware, StrayUploads

SCRIPT = Path(__file__).with_name("app.py")
PAGES = ("/", "/chat", "/library", "/people", "/system")

_log = logging.getLogger(__name__)


class Beside(Protocol):
    """An application that answers some paths of the page's address, such as an API."""

    def over(self, page: Any) -> Any:
        """The ASGI application that answers its own paths and leaves the others to the page."""

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """It is open within this."""


def serve(
    options: Options,
    access: Access,
    at: Listening,
    *,
    browser: bool = True,
    beside: Beside | None = None,
) -> None:
    """Serve the page until Ctrl-C; raises as `Listening.check`."""
    from ui.gate import sessions

    at.check(access)
    sessions.share(access)
    set_options(options)
    settings = config(at.host, at.port)
    if at.certificate and at.key:
        settings |= {"server.sslCertFile": str(at.certificate), "server.sslKeyFile": str(at.key)}
    app(access, at, browser, beside, _strays(options, access)).run(config=settings)


def config(host: str, port: int) -> dict[str, Any]:
    """Streamlit's settings: local, silent, without its own elements."""
    return {
        "server.address": host,
        "server.port": port,
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.enableAgentApi": False,
        "server.enableStaticServing": False,
        "server.maxUploadSize": MOST_MEGABYTES,
        "server.maxMessageSize": 50,
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.allowedOrigins": [],
        "logger.hideWelcomeMessage": True,
        "global.developmentMode": False,
        # Fields of settings get their value as a default, too: a browser that has lost theirs sends the default.
        "global.disableWidgetStateDuplicationWarning": True,
        "runner.magicEnabled": False,
        # A full collection after each of the many fragment runs would take a second once a model is loaded.
        "runner.postScriptGC": False,
        "theme.light.primaryColor": "#0b57d0",
        "theme.dark.primaryColor": "#a8c7fa",
    }


def app(
    access: Access, at: Listening, browser: bool, beside: Beside | None = None, strays: StrayUploads | None = None
) -> Any:
    """The ASGI application.

    Args:
        strays: Where uploads for sessions of other machines wait, if there are others.
    """
    import streamlit as st
    from starlette.middleware import Middleware

    from ui import downloads, shared_page, splash
    from ui.gate import AuthMiddleware

    @asynccontextmanager
    async def told(_app: Any) -> AsyncGenerator[None]:
        print(here(_("The page is at {address} (Ctrl-C ends it).", address=at.address)), flush=True)
        if browser and at.is_local:
            webbrowser.open(at.address)
        threading.Thread(target=_warm, name="warm", daemon=True).start()
        if strays:
            strays.deliver_to(_uploads())
        async with AsyncExitStack() as stack:
            if beside:
                await stack.enter_async_context(beside.lifespan())
            yield

    auth = Middleware(
        AuthMiddleware,
        access=access if at.needs_token else None,
        secure=at.certificate is not None,
        any_host=at.needs_token,  # a proxy on this machine passes its own name
        held=lambda: _held() + (strays.held() if strays else 0),
    )
    behind = [Middleware(StrayMiddleware, strays=strays)] if strays else []
    front = [Middleware(beside.over)] if beside else []
    routes = [*splash.routes(PAGES), *downloads.routes(), *shared_page.routes()]
    return st.App(str(SCRIPT), routes=routes, middleware=[*front, auth, *behind], lifespan=told)


def _strays(options: Options, access: Access) -> StrayUploads | None:
    """Where uploads wait for sessions of other machines; None if there are none, or they share no folder."""
    settings = Settings.load(**options.flags)
    return StrayUploads(settings.uploads_dir / FOLDER) if access.sessions and settings.uploads else None


def _uploads() -> Any:
    from streamlit import runtime

    return runtime.get_instance().uploaded_file_mgr


def _held() -> int:
    """Bytes of uploads that Streamlit keeps until they are processed, or their session ends."""
    return sum(stat.byte_length for stats in _uploads().get_stats().values() for stat in stats)


def _warm() -> None:
    """Import and open in advance what the first page needs, then what the first question needs."""
    try:
        import_module("ui.app")
        from ui.app_state import app_state

        app_state().begin()
    except Exception:
        _log.exception("What pages need couldn't be made ready.")  # the page tells its user if it matters
