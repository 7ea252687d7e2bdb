"""The door: tokens, origins, names, limits and headers, asked as a browser or an attacker would."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from kb_assistant.errors import KBError
from kb_assistant.workspace.access import Access
from kb_assistant.workspace.listening import Listening
from kb_assistant.workspace.rights import LOCAL_USER
from tests import stores
from tests.postgres_server import PostgresServer
from ui import gate as gates
from ui.gate import COOKIE, AuthMiddleware, Sessions
from ui.options import MEGABYTE, Options
from ui.server import serve

HOST = "http://127.0.0.1:8501"
PATHS = [
    "/",
    "/_stcore/health",
    "/_stcore/host-config",
    "/download/chats/md/x",
    "/_stcore/upload_file/a/b",
    "/static/js/x.js",
]


async def _page(_: Any) -> PlainTextResponse:
    return PlainTextResponse("inside", headers={"Content-Security-Policy": "none of ours"})


async def _stream(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("inside")
    await socket.close()


def _client(app: Any, sender: str | None, base: str = HOST) -> TestClient:
    return TestClient(app, base_url=base, follow_redirects=False, client=(sender or "testclient", 50_000))


def client(
    access: Access | None = None, any_host: bool = False, base: str = HOST, sender: str | None = None
) -> TestClient:
    inside = Starlette(
        routes=[
            WebSocketRoute("/_stcore/stream", _stream),
            Route("/{path:path}", _page, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
    )
    return _client(AuthMiddleware(inside, access=access, any_host=any_host), sender, base)


@pytest.fixture(autouse=True)
def _own_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "sessions", Sessions())


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access(tmp_path)


@pytest.mark.parametrize("path", PATHS)
def test_without_a_token_nothing_is_served(access: Access, path: str) -> None:
    access.add("ann")
    visitor = client(access, any_host=True)
    for method in ("GET", "PUT", "DELETE"):
        answer = visitor.request(method, path)
        assert answer.status_code == 401
        assert "inside" not in answer.text


def test_a_token_opens_and_its_cookie_cannot_be_read_by_scripts(access: Access) -> None:
    token = access.add("ann")
    visitor = client(access, any_host=True)
    answer = visitor.post("/login", data={"token": token}, headers={"Origin": HOST})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "; secure" not in cookie
    proxied = client(access, any_host=True, base="https://kb.example.org")
    answered = proxied.post("/login", data={"token": token}, headers={"Origin": "https://kb.example.org"})
    assert "; secure" in answered.headers["set-cookie"].lower(), "over TLS"
    assert token not in str(answer.headers)
    assert visitor.get("/").text == "inside"
    found = gates.sessions.find(visitor.cookies[COOKIE])
    assert found
    assert (found.name, found.is_admin) == ("ann", True)
    visitor.post("/logout", headers={"Origin": HOST})
    visitor.cookies.set(COOKIE, answer.cookies[COOKIE])
    assert visitor.get("/_stcore/health").status_code == 401


def test_a_cookie_of_another_machine_opens_as_long_as_its_token_holds(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    access = Access(stores.home_of(tmp_path))
    visitors = []
    token = access.add("ann")
    for place in range(2):
        monkeypatch.setattr(gates, "sessions", Sessions())
        gates.sessions.share(access)
        visitors.append(client(access, any_host=True))
        if place == 0:
            visitors[0].post("/login", data={"token": token}, headers={"Origin": HOST})
    visitors[1].cookies.set(COOKIE, visitors[0].cookies[COOKIE])
    assert visitors[1].get("/").text == "inside"
    access.revoke(token[:11])
    assert visitors[1].get("/").status_code == 401
    stores.drop_databases()


def test_a_token_that_is_taken_away_or_made_anew_ends_its_sessions(access: Access) -> None:
    visitors = {}
    for name in ("ann", "bob", "eve"):
        visitors[name] = client(access, any_host=True)
        visitors[name].post("/login", data={"token": access.add(name)}, headers={"Origin": HOST})
    assert all(visitor.get("/").text == "inside" for visitor in visitors.values())
    access.remove("ann")
    access.add("bob", "read")
    assert [visitors[name].get("/").status_code for name in ("ann", "bob", "eve")] == [401, 401, 200]
    access.file.write_text("damaged")
    assert visitors["eve"].get("/").status_code == 401, "nobody can tell any more"


def test_who_may_read_something_gets_in_and_others_are_told_why_not(access: Access) -> None:
    for name in ("ann", "bob"):
        access.put_user(name)
    access.grant("notes", "user:ann", "read")
    visitor = client(access, any_host=True)
    told = {name: visitor.post("/login", data={"token": access.new_token(name)}) for name in ("bob", "ann")}
    wrong = visitor.post("/login", data={"token": "guess"})
    assert [told["bob"].status_code, told["ann"].status_code, wrong.status_code] == [403, 303, 401]
    assert "may not read any knowledge base yet" in told["bob"].text
    assert "isn't valid, or has expired" in wrong.text.replace("&#x27;", "'")
    assert COOKIE not in told["bob"].cookies
    assert visitor.get("/").text == "inside"
    access.withdraw("notes", "user:ann")
    assert visitor.get("/").text == "inside", "the page says that there is nothing to read"
    access.remove_user("ann")
    assert visitor.get("/").status_code == 401


def test_a_token_in_the_address_opens_nothing(access: Access) -> None:
    token = access.add("ann")
    visitor = client(access, any_host=True)
    assert visitor.get(f"/?token={token}").status_code == 401
    assert visitor.get(f"/?token={token}", headers={"Accept": "text/html"}).headers["location"] == "/login"
    assert visitor.get(f"/login?token={token}").status_code == 200
    assert COOKIE not in visitor.cookies


def test_wrong_tokens_are_limited_and_then_the_right_one_waits_too(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = access.add("ann")
    now = [0.0]
    visitor = client(access, any_host=True)
    monkeypatch.setattr("ui.gate.time.monotonic", lambda: now[0])
    statuses = [visitor.post("/login", data={"token": f"x{n}"}).status_code for n in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert visitor.post("/login", data={"token": token}).status_code == 429


def test_wrong_tokens_from_one_address_lock_out_nobody_else(access: Access) -> None:
    token = access.add("ann")
    attacker = client(access, any_host=True, sender="2001:db8::1")
    others = (attacker.app, "192.0.2.7"), (attacker.app, "2001:db8:0:1::1"), (attacker.app, None)
    while attacker.post("/login", data={"token": "x"}).status_code == 401:
        pass
    neighbour = _client(attacker.app, "2001:db8::2")
    assert neighbour.post("/login", data={"token": token}).status_code == 429, "one network"
    for app, address in others:
        assert _client(app, address).post("/login", data={"token": token}).status_code == 303


def test_behind_a_proxy_each_sender_counts_alone(access: Access) -> None:
    """As the server runs it: uvicorn puts the proxy's word in place of the proxy's address."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    token = access.add("ann")
    inside = client(access, any_host=True).app
    behind = _client(ProxyHeadersMiddleware(inside), "127.0.0.1")  # type: ignore[arg-type]
    far = _client(ProxyHeadersMiddleware(inside), "203.0.113.9")  # type: ignore[arg-type]

    def sign(visitor: TestClient, given: str, address: str) -> int:
        return visitor.post("/login", data={"token": given}, headers={"X-Forwarded-For": address}).status_code

    assert [sign(behind, "x", "192.0.2.1") for _ in range(11)] == [401] * 10 + [429]
    assert sign(behind, token, "192.0.2.2") == 303
    assert [sign(far, "x", f"198.51.100.{n}") for n in range(11)] == [401] * 10 + [429], "nobody else is believed"


