"""The server's own API and Dify's, and the gate before them: tokens, origins, names, limits, the audit line."""

from __future__ import annotations

import json
import logging
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings
from tests.serve.running import ModelledWorkspace, Running, running
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.engine  # the ingest's reader processes


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two knowledge bases: `default` on pumps and fans, `other` on boats."""
    folder = tmp_path_factory.mktemp("api")
    docs = folder / "docs"
    docs.mkdir()
    (docs / "pump.md").write_text("# Pump\n\nThe pump P-101 needs oil every 40 days.\n\nIt stands in hall B.\n")
    (docs / "fan.md").write_text("# Fan\n\nThe fan turns <b>left</b> at night.\n")
    workspace = _workspace(folder / "home")
    workspace.base("default").ingest(docs)
    workspace.base("other").add(["The boat sails at dawn."])
    for name in ("default", "other"):
        workspace.close(name)
    return folder


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> ModelledWorkspace:
    """A copy of that home."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return _workspace(tmp_path / "home")


def _workspace(home: Path) -> ModelledWorkspace:
    return ModelledWorkspace(Settings(home=home, model="extract", refuse_below=0.0), HashEmbeddings())


@pytest.fixture
def server(workspace: ModelledWorkspace) -> Iterator[Running]:
    with running(workspace) as found:
        yield found


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as made:
        yield made


def _events(text: str) -> list[tuple[str, Any]]:
    blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(block.split("\n")[0][7:], json.loads(block.split("\n")[1][6:])) for block in blocks]


def test_knowledge_bases_are_made_listed_and_deleted(client: httpx.Client) -> None:
    assert client.post("/api/v1/bases", json={"name": "new"}).status_code == 201
    assert client.post("/api/v1/bases", json={"name": "new"}).status_code == 409
    assert client.post("/api/v1/bases", json={"name": "../new"}).status_code == 400
    assert [one["name"] for one in client.get("/api/v1/bases").json()["bases"]] == ["default", "new", "other"]
    assert client.get("/api/v1/bases/default").json()["sources"] == 2
    assert client.delete("/api/v1/bases/new").status_code == 204
    assert client.get("/api/v1/bases/new").status_code == 404


def test_search_ask_and_passages(client: httpx.Client, server: Running) -> None:
    found = client.post("/api/v1/bases/default/search", json={"question": "pump oil", "k": 2}).json()
    hit = found["hits"][0]
    assert "P-101" in hit["text"]
    assert hit["url"] == f"{server.url}/kb/default/passages/{hit['id']}"
    shown = client.get(f"/api/v1/bases/default/passages/{hit['id']}").json()
    assert shown["text"] == hit["text"]
    assert client.get("/api/v1/bases/other/passages/" + hit["id"]).status_code == 404, "of another knowledge base"
    fan = client.post("/api/v1/bases/default/search", json={"question": "fan", "where": ["path=fan.md"]}).json()
    page = client.get(fan["hits"][0]["url"], headers={"accept": "text/html"})
    assert "&lt;b&gt;left" in page.text
    assert "script-src" not in page.text
    told = client.post("/api/v1/bases/default/ask", json={"question": "pump oil"}).json()
    assert "40 days" in told["answer"]
    stream = client.post("/api/v1/bases/default/ask", json={"question": "pump oil", "stream": True})
    events = _events(stream.text)
    assert events[0][0] == "found"
    assert {name for name, _ in events[1:-1]} == {"piece"}
    assert events[-1] == ("done", events[-1][1] | {"answer": told["answer"]})
    both = client.post("/api/v1/bases/default/search", json={"question": "boat dawn", "beside": ["other"]}).json()
    assert [one["kb"] for one in both["hits"] if "boat" in one["text"]] == ["other"]
    unknown = client.post("/api/v1/bases/default/search", json={"question": "boat", "beside": ["none"]})
    assert unknown.status_code == 404
    assert unknown.json()["error"] == "There is no knowledge base 'none'."


