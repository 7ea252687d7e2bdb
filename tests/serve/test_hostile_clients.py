"""Clients that are slow, or send what nobody should: each gets an answer or loses its connection, and the others
are served."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kb_assistant.serve import connections, gate
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.serve.running import ModelledWorkspace, Running, running
from tests.waiting import PATIENCE, ProcessorTime


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> ModelledWorkspace:
    home = tmp_path_factory.mktemp("hostile") / "home"
    settings = Settings(home=home, refuse_below=0.0, answer_reader="off", readers=1)
    slow = ScriptedChat(pieces=[lambda: time.sleep(1.0), "at dawn"])
    made = ModelledWorkspace(settings, HashEmbeddings(), slow)
    made.base("default").add(["The boat sails at dawn."])
    return made


@pytest.fixture(scope="module")
def server(workspace: ModelledWorkspace) -> Iterator[Running]:
    with running(workspace) as found:
        yield found


def _connected(server: Running) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def test_a_head_that_does_not_come_ends_the_connection(
    workspace: ModelledWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with running(workspace) as server, _connected(server) as silent, _connected(server) as trickling:
        trickling.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.")
        assert silent.recv(1) == b""
        assert trickling.recv(1) == b""
        asked = {"model": "kb/default", "messages": [{"role": "user", "content": "When does the boat sail?"}]}
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            for _ in range(2):
                answer = client.post("/v1/chat/completions", json=asked)
                assert answer.status_code == 200, "an answer may take longer"
        with _connected(server) as again:
            again.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert again.recv(1000).startswith(b"HTTP/1.1 200")
            again.sendall(b"GET /healthz HT")
            while again.recv(1000):
                pass


def test_a_body_that_trickles_in_is_not_awaited_for_ever(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_BODY_SECONDS", 0.6)
    with _connected(server) as raw:
        head = "POST /retrieval HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999\r\n"
        raw.sendall(f"{head}\r\n".encode())
        raw.settimeout(0.2)
        answer = b""
        end = time.monotonic() + PATIENCE
        while not answer and time.monotonic() < end:
            raw.sendall(b" ")
            try:
                answer = raw.recv(1000)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408")


ODD: dict[str, bytes] = {
    "no UTF-8": b'{"question": "\xff\xfe"}',
    "half a character": b'{"question": "\\ud800"}',
    "a NUL": b'{"question": "boat\\u0000"}',
    "deep": b"[" * 500_000,
    "deep within": b'{"question": "boat", "history": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no number": b'{"question": "boat", "k": NaN}',
    "a long number": b'{"question": "boat", "k": ' + b"9" * 10_000 + b"}",
    "no object": b"7",
    "no JSON": b"question=boat",
    "nothing": b"",
    "a name twice": b'{"question": "boat", "question": null}',
    "long words": json.dumps({"question": "boat" * 200_000}).encode(),
    "many words": json.dumps({"question": " ".join(f"boat{n}" for n in range(10_000))}).encode(),
    "many turns": json.dumps(
        {"question": "and it?", "history": [{"role": "user", "text": "boat"}] * 20_000}
    ).encode(),
    "another role": json.dumps({"question": "it?", "history": [{"role": "root", "text": "x"}]}).encode(),
    "odd conditions": json.dumps(
        {"question": "boat", "where": ["path=" + "*a" * 5_000, "x~" + "(" * 5_000]}
    ).encode(),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_bodies_get_an_answer(server: Running, what: str) -> None:
    used = ProcessorTime()
    for route in ("/api/v1/bases/default/search", "/api/v1/bases/default/ask"):
        answer = httpx.post(
            f"{server.url}{route}",
            content=ODD[what],
            headers={"content-type": "application/json"},
            timeout=PATIENCE,
        )
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.json()["error"]
    assert used.seconds < 20


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/bases/%ff%fe"),
        ("GET", "/api/v1/bases/default/passages/%00"),
        ("GET", "/api/v1/bases/..%2f..%2fetc/sources"),
        ("GET", "/api/v1/bases/default/sources?offset=999999999999999999999"),
        ("GET", "/api/v1/bases/default/sources?contains=%ff%00%F0%9F%98%80"),
        ("GET", "/v1/models/" + "a" * 60_000),
        ("GET", "/kb/default/passages/%3Cscript%3E"),
        ("PUT", "/api/v1/bases/default/documents/%00"),
        ("PUT", "/api/v1/bases/default/documents/" + "a" * 5_000),
        ("PUT", "/api/v1/bases/default/documents/%F0%9F%98%80%ed%a0%80.md"),
        ("DELETE", "/api/v1/bases/default/sources/%00"),
        ("BREW", "/api/v1/bases"),
        ("OPTIONS", "/v1/chat/completions"),
        ("GET", "//evil.example/"),
    ],
)
def test_odd_addresses_get_an_answer(server: Running, method: str, path: str) -> None:
    answer = httpx.request(method, f"{server.url}{path}", content=b"x" if method == "PUT" else None)
    assert 400 <= answer.status_code < 500 or answer.status_code == 200, answer.text
    assert "<script>" not in answer.text or "json" in answer.headers["content-type"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "held",
    ["Bearer", "Bearer \x80\xff", "Bearer " + "a" * 30_000,
     "Basic YTpi", "bearer  kb_ab12cd34_x", "kb_ab12cd34_x"],
)  # fmt: skip
def test_odd_tokens_open_nothing(workspace: ModelledWorkspace, held: str) -> None:
    with running(workspace, login=True) as server:
        headers: Any = {"authorization": held.encode("latin-1")}
        answer = httpx.get(f"{server.url}/api/v1/bases", headers=headers)
        assert answer.status_code in (401, 400, 431)
        assert httpx.get(f"{server.url}/healthz").text == "ok"
        assert httpx.head(f"{server.url}/healthz").status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "0x7f.1", "[::1]x"]
)
def test_another_name_of_this_machine_gets_nothing(server: Running, host: str) -> None:
    with _connected(server) as raw:
        raw.sendall(f"GET /api/v1/bases HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert raw.recv(100)[9:12] in (b"400", b"403", b"421")


def test_no_stream_is_held_open_for_mcp_clients(server: Running) -> None:
    answer = httpx.get(f"{server.url}/mcp", headers={"accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_hundred_silent_connections_hinder_nobody(server: Running) -> None:
    silent = [_connected(server) for _ in range(100)]
    try:
        assert httpx.get(f"{server.url}/api/v1/bases").status_code == 200
    finally:
        for one in silent:
            one.close()
