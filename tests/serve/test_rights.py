"""Every route and every tool, asked by everybody: nothing tells what may not be read, nor that it is there."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from kb_assistant.serve.passages import source_id
from kb_assistant.settings import Settings
from kb_assistant.workspace.attempts import Attempts
from tests.fakes import HashEmbeddings
from tests.serve.running import ModelledWorkspace, Running, running
from tests.waiting import PATIENCE

MARKER = "xylograph"
"""A word in `vault`, and in a document of `station` that is for the board alone; no request holds it."""

QUESTION = "What does the cellar keep under its stairs?"
SECRET = f"The cellar keeps the {MARKER} under its stairs."
LIST = f"document:{MARKER}-list.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`vault` is the board's; `station` is everybody's but stranger's, with one document for the board alone."""
    home = tmp_path_factory.mktemp("rights") / "home"
    settings = Settings(home=home, model="extract", refuse_below=0.0, answer_reader="off", readers=1)
    workspace: Any = ModelledWorkspace(settings, HashEmbeddings())
    for name in ("vault", "station", "garden"):
        workspace.create_base(name)
    workspace.base("vault").add([(f"{MARKER}-list.md", f"# Cellar\n\n{SECRET}".encode())])
    workspace.base("station").add([("pump.md", b"# Pump\n\nThe pump of the cellar is red.")])
    workspace.base("station").add(
        [(f"{MARKER}-list.md", f"# Cellar\n\n{SECRET}".encode())], readers=["group:board"]
    )
    workspace.base("garden").add(["Roses grow by the wall."])
    for name in ("vault", "station"):
        workspace.jobs.wait(workspace.jobs.ingest(workspace.base(name), [home]).id)
    access = workspace.access
    for name, base, right in GRANTED:
        access.put_user(name, ["board"] if name == "board" else None)
        access.grant(base, f"user:{name}", right)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attempts, "wrong", lambda *_: None)  # expired tokens would bar the other callers here
        with running(workspace, login=True, folders=(home / "none",), allow_write=True) as found:
            yield found


GRANTED = (
    ("stranger", "garden", "manage"),
    ("reader", "station", "read"),
    ("writer", "station", "write"),
    ("board", "station", "read"),
    ("board", "vault", "read"),
)
CALLERS = ("nobody", "expired", "stranger", "reader", "writer")


def token(server: Running, who: str) -> str:
    access = server.service.workspace.access
    if who == "nobody":
        return ""
    if who == "expired":
        return access.new_token("board", "old", expires=datetime.now(UTC) - timedelta(seconds=1))
    return access.new_token(who, who)


@pytest.fixture(scope="module")
def ids(server: Running) -> dict[str, str]:
    """Names of what is secret, as an address needs them; only its readers could know them."""
    vault = server.service.workspace.base("vault")
    job = server.service.workspace.jobs.of(vault)[0]
    return {
        "passage_id": vault.search(QUESTION)[0].id,
        "source": source_id(LIST),
        "job": job.id,
        "name": "cellar.md",
    }


def bodies(kb: str) -> dict[tuple[str, str], list[Any]]:
    """Bodies for each route that takes one; bytes are sent as they are."""
    mine = {"question": QUESTION, "k": 20}
    asked = [{"role": "user", "content": QUESTION}]
    return {
        ("post", "/api/v1/bases"): [{"name": kb}],
        ("post", "/api/v1/bases/{kb}/search"): [mine, mine | {"beside": ["vault"]}, mine | {"where": ["path=*"]}],
        ("post", "/api/v1/bases/{kb}/ask"): [
            mine,
            mine | {"stream": True},
            mine | {"beside": ["vault", "station"]},
            {"question": "What documents do you have?"},
        ],
        ("post", "/api/v1/bases/{kb}/ingest"): [{"folder": "/"}, {"folder": "/etc/.."}],
        ("put", "/api/v1/bases/{kb}/documents/{name}"): [b"Another cellar."],
        ("post", "/v1/chat/completions"): [
            {"model": f"kb/{kb}", "messages": asked},
            {"model": f"kb/{kb}", "messages": asked, "stream": True},
            {"model": f"kb/station+{kb}", "messages": asked, "kb": {"k": 20}},
            {
                "model": kb,
                "messages": asked,
                "metadata": {"knowledge": [kb], "user": "board", "groups": ["board"]},
            },
        ],
        ("post", "/v1/responses"): [
            {"model": f"kb/{kb}", "input": QUESTION},
            {"model": f"kb/{kb}", "input": QUESTION, "stream": True},
        ],
        ("post", "/v1/embeddings"): [{"model": "hash:query", "input": "cellar"}],
        ("post", "/v1/vector_stores/{kb}/search"): [{"query": QUESTION, "max_num_results": 20}],
        ("post", "/retrieval"): [
            {"knowledge_id": kb, "query": QUESTION, "retrieval_setting": {"top_k": 20, "score_threshold": 0}}
        ],
    }


