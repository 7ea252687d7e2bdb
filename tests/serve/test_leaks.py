"""What leaked from other programs of this kind in 2025 and 2026, one test each: none of it does here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import LOCAL_USER
from tests.serve.guarded import (
    LIST,
    MARKER,
    QUESTION,
    SECRET,
    client,
    guarded,
    mcp,
    requests,
    secret_ids,
    token,
)
from tests.serve.running import Running, running
from tests.waiting import PATIENCE, until

ASKED = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with guarded(tmp_path_factory.mktemp("leaks") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def ids(server: Running) -> dict[str, str]:
    return secret_ids(server)


def _bearer(held: str, server: Running) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {held}"}, timeout=PATIENCE)


@pytest.mark.parametrize(
    "name", ["station2", "station-secret", "Station", "file-station", "chat.station", "vault"]
)
def test_no_name_opens_a_base_by_its_pattern(server: Running, name: str) -> None:
    """Open WebUI, CVE-2026-45398: only some prefixes of collections' names were checked."""
    workspace = server.service.workspace
    if name not in ("vault", "Station"):
        base: Any = workspace.base(name)
        base.add([SECRET])
    try:
        with client(server, "reader") as caller:
            answers = [
                caller.get(f"/api/v1/bases/{name}"),
                caller.post(f"/api/v1/bases/{name}/search", json={"question": QUESTION}),
                caller.post("/v1/chat/completions", json={"model": f"kb/{name}", "messages": ASKED}),
                caller.post(f"/v1/vector_stores/{name}/search", json={"query": QUESTION}),
                caller.post("/retrieval", json={"knowledge_id": name, "query": QUESTION}),
            ]
        assert [one.status_code for one in answers] == [404] * 5
        assert MARKER not in "".join(one.text for one in answers)
    finally:
        if name not in ("vault", "Station"):
            workspace.delete_base(name)


def test_what_a_body_links_to_is_checked_too(server: Running) -> None:
    """Open WebUI, CVE-2026-45402: another's file could be put into one's own folder, and read there."""
    with client(server, "writer") as caller:
        body = {"question": QUESTION, "beside": ["vault"]}
        for route in ("search", "ask"):
            assert caller.post(f"/api/v1/bases/station/{route}", json=body).status_code == 404
        two = {"model": "kb/station+vault", "messages": ASKED}
        assert caller.post("/v1/chat/completions", json=two).status_code == 404
        assert caller.put(f"/api/v1/bases/station/documents/{MARKER}-list.md", content=b"x").status_code == 403


def test_the_programs_own_files_are_no_documents(server: Running) -> None:
    """The same by way of the home: what others uploaded lies there, below a folder that may be read."""
    workspace = server.service.workspace
    home = workspace.settings.home
    board = Desk(workspace, LOCAL_USER).base("vault")
    job = board.upload([("minutes.md", f"# Minutes\n\nThe {MARKER} was polished.".encode())])
    workspace.jobs.wait(job.id)
    assert board.job(job.id).state == "done"
    with running(workspace, login=True, folders=(home.parent,)) as other, client(other, "writer") as caller:
        for folder in (home.parent, home, home / "kbs", home / "kbs" / "vault"):
            begun = caller.post("/api/v1/bases/station/ingest", json={"folder": str(folder)})
            if begun.status_code == 202:
                until(lambda: caller.get(begun.headers["location"]).json()["job"]["state"] in ("done", "failed"))  # noqa: B023
        found = caller.post("/api/v1/bases/station/search", json={"question": QUESTION, "k": 50})
        listed = caller.get("/api/v1/bases/station/sources")
    assert MARKER not in found.text + listed.text, [one["path"] for one in listed.json()["sources"]]
    board.remove([one.path for one in board.sources("minutes")])


