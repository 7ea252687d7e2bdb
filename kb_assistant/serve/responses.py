"""The stateless part of OpenAI's Responses: by it LangChain's clients keep the citations."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from kb_assistant.errors import QuestionError
from kb_assistant.messages import _
from kb_assistant.serve.answers import Answer, Found, answer, whole_answer
from kb_assistant.serve.chat import beside, failure, url_citations
from kb_assistant.serve.conversation import Message, Options, understood
from kb_assistant.serve.service import Desking, Serving
from kb_assistant.serve.work import STREAMED, WAIT, EventStream, WorkStream, event

router = APIRouter(tags=["OpenAI"])


class InputItem(BaseModel):
    """A message, or something else, which is passed over."""

    model_config = ConfigDict(extra="allow")
    type: str = "message"
    role: str = ""
    content: Any = None


class ResponseRequest(BaseModel):
    """Other parameters are accepted, and have no effect."""

    model_config = ConfigDict(extra="allow")
    model: str = Field(description="`kb/NAME`, `kb/A+B` or `plain`.")
    input: str | list[InputItem]
    instructions: str | None = Field(default=None, description="Obeyed by `plain` alone.")
    stream: bool | None = False
    previous_response_id: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2, description="For `plain` alone, as the next ones.")
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_output_tokens: int | None = Field(default=None, ge=1)
    kb: Options = Field(default_factory=Options)

    def messages(self) -> list[Message]:
        said = [Message(role="system", content=self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*said, Message(role="user", content=self.input)]
        items = (item for item in self.input if item.type == "message" and item.role)
        return said + [Message.model_validate({"role": item.role, "content": item.content}) for item in items]

    def sampling(self) -> dict[str, Any]:
        given = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_output_tokens}
        return {name: value for name, value in given.items() if value is not None}


@router.post("/v1/responses", response_model=None, responses=STREAMED)
async def responses(body: ResponseRequest, request: Request, service: Serving, desk: Desking) -> Response:
    """Answer the input from the documents, with citations."""
    if body.previous_response_id:
        raise QuestionError(_("Nothing of earlier responses is kept."), _("Send the whole conversation as input."))
    asked = understood(service, desk, body.model, body.messages(), body.kb, body.sampling())
    request.state.bases = [view.name for view in asked.views]
    made = _Response(body.model, service.url(request))
    if body.stream:
        work = service.answers.stream(partial(answer, asked, service.metrics))
        return EventStream(work, made.events(work))
    told = await service.answers.run(request, partial(whole_answer, asked, service.metrics))
    return JSONResponse(made.whole("completed", told))


class _Response:
    """One response in the making."""

    def __init__(self, model: str, address: str) -> None:
        self._model, self._address = model, address
        self._id, self._item = f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}"
        self._created = int(time.time())
        self._number = 0

    async def events(self, work: WorkStream[Found | str | Answer]) -> AsyncGenerator[str]:
        """The events of a stream, each with its number."""
        empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        yield self._event("response.created", response=self.whole("in_progress"))
        yield self._event("response.output_item.added", output_index=0, item=self._message("in_progress", []))
        yield self._event("response.content_part.added", **self._place, part=empty)
        try:
            async for piece in work.pieces():
                if piece is None:
                    yield WAIT
                elif isinstance(piece, str):
                    yield self._event("response.output_text.delta", **self._place, delta=piece, logprobs=[])
                elif isinstance(piece, Answer):
                    for told in self._ending(piece):
                        yield told
        except Exception as error:
            yield self._event("error", **failure(error)["error"])

    def _ending(self, told: Answer) -> list[str]:
        part = self._part(told)
        cited = [
            self._event(
                "response.output_text.annotation.added", **self._place, annotation_index=number, annotation=one
            )
            for number, one in enumerate(part["annotations"])
        ]
        return [
            *cited,
            self._event("response.output_text.done", **self._place, text=told.text, logprobs=[]),
            self._event("response.content_part.done", **self._place, part=part),
            self._event("response.output_item.done", output_index=0, item=self._message("completed", [part])),
            self._event("response.completed", response=self.whole("completed", told)),
        ]

    def whole(self, status: str, told: Answer | None = None) -> dict[str, Any]:
        """The response as far as it is known."""
        output = [self._message("completed", [self._part(told)])] if told else []
        cut = {"reason": "max_output_tokens"} if told and told.cut else None
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "status": "incomplete" if cut else status,
            "model": self._model,
            "output": output,
            "error": None,
            "incomplete_details": cut,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": False,
            "temperature": None,
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "usage": _usage(told) if told else None,
            **(beside(told, self._address) if told else {}),
        }

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._item, "output_index": 0, "content_index": 0}

    def _message(self, status: str, content: list[Any]) -> dict[str, Any]:
        return {"type": "message", "id": self._item, "status": status, "role": "assistant", "content": content}

    def _part(self, told: Answer) -> dict[str, Any]:
        flat = [{"type": one["type"], **one["url_citation"]} for one in url_citations(told, self._address)]
        return {"type": "output_text", "text": told.text, "annotations": flat, "logprobs": []}

    def _event(self, kind: str, **values: Any) -> str:
        self._number += 1
        return event({"type": kind, "sequence_number": self._number - 1, **values}, kind)


def _usage(told: Answer) -> dict[str, Any]:
    read, said = told.usage.prompt_tokens or 0, told.usage.completion_tokens or 0
    return {
        "input_tokens": read,
        "output_tokens": said,
        "total_tokens": read + said,
        "input_tokens_details": {"cached_tokens": told.usage.reused_tokens or 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
