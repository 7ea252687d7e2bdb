"""Reranking by a server over real HTTP: its order, and whatever a bad server does."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.embedding.model_server import ModelServer
from kb_assistant.embedding.reranker import RERANKED
from kb_assistant.embedding.served_reranker import ServedReranker
from kb_assistant.errors import ModelError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.embedding.hostile_server import Hostile, error, hostile
from tests.fakes import HashEmbeddings
from tests.waiting import PATIENCE


def results(scores: list[Any]) -> Any:
    """Jina's and Cohere's answer, best first as they give it."""
    rows = [{"index": place, "relevance_score": score} for place, score in enumerate(scores)]
    return 200, {}, json.dumps({"model": "long", "results": rows[::-1]}).encode()


def long_first(_path: str, body: Any) -> Any:
    if body["model"] != "long":
        return error(404, "no such model")
    return results([len(text) / 1000 for text in body["documents"]])


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile(long_first) as made:
        yield made


def reranker(made: Hostile, seconds: float = PATIENCE, name: str = "long") -> ServedReranker:
    return ServedReranker(ModelServer(made.url, "k-1"), name, seconds)


def test_scores_stand_in_the_order_of_the_texts(server: Hostile) -> None:
    texts = ["abc", "a", "ab"]
    assert reranker(server).scores("which?", texts) == [0.003, 0.001, 0.002]
    path, headers, body = server.seen[0]
    assert (path, headers["authorization"]) == ("/v1/rerank", "Bearer k-1")
    assert body == {"model": "long", "query": "which?", "documents": texts, "top_n": 3}
    assert len(reranker(server).scores("which?", ["a"] * 99)) == RERANKED
    assert reranker(server).scores("which?", []) == []


def test_a_search_takes_the_servers_order_and_its_own_without(
    server: Hostile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for place in range(5):
        (docs / f"{place}.md").write_text("The tide rises at noon. " + f"Boat {place} waits. " * (place + 1))
    named = f"openai:long@{server.url}"
    settings = Settings(
        home=tmp_path / "home", readers=1, reranker=named, rerank_seconds=PATIENCE, model="extract"
    )
    embedder: Any = HashEmbeddings()
    with KnowledgeBase(settings, embedder=embedder) as made:
        made.ingest(docs)
        own = made.retrieve("When does the tide rise?", rerank=False).hits
        found = made.search("When does the tide rise?")
        assert [Path(hit.source).stem for hit in found] == ["4", "3", "2", "1", "0"]
        server.answer = lambda _path, _body: error(503)
        with caplog.at_level(logging.WARNING):
            assert [hit.id for hit in made.search("When does the tide rise?")] == [hit.id for hit in own]
        assert "Passages aren't reranked" in caplog.text


@pytest.mark.parametrize("status", [400, 413, 422, 429, 500, 503])
def test_a_server_that_cannot_now_leaves_the_order(server: Hostile, status: int) -> None:
    server.answer = lambda _path, _body: error(status)
    assert reranker(server).scores("which?", ["a", "b"]) == []
    assert len(server.seen) == 1


def test_a_server_that_is_late_or_away_leaves_the_order(server: Hostile) -> None:
    server.answer = lambda path, body: (time.sleep(1.5), long_first(path, body))[1]
    assert reranker(server, seconds=0.2).scores("which?", ["a", "b"]) == []
    assert reranker(Hostile(url="http://127.0.0.1:9/v1")).scores("which?", ["a", "b"]) == []


def test_a_wrong_name_or_key_is_an_error(server: Hostile) -> None:
    with pytest.raises(ModelError, match="says 404: no such model"):
        reranker(server, name="short").scores("which?", ["a"])
    server.answer = lambda _path, _body: error(401, "wrong key k-1")
    with pytest.raises(ModelError, match="says 401: wrong key …") as caught:
        reranker(server).scores("which?", ["a"])
    assert "KB_RERANKER_KEY" in caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [
        results([1.0]),
        results([1.0, 2.0, 3.0]),
        results([1.0, float("nan")]),
        results([1.0, None]),
        results([1.0, "high"]),
        (200, {}, b"[]"),
        (200, {}, b'{"results": {}}'),
        (200, {}, b'{"results": [{"index": 0, "relevance_score": 1}, {"index": 0, "relevance_score": 1}]}'),
        (200, {}, b"no"),
        (200, {}, json.dumps({"results": [{"index": [], "relevance_score": 1}]}).encode()),
    ],
)
def test_what_are_no_scores_is_refused(server: Hostile, answer: Any) -> None:
    server.answer = lambda _path, _body: answer
    with pytest.raises(ModelError) as caught:
        reranker(server).scores("which?", ["a", "b"])
    assert caught.value.hint
