"""In front of every route: host and origin are checked, the token names the caller, bodies are bounded, and each
request leaves a line without texts.

What comes from the caller is decided by its token alone; nothing in a request says what it may do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection

from kb_assistant import telemetry
from kb_assistant.errors import ForbiddenError, KBError
from kb_assistant.messages import _
from kb_assistant.serve.errors import (
    GuessingError,
    MalformedTokenError,
    TooLargeError,
    UnauthorizedError,
    error_response,
)
from kb_assistant.workspace.attempts import Attempts, address_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from kb_assistant.serve.metrics import Metrics
    from kb_assistant.workspace.rights import Principal

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
JSON_BYTES = 4_000_000
"""Longest body but for documents."""

OPEN = frozenset({"/healthz", "/readyz"})
"""Paths that need no token and tell nothing."""

_BODY_SECONDS = 60.0
_SLOWEST = 10_000  # bytes a second
_LONGEST_LENGTH = 15
_SAFE = ("GET", "HEAD", "OPTIONS")
_METHODS = frozenset({*_SAFE, "POST", "PUT", "DELETE"})
_MCP = "/mcp"
_LEFT = 499
"""The status of a request whose caller has left."""

audit = logging.getLogger("kb_assistant.audit")


class Gate:
    """ASGI middleware. The caller stands in `request.state.principal`.

    Args:
        principal: Who has a token; None for nobody.
        any_host: Whether it answers to any host name; else only to this machine's, so that another site whose name
            resolves to here (DNS rebinding) gets nothing.
        signed_in: The caller of a browser's session, by its cookies; None for nobody.
        document_bytes: Longest document that may be sent.
    """

    def __init__(
        self,
        app: ASGIApp,
        principal: Callable[[str], Principal | None],
        metrics: Metrics,
        *,
        any_host: bool = False,
        signed_in: Callable[[dict[str, str]], Principal | None] = lambda _: None,
        document_bytes: int = JSON_BYTES,
    ) -> None:
        self._app, self._principal, self._metrics, self._signed_in = app, principal, metrics, signed_in
        self._document_bytes = document_bytes
        self._attempts = Attempts()
        self._checked: ASGIApp = self._admit
        if not any_host:
            self._checked = TrustedHostMiddleware(self._admit, LOOPBACK_HOSTS, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        began, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        with telemetry.request(_method(scope), _headers(scope)) as watched:
            try:
                await self._checked(scope, receive, noted)
            finally:
                watched.responded(_route(scope), status or _LEFT)
                self._tell(scope, status or _LEFT, time.monotonic() - began)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in OPEN:
            await self._app(scope, receive, send)
            return
        try:
            request = HTTPConnection(scope)
            _check_origin(scope["method"], request)
            scope["state"]["principal"] = self._caller(scope, request)
            limit = self._document_bytes if "/documents/" in path else JSON_BYTES
            _check_length(request, limit)
        except KBError as error:
            await error_response(path, error)(scope, receive, send)
        else:
            await self._app(scope, _bounded(receive, limit), send)

    def _caller(self, scope: Scope, request: HTTPConnection) -> Principal:
        kind, _space, token = request.headers.get("authorization", "").partition(" ")
        found = self._signed_in(request.cookies) if not token else None
        found = found or self._principal(token.strip() if kind.lower() == "bearer" else "")
        if found is None:
            address = address_of(scope)
            if self._attempts.exhausted(address):
                raise GuessingError
            if token:
                self._attempts.wrong(address)
            refused = UnauthorizedError if token and kind.lower() == "bearer" else MalformedTokenError
            raise refused(_("The request needs a valid token."), _("Send it as `Authorization: Bearer TOKEN`."))
        return found

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        """Metrics and one line of the log: who asked what for how long, no texts."""
        state, route = scope["state"], _route(scope)
        self._metrics.request(_method(scope), route, status, seconds)
        caller = state.get("principal")
        line: dict[str, Any] = {
            "user": getattr(caller, "name", None),
            "token": getattr(caller, "token", None),
            "method": scope["method"],
            "route": route,
            "bases": state.get("bases") or [kb for kb in [scope.get("path_params", {}).get("kb")] if kb],
            "status": status,
            "ms": round(seconds * 1000),
        }
        audit.info(json.dumps(line, ensure_ascii=False))


_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _route(scope: Scope) -> str:
    """The template of the path, which holds nothing of the caller's; "" for none."""
    return _MCP if scope["path"] == _MCP else getattr(scope.get("route"), "path", "")


def _method(scope: Scope) -> str:
    """The method, if it is a usual one: these are counted by name."""
    return scope["method"] if scope["method"] in _METHODS else "_OTHER"


def _check_origin(method: str, request: HTTPConnection) -> None:
    """A page of another site may send requests, though it can't read the answers."""
    origin = request.headers.get("origin")
    foreign = origin is not None and origin.partition("://")[2] != request.headers.get("host", "")
    if foreign and method not in _SAFE:
        raise ForbiddenError(_("This request comes from another site."))


def _check_length(request: HTTPConnection, limit: int) -> None:
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > _LONGEST_LENGTH or int(length) > limit:
        raise _too_large(limit)


def _bounded(receive: Receive, limit: int) -> Receive:
    """Messages of a body that mustn't get longer than that, nor trickle in for ever."""
    taken, whole, began = 0, False, time.monotonic()

    async def receiving() -> Message:
        nonlocal taken, whole
        if whole:
            return await receive()
        try:
            left = began + _BODY_SECONDS + taken / _SLOWEST - time.monotonic()
            message = await asyncio.wait_for(receive(), left)
        except TimeoutError:
            raise HTTPException(408) from None
        taken += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if taken > limit:
            raise HTTPException(413, str(_too_large(limit).full_message))
        return message

    return receiving


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(
        _("The request is longer than {megabytes} MB.", megabytes=limit // 1_000_000), _("Send less at once.")
    )
