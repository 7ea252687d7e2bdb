"""Embedding by a server: the same vectors and the same search as here, and whatever a bad server does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kb_assistant.embedding import model_server, served
from kb_assistant.embedding.local import COSINE_TOLERANCE
from kb_assistant.embedding.model_server import ModelServer, ServedModel, ServerError, served_model, server_key
from kb_assistant.embedding.served import BATCH, PROBE, ServedEmbeddings, ServedEncoder
from kb_assistant.errors import EmbedderMismatch, KBError, ModelError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.maintenance.doctor import examine
from kb_assistant.settings import Settings
from tests.embedding.hostile_server import Hostile, error, hostile, vectors
from tests.fakes import HashEmbeddings
from tests.serve.running import ModelledWorkspace, Running, running
from tests.waiting import PATIENCE

HASH = HashEmbeddings(dimension=96)


def good(_path: str, body: Any) -> Any:
    """A sound server with a simple model, which limits texts and batches as real ones do."""
    if body["model"] != "hash":
        return error(404, f"The model `{body['model']}` does not exist.")
    if len(body["input"]) > BATCH:
        return error(413, "batch too large")
    return vectors(HASH.encode_queries(body["input"]).tolist())


@pytest.fixture
def server() -> Iterator[Hostile]:
    with hostile(good) as made:
        yield made


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once, no key is set, and nothing is shared with the test before."""
    monkeypatch.setattr(model_server, "_FIRST_PAUSE_S", 0.01)
    for name in ("OPENAI_API_KEY", "KB_EMBEDDER_KEY", "KB_EMBEDDER_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    served.open_encoder.__wrapped__.cache_clear()  # type: ignore[attr-defined]


def embedder(made: Hostile, seconds: float = PATIENCE, key: str = "") -> ServedEmbeddings:
    return ServedEmbeddings(ServedEncoder(ModelServer(made.url, key, seconds), "hash"))


def base(home: Path, made: Hostile, name: str = "hash") -> KnowledgeBase:
    settings = Settings(home=home, readers=1, embedder=f"openai:{name}@{made.url}", answer_reader="off")
    return KnowledgeBase(settings)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for place in range(40):
        (folder / f"{place}.md").write_text(
            f"# Note {place}\n\nTide table {place}: the ferry waits for boat {place}."
        )
    return folder


def test_names_of_models_behind_servers() -> None:
    assert served_model("openai:bge-m3@http://gpu:8000/v1/") == ServedModel("bge-m3", "http://gpu:8000/v1")
    assert served_model("openai:org/x:7b@https://h/a/v1") == ServedModel("org/x:7b", "https://h/a/v1")
    assert served_model("openai:x", "http://h/v1") == ServedModel("x", "http://h/v1")
    assert served_model("openai:text-embedding-3-small").url == model_server.OPENAI
    for wrong in (
        "openai:",
        "openai:@http://h",
        "openai:x@http://",
        "openai:x@http://h/?key=1",
        "openai:x@http://a b",
    ):
        with pytest.raises(ModelError, match="names no model behind a server"):
            served_model(wrong)


def test_a_key_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ModelError) as caught:
        served_model("openai:x@https://user:secret@host/v1")
    assert "secret" not in caught.value.full_message


def test_keys_come_from_a_variable_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_key("embedder") == ""
    monkeypatch.setenv("OPENAI_API_KEY", "general")
    assert server_key("embedder") == "general"
    file = tmp_path / "key"
    monkeypatch.setenv("KB_EMBEDDER_KEY_FILE", str(file))
    with pytest.raises(ModelError, match="can't be read"):
        server_key("embedder")
    file.write_text("of-the-file\n")
    assert server_key("embedder") == "of-the-file"
    assert server_key("reranker") == "general"
    for wrong in ("", "two\nlines", "naïve"):
        file.write_text(wrong)
        with pytest.raises(ModelError, match="key"):
            server_key("embedder")
    monkeypatch.setenv("KB_EMBEDDER_KEY", "own")
    assert server_key("embedder") == "own"
    assert "own" not in str(Settings.load(home=tmp_path))


