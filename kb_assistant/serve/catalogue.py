"""OpenAI's lists of models and vector stores, search in one, and embeddings."""

from __future__ import annotations

import base64
import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from kb_assistant.embedding.model_server import is_served, served_model
from kb_assistant.errors import QuestionError
from kb_assistant.messages import _, without_folders
from kb_assistant.retrieval.filters import AllOf, AnyOf, Condition, Filter, Not
from kb_assistant.serve.conversation import PLAIN, PREFIX, named_views
from kb_assistant.serve.errors import NoSuchModelError
from kb_assistant.serve.passages import file_name, scores
from kb_assistant.serve.service import Desking, Service, Serving
from kb_assistant.serve.work import Stop
from kb_assistant.workspace.view import View

router = APIRouter(tags=["OpenAI"])

MOST_INPUTS = 2048
_AT_ONCE = 16  # texts between two looks whether the client is still there
_SIDES = ("query", "passage")


@router.get("/v1/models")
def models(service: Serving, desk: Desking) -> dict[str, Any]:
    """The knowledge bases that may be asked, the chat model without documents, and the embedder for questions and
    for passages."""
    names = desk.bases()
    listed = [f"{PREFIX}{name}" for name in names]
    if names:
        listed += [PLAIN, *(f"{_embedder(service)}:{side}" for side in _SIDES)]
    return {"object": "list", "data": [_model(name) for name in listed]}


@router.get("/v1/models/{model:path}")
def model(model: str, service: Serving, desk: Desking) -> dict[str, Any]:
    """One model."""
    if not (_side(service, model) and desk.bases()):
        named_views(desk, model)
    return _model(model)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "kb-assistant"}


class EmbeddingsRequest(BaseModel):
    model_config = ConfigDict(extra="allow")
    model: str = Field(description="The embedder's name with `:query` for questions or `:passage` for texts.")
    input: Any = Field(description="A text, or a list of texts.")
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: int | None = None


@router.post("/v1/embeddings")
async def embeddings(body: EmbeddingsRequest, request: Request, service: Serving, desk: Desking) -> dict[str, Any]:
    """Vectors of texts, by the embedder that searches use; base64 holds little-endian 32-bit floats."""
    side = _side(service, body.model)
    if not side or not desk.bases():
        raise NoSuchModelError(body.model)
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise QuestionError(
            _("The input must be a text, or a list of texts; token numbers aren't read."),
            _("With LangChain, pass check_embedding_ctx_length=False."),
        )
    if not 0 < len(texts) <= MOST_INPUTS:
        raise QuestionError(_("Between 1 and {most} texts can be sent at once.", most=MOST_INPUTS))

    def encode(stop: Stop) -> tuple[list[Any], int]:
        embedder = service.workspace.base(service.settings.kb).embedder
        count = embedder.fingerprint["dimension"]
        if body.dimensions not in (None, count):
            raise QuestionError(_("The vectors have {count} numbers.", count=count), _("Leave `dimensions` out."))
        each = embedder.encode_queries if side == "query" else embedder.encode_passages
        found: list[Any] = []
        for first in range(0, len(texts), _AT_ONCE):
            if not stop.is_set():
                vectors = each(texts[first : first + _AT_ONCE])
                found += [_encoded(vector, body.encoding_format) for vector in vectors]
        return found, sum(embedder.count_tokens(texts))

    found, tokens = await service.searches.run(request, encode)
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(found)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": body.model, "data": data, "usage": usage}


def _side(service: Service, model: str) -> str:
    """Which texts a model's name says it embeds; "" for other models."""
    name, _colon, side = model.rpartition(":")
    return side if name in (_embedder(service), service.settings.embedder) and side in _SIDES else ""


def _embedder(service: Service) -> str:
    """Its name; of one that is named by its folder, without the folders above; of one behind a server, without the
    server's address."""
    name = service.settings.embedder
    if is_served(name):
        return served_model(name, service.settings.base_url).model
    return without_folders(name)