def test_lists_follow_the_same_rule_as_reading(server: Running) -> None:
    """Open WebUI, CVE-2026-44557: a collection about collections listed all knowledge bases."""
    with client(server, "reader") as caller:
        lists = ("/api/v1/bases", "/v1/models", "/v1/vector_stores", "/openapi.json")
        told = "".join(caller.get(path).text for path in lists)
        assert caller.get("/metrics").status_code == 403
    assert "station" in told
    assert "vault" not in told
    assert "garden" not in told


async def test_tools_use_the_same_door(server: Running, ids: dict[str, str]) -> None:
    """Open WebUI, CVE-2026-54016: the agent's tool for searching files skipped the check."""
    async with mcp(server, "reader") as caller:
        for tool, arguments in (
            ("search", {"query": QUESTION}),
            ("find", {"query": QUESTION, "bases": ["vault"]}),
            ("ask", {"question": QUESTION, "bases": ["vault"]}),
            ("list_sources", {"base": "vault"}),
            ("fetch", {"id": f"vault:{ids['passage_id']}"}),
        ):
            assert MARKER not in str(await caller.call_tool(tool, arguments)), tool


def test_an_id_belongs_to_its_base(server: Running, ids: dict[str, str]) -> None:
    """Open WebUI, CVE-2026-109287: a folder of one base was accepted under another that may be read."""
    workspace = server.service.workspace
    garden = workspace.ids.told(workspace.base("garden").search("roses")[0].id)
    server.service.workspace.access.put_user("both")
    for base in ("station", "garden"):
        server.service.workspace.access.grant(base, "user:both", "manage")
    with client(server, "both") as caller:
        assert caller.get(f"/api/v1/bases/garden/passages/{garden}").status_code == 200
        assert caller.get(f"/api/v1/bases/station/passages/{garden}").status_code == 404
        assert caller.get(f"/kb/station/passages/{garden}").status_code == 404
        assert caller.delete(f"/api/v1/bases/garden/sources/{ids['source']}").status_code == 404
        assert caller.get(f"/api/v1/jobs/{ids['job']}").status_code == 404


def test_nothing_in_a_request_says_what_it_may(server: Running) -> None:
    """Open WebUI, CVE-2026-70487: metadata that named the knowledge of a request was believed."""
    claims = {
        "user": "board",
        "groups": ["board"],
        "audience": ["group:board"],
        "principal": "board",
        "role": "admin",
    }
    headers = {
        "x-user": "board",
        "x-forwarded-user": "board",
        "x-openwebui-user-role": "admin",
        "x-remote-user": "board",
        "cookie": "session=board; kb_user=board",
    }
    with client(server, "reader") as caller:
        caller.headers.update(headers)
        for path, body in (
            ("/v1/chat/completions", {"model": "kb/station", "messages": ASKED, "kb": claims}),
            ("/v1/responses", {"model": "kb/station", "input": QUESTION, "metadata": claims, "kb": claims}),
            ("/api/v1/bases/station/search", {"question": QUESTION, "k": 50}),
            ("/retrieval", {"knowledge_id": "station", "query": QUESTION, "metadata": claims}),
            ("/v1/vector_stores/station/search", {"query": QUESTION, "metadata": claims}),
        ):
            answer = caller.post(path, json=claims | body, params=claims)
            assert answer.status_code == 200, path
            assert MARKER not in answer.text, path
        assert caller.get("/api/v1/bases", params=claims).json() == {"bases": [{"name": "station"}]}


async def test_no_metadata_of_a_tool_call_says_what_it_may(server: Running) -> None:
    """The same for MCP, whose requests carry `_meta`."""
    async with mcp(server, "reader") as caller:
        told = await caller.call_tool("search", {"query": QUESTION}, meta={"user": "board", "groups": ["board"]})
    assert MARKER not in str(told)