def test_vectors_stand_in_the_order_of_the_texts_and_few_go_at_once(server: Hostile) -> None:
    texts = [f"text {place} " + "word " * (place % 7) for place in range(100)]
    here = embedder(server, key="k-1")
    found = here.encode_passages(texts)
    assert np.allclose(found, HASH.encode_queries(texts), atol=1e-6)
    assert max(server.sizes) == BATCH
    assert all(headers["authorization"] == "Bearer k-1" for _, headers, _ in server.seen)
    before = len(server.seen)
    assert np.allclose(here.encode_queries(["a", "b", "a"]), HASH.encode_queries(["a", "b", "a"]), atol=1e-6)
    here.encode_queries(["a"])
    assert len(server.seen) == before + 2, "questions are remembered"
    assert here.encode_passages([]).shape == (0, 96)


def test_prefixes_stand_before_each_text(server: Hostile) -> None:
    encoder = ServedEncoder(ModelServer(server.url), "hash", "query: ", "passage: ")
    ServedEmbeddings(encoder).encode_queries(["one"])
    assert server.seen[-1][2]["input"] == [f"query: {PROBE}", "query: one"]
    ServedEmbeddings(encoder).encode_passages(["two \ud800"])
    assert server.seen[-1][2]["input"] == [f"passage: {PROBE}", "passage: two ?"]


def test_a_base_is_filled_searched_and_opened_again(server: Hostile, docs: Path, tmp_path: Path) -> None:
    with base(tmp_path / "home", server) as made:
        assert made.ingest(docs).added == 40
        assert made.embedder.fingerprint["name"] == "openai:hash"
        assert made.verify().sound
    with base(tmp_path / "home", server) as made:
        assert made.ingest(docs).unchanged == 40
        assert made.search("the boat 17 and its tide table")[0].source.endswith("/17.md")
        assert not made.rebuild() or made.verify().sound


def test_a_server_that_rounds_otherwise_has_the_same_model(server: Hostile, docs: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)

    def rounded(_path: str, body: Any) -> Any:
        noisy = HASH.encode_queries(body["input"]) + rng.normal(0, 3e-4, (len(body["input"]), 96))
        return vectors(noisy.astype(np.float16).tolist())

    with base(tmp_path / "home", server) as made:
        made.ingest(docs)
        first = made.embedder.fingerprint
    served.open_encoder.__wrapped__.cache_clear()  # type: ignore[attr-defined]
    server.answer = rounded
    with base(tmp_path / "home", server) as made:
        assert made.search("the boat 17 and its tide table")
        assert made.embedder.fingerprint == first
        assert made.ingest(docs).unchanged == 40


def other(_path: str, body: Any) -> Any:
    return vectors(
        HashEmbeddings(dimension=96).encode_queries([f"other {text}" for text in body["input"]]).tolist()
    )


def test_another_model_under_the_same_name_is_noticed(server: Hostile, docs: Path, tmp_path: Path) -> None:
    with base(tmp_path / "home", server) as made:
        made.ingest(docs)
        server.answer = other
        (docs / "new.md").write_text("Something new.")
        with pytest.raises(EmbedderMismatch, match="another model under the name"):
            made.ingest(docs)
        with pytest.raises(EmbedderMismatch, match="another model"):
            made.search("a question that wasn't asked")
    served.open_encoder.__wrapped__.cache_clear()  # type: ignore[attr-defined]
    with base(tmp_path / "home", server) as made:  # another process
        with pytest.raises(EmbedderMismatch, match="built with the embedder"):
            made.search("the boat 17")
        assert made.rebuild()
        assert made.search("the boat 17")
        assert made.verify().sound


def test_a_server_that_stumbles_is_asked_again(server: Hostile) -> None:
    fails = [error(500), error(429, retry_after="0"), error(503)]

    def stumbling(path: str, body: Any) -> Any:
        return fails.pop() if fails else good(path, body)

    here = embedder(server)
    assert here.fingerprint
    server.answer = stumbling
    assert here.encode_passages(["one"]).shape == (1, 96)
    assert not fails


def test_a_server_that_stays_broken_or_busy_is_given_up(server: Hostile) -> None:
    here = embedder(server)
    assert here.fingerprint
    for status in (500, 429, 503):
        server.answer = lambda _path, _body, status=status: error(status, "Out of memory.\x1b[31m")
        before = len(server.seen)
        with pytest.raises(ServerError, match=f"says {status}: Out of memory. \\[31m$"):
            here.encode_passages(["one"])
        assert len(server.seen) == before + model_server.TRIES
    server.answer = lambda _path, _body: error(429, retry_after="3600")
    before, began = len(server.seen), time.monotonic()
    with pytest.raises(ServerError, match="says 429"):
        here.encode_passages(["one"])
    assert len(server.seen) == before + 1
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("status", [401, 403, 404, 418, 301])
def test_what_the_server_refuses_is_not_asked_again(server: Hostile, status: int) -> None:
    server.answer = lambda _path, _body: error(
        status, "key k-secret is wrong", location="http://elsewhere.example/"
    )
    with pytest.raises(ServerError) as caught:
        embedder(server, key="k-secret").encode_queries(["one"])
    assert f"says {status}" in caught.value.message
    assert "k-secret" not in caught.value.full_message
    assert caught.value.hint
    assert len(server.seen) == (2 if status == 404 else 1)


