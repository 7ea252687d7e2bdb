"""The server's own API for asking: knowledge bases, searches, answers and passages."""

from __future__ import annotations

import html
from collections.abc import AsyncGenerator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field

from kb_assistant.errors import KBError
from kb_assistant.messages import _
from kb_assistant.retrieval.filters import parse_conditions
from kb_assistant.serve.answers import Answer, Found, answer, whole_answer
from kb_assistant.serve.conversation import MOST_BASES, MOST_TURNS, Asked, Options
from kb_assistant.serve.errors import ConflictError, told_error
from kb_assistant.serve.passages import around, located, passage
from kb_assistant.serve.service import Desking, Serving
from kb_assistant.serve.work import STREAMED, WAIT, EventStream, WorkStream, event
from kb_assistant.store import DOCUMENT_PREFIX
from kb_assistant.workspace import bases as homes
from kb_assistant.workspace import discreet
from kb_assistant.workspace.desk import Desk
from kb_assistant.workspace.view import View

router = APIRouter(tags=["Knowledge bases"])


class Turn(BaseModel):
    role: str = Field(description="`user` or `assistant`.")
    text: str


class Question(BaseModel):
    """A question about one knowledge base, or several."""

    question: str
    history: list[Turn] = Field(default=[], description="Earlier turns, oldest first.")
    where: list[str] = Field(default=[], max_length=50, description='Conditions on sources, such as "type=pdf".')
    k: int | None = Field(default=None, ge=1, le=100)
    beside: list[str] = Field(
        default=[], max_length=MOST_BASES, description="Other knowledge bases to search as well."
    )

    def turns(self) -> list[dict[str, str]]:
        return [turn.model_dump() for turn in self.history[-MOST_TURNS:]]


class Ask(Question):
    answers: str = Field(default="", description='"documents", "documents-first" or "model"; else as set.')
    stream: bool = False


class NewBase(BaseModel):
    name: str


@router.get("/api/v1/bases")
def list_bases(desk: Desking) -> dict[str, Any]:
    """The knowledge bases that the caller may read."""
    return {"bases": [{"name": name} for name in desk.bases()]}


@router.post("/api/v1/bases", status_code=201)
def create_base(body: NewBase, service: Serving, desk: Desking) -> dict[str, str]:
    """Make an empty knowledge base."""
    if desk.principal.is_admin and homes.exists(service.workspace.named(body.name)):
        raise ConflictError(_("There is a knowledge base {name!r} already.", name=body.name))
    return {"name": desk.create_base(body.name).name}


@router.get("/api/v1/bases/{kb}")
def base_status(kb: str, desk: Desking) -> dict[str, Any]:
    """Counts, size, index and models, as `kb status --json`."""
    return desk.base(kb).status()


@router.delete("/api/v1/bases/{kb}", status_code=204, response_class=Response)
def delete_base(kb: str, desk: Desking) -> None:
    """Delete a knowledge base with the files uploaded to it."""
    desk.base(kb, "manage").delete()


@router.post("/api/v1/bases/{kb}/search")
async def search(kb: str, body: Question, request: Request, service: Serving, desk: Desking) -> dict[str, Any]:
    """The passages nearest to a question, as `kb search --json`."""
    views = _views(desk, kb, body)
    parse_conditions(body.where)
    found = await service.searches.run(
        request,
        lambda _: views[0].retrieve(
            body.question, body.k, body.turns(), where=body.where, read=True, beside=views[1:]
        ),
    )
    service.metrics.searched(found.seconds)
    address = service.url(request)
    hits = [one.to_json(address) for one in located(found.hits, views)]
    return {"query": found.query, "evidence": round(found.evidence, 4), "relevant": found.relevant, "hits": hits}


@router.post("/api/v1/bases/{kb}/ask", response_model=None, responses=STREAMED)
async def ask(kb: str, body: Ask, request: Request, service: Serving, desk: Desking) -> Response:
    """An answer with checked citations, as `kb ask --json`; with `stream`, the events `found`, `piece` and `done`,
    or `error`."""
    views = _views(desk, kb, body)
    options = Options(k=body.k, where=body.where, answers=body.answers, history_turns=None)
    options.check()
    asked = Asked(kb, partial(service.model_of, views), views, body.question, body.turns(), options)
    if body.stream:
        work = service.answers.stream(partial(answer, asked, service.metrics))
        return EventStream(work, _events(work, service.url(request)))
    told = await service.answers.run(request, partial(whole_answer, asked, service.metrics))
    return JSONResponse(told.json)


async def _events(work: WorkStream[Found | str | Answer], address: str) -> AsyncGenerator[str]:
    try:
        async for piece in work.pieces():
            if piece is None:
                yield WAIT
            elif isinstance(piece, Found):
                hits = [one.to_json(address) for one in piece.passages]
                yield event(piece.json | {"hits": hits}, "found")
            elif isinstance(piece, str):
                yield event({"text": piece}, "piece")
            else:
                yield event(piece.json, "done")
    except KBError as error:
        yield event(told_error(error).to_json(), "error")


def _views(desk: Desk, kb: str, body: Question) -> list[View]:
    return [desk.base(name) for name in dict.fromkeys((kb, *body.beside))]


@router.get("/api/v1/bases/{kb}/passages/{passage_id}")
def get_passage(kb: str, passage_id: str, request: Request, service: Serving, desk: Desking) -> dict[str, Any]:
    """A passage, with the text before and after it in its source."""
    view = desk.base(kb)
    found = passage(view, passage_id)
    beside = around(view, found)
    shown = {name: value for name, value in found.to_json(service.url(request)).items() if name not in _OF_SEARCH}
    return shown | {"source_id": view.ids.source(found.hit.source), "before": beside.before, "after": beside.after}


_OF_SEARCH = ("score", "similarity", "answer", "near_in")
_PAGES: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}


@router.get("/kb/{kb}/passages/{passage_id}", response_model=None, responses=_PAGES)
def show_passage(kb: str, passage_id: str, request: Request, service: Serving, desk: Desking) -> Response:
    """What a citation links to: a page for a browser, JSON for others."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse(get_passage(kb, passage_id, request, service, desk))
    view = desk.base(kb)
    found = passage(view, passage_id)
    beside = around(view, found)
    text = [html.escape(part) for part in (beside.before, found.hit.text, beside.after)]
    title, source = html.escape(found.title), html.escape(found.told.source.removeprefix(DOCUMENT_PREFIX))
    return HTMLResponse(_PAGE.format(title=title, source=source, before=text[0], text=text[1], after=text[2]))


_PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
div, mark {{ white-space: pre-wrap; overflow-wrap: anywhere; display: block; margin: 1rem 0; }}
mark {{ padding: .6rem; border-radius: .4rem; }}
p {{ overflow-wrap: anywhere; }}
</style></head><body><h1>{title}</h1><p>{source}</p>
<div>{before}</div><mark>{text}</mark><div>{after}</div></body></html>
"""


@router.get("/api/v1/bases/{kb}/sources")
def list_sources(
    kb: str,
    desk: Desking,
    contains: Annotated[str, Query(max_length=1000, description="In path or title, ignoring case.")] = "",
    failed: bool | None = None,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """The known files in path order, as `kb sources --json`."""
    view = desk.base(kb)
    found = view.sources(contains, failed, offset=offset, limit=limit)
    naming = view.naming()
    told = found if naming is str else [discreet.named_source(source, naming) for source in found]
    listed = [
        one.to_json() | {"id": view.ids.source(source.path)} for one, source in zip(told, found, strict=True)
    ]
    return {"sources": listed, "total": view.count_sources(contains, failed)}
