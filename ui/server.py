"""Starts the page: Streamlit's server behind the gate, without telemetry."""

from __future__ import annotations

import logging
import socket
import threading
import webbrowser
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from kb_assistant import Access, KBError
from kb_assistant.messages import _
from ui.options import MOST_MEGABYTES, Options, set_options

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SCRIPT = Path(__file__).with_name("app.py")
PAGES = ("/", "/chat", "/library", "/system")

_log = logging.getLogger(__name__)


def serve(
    options: Options,
    home: Path,
    host: str = "127.0.0.1",
    port: int = 8501,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    browser: bool = True,
) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        KBError: it would be open to others without a token, only one of certificate and key is given, or the
            server can't listen on the address.
    """
    access = Access(home)
    if options.login and not access.users():
        raise KBError(
            _("Others could reach the page, and nobody has a token."),
            _("Make one with `kb token add NAME` first."),
        )
    if (certificate is None) != (key is None):
        raise KBError(_("A certificate needs its key, and a key its certificate."), _("Give --cert and --key."))
    _check_address(host, port)
    set_options(options)
    settings = config(host, port)
    if certificate and key:
        settings |= {"server.sslCertFile": str(certificate), "server.sslKeyFile": str(key)}
    app(options, access, host, certificate is not None, port, browser).run(config=settings)


def _check_address(host: str, port: int) -> None:
    """Report the reason where Streamlit would only say "not available"."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise KBError(
            _(
                "Nothing can listen on {host}, port {port}: {reason}.",
                host=host,
                port=port,
                reason=error,
            ),
            _("Another `kb ui` may be running there: end it, or choose another with --port."),
        ) from error


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
        "runner.magicEnabled": False,
        # A full collection after each of the many fragment runs would take a second once a model is loaded.
        "runner.postScriptGC": False,
        "theme.light.primaryColor": "#0b57d0",
        "theme.dark.primaryColor": "#a8c7fa",
    }


def app(options: Options, access: Access, host: str, secure: bool, port: int, browser: bool) -> Any:
    """The ASGI application."""
    import streamlit as st
    from starlette.middleware import Middleware

    from ui import splash
    from ui.gate import AuthMiddleware

    @asynccontextmanager
    async def told(_: Any) -> AsyncGenerator[None]:
        shown = f"[{host}]" if ":" in host else host
        address = f"{'https' if secure else 'http'}://{shown}:{port}"
        print(f"The page is at {address} (Ctrl-C ends it).", flush=True)
        if browser and host in LOOPBACK:
            webbrowser.open(address)
        threading.Thread(target=_warm, name="warm", daemon=True).start()
        yield

    auth = Middleware(
        AuthMiddleware,
        access=access if options.login else None,
        secure=secure,
        any_host=host not in LOOPBACK,
        held=_held,
    )
    return st.App(str(SCRIPT), routes=splash.routes(PAGES), middleware=[auth], lifespan=told)


def _held() -> int:
    """Bytes of uploads that Streamlit keeps until they are processed, or their session ends."""
    from streamlit import runtime

    uploads: Any = runtime.get_instance().uploaded_file_mgr
    return sum(stat.byte_length for stats in uploads.get_stats().values() for stat in stats)


def _warm() -> None:
    """Import and open in advance what the first page needs, then what the first question needs."""
    try:
        import_module("ui.app")
        from ui.app_state import app_state

        app_state().begin()
    except Exception:
        _log.exception("What pages need couldn't be made ready.")  # the page tells its user if it matters
