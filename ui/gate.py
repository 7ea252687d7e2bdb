"""The access control of the page, in front of everything Streamlit serves: pages, websocket, uploads, media.

It admits users with a token that may read something (if the page requires one), checks the origin of requests, and
sends the headers that keep a browser from loading anything from elsewhere. A token is sent only in the body of one
POST; then a cookie with a random number replaces it, and only that number's hash is kept here.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from kb_assistant import KBError
from kb_assistant.workspace.access import Access, token_digest
from kb_assistant.workspace.attempts import Attempts, address_of
from kb_assistant.workspace.rights import Principal
from kb_assistant.workspace.shared_sessions import SharedSessions
from ui.options import MEGABYTE, MOST_HELD_MEGABYTES
from ui.stray_uploads import UPLOAD

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "kb_session"
SESSION_SECONDS = 12 * 3600.0

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_CLOSED = ("/_stcore/agent", "/_stcore/metrics", "/_stcore/script-health-check", "/media")
"""Files at /media open to everybody who is signed in, by a hash of what is in them: pictures and downloads of the
page go other ways (ui/pictures.py, ui/downloads.py)."""
_SHARED = "/shared/"
_LONGEST_LOGIN = 4096
_WRONG = "That token isn't valid, or has expired. 令牌无效或已过期。"
_NOTHING = """That token is valid, but may not read any knowledge base yet. Ask whoever manages them.
令牌有效，但尚无可读的知识库，请联系管理者。"""
_LONGEST_LENGTH = 15


Finds = Callable[[], Principal | None]


class Sessions:
    """The signed-in sessions. Only a hash of each session's number is stored."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Finds, float]] = {}
        self._shared: tuple[SharedSessions, Access] | None = None

    def share(self, access: Access) -> None:
        """Keep sessions from now on where all machines that serve this home find them, if there are several."""
        self._shared = (access.sessions, access) if access.sessions else None

    def begin(self, user: Finds, digest: str = "") -> str:
        """Create a session. Returns its number, for the cookie.

        Args:
            user: Finds the session's user, each time; None once its token is no longer valid.
            digest: Of the token.
        """
        if self._shared:
            return self._shared[0].begin(digest, SESSION_SECONDS)
        number = secrets.token_urlsafe(32)
        with self._lock:
            now = self._clock()
            self._known = {key: entry for key, entry in self._known.items() if entry[1] > now}
            self._known[_hash(number)] = (user, now + SESSION_SECONDS)
        return number

    def find(self, number: str) -> Principal | None:
        """The user of a session, as it is now; None if there is no such session any more."""
        if self._shared:
            return _user_of_session(*self._shared, number)
        with self._lock:
            user, until = self._known.get(_hash(number), (lambda: None, 0.0))
        return user() if until > self._clock() else None

    def signed_in(self, cookies: Mapping[str, str]) -> Principal | None:
        """The user of a browser, by its cookies."""
        return self.find(cookies.get(COOKIE, ""))

    def end(self, number: str) -> None:
        if self._shared:
            self._shared[0].end(number)
            return
        with self._lock:
            self._known.pop(_hash(number), None)


sessions = Sessions()


