"""Who doesn't manage a knowledge base isn't told where its files lie on the server, nor finds it out by asking."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kb_assistant.errors import ModelError, StoreError
from kb_assistant.messages import _
from kb_assistant.settings import Settings
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.rights import LOCAL_USER
from tests.fakes import HashEmbeddings
from tests.serve.guarded import all_tools, client, described, mcp, requests
from tests.serve.running import ModelledWorkspace, Running, running

pytestmark = pytest.mark.engine  # the ingest's reader processes

PLACE = "xylograph"
"""A folder of the server above all others; no request of `guarded` holds it."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`station` follows `plans`, and holds a file of another folder, an upload and a document."""
    place = tmp_path_factory.mktemp("places") / PLACE
    settings = Settings(home=place / "home", model="extract", refuse_below=0.0, answer_reader="off", readers=1)
    workspace = ModelledWorkspace(settings, HashEmbeddings())
    texts = {
        "plans/cellar/stairs.md": "# Cellar\n\nThe cellar keeps a lamp under its stairs.",
        "ann/private/stairs.md": "# Cellar\n\nThe cellar keeps a rope under its stairs.",
        "ann/private/copy.md": "# Cellar\n\nThe cellar keeps a lamp under its stairs.",
    }
    for name, text in texts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    owner = Desk(workspace, LOCAL_USER)
    view = owner.create_base("station")
    view.watch_folder(str(place / "plans"))
    uploaded = b"# Cellar\n\nThe cellar keeps a box under its stairs."
    jobs = (
        view.ingest([place / "plans"]),
        view.ingest([place / "ann"]),
        view.upload([("lists/uploaded.md", uploaded)]),
    )
    for job in jobs:
        workspace.jobs.wait(job.id)
    view.add([("shared.md", b"# Cellar\n\nThe cellar keeps a broom under its stairs.")])
    owner.create_base("vault")
    for name, right in (("reader", "read"), ("writer", "write"), ("board", "manage")):
        workspace.access.put_user(name)
        workspace.access.grant("station", f"user:{name}", right)
    workspace.access.grant("vault", "user:board", "read")
    with running(workspace, login=True, folders=(place / "none",), allow_write=True) as found:
        yield found


@pytest.fixture(scope="module")
def ids(server: Running) -> dict[str, str]:
    base = server.service.workspace.base("station")
    job = server.service.workspace.jobs.of(base)[0].id
    (hit, *_) = base.search("What does the cellar keep under its stairs?", where=["path=*/plans/*"])
    told = server.service.workspace.ids.told(hit.id)
    return {"passage_id": told, "source": "0" * 24, "job": job, "name": "cellar.md"}


@pytest.mark.parametrize("who", ["reader", "writer", "board"])
def test_no_body_names_a_folder_of_the_server(server: Running, ids: dict[str, str], who: str) -> None:
    described(client(server, "board"))
    telling = set()
    with client(server, who) as caller:
        for asked, answer in requests(caller, "station", ids, keep=True):
            assert answer.status_code < 500, asked
            if PLACE in answer.text + str(answer.headers):
                telling.add(asked.split(" ")[1])
    if who == "board":
        assert telling >= {
            "/api/v1/bases/station",
            "/api/v1/bases/station/search",
            "/api/v1/bases/station/ask",
            "/api/v1/bases/station/sources",
            "/api/v1/bases/station/jobs",
            f"/api/v1/bases/station/passages/{ids['passage_id']}",
            f"/api/v1/jobs/{ids['job']}",
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/vector_stores/station/search",
            "/retrieval",
        }, "so the test can fail"
    else:
        assert not telling


@pytest.mark.parametrize("who", ["reader", "writer"])
async def test_no_tool_names_one(server: Running, ids: dict[str, str], who: str) -> None:
    async with mcp(server, who) as caller:
        said = await all_tools(caller, ids)
        assert "plans/cellar/stairs.md" in said
        assert PLACE not in said