def requests(client: httpx.Client, kb: str, ids: dict[str, str]) -> Iterator[tuple[str, httpx.Response]]:
    """Every route of the description about one knowledge base, each with all its bodies."""
    known = bodies(kb)
    for template, methods in described(client).items():
        for method in methods:
            if (method, template) == ("delete", "/api/v1/bases/{kb}") and kb == "garden":
                continue
            path = template.replace("{model}", f"kb/{kb}").replace("{kb}", kb)
            for name, value in ids.items():
                path = path.replace(f"{{{name}}}", value)
            assert "{" not in path, f"no value for a parameter of {template}"
            needs = method in ("post", "put")
            assert not needs or (method, template) in known, f"no body for {method} {template}"
            for body in known.get((method, template), [None]):
                sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
                answer = client.request(method, path, **({} if body is None else sent))
                yield f"{method} {path} {body}", answer


_DESCRIBED: dict[str, Any] = {}


def described(client: httpx.Client) -> dict[str, Any]:
    if "paths" not in _DESCRIBED:
        answer = client.get("/openapi.json")
        assert answer.status_code == 200
        _DESCRIBED.update(answer.json())
    return dict(_DESCRIBED["paths"])


def client(server: Running, who: str) -> httpx.Client:
    held = token(server, who)
    headers = {"authorization": f"Bearer {held}"} if held else {}
    return httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE)


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("kb", ["vault", "station"])
def test_what_may_not_be_read_is_in_no_body(server: Running, ids: dict[str, str], who: str, kb: str) -> None:
    described(client(server, "board"))
    with client(server, who) as caller:
        for asked, answer in requests(caller, kb, ids):
            assert MARKER not in answer.text, asked
            assert answer.status_code < 500, asked
            assert MARKER not in str(answer.headers), asked
            if who in ("nobody", "expired") and "healthz" not in asked and "readyz" not in asked:
                assert answer.status_code in (401, 403), asked
    vault = server.service.workspace.base("vault")
    assert [source.path for source in vault.sources()] == [LIST], "nothing was changed"
    assert LIST in {source.path for source in server.service.workspace.base("station").sources()}


@pytest.mark.parametrize("who", ["stranger", "reader", "writer"])
def test_it_is_told_as_what_is_not_there(server: Running, ids: dict[str, str], who: str) -> None:
    described(client(server, "board"))
    with client(server, who) as caller:
        hidden = requests(caller, "vault", ids)
        missing = requests(caller, "vanished", {**ids, "job": "0" * 32})
        for (asked, one), (_, other) in zip(hidden, missing, strict=True):
            assert one.status_code == other.status_code, asked
            if "/jobs/" in asked:  # a job is named by its id alone
                continue
            assert plain(one.text).replace("vault", "X") == plain(other.text).replace("vanished", "X"), asked


def plain(text: str) -> str:
    """Without what differs from one answer to the next."""
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    return json.dumps(value if "error" in value or "error_code" in value else sorted(value))


def test_its_readers_are_told_it(server: Running, ids: dict[str, str]) -> None:
    """So the tests above could fail."""
    with client(server, "board") as caller:
        telling = {asked.split(" ")[1] for asked, one in requests(caller, "vault", ids) if MARKER in one.text}
    assert telling >= {
        "/api/v1/bases/vault/search",
        "/api/v1/bases/vault/ask",
        f"/api/v1/bases/vault/passages/{ids['passage_id']}",
        f"/kb/vault/passages/{ids['passage_id']}",
        "/api/v1/bases/vault/sources",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/vector_stores/vault/search",
        "/retrieval",
    }


@pytest.mark.parametrize("who", ["stranger", "reader", "writer"])
def test_lists_hold_what_may_be_read(server: Running, who: str) -> None:
    own = "garden" if who == "stranger" else "station"
    with client(server, who) as caller:
        assert caller.get("/api/v1/bases").json() == {"bases": [{"name": own}]}
        models = [one["id"] for one in caller.get("/v1/models").json()["data"]]
        assert [one for one in models if one.startswith("kb/")] == [f"kb/{own}"]
        assert [one["id"] for one in caller.get("/v1/vector_stores").json()["data"]] == [own]


def test_ids_of_one_knowledge_base_open_nothing_in_another(server: Running, ids: dict[str, str]) -> None:
    with client(server, "writer") as caller:
        for kb in ("station", "vault"):
            assert caller.get(f"/api/v1/bases/{kb}/passages/{ids['passage_id']}").status_code == 404
            assert caller.delete(f"/api/v1/bases/{kb}/sources/{ids['source']}").status_code == 404
        assert caller.get(f"/api/v1/jobs/{ids['job']}").status_code == 404
        assert caller.delete(f"/api/v1/jobs/{ids['job']}").status_code == 404