def _encoded(vector: Any, form: str | None) -> Any:
    values = vector.astype("<f4")
    return base64.b64encode(values.tobytes()).decode() if form == "base64" else values.tolist()


@router.get("/v1/vector_stores")
def vector_stores(desk: Desking) -> dict[str, Any]:
    """The knowledge bases."""
    data = [_store(base) for base in map(desk.base, desk.bases())]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": False}


@router.get("/v1/vector_stores/{kb}")
def vector_store(kb: str, desk: Desking) -> dict[str, Any]:
    """One knowledge base."""
    return _store(desk.base(kb))


def _store(view: View) -> dict[str, Any]:
    status = view.status()
    counts = {
        "in_progress": 0,
        "completed": status["sources"] - status["failed"],
        "failed": status["failed"],
        "cancelled": 0,
        "total": status["sources"],
    }
    return {
        "id": view.name,
        "object": "vector_store",
        "name": view.name,
        "created_at": 0,
        "last_active_at": int(time.time()),
        "status": "completed",
        "usage_bytes": int((status["megabytes"] or 0) * 1e6),
        "file_counts": counts,
        "metadata": {},
    }


class StoreSearch(BaseModel):
    model_config = ConfigDict(extra="allow")
    query: str | list[str]
    max_num_results: int = Field(default=10, ge=1, le=50)
    filters: dict[str, Any] | None = Field(default=None, description="OpenAI's comparison and compound filters.")
    ranking_options: dict[str, Any] | None = Field(default=None, description="`score_threshold` from 0 to 1.")


@router.post("/v1/vector_stores/{kb}/search")
async def search_store(
    kb: str, body: StoreSearch, request: Request, service: Serving, desk: Desking
) -> dict[str, Any]:
    """The passages nearest to a query."""
    view = desk.base(kb)
    query = body.query if isinstance(body.query, str) else " ".join(body.query)
    where = [_filter(body.filters)] if body.filters else []
    least = (body.ranking_options or {}).get("score_threshold") or 0.0
    if not isinstance(least, int | float):
        raise QuestionError(_("score_threshold is a number from 0 to 1."))
    found = await service.searches.run(
        request, lambda _: view.retrieve(query, body.max_num_results, where=where, read=True)
    )
    service.metrics.searched(found.seconds)
    naming = view.naming()
    data = [
        {
            "file_id": view.ids.source(hit.source),
            "filename": file_name(hit.source),
            "score": score,
            "attributes": {"id": view.ids.told(hit.id), "path": naming(hit.source), "place": str(hit.locator)},
            "content": [{"type": "text", "text": hit.text}],
        }
        for hit, score in zip(found.hits, scores(found.hits, found.evidence), strict=True)
        if score >= least
    ]
    page = {"object": "vector_store.search_results.page", "search_query": [query]}
    return page | {"data": data, "has_more": False, "next_page": None}


_COMPARISONS = {"eq": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def _filter(given: Any, depth: int = 0) -> Filter:
    """
    Raises:
        QuestionError: it isn't one of OpenAI's filters.
    """
    kind = given.get("type") if isinstance(given, dict) else None
    if kind in ("and", "or") and isinstance(given.get("filters"), list) and depth < 5:
        inner = tuple(_filter(one, depth + 1) for one in given["filters"])
        return AllOf(inner) if kind == "and" else AnyOf(inner)
    if isinstance(kind, str) and isinstance(given.get("key"), str) and "value" in given:
        if kind in _COMPARISONS:
            return Condition(given["key"], _COMPARISONS[kind], str(given["value"]))
        if kind in ("in", "nin") and isinstance(given["value"], list):
            chosen = AnyOf(tuple(Condition(given["key"], "=", str(one)) for one in given["value"]))
            return chosen if kind == "in" else Not(chosen)
    raise QuestionError(
        _("This filter isn't understood."),
        _("Use eq, ne, gt, gte, lt, lte, in or nin with key and value, or and, or with filters."),
    )