def _sources(caller: httpx.Client, **params: Any) -> list[str]:
    found = caller.get("/api/v1/bases/station/sources", params=params).json()
    assert found["total"] == len(found["sources"])
    return sorted(one["path"] for one in found["sources"] if one["path"] != "document:cellar.md")  # another test's


def test_sources_are_named_by_their_place_in_a_followed_folder(server: Running) -> None:
    named = ["copy.md", "document:shared.md", "lists/uploaded.md", "plans/cellar/stairs.md", "stairs.md"]
    with client(server, "reader") as caller:
        assert _sources(caller) == named
        assert _sources(caller, contains="plans") == ["plans/cellar/stairs.md"]
        assert _sources(caller, contains="Cellar") == named, "it is the title"
        told = caller.post("/api/v1/bases/station/ask", json={"question": "What lies under the stairs?"}).json()
        for hit in (*told["hits"], *told["citations"]):
            assert hit["source"] in {*named, "document:cellar.md"}
        for hit in told["hits"]:
            assert set(hit["also_in"]) <= {*named, "document:cellar.md"}


def test_no_id_tells_whether_a_guessed_path_is_right(server: Running, ids: dict[str, str]) -> None:
    """Ids of the store are hashes of paths: who knows the text and an id could try folders."""
    base = server.service.workspace.base("station")
    with base.store.read() as snapshot:
        paths = [source.path for source in snapshot.sources()]
        kept = {chunk.id: chunk for path in paths for chunk in snapshot.chunks_of_source(path)}
    named = {hashlib.sha256(path.encode()).hexdigest()[:24] for path in paths}
    for who in ("reader", "board"):
        with client(server, who) as caller:
            said = "".join(answer.text for _, answer in requests(caller, "station", ids, keep=True))
            assert not [one for one in (*kept, *named) if one in said]
            for id_, chunk in kept.items():
                at = "/api/v1/bases/station/passages"
                assert caller.get(f"{at}/{id_}").status_code == 404, "nor by asking"
                shown = caller.get(f"{at}/{server.service.workspace.ids.told(id_)}").json()
                assert shown["text"] == chunk.text.body
            none = "0" * 32
            answer = caller.get(f"{at}/{server.service.workspace.ids.told(none)}")
            assert answer.status_code == 404
            assert none not in answer.text, "an error tells no id of the store"


GUESSES = [PLACE, f"/{PLACE}/ann", "private", "/ann/", "home", "/"]


@pytest.mark.parametrize("guess", GUESSES)
def test_nobody_finds_out_by_asking(server: Running, guess: str) -> None:
    whole = f"/x/{guess}".replace("//", "/")
    question = "What does the cellar keep under its stairs?"
    with client(server, "reader") as caller:
        if guess != "/":
            assert _sources(caller, contains=guess) == []
        for where in (f"path=*{guess}*/*.md", f"path~{guess}/", f"path=/{guess}*/*/*.md".replace("//", "/")):
            body = {"question": question, "k": 20, "where": [where]}
            found = caller.post("/api/v1/bases/station/search", json=body).json()["hits"]
            assert {hit["source"] for hit in found} <= {"plans/cellar/stairs.md", "lists/uploaded.md"}, where
            if guess != "/":
                assert found == []
        less = caller.post(
            "/api/v1/bases/station/search", json={"question": question, "k": 20, "where": [f"path<{whole}"]}
        )
        assert less.status_code == 200
        condition = {"name": ["path"], "comparison_operator": "start with", "value": guess}
        asked = {"knowledge_id": "station", "query": question, "metadata_condition": {"conditions": [condition]}}
        records = caller.post("/retrieval", json=asked).json()["records"]
        assert guess == "/" or not records


