"""Summaries of documents that are longer than the context."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from kb_assistant import KnowledgeBase, Settings
from tests.fakes import HashEmbeddings, ScriptedChat

ROOMS = 40


class Noting(ScriptedChat):
    """Notes of each passage that it is given the number of its room, citing it, or sums up the notes."""

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        passages = messages[-1].additional_kwargs["passages"]
        self.pieces = [
            f"{next(word for word in text.split() if word.startswith('room'))} is described [{n}]. "
            for n, text in enumerate(passages, start=1)
        ]
        yield from super()._stream(messages)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    text = "# House\n\n" + "\n\n".join(
        f"## Part {n}\n\nIn the house room{n:02} is {n + 20} metres long and painted in colour number {n}. "
        + "It is cold. " * 30
        for n in range(ROOMS)
    )
    (tmp_path / "house.md").write_text(text, encoding="utf-8")
    with KnowledgeBase(Settings(home=tmp_path / "home", readers=1), embedder=HashEmbeddings()) as base:  # type: ignore[arg-type]
        base.ingest([tmp_path / "house.md"])
    return tmp_path / "home"


def ask(home: Path, model: ScriptedChat, context: int) -> Any:
    settings = Settings(home=home, refuse_below=0, context_tokens=context, max_tokens=200)
    with KnowledgeBase(settings, embedder=HashEmbeddings(), chat_model=model) as base:  # type: ignore[arg-type]
        reply = base.ask("Summarize the house document")
        return reply, reply.answer


def test_a_long_document_is_read_in_parts(home: Path) -> None:
    model = Noting(pieces=[])
    reply, answer = ask(home, model, 3000)
    assert reply.kind == "document"
    *parts, last = [prompt[-1].additional_kwargs["passages"] for prompt in model.prompts]
    assert len(parts) > 1
    read = [text for part in parts for text in part]
    assert sum("room" in text for text in read) == ROOMS == len(set(read))  # each passage once
    assert [text.count("is described") for text in last] == [len(part) for part in parts]
    assert reply.dropped.passages == 0
    assert [citation.n for citation in reply.citations] == list(range(1, len(parts) + 1))
    for part, citation in zip(parts, reply.citations, strict=True):
        assert citation.hit.text in part  # the document's own text, not the note
    assert "room00" in answer


def test_a_short_context_reads_parts_evenly_and_says_what_was_left_out(home: Path) -> None:
    model = Noting(pieces=[])
    reply, _ = ask(home, model, 900)
    assert len(model.prompts) <= 9
    assert reply.dropped.passages > 0
    assert max(int(hit.text.split("room")[1][:2]) for hit in reply.hits) > ROOMS / 2


def test_a_document_that_fits_is_read_at_once(home: Path) -> None:
    model = Noting(pieces=[])
    reply, _ = ask(home, model, 60_000)
    assert len(model.prompts) == 1
    assert reply.dropped.passages == 0


def test_a_model_that_notes_nothing_is_asked_with_what_fits(home: Path) -> None:
    model = ScriptedChat(pieces=[""])
    reply, _ = ask(home, model, 3000)
    assert reply.hits
    assert reply.dropped.passages > 0


def test_a_stop_while_parts_are_read_ends_it_before_the_next_part(home: Path) -> None:
    model = Noting(pieces=[])
    settings = Settings(home=home, refuse_below=0, context_tokens=900, max_tokens=200)
    with KnowledgeBase(settings, embedder=HashEmbeddings(), chat_model=model) as base:  # type: ignore[arg-type]
        reply = base.ask("Summarize the house document", stop=lambda: len(model.prompts) >= 2)
        assert reply.answer is not None
    assert reply.stopped
    assert len(model.prompts) <= 3  # of nine; the last may begin