def test_sessions_end() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    number = sessions.begin(lambda: LOCAL_USER)
    assert sessions.find(number)
    assert sessions.find("") is None
    now[0] = gates.SESSION_SECONDS + 1
    assert sessions.find(number) is None


def test_a_long_body_is_not_read(access: Access) -> None:
    access.add("ann")
    assert client(access, any_host=True).post("/login", data={"token": "x" * 10_000}).status_code == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999"])
def test_other_sites_change_nothing(access: Access, origin: str) -> None:
    token = access.add("ann")
    visitor = client(access, any_host=True)
    assert visitor.post("/login", data={"token": token}, headers={"Origin": origin}).status_code == 403
    local = client()
    assert local.put("/_stcore/upload_file/a/b", headers={"Origin": origin}).status_code == 403
    with (
        pytest.raises(WebSocketDisconnect),
        local.websocket_connect("/_stcore/stream", headers={"Origin": origin}),
    ):
        pass


def test_the_websocket_wants_an_origin_and_a_session(access: Access) -> None:
    with client().websocket_connect(
        "/_stcore/stream", headers={"Origin": HOST, "Host": "127.0.0.1:8501"}
    ) as socket:
        assert socket.receive_text() == "inside"
    with pytest.raises(WebSocketDisconnect), client().websocket_connect("/_stcore/stream"):
        pass
    access.add("ann")
    with (
        pytest.raises(WebSocketDisconnect),
        client(access).websocket_connect("/_stcore/stream", headers={"Origin": HOST, "Host": "127.0.0.1:8501"}),
    ):
        pass


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8501",
            "127.0.0.1.evil.example",
            "www.localhost",
            "localhost@evil.example",
        ),
        *("", "[::2]", "[::1", "[::1]:x", "[::1].evil", "127.0.0.1:", "localhost/x", "a b", "\xe9", "x" * 60_000),
        None,
    ],
)
def test_a_local_page_answers_only_to_local_names(host: str | None, kind: str) -> None:
    named = [] if host is None else [(b"host", host.encode("latin-1"))]
    headers = [*named, (b"origin", b"http://" + (host or "").encode("latin-1"))]
    scope = {"type": kind, "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(client().app({**scope, "extensions": {"websocket.http.response": {}}}, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    assert b"inside" not in sent[1]["body"]


@pytest.mark.parametrize("host", ["localhost:8501", "LOCALHOST", "127.0.0.1", "[::1]:8501", "[::1]"])
def test_local_names_are_answered(host: str) -> None:
    assert client().get("/", headers={"Host": host}).text == "inside"


@pytest.mark.parametrize(
    "path", ["/_stcore/agent/interact", "/_stcore/agent/mcp", "/_stcore/metrics", "/media/x.png"]
)
def test_what_nobody_needs_is_closed(path: str) -> None:
    assert client().get(path).status_code == 403


def test_headers_keep_the_browser_at_home() -> None:
    headers = client().get("/").headers
    policy = headers["content-security-policy"]
    for rule in (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ):
        assert rule in policy
    assert "'unsafe-eval'" not in policy
    assert "none of ours" not in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_uploads_are_refused_unread_once_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "MOST_HELD_MEGABYTES", 2)
    held = 0
    inside = Starlette(routes=[Route("/{path:path}", _page, methods=["PUT", "DELETE"])])
    visitor = TestClient(AuthMiddleware(inside, held=lambda: held), base_url=HOST)
    half = b"x" * MEGABYTE

    def put(body: Any) -> int:
        return visitor.put("/_stcore/upload_file/a/b", content=body, headers={"Origin": HOST}).status_code

    assert put(half) == 200
    held = MEGABYTE + 1
    assert put(half) == 413
    assert put(iter([half])) == 413  # its length isn't said
    endless = {"Origin": HOST, "Content-Length": "9" * 5000}
    assert visitor.put("/_stcore/upload_file/a/b", headers=endless).status_code == 413
    assert visitor.delete("/_stcore/upload_file/a/b", headers={"Origin": HOST}).status_code == 200
    held = MEGABYTE
    assert put(half) == 200


def test_who_may_only_read_uploads_nothing(access: Access) -> None:
    tokens = {"ann": access.add("ann"), "bob": access.add("bob", "read")}
    for name, status in (("ann", 200), ("bob", 403)):
        visitor = client(access, any_host=True)
        visitor.post("/login", data={"token": tokens[name]}, headers={"Origin": HOST})
        assert visitor.put("/_stcore/upload_file/a/b", headers={"Origin": HOST}).status_code == status
        assert visitor.get("/_stcore/health").status_code == 200


def test_a_port_that_is_taken_is_said_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KBError, match=f"port {port}") as refused:
            serve(Options(), Access(tmp_path), Listening(port=port), browser=False)
    assert "--port" in refused.value.hint