def test_conditions_are_about_what_is_told(server: Running) -> None:
    question = "What does the cellar keep under its stairs?"
    with client(server, "reader") as caller:

        def found(where: str) -> set[str]:
            body = {"question": question, "k": 20, "where": [where]}
            return {hit["source"] for hit in caller.post("/api/v1/bases/station/search", json=body).json()["hits"]}

        assert found("path=plans/*") == found("path=*/cellar/*") == {"plans/cellar/stairs.md"}
        assert found("path=plans/cellar/stairs.md") == {"plans/cellar/stairs.md"}
        assert found("path=stairs.md") == {"plans/cellar/stairs.md", "stairs.md"}
        assert found("path=document:shared.md") == {"document:shared.md"}
        condition = {"name": ["path"], "comparison_operator": "start with", "value": "plans/"}
        asked = {"knowledge_id": "station", "query": question, "metadata_condition": {"conditions": [condition]}}
        records = caller.post("/retrieval", json=asked).json()["records"]
        assert [one["metadata"]["path"] for one in records] == ["plans/cellar/stairs.md"]


def test_beside_a_base_that_one_manages_another_tells_no_more(server: Running) -> None:
    workspace = server.service.workspace
    workspace.access.put_user("both")
    workspace.access.grant("station", "user:both", "read")
    workspace.access.grant("vault", "user:both", "manage")
    with client(server, "both") as caller:
        for first, second in (("station", "vault"), ("vault", "station")):
            body = {"question": "What does the cellar keep?", "k": 20, "beside": [second]}
            answer = caller.post(f"/api/v1/bases/{first}/search", json=body)
            assert "lamp" in answer.text
            assert PLACE not in answer.text


def test_errors_name_no_folder(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    base = server.service.workspace.base("station")
    file = base.settings.kb_dir / "kb.sqlite"
    assert PLACE in str(file)
    asked = [{"role": "user", "content": "Where?"}]

    def fail(error: Exception) -> Any:
        def failing(*_args: Any, **_more: Any) -> Any:
            raise error

        return failing

    for error in (
        StoreError(
            _("{path} is damaged: {reason}.", path=file, reason=OSError(5, "no", str(file))), f"See {file}."
        ),
        ModelError(_("There is no model at {path}.", path=file)),
        RuntimeError(str(file)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(type(base), "searcher", fail(error))
            patch.setattr(type(base), "retrieve", fail(error))
            said = ""
            for path, body in (
                ("/api/v1/bases/station/search", {"question": "Where?"}),
                ("/api/v1/bases/station/ask", {"question": "Where?"}),
                ("/api/v1/bases/station/ask", {"question": "Where?", "stream": True}),
                ("/v1/chat/completions", {"model": "kb/station", "messages": asked}),
                ("/v1/chat/completions", {"model": "kb/station", "messages": asked, "stream": True}),
                ("/retrieval", {"knowledge_id": "station", "query": "Where?"}),
            ):
                if "stream" in body and isinstance(error, RuntimeError):
                    continue  # the connection ends
                with client(server, "reader") as caller:
                    said += caller.post(path, json=body).text

            async def tool() -> str:
                async with mcp(server, "reader") as found:
                    return str(await found.call_tool("search", {"query": "Where?"}))

            said += asyncio.run(tool())
        assert PLACE not in said
        assert isinstance(error, RuntimeError) or file.name in said


def test_the_folder_of_a_model_is_not_told(tmp_path: Path) -> None:
    embedder = str(tmp_path / PLACE / "small-e5")
    settings = Settings(home=tmp_path / "home", model=str(tmp_path / PLACE / "x.gguf"), embedder=embedder)
    workspace = ModelledWorkspace(settings, HashEmbeddings())
    workspace.create_base("station")
    workspace.base("station").add(["The cellar is dry."])
    workspace.access.put_user("reader")
    workspace.access.grant("station", "user:reader", "read")
    with running(workspace, login=True) as server, client(server, "reader") as caller:
        told = caller.get("/v1/models").text + caller.get("/api/v1/bases/station").text
        assert PLACE not in told
        assert "small-e5:query" in told
        answer = caller.post("/v1/embeddings", json={"model": "small-e5:query", "input": "cellar"})
        assert answer.status_code == 200