@pytest.mark.parametrize("knowledge", ["vault", "station", "*", "station+vault", "kb/vault", "../vault"])
def test_routes_for_other_programs_are_routes(server: Running, knowledge: str) -> None:
    """RAGFlow 15027: its copy of Dify's endpoint gave any tenant's passages."""
    with client(server, "reader") as caller:
        answer = caller.post("/retrieval", json={"knowledge_id": knowledge, "query": QUESTION})
    assert answer.status_code == (200 if knowledge == "station" else 404)
    assert MARKER not in answer.text


def test_a_narrower_token_is_narrower_everywhere(server: Running, ids: dict[str, str]) -> None:
    """RAGFlow 14659: one of several checks asked for membership alone, and passed over the permission."""
    access = server.service.workspace.access
    narrow = access.new_token("board", "narrow", bases=["garden"])
    with _bearer(narrow, server) as caller:
        for asked, answer in requests(caller, "vault", ids):
            assert MARKER not in answer.text, asked
        assert caller.get("/api/v1/bases").json() == {"bases": []}, "nor what the user may not read"


def test_previews_and_links_are_checked(server: Running, ids: dict[str, str]) -> None:
    """RAGFlow 15267: previews and downloads by id were open to everybody."""
    passage = ids["passage_id"]
    workspace = server.service.workspace
    hidden = workspace.ids.told(workspace.base("station").search(QUESTION)[0].id)
    for who in ("nobody", "reader", "stranger"):
        with client(server, who) as caller:
            for path in (f"/kb/vault/passages/{passage}", f"/kb/station/passages/{hidden}"):
                for accept in ("text/html", "application/json"):
                    answer = caller.get(path, headers={"accept": accept})
                    assert answer.status_code == (401 if who == "nobody" else 404)
                    assert MARKER not in answer.text


def test_the_readers_of_a_document_count_in_the_search(server: Running) -> None:
    """OpenRAG 1336: owners and groups were stored with passages, and left out of the query."""
    found = {}
    for who in ("reader", "board"):
        with client(server, who) as caller:
            found[who] = caller.post("/api/v1/bases/station/search", json={"question": QUESTION, "k": 50}).json()
    assert SECRET in [hit["text"] for hit in found["board"]["hits"]]
    assert MARKER not in json.dumps(found["reader"])
    assert found["reader"]["hits"], "what may be read is found"


def test_each_turn_of_a_conversation_is_checked(server: Running) -> None:
    """nexent 3339 and 3483: a search within a conversation skipped the rights."""
    workspace = server.service.workspace
    access = workspace.access
    access.put_user("guest")
    access.grant("vault", "user:guest", "read")
    desk = Desk(workspace, _principal(server, "guest"))
    chat = desk.conversations.create("vault")
    desk.conversations.ask(chat.id, QUESTION)
    until(lambda: not workspace.answers.running(chat.id))
    assert MARKER in str(desk.conversations.turns(chat.id))
    access.withdraw("vault", "user:guest")
    later = Desk(workspace, _principal(server, "guest"))
    assert MARKER not in str(later.conversations.turns(chat.id))
    assert not later.conversations.all(MARKER)
    with pytest.raises(Exception, match="no knowledge base"):
        later.conversations.ask(chat.id, QUESTION)
    turns = [{"role": "user", "text": QUESTION}, {"role": "assistant", "text": "It keeps something [1]."}]
    with client(server, "guest") as caller:
        body = {"question": "And what else?", "history": turns, "beside": ["vault"]}
        assert caller.post("/api/v1/bases/vault/ask", json=body).status_code == 404
    with client(server, "reader") as caller:
        body = {"question": "And what else?", "history": turns, "k": 50}
        answer = caller.post("/api/v1/bases/station/ask", json=body)
        assert answer.status_code == 200
        assert MARKER not in answer.text


def _principal(server: Running, who: str) -> Any:
    return server.service.workspace.access.principal(token(server, who))


def test_nothing_was_changed_by_all_this(server: Running) -> None:
    workspace = server.service.workspace
    assert [source.path for source in workspace.base("vault").sources()] == [LIST]
    assert LIST in {source.path for source in workspace.base("station").sources()}
