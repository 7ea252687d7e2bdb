"""Answers by a server that speaks the OpenAI API, over real HTTP: they stream and are cited; a stopped server, a
wrong name and a stream that breaks off are errors that say so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import ModelError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.embedding.hostile_server import Hostile, error, hostile
from tests.fakes import HashEmbeddings
from tests.waiting import PATIENCE

pytestmark = pytest.mark.engine

QUESTION = "When does the tide rise?"
PIECES = ("The tide", " rises at", " noon [1].")


def event(text: str, end: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": end}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "tiny", "choices": [choice]}
    return framed(f"data: {json.dumps(chunk)}\n\n".encode())


def framed(data: bytes) -> bytes:
    """A piece of a chunked body; an empty one ends it."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class Chat:
    """Streams PIECES. It sends the second once `go` is set: who waits for the whole first would wait for ever.

    Attributes:
        breaks: Whether the connection ends after the first piece.
    """

    def __init__(self) -> None:
        self.go, self.breaks = threading.Event(), False

    def __call__(self, _path: str, body: Any) -> Any:
        if body["model"] != "tiny":
            return error(404, f"The model `{body['model']}` does not exist.")
        assert body["stream"]
        return 200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}, self._stream

    def _stream(self, out: Any) -> None:
        for place, piece in enumerate(PIECES):
            out.write(event(piece))
            out.flush()
            if self.breaks:
                return
            if place == 0:
                assert self.go.wait(PATIENCE)
        out.write(event("", "stop") + framed(b"data: [DONE]\n\n") + framed(b""))


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def server(chat: Chat) -> Iterator[Hostile]:
    with hostile(chat) as made:
        yield made


def base(tmp_path: Path, made: Hostile, name: str = "tiny") -> KnowledgeBase:
    docs = tmp_path / "docs"
    docs.mkdir(exist_ok=True)
    (docs / "tides.md").write_text("The tide rises at noon.")
    settings = Settings(
        home=tmp_path / "home", readers=1, model=f"openai:{name}", base_url=made.url, answer_reader="off"
    )
    embedder: Any = HashEmbeddings()
    kb = KnowledgeBase(settings, embedder=embedder)
    kb.ingest(docs)
    return kb


def test_the_answer_streams_and_is_cited(server: Hostile, chat: Chat, tmp_path: Path) -> None:
    with base(tmp_path, server) as kb:
        reply = kb.ask(QUESTION)
        pieces = iter(reply)
        first = next(pieces)
        assert first.strip()
        assert "noon" not in first
        chat.go.set()
        assert "noon" in "".join(pieces)
        assert [Path(citation.hit.source).name for citation in reply.citations] == ["tides.md"]
    path, headers, body = server.seen[0]
    assert (path, headers["authorization"]) == ("/v1/chat/completions", "Bearer none")
    assert "The tide rises at noon." in json.dumps(body["messages"])


def test_a_wrong_name_is_an_error_in_the_servers_words(server: Hostile, tmp_path: Path) -> None:
    with base(tmp_path, server, "none") as kb:
        reply = kb.ask(QUESTION)
        assert reply.hits
        with pytest.raises(ModelError, match=r"The chat model failed: .*`none` does not exist"):
            _ = reply.answer


def test_a_stream_that_breaks_off_is_an_error(server: Hostile, chat: Chat, tmp_path: Path) -> None:
    chat.breaks = True
    with base(tmp_path, server) as kb, pytest.raises(ModelError, match="The chat model failed"):
        _ = kb.ask(QUESTION).answer


def test_a_stopped_server_is_an_error(chat: Chat, tmp_path: Path) -> None:
    chat.go.set()
    with hostile(chat) as made, base(tmp_path, made) as kb:
        assert "noon" in kb.ask(QUESTION).answer
    with base(tmp_path, made) as kb:
        reply = kb.ask(QUESTION)
        assert reply.hits
        with pytest.raises(ModelError, match="The chat model failed"):
            _ = reply.answer