def test_sources_and_documents(client: httpx.Client) -> None:
    sent = client.put("/api/v1/bases/default/documents/notes/leak.md", content=b"# Leak\n\nValve V-7 leaks.\n")
    assert sent.status_code == 200, sent.text
    assert sent.json()["added"] == 1
    listed = client.get("/api/v1/bases/default/sources", params={"contains": "leak"}).json()
    assert [one["path"] for one in listed["sources"]] == ["document:notes/leak.md"]
    assert listed["total"] == 1
    parted = client.put("/api/v1/bases/default/documents/re\u0301sume\u0301 中文.md", content=b"# CV").json()
    assert parted["files"][0]["path"] == "document:r\xe9sum\xe9 中文.md", "as macOS names files"
    bad = client.put("/api/v1/bases/default/documents/x.pdf", content=b"%PDF-1.4 nothing")
    assert bad.status_code == 422
    assert bad.json()["report"]["failed"] == 1
    assert client.put("/api/v1/bases/default/documents/..%2F..%2Fetc", content=b"x").status_code in (400, 404)
    source = listed["sources"][0]["id"]
    assert client.delete(f"/api/v1/bases/other/sources/{source}").status_code == 404
    assert client.delete(f"/api/v1/bases/default/sources/{source}").json() == {
        "removed": ["document:notes/leak.md"]
    }
    assert client.get("/api/v1/bases/default/sources", params={"contains": "leak"}).json()["total"] == 0


def test_folders_are_read_by_jobs_below_allowed_ones(workspace: ModelledWorkspace, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "pipe.md").write_text("The pipe is blue.\n")
    (allowed / "out").symlink_to(tmp_path / "docs")
    with running(workspace, folders=(allowed,)) as server, httpx.Client(base_url=server.url) as client:
        for barred in (tmp_path / "docs", allowed / "out", allowed / ".." / "docs", "/nowhere"):
            refused = client.post("/api/v1/bases/other/ingest", json={"folder": str(barred)})
            assert refused.status_code == 403, barred
        (allowed / "out").unlink()
        begun = client.post("/api/v1/bases/other/ingest", json={"folder": str(allowed)})
        assert begun.status_code == 202
        place = begun.headers["location"]
        until(lambda: client.get(place).json()["job"]["state"] == "done")
        assert client.get(place).json()["job"]["result"]["added"] == 1
        assert client.get("/api/v1/bases/other/jobs").json()["jobs"][0]["kb"] == "other"
        told = client.get("/metrics").text
        assert 'kb_files_read_total{status="added"} 1.0' in told
        assert 'kb_base{kb="other",what="generation"}' in told
        assert client.delete(place).status_code == 200
        assert client.get("/api/v1/jobs/none").status_code == 404


def test_dify(client: httpx.Client) -> None:
    asked = {
        "knowledge_id": "default",
        "query": "pump oil",
        "retrieval_setting": {"top_k": 2, "score_threshold": 0.0},
    }
    (first, *_) = client.post("/retrieval", json=asked).json()["records"]
    assert set(first) == {"content", "score", "title", "metadata"}
    assert first["title"] == "pump.md"
    assert 0 <= first["score"] <= 1
    assert first["metadata"]["path"].endswith("pump.md")

    def found(operator: str, value: Any = None, name: str = "path") -> set[str]:
        condition = {"name": [name], "comparison_operator": operator, "value": value}
        body = asked | {"metadata_condition": {"logical_operator": "and", "conditions": [condition]}}
        return {one["title"] for one in client.post("/retrieval", json=body).json()["records"]}

    assert found("contains", "pump") == found("not contains", "fan") == {"pump.md"}
    assert found("end with", "fan.md") == found("is not", "*pump.md") == {"fan.md"}
    assert found("in", "md, pdf", "type") == found("not empty", name="title") == {"pump.md", "fan.md"}
    assert found("empty", name="title") == found("start with", "/nowhere") == set()
    missing = client.post("/retrieval", json=asked | {"knowledge_id": "none"})
    assert missing.status_code == 404
    assert missing.json()["error_code"] == 2001
    odd = asked | {
        "metadata_condition": {"conditions": [{"name": "a", "comparison_operator": "like", "value": "x"}]}
    }
    assert client.post("/retrieval", json=odd).status_code == 400


