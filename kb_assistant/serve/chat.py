"""OpenAI's chat completions over knowledge bases.

Citations come in four forms, each of which some client reads: marks `[n]` in the text, `annotations` of the
message, `citations` and `search_results` beside the choices, and `kb`, the form of `kb ask --json`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from kb_assistant.errors import KBError, QuestionError
from kb_assistant.messages import _
from kb_assistant.serve.answers import Answer, Found, answer, whole_answer
from kb_assistant.serve.conversation import Asked, Message, Options, understood
from kb_assistant.serve.errors import openai_error
from kb_assistant.serve.service import Desking, Serving
from kb_assistant.serve.work import STREAMED, WAIT, EventStream, WorkStream, event
from kb_assistant.types import Usage

router = APIRouter(tags=["OpenAI"])


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="allow")
    include_usage: bool = False


class ChatRequest(BaseModel):
    """Other parameters are accepted, and have no effect."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(description="`kb/NAME`, `kb/A+B` or `plain`.")
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, description="For `plain` alone, as the next ones.")
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=-(2**31), lt=2**31)
    kb: Options = Field(default_factory=Options)

    def sampling(self) -> dict[str, Any]:
        given = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_completion_tokens or self.max_tokens,
            "seed": self.seed,
        }
        return {name: value for name, value in given.items() if value is not None}


@router.post("/v1/chat/completions", response_model=None, responses=STREAMED)
async def chat_completions(body: ChatRequest, request: Request, service: Serving, desk: Desking) -> Response:
    """Answer the last message from the documents, with citations."""
    if body.n is not None and body.n != 1:
        raise QuestionError(_("There is one answer to a request."), _("Leave n at 1."))
    asked = understood(service, desk, body.model, body.messages, body.kb, body.sampling())
    request.state.bases = [view.name for view in asked.views]
    address = service.url(request)
    if body.stream:
        work = service.answers.stream(partial(answer, asked, service.metrics))
        wants_usage = body.stream_options is not None and body.stream_options.include_usage
        return EventStream(work, _events(work, asked, address, wants_usage))
    told = await service.answers.run(request, partial(whole_answer, asked, service.metrics))
    message = {"role": "assistant", "content": told.text, "annotations": url_citations(told, address)}
    choice = {"index": 0, "message": message, "finish_reason": _finish(told), "logprobs": None}
    whole = _head("chat.completion", asked) | {"choices": [choice], "usage": usage_json(told.usage)}
    return JSONResponse(whole | beside(told, address))


async def _events(
    work: WorkStream[Found | str | Answer], asked: Asked, address: str, wants_usage: bool
) -> AsyncGenerator[str]:
    head = _head("chat.completion.chunk", asked)
    yield event(head | _choice({"role": "assistant", "content": ""}))
    try:
        async for piece in work.pieces():
            if piece is None:
                yield WAIT
            elif isinstance(piece, str):
                yield event(head | _choice({"content": piece}))
            elif isinstance(piece, Answer):
                last = _choice({"annotations": url_citations(piece, address)}, _finish(piece))
                yield event(head | last | beside(piece, address))
                if wants_usage:
                    yield event(head | {"choices": [], "usage": usage_json(piece.usage)})
    except Exception as error:
        yield event(failure(error))
        return
    yield "data: [DONE]\n\n"


def failure(error: Exception) -> dict[str, Any]:
    """The error of a stream that has begun, in OpenAI's form. Raises what isn't meant for users."""
    if not isinstance(error, KBError):
        raise error
    return openai_error(error)


def url_citations(told: Answer, address: str) -> list[dict[str, Any]]:
    """OpenAI's form of the citations: the places of the marks in the text, with what they point to."""
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": one.start,
                "end_index": one.end,
                "url": one.passage.url(address),
                "title": f"[{one.n}] {one.passage.title}",
            },
        }
        for one in told.cited
    ]


def beside(told: Answer, address: str) -> dict[str, Any]:
    """The other forms of the citations, in the order of the passages' numbers."""
    if told.json is None:
        return {}
    results = [
        {"title": one.title, "url": one.url(address), "snippet": one.hit.text, "date": None}
        for one in told.passages
    ]
    return {"citations": [one["url"] for one in results], "search_results": results, "kb": told.json}


def usage_json(usage: Usage) -> dict[str, Any]:
    """Token counts in OpenAI's form; 0 where the model doesn't tell."""
    prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage.reused_tokens or 0},
    }


def _head(kind: str, asked: Asked) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": asked.model,
    }


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Sequence[Any]]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]}


def _finish(told: Answer) -> str:
    return "length" if told.cut else "stop"