def test_a_right_that_is_taken_away_is_gone_with_the_next_request(server: Running) -> None:
    access = server.service.workspace.access
    access.put_user("guest")
    access.grant("vault", "user:guest", "read")
    with client(server, "guest") as caller:
        assert MARKER in caller.post("/api/v1/bases/vault/search", json={"question": QUESTION}).text
        access.withdraw("vault", "user:guest")
        assert caller.post("/api/v1/bases/vault/search", json={"question": QUESTION}).status_code == 404
        access.remove_user("guest")
        assert caller.get("/api/v1/bases").status_code == 401


TOOLS: dict[str, list[dict[str, Any]]] = {
    "search": [{"query": QUESTION}],
    "find": [{"query": QUESTION}, {"query": QUESTION, "bases": ["vault"]}, {"query": QUESTION, "bases": ["*"]}],
    "fetch": [{"id": "vault:{passage_id}"}, {"id": "station:{passage_id}"}, {"id": "vault:s:{source}"},
              {"id": "station:s:{source}"}, {"id": "station:s:{source}:0"}],
    "ask": [{"question": QUESTION}, {"question": QUESTION, "bases": ["vault"]},
            {"question": "What documents do you have?"}],
    "list_bases": [{}],
    "list_sources": [{"base": "vault"}, {"base": "station"}, {"base": "station", "contains": "list"}],
    "add_document": [{"base": "vault", "name": "x.md", "text": "Mine."}],
    "remove_source": [{"id": "vault:s:{source}"}, {"id": "station:s:{source}"}],
}  # fmt: skip


@asynccontextmanager
async def mcp(server: Running, who: str) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {token(server, who)}"}, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http)) as found,
    ):
        yield found


async def all_tools(caller: Client, ids: dict[str, str]) -> str:
    """What all tools and resources say, each with all its arguments."""
    said = []
    names = {tool.name for tool in (await caller.list_tools()).tools}
    assert names <= set(TOOLS), "a tool without arguments here"
    for name in names:
        for arguments in TOOLS[name]:
            filled = json.loads(json.dumps(arguments).replace("{passage_id}", ids["passage_id"])
                                .replace("{source}", ids["source"]))  # fmt: skip
            result: Any = await caller.call_tool(name, filled)
            said.append(str(result.content))
    for uri in ("kb://vault/{passage_id}", "kb://vault/sources/{source}", "kb://station/sources/{source}"):
        try:
            said.append(str(await caller.read_resource(uri.format(**ids))))
        except Exception as error:
            said.append(str(error))
    return "\n".join(said)


@pytest.mark.parametrize("who", ["stranger", "reader", "writer"])
async def test_no_tool_tells_what_may_not_be_read(server: Running, ids: dict[str, str], who: str) -> None:
    async with mcp(server, who) as caller:
        assert MARKER not in await all_tools(caller, ids)
    assert [source.path for source in server.service.workspace.base("vault").sources()] == [LIST]
    assert LIST in {source.path for source in server.service.workspace.base("station").sources()}


async def test_tools_tell_it_to_its_readers(server: Running, ids: dict[str, str]) -> None:
    async with mcp(server, "board") as caller:
        assert MARKER in await all_tools(caller, ids)


@pytest.mark.parametrize("who", ["nobody", "expired"])
def test_without_a_valid_token_there_are_no_tools(server: Running, who: str) -> None:
    with client(server, who) as caller:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        answer = caller.post("/mcp", json=asked, headers={"accept": "application/json, text/event-stream"})
        assert answer.status_code == 401
        assert MARKER not in answer.text


def test_the_audit_names_who_asked_what_and_no_texts(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="kb_assistant.audit"), client(server, "board") as caller:
        caller.post("/api/v1/bases/vault/search", json={"question": QUESTION})
        caller.get("/api/v1/bases/vault/sources", params={"under": "secret"})
    lines = [json.loads(record.message) for record in caplog.records if record.name == "kb_assistant.audit"]
    assert [(one["user"], one["route"], one["bases"], one["status"]) for one in lines] == [
        ("board", "/api/v1/bases/{kb}/search", ["vault"], 200),
        ("board", "/api/v1/bases/{kb}/sources", ["vault"], 200),
    ]
    assert all(one["token"].startswith("kb_") and len(one["token"]) == 11 for one in lines)
    for told in (QUESTION, MARKER, "secret", "cellar"):
        assert told not in caplog.text


def test_a_document_for_some_can_be_replaced_by_nobody_else(server: Running) -> None:
    with client(server, "writer") as caller:
        answer = caller.put(f"/api/v1/bases/station/documents/{MARKER}-list.md", content=b"Mine now.")
    assert answer.status_code == 403
    assert server.service.workspace.base("station").search(QUESTION)[0].text == SECRET