def test_tokens(workspace: ModelledWorkspace, caplog: pytest.LogCaptureFixture) -> None:
    access = workspace.access
    full, read = access.add("ann"), access.add("bob", "read")
    asked = {"knowledge_id": "default", "query": "pump SECRETWORD"}
    with running(workspace, login=True) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/healthz").text == "ok"
        assert client.get("/readyz").status_code in (200, 503)
        for path in (
            "/api/v1/bases",
            "/v1/models",
            "/metrics",
            "/openapi.json",
            "/kb/default/passages/x",
            "/none",
        ):
            refused = client.get(path)
            assert refused.status_code == 401, path
            assert refused.headers["www-authenticate"] == "Bearer"
        assert client.post("/retrieval", json=asked).json()["error_code"] == 1001
        wrong = {"authorization": "Bearer nonsense"}
        assert client.post("/retrieval", json=asked, headers=wrong).json()["error_code"] == 1002
        reader = {"authorization": f"Bearer {read}"}
        with caplog.at_level(logging.INFO, "kb_assistant.audit"):
            assert client.post("/retrieval", json=asked, headers=reader).status_code == 200
            until(lambda: bool(caplog.records))
        line = json.loads(caplog.records[-1].message)
        assert (line["user"], line["route"], line["bases"], line["status"]) == (
            "bob",
            "/retrieval",
            ["default"],
            200,
        )
        assert "SECRETWORD" not in caplog.text
        for method, path in (
            ("PUT", "/api/v1/bases/default/documents/a.txt"),
            ("DELETE", "/api/v1/bases/default"),
            ("GET", "/metrics"),
        ):
            assert client.request(method, path, headers=reader, content=b"x").status_code == 403, path
        assert client.post("/api/v1/bases", json={"name": "new"}, headers=reader).status_code == 403
        writer = {"authorization": f"Bearer {full}"}
        assert b"kb_requests_total" in client.get("/metrics", headers=writer).content
        access.remove("bob")
        assert client.get("/v1/models", headers=reader).status_code == 401, "at once"
        for _ in range(9):
            client.get("/v1/models", headers=wrong)
        assert client.get("/v1/models", headers=wrong).status_code == 429, "nobody guesses on"
        assert client.get("/v1/models", headers=writer).status_code == 200, "and nobody locks others out"


def test_other_sites_and_other_names_get_nothing(client: httpx.Client) -> None:
    assert client.get("/api/v1/bases", headers={"host": "evil.example"}).status_code == 400
    foreign = {"origin": "http://evil.example"}
    assert client.post("/retrieval", json={}, headers=foreign).status_code == 403
    read = client.get("/api/v1/bases", headers=foreign)
    assert "access-control-allow-origin" not in read.headers
    assert read.headers["x-content-type-options"] == "nosniff"


def test_bodies_are_bounded_before_they_are_read(server: Running, client: httpx.Client) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for head in ("Content-Length: 99999999999999", "Content-Length: x", "Content-Length: " + "9" * 400):
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(f"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n\r\n".encode())
            answer = raw.recv(1000)
            assert answer[9:12] in (b"413", b"400"), answer

    def chunks() -> Iterator[bytes]:
        for _ in range(60):
            yield b" " * 100_000

    long = client.post("/v1/embeddings", content=chunks(), headers={"content-type": "application/json"})
    assert long.status_code == 413
    assert long.json()["error"]["code"] == "request_too_large"


def test_the_description_is_whole_and_nothing_loads_from_elsewhere(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/v1/chat/completions", "/retrieval", "/api/v1/bases/{kb}/ask", "/metrics"} <= set(described["paths"])
    for path in ("/docs", "/redoc"):
        assert client.get(path).status_code == 404
    text = client.get("/metrics").text
    assert 'kb_base{kb="default",what="sources"} 2.0' in text


def test_what_is_missing_is_said_as_the_same(client: httpx.Client, workspace: ModelledWorkspace) -> None:
    """A name that can't be one, one that isn't there, and a conversation's own files look alike."""
    KnowledgeBase(workspace.named("chat.secret"), embedder=HashEmbeddings()).add(["a secret"])
    bodies = [client.get(f"/api/v1/bases/{name}").json()["error"] for name in ("none", "chat.secret", "a b")]
    assert bodies == [f"There is no knowledge base {name!r}." for name in ("none", "chat.secret", "a b")]
