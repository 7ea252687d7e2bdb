"""MCP with the SDK's own client, over standard input and output and over HTTP with tokens."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.homes import link_models
from tests.samples import ROOT
from tests.serve.running import ModelledWorkspace, running
from tests.waiting import PATIENCE, until

READING = {"search", "fetch", "find", "ask", "list_bases", "list_sources"}
WRITING = {"add_document", "remove_source"}
LONG = "\n\n".join(f"Paragraph {n} tells of tide table {n}, which the keeper wrote by hand." for n in range(200))


@pytest.fixture
def workspace(tmp_path: Path) -> ModelledWorkspace:
    settings = Settings(
        home=tmp_path / "home", model="extract", refuse_below=0.0, answer_reader="off", chunk_tokens=32
    )
    made = ModelledWorkspace(settings, HashEmbeddings())
    made.base("boats").add(["The boat sails at dawn."])
    made.base("tides").add([LONG])
    return made


@asynccontextmanager
async def _client(url: str, token: str = "") -> AsyncGenerator[Client]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        yield client


async def _call(client: Client, tool: str, **arguments: Any) -> Any:
    result: Any = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content, "both forms are the same"
    return result.structured_content


async def test_tools_over_http(workspace: ModelledWorkspace) -> None:
    with running(workspace) as server:
        async with _client(server.url) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == READING
            for tool in tools.values():
                assert tool.annotations is not None
                assert tool.annotations.read_only_hint
                assert tool.output_schema
            for name in ("search", "fetch"):
                properties: Any = tools[name].input_schema["properties"]
                assert len(properties) == 1, "deep-research clients send one text"
            found = await _call(client, "search", query="When does the boat sail?")
            first = next(one for one in found["results"] if one["id"].startswith("boats:"))
            assert first["url"].startswith(f"{server.url}/kb/boats/passages/")
            fetched = await _call(client, "fetch", id=first["id"])
            assert fetched["text"] == "The boat sails at dawn."
            told = await _call(client, "ask", question="When does the boat sail?", bases=["boats"])
            assert "dawn" in told["answer"]
            assert told["citations"][0]["id"] == first["id"]
            named = await _call(client, "find", query="tide table 7", bases=["tides"], k=2)
            assert len(named["results"]) <= 2
            assert {one["name"] for one in (await _call(client, "list_bases"))["bases"]} == {"boats", "tides"}
            read = await client.read_resource(f"kb://boats/{first['id'].split(':')[1]}")
            assert getattr(read.contents[0], "text", "") == "The boat sails at dawn."


async def test_a_source_is_fetched_page_by_page(workspace: ModelledWorkspace) -> None:
    with running(workspace) as server:
        async with _client(server.url) as client:
            (source,) = (await _call(client, "list_sources", base="tides"))["sources"]
            wanted, text, pages = source["id"], "", 0
            while wanted:
                page = await _call(client, "fetch", id=wanted)
                text, wanted, pages = f"{text}\n\n{page['text']}", page["metadata"].get("next"), pages + 1
            assert pages > 1
            for n in range(200):
                assert f"tide table {n}, which" in text


async def test_errors_have_words(workspace: ModelledWorkspace) -> None:
    with running(workspace) as server:
        async with _client(server.url) as client:
            for tool, arguments, words in (
                ("fetch", {"id": "none:1"}, "There is no knowledge base 'none'."),
                ("fetch", {"id": "boats:1"}, "There is no passage '1'."),
                ("fetch", {"id": ""}, "There is no knowledge base ''."),
                ("find", {"query": "x", "where": ["?"]}, "is no condition"),
                ("search", {"query": " "}, "The question is empty."),
            ):
                result: Any = await client.call_tool(tool, arguments)
                assert result.is_error, tool
                assert words in result.content[0].text


async def test_tokens_and_writing(workspace: ModelledWorkspace) -> None:
    access = workspace.access
    for name in ("reader", "writer", "boater"):
        access.put_user(name)
    tokens = {name: access.new_token(name) for name in ("reader", "writer", "boater")}
    access.grant("*", "user:reader", "read")
    access.grant("*", "user:writer", "write")
    access.grant("boats", "user:boater", "read")
    with running(workspace, login=True, allow_write=True) as server:
        assert httpx.post(f"{server.url}/mcp", json={}).status_code == 401
        async with _client(server.url, tokens["reader"]) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == READING
        async with _client(server.url, tokens["boater"]) as client:
            assert [one["name"] for one in (await _call(client, "list_bases"))["bases"]] == ["boats"]
            found = await _call(client, "search", query="tide table 7")
            assert {one["id"].split(":")[0] for one in found["results"]} == {"boats"}
            hidden: Any = await client.call_tool("list_sources", {"base": "tides"})
            missing: Any = await client.call_tool("list_sources", {"base": "nowhere"})
            assert hidden.content[0].text.replace("tides", "nowhere") == missing.content[0].text
        async with _client(server.url, tokens["writer"]) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == READING | WRITING
            assert (await _call(client, "add_document", base="boats", name="new", text="The crew sings."))["added"]
            (source,) = (await _call(client, "list_sources", base="boats", contains="new"))["sources"]
            assert (await _call(client, "remove_source", id=source["id"]))["removed"] == ["document:new.txt"]


async def test_a_client_that_leaves_stops_the_model(workspace: ModelledWorkspace) -> None:
    said: list[Any] = []
    for _ in range(400):
        said += [lambda: time.sleep(0.05), "word "]
    model = workspace._model = ScriptedChat(pieces=said)
    workspace.close("boats")  # to be opened with this model
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "ask", "arguments": {"question": "When does the boat sail?", "bases": ["boats"]}},
    }
    headers = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": "2025-06-18",
    }
    with running(workspace) as server:
        connection = HTTPConnection(server.url.removeprefix("http://"))
        connection.request("POST", "/mcp", json.dumps(body), headers)
        until(lambda: model.said > 3)
        connection.close()
        until(lambda: server.service.answers.inside == 0)
        assert model.said < 400


async def test_stdio(models_home: Path, sample_home: Path, tmp_path: Path) -> None:
    """`kb mcp` as editors start it; nothing but the protocol is on standard output."""
    home = link_models(models_home, tmp_path / "home")
    for name in ("default", "other"):
        shutil.copytree(sample_home / "kbs" / "default", home / "kbs" / name)
    environment = os.environ | {"KB_HOME": str(home), "KB_MODEL": "extract", "PYTHONPATH": str(ROOT)}
    arguments = ["-m", "kb_assistant", "mcp", "--kb", "default", "--allow-write"]
    started = StdioServerParameters(command=sys.executable, args=arguments, env=environment, cwd=str(ROOT))
    async with Client(stdio_client(started)) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == READING | WRITING
        assert [one["name"] for one in (await _call(client, "list_bases"))["bases"]] == ["default"]
        told = await _call(client, "ask", question="Who founded the station?")
        assert "Miriam Okafor" in told["answer"]
        assert told["citations"][0]["url"].startswith("kb://default/")
        hidden: Any = await client.call_tool("list_sources", {"base": "other"})
        assert hidden.is_error
