"""Every route and every tool, asked by everybody: nothing tells what may not be read, nor that it is there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.serve.guarded import (
    LIST,
    MARKER,
    QUESTION,
    SECRET,
    all_tools,
    client,
    described,
    guarded,
    mcp,
    requests,
    secret_ids,
)
from tests.serve.running import Running
from tests.waiting import until

CALLERS = ("nobody", "expired", "stranger", "reader", "writer")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with guarded(tmp_path_factory.mktemp("rights") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def ids(server: Running) -> dict[str, str]:
    return secret_ids(server)


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
        until(
            lambda: sum(one.name == "kb_assistant.audit" for one in caplog.records) == 2
        )  # told after the answer
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