class AuthMiddleware:
    """ASGI middleware.

    Args:
        access: The users with tokens; None if only this machine can reach the page and no token is required.
        secure: Whether the page is served over TLS.
        any_host: Whether it answers to any host name; else only to this machine's.
        held: Returns the number of bytes of uploads that wait in memory.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access | None = None,
        secure: bool = False,
        any_host: bool = False,
        held: Callable[[], int] = lambda: 0,
    ) -> None:
        self.app, self.access, self.secure, self.held = app, access, secure, held
        # Names are compared, so that another site whose name resolves to here (DNS rebinding) gets nothing.
        self.checked = (
            self._check if any_host else TrustedHostMiddleware(self._check, _LOOPBACK, www_redirect=False)
        )
        self.attempts = Attempts()
        self.headers = [(name.encode(), value.encode()) for name, value in _headers()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.checked if scope["type"] in ("http", "websocket") else self.app)(scope, receive, send)

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = HTTPConnection(scope)
        refusal = self._refusal(asked)
        if refusal:
            await _refuse(scope, receive, send, 403, refusal)
        elif scope["type"] == "http" and self.access and scope["path"] in ("/login", "/logout"):
            await (await self._sign(scope, receive))(scope, receive, self._with_headers(send))
        elif scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(_SHARED):
            await self.app(scope, receive, self._with_headers(send))  # it asks itself who may see what
        elif self.access and (user := sessions.signed_in(asked.cookies)) is None:
            await self._reject(scope, receive, send)
        elif self.access and user and not user.may_write_any and scope["path"].startswith(UPLOAD):
            await _refuse(scope, receive, send, 403, "You may read only.")
        elif scope["type"] == "http" and (problem := self._too_much(asked)):
            await _refuse(scope, receive, send, 413, problem)
        else:
            await self.app(scope, receive, self._with_headers(send))

    def _refusal(self, asked: Any) -> str:
        """Why a request is refused, whoever sends it; else ""."""
        if any(asked.scope["path"].startswith(path) for path in _CLOSED):
            return "Closed."
        safe = asked.scope["type"] == "http" and asked.scope["method"] in ("GET", "HEAD", "OPTIONS")
        origin = asked.headers.get("origin")
        if not safe and origin is not None and origin.partition("://")[2] != asked.headers.get("host", ""):
            return "This request comes from another site."
        if asked.scope["type"] == "websocket" and origin is None:
            return "A browser says where it comes from."
        return ""

    def _too_much(self, asked: Any) -> str:
        """Why an upload is refused, before any of it is read; else ""."""
        if asked.scope["method"] != "PUT" or not asked.scope["path"].startswith(UPLOAD):
            return ""
        length = asked.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > _LONGEST_LENGTH:
            return "Say how long it is."
        if self.held() + int(length) > MOST_HELD_MEGABYTES * MEGABYTE:
            return "Too many uploads wait in memory: take over or remove those that were sent."
        return ""

    async def _sign(self, scope: Scope, receive: Receive) -> Response:
        """Sign in with a token, sign out, or show the form."""
        request = Request(scope, receive)
        if scope["path"] == "/logout" and scope["method"] == "POST":
            sessions.end(request.cookies.get(COOKIE, ""))
            out = RedirectResponse("/login", 303)
            out.delete_cookie(COOKIE)
            return out
        if scope["method"] != "POST":
            return HTMLResponse(_form("", _next(request)), headers={"Cache-Control": "no-store"})
        assert self.access
        access, token, address = self.access, await _token(request), address_of(scope)
        if self.attempts.exhausted(address):
            return HTMLResponse(_form("Too many attempts; wait a minute. 尝试过多，请稍候。"), 429)
        digest = token_digest(token)
        user = partial(_user, access, digest)
        if (found := user()) is None:
            self.attempts.wrong(address)
            return HTMLResponse(
                _form("That token isn't valid, or has expired. 令牌无效或已过期。", _next(request)), 401
            )
        if found.widest is None:
            return HTMLResponse(_form(_NOTHING), 403)
        into = RedirectResponse(_next(request), 303)
        into.set_cookie(
            COOKIE, sessions.begin(user, digest), max_age=int(SESSION_SECONDS), httponly=True, samesite="strict",
            secure=self.secure or request.url.scheme == "https",  # as a proxy says
        )  # fmt: skip
        return into

    async def _reject(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and _wants_page(scope):
            await RedirectResponse("/login", 303)(scope, receive, self._with_headers(send))
        else:
            await _refuse(scope, receive, send, 401, "Sign in first.")

    def _with_headers(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                named = {name for name, _ in self.headers}
                others = [pair for pair in message.get("headers", ()) if pair[0].lower() not in named]
                message = {**message, "headers": [*others, *self.headers]}
            await send(message)

        return sending


def _user(access: Access, digest: str) -> Principal | None:
    """Who uses the token with this digest now; None if that can't be found out."""
    try:
        return access.principal_of_digest(digest)
    except KBError:
        return None


def _user_of_session(shared: SharedSessions, access: Access, number: str) -> Principal | None:
    """The same for a session that all machines know."""
    try:
        digest = shared.digest_of(number) if number else ""
    except (KBError, ValueError):
        return None
    return _user(access, digest) if digest else None


def _next(request: Request) -> str:
    """Where to go after signing in: a shared conversation, or the page, whatever else the address says."""
    wanted = request.query_params.get("next", "")
    return wanted if re.fullmatch(rf"{_SHARED}[\w-]+", wanted, re.ASCII) else "/"


def _wants_page(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4403 if status == 403 else 4401, "reason": reason})
    else:
        await PlainTextResponse(reason, status)(scope, receive, send)


async def _token(request: Request) -> str:
    """The token of a login form; longer bodies aren't read completely."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_LOGIN:
            return ""
    return parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]


def _headers() -> list[tuple[str, str]]:
    scripts = " ".join(["'self'", "blob:", "'wasm-unsafe-eval'", *_inline_scripts()])
    policy = [
        "default-src 'self'",
        f"script-src {scripts}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-src 'none'",
        "frame-ancestors 'none'",
    ]
    return [
        ("content-security-policy", "; ".join(policy)),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ]


def _inline_scripts() -> Sequence[str]:
    """Hashes of the inline scripts of Streamlit's own page, so that no others are allowed."""
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    found = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found)
    return [f"'sha256-{digest}'" for digest in digests]


def _form(problem: str, following: str = "/") -> str:
    said = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>kb-assistant</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 100vh; margin: 0; }}
main {{ width: min(22rem, 90vw); }}
label, input, button {{ display: block; width: 100%; box-sizing: border-box; font: inherit; }}
input, button {{ padding: .6rem; margin: .5rem 0 1rem; border: 1px solid #767676; border-radius: .5rem; }}
button {{ background: #0b57d0; color: #fff; border: 0; cursor: pointer; }}
</style></head><body><main><h1>kb-assistant</h1>{said}
<form method="post" action="/login?next={html.escape(following)}"><label for="token">Token · 令牌</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Sign in · 登录</button></form></main></body></html>"""


def _hash(number: str) -> str:
    return hashlib.sha256(number.encode("utf-8", "replace")).hexdigest()