def test_a_text_that_is_too_long_for_the_model_is_cut(server: Hostile) -> None:
    def strict(path: str, body: Any) -> Any:
        if any(len(text) > 300 for text in body["input"]):
            return error(400, "This model's maximum context length is 100 tokens.")
        return good(path, body)

    server.answer = strict
    here = embedder(server)
    long = "word " * 4000
    found = here.encode_passages(["short", long, "also short"])
    assert ((found * HASH.encode_queries(["short", long, "also short"])).sum(axis=1) > 0.99).all()
    assert here.encode_queries([long]).shape == (1, 96)
    server.answer = lambda _path, _body: error(400, "never")
    with pytest.raises(ServerError, match="says 400: never"):
        here.encode_passages(["short"] * 31)


NAN = [float("nan"), 1.0]
WRONG: dict[str, Any] = {
    "NaN": lambda n: vectors([NAN] * n),
    "infinite": lambda n: vectors([[float("inf"), 1.0]] * n),
    "too large for float32": lambda n: vectors([[1e300, 1.0]] * n),
    "huge numbers": lambda n: vectors([[10**400, 1]] * n),  # type: ignore[list-item]
    "zeros": lambda n: vectors([[0.0, 0.0]] * n),
    "empty vectors": lambda n: vectors([[]] * n),
    "ragged": lambda n: vectors([[1.0] * (2 + place) for place in range(n)]),
    "too few": lambda n: vectors([[1.0, 2.0]] * (n - 1)),
    "too many": lambda n: vectors([[1.0, 2.0]] * (n + 1)),
    "words": lambda n: vectors([["a", "b"]] * n),  # type: ignore[list-item]
    "null": lambda n: vectors([None] * n),  # type: ignore[list-item]
    "base64": lambda n: vectors(["AACAPwAAAEA="] * n),  # type: ignore[list-item]
    "an index twice": lambda n: (200, {}, json.dumps({"data": [{"index": 0, "embedding": [1]}] * n}).encode()),
    "no data": lambda _: (200, {}, b"{}"),
    "a list": lambda _: (200, {}, b"[]"),
    "no JSON": lambda _: (200, {}, b"<html>Sign in</html>"),
    "deep": lambda _: (200, {}, b"[" * 200_000),
    "nothing": lambda _: (200, {}, b""),
    "packed": lambda _: (200, {"content-encoding": "gzip"}, b"\x1f\x8b\x08"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_are_no_vectors_is_refused(server: Hostile, kind: str) -> None:
    here = embedder(server)
    assert here.fingerprint
    server.answer = lambda _path, body: WRONG[kind](len(body["input"]))
    with pytest.raises(KBError) as caught:
        here.encode_passages(["one", "two"])
    assert caught.value.hint
    with pytest.raises(KBError):
        embedder(server).encode_queries(["one"])


def test_another_dimension_is_refused(server: Hostile) -> None:
    here = embedder(server)
    assert here.fingerprint["dimension"] == 96
    server.answer = lambda _path, body: vectors(
        HashEmbeddings(dimension=64).encode_queries(body["input"]).tolist()
    )
    with pytest.raises(EmbedderMismatch):
        here.encode_passages(["one"])


def test_an_answer_without_end_ends(server: Hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(out: Any) -> None:
        while True:
            out.write(b" " * 65536)

    def dripping(out: Any) -> None:
        for _ in range(600):
            out.write(b" ")
            time.sleep(0.1)

    monkeypatch.setattr(model_server, "MOST_BYTES", 1 << 20)
    server.answer = lambda _path, _body: (200, {}, endless)
    with pytest.raises(ServerError, match="larger than 1 MB"):
        embedder(server).encode_queries(["one"])
    server.answer = lambda _path, _body: (200, {}, dripping)
    with pytest.raises(ServerError, match=r"doesn't answer in 0\.5 s"):
        embedder(server, seconds=0.5).encode_queries(["one"])


def test_a_server_that_is_slow_or_away_is_an_error_that_says_so(server: Hostile) -> None:
    server.answer = lambda path, body: (time.sleep(1.5), good(path, body))[1]
    with pytest.raises(ServerError, match=r"doesn't answer in 0\.3 s") as caught:
        embedder(server, seconds=0.3).encode_queries(["one"])
    assert "server_seconds" in caught.value.hint
    away = Hostile(url="http://127.0.0.1:9/v1")
    with pytest.raises(ServerError, match="can't be reached") as caught:
        embedder(away).encode_queries(["one"])
    assert caught.value.hint.startswith("Start it")


@pytest.mark.engine
def test_the_doctor_asks_the_server(server: Hostile, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, embedder=f"openai:hash@{server.url}")
    found = next(one for one in examine(settings) if one.subject == "embedder")
    assert (found.state, found.detail) == ("ok", f"hash at {server.url}, 96 numbers a text")
    away = settings.but(embedder="openai:hash@http://127.0.0.1:9/v1")
    found = next(one for one in examine(away) if one.subject == "embedder")
    assert found.state == "broken"
    assert "can't be reached" in found.detail


def test_what_needs_no_vectors_needs_no_server(server: Hostile, docs: Path, tmp_path: Path) -> None:
    with base(tmp_path / "home", server) as made:
        made.ingest(docs)
    served.open_encoder.__wrapped__.cache_clear()  # type: ignore[attr-defined]
    with base(tmp_path / "home", Hostile(url="http://127.0.0.1:9/v1")) as made:
        assert len(made.sources()) == 40
        assert made.status()["sources"] == 40
        assert made.verify().sound
        with pytest.raises(ServerError, match="can't be reached"):
            made.search("the boat 17")


def test_a_stop_between_batches_keeps_what_is_done(server: Hostile) -> None:
    here = embedder(server)
    batches = here.encode_batches([f"text {place}" for place in range(500)])
    rows, found = next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert len(rows) == len(found) == BATCH - 1
    assert len(server.seen) < 14


@pytest.fixture(scope="module")
def kb_serve(sample_kb: KnowledgeBase, real_embedder: Any) -> Iterator[Running]:
    settings = Settings(home=sample_kb.settings.home, model="extract")
    with running(ModelledWorkspace(settings, real_embedder)) as found:
        yield found


QUESTIONS = ("Who founded the station?", "What does the ferry cost?", "灯塔是谁修建的？", "When is it closed?")


@pytest.mark.engine
def test_kb_serve_gives_the_vectors_of_here(kb_serve: Running, real_embedder: Any) -> None:
    encoder = ServedEncoder(ModelServer(f"{kb_serve.url}/v1"), "multilingual-e5-small", "query: ", "passage: ")
    there = ServedEmbeddings(encoder)
    for texts in (QUESTIONS, [f"{question} {place}" for question in QUESTIONS for place in range(12)]):
        here = real_embedder.encode_passages(texts)
        assert np.abs((there.encode_passages(texts) * here).sum(axis=1) - 1).max() < COSINE_TOLERANCE
    asked = real_embedder.encode_queries(QUESTIONS)
    assert np.abs((there.encode_queries(QUESTIONS) * asked).sum(axis=1) - 1).max() < COSINE_TOLERANCE


@pytest.mark.engine
def test_a_base_embedded_by_kb_serve_finds_the_same(
    kb_serve: Running, sample_kb: KnowledgeBase, real_embedder: Any, tmp_path: Path
) -> None:
    """The same chunks, embedded anew by the server: the same passages in the same order, and the same evidence."""
    docs = sample_kb.settings.home.parent / "docs"
    settings = Settings(home=tmp_path / "home", readers=1, answer_reader="off")
    with KnowledgeBase(settings, embedder=real_embedder) as made:
        made.ingest(docs)
        here = [made.retrieve(question) for question in QUESTIONS]
    remote = settings.but(embedder=f"openai:multilingual-e5-small@{kb_serve.url}/v1")
    with KnowledgeBase(remote) as made:
        with pytest.raises(EmbedderMismatch):
            made.search(QUESTIONS[0])
        assert made.rebuild()
        there = [made.retrieve(question) for question in QUESTIONS]
    for one, two in zip(here, there, strict=True):
        assert [hit.id for hit in one.hits] == [hit.id for hit in two.hits]
        assert one.evidence == pytest.approx(two.evidence, abs=1e-3)
        assert one.relevant == two.relevant
