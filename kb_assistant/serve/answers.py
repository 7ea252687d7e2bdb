"""Answers in the making: passages first, then text, then the whole with its citations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessageChunk

from kb_assistant.answering.citations import marks
from kb_assistant.answering.meter import Meter
from kb_assistant.answering.model_stream import model_chunks
from kb_assistant.answering.reply import Reply
from kb_assistant.errors import ModelError
from kb_assistant.llm.capabilities import quotes_only
from kb_assistant.messages import _
from kb_assistant.serve.conversation import PLAIN, Asked
from kb_assistant.serve.metrics import Metrics
from kb_assistant.serve.passages import Passage, located
from kb_assistant.serve.work import Stop
from kb_assistant.types import Usage


@dataclass(frozen=True, slots=True)
class Found:
    """The passages that an answer is made from.

    Attributes:
        json: What is known of the answer, in the form of `kb ask --json`, before its first word.
    """

    passages: Sequence[Passage]
    json: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cited:
    """A mark `[n]`: its slice of the text, in code points, and its passage."""

    n: int
    start: int
    end: int
    passage: Passage


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that has ended.

    Attributes:
        text: All that was said.
        passages: The passages given to the model; mark [n] means passages[n - 1].
        json: The form of `kb ask --json`; None if no document was searched for.
    """

    text: str
    usage: Usage = field(default_factory=Usage)
    cut: bool = False
    passages: Sequence[Passage] = ()
    cited: Sequence[Cited] = ()
    json: dict[str, Any] | None = None


Emit = Callable[[Found | str | Answer], None]


def answer(asked: Asked, metrics: Metrics, stop: Stop, emit: Emit) -> None:
    """Give what was found, the text in pieces, and the whole answer.

    Raises:
        KBError: it can't be answered.
    """
    if stop.is_set():
        return
    if not asked.views:
        emit(_plain(asked, stop, emit))
        return
    options = asked.options
    reply = asked.views[0].ask(
        asked.question,
        asked.history,
        where=options.where,
        beside=asked.views[1:],
        answers=options.answers,
        k=options.k,
        stop=stop.is_set,
    )
    passages = located(reply.hits, asked.views)
    emit(Found(passages, _before(reply)))
    text = ""
    for piece in reply:
        text += piece
        emit(piece)
    metrics.answered(reply)
    cited = [Cited(one.n, one.start, one.end, passages[one.n - 1]) for one in marks(text, reply.hits)]
    emit(Answer(text, reply.usage, reply.cut, passages, cited, _told(reply, passages)))


def _told(reply: Reply, passages: Sequence[Passage]) -> dict[str, Any]:
    """The form of `kb ask --json`, with sources as the caller is told of them."""
    known = reply.to_json()
    citations = [one | {"source": passages[one["n"] - 1].told.source} for one in known["citations"]]
    return known | {"citations": citations, "hits": [one.told.to_json() for one in passages]}


def _before(reply: Reply) -> dict[str, Any]:
    return {
        "evidence": round(reply.evidence, 4),
        "uncertain": reply.uncertain,
        "kind": reply.kind,
        "origin": reply.origin,
        "note": reply.note,
        "queries": list(reply.queries),
    }


def whole_answer(asked: Asked, metrics: Metrics, stop: Stop) -> Answer:
    """The answer at once, its text without blanks around it; empty if it was stopped before it began."""
    given: list[Found | str | Answer] = []
    answer(asked, metrics, stop, given.append)
    last = given[-1] if given else None
    if not isinstance(last, Answer):
        return Answer("")
    text = last.text.strip()
    lead = len(last.text) - len(last.text.lstrip())
    cited = [Cited(one.n, one.start - lead, one.end - lead, one.passage) for one in last.cited]
    return Answer(text, last.usage, last.cut, last.passages, cited, last.json)


def _plain(asked: Asked, stop: Stop, emit: Emit) -> Answer:
    """The chat model alone. One that only quotes has nothing to say to a client's own prompts, such as for titles.

    Raises:
        ModelError: it was asked for, and only quotes.
    """
    model, meter, text = asked.chat_model(), Meter(), ""
    if quotes_only(model):
        if asked.model == PLAIN:
            raise ModelError(
                _("There is no chat model that answers without documents."),
                _("See what can be had: kb models list"),
            )
        return Answer("")
    with closing(model_chunks(model, asked.messages, None, stop.is_set, **asked.sampling)) as chunks:
        for chunk in chunks:
            meter.take(chunk)
            text += _said(chunk)
            if _said(chunk):
                emit(_said(chunk))
            if stop.is_set():
                break
    return Answer(text, meter.usage(), meter.cut)


def _said(chunk: AIMessageChunk) -> str:
    return str(chunk.text)
