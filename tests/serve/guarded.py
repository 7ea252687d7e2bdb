"""Knowledge bases with rights behind a server, and every request and tool call about them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

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


GRANTED = (
    ("stranger", "garden", "manage"),
    ("reader", "station", "read"),
    ("writer", "station", "write"),
    ("board", "station", "read"),
    ("board", "vault", "read"),
)


@contextmanager
def guarded(home: Path) -> Iterator[Running]:
    """`vault` is the board's; `station` is everybody's but stranger's, with one document for the board alone."""
    settings = Settings(
        home=home, model="extract", embedder="hash", refuse_below=0.0, answer_reader="off", readers=1
    )
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


def token(server: Running, who: str) -> str:
    access = server.service.workspace.access
    if who == "nobody":
        return ""
    if who == "expired":
        return access.new_token("board", "old", expires=datetime.now(UTC) - timedelta(seconds=1))
    return access.new_token(who, who)


def secret_ids(server: Running) -> dict[str, str]:
    """Names of what is secret, as an address needs them; only its readers could know them."""
    workspace = server.service.workspace
    vault = workspace.base("vault")
    job = workspace.jobs.of(vault)[0]
    return {
        "passage_id": workspace.ids.told(vault.search(QUESTION)[0].id),
        "source": workspace.ids.source(LIST),
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


def requests(
    client: httpx.Client, kb: str, ids: dict[str, str], *, keep: bool = False
) -> Iterator[tuple[str, httpx.Response]]:
    """Every route of the description about one knowledge base, each with all its bodies.

    Args:
        keep: Not the one that deletes it.
    """
    known = bodies(kb)
    for template, methods in described(client).items():
        for method in methods:
            if keep and (method, template) == ("delete", "/api/v1/bases/{kb}"):
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
    offered = (await caller.list_resource_templates()).resource_templates
    assert {one.uri_template for one in offered} == {"kb://{base}/{id}", "kb://{base}/sources/{id}"}
    assert not (await caller.list_resources()).resources
    assert not (await caller.list_prompts()).prompts
    ends = ("{passage_id}", "sources/{source}")
    for uri in (f"kb://{base}/{end}" for base in ("vault", "station") for end in ends):
        try:
            said.append(str(await caller.read_resource(uri.format(**ids))))
        except Exception as error:
            said.append(str(error))
    return "\n".join(said)
