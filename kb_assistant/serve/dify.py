"""Dify's external knowledge: POST /retrieval, exactly as its document has it."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from kb_assistant.errors import QuestionError
from kb_assistant.messages import _
from kb_assistant.retrieval.filters import AllOf, AnyOf, Condition, Filter, Not
from kb_assistant.serve.passages import file_name, located, scores
from kb_assistant.serve.service import Desking, Serving

router = APIRouter(tags=["Dify"])


class RetrievalSetting(BaseModel):
    top_k: int = Field(default=5, ge=1, le=100)
    score_threshold: float = Field(default=0.0, ge=0, le=1)


class MetadataComparison(BaseModel):
    name: list[str] | str
    comparison_operator: str
    value: str | int | float | list[str] | None = None


class MetadataCondition(BaseModel):
    logical_operator: Literal["and", "or"] = "and"
    conditions: list[MetadataComparison] = Field(min_length=1, max_length=50)


class RetrievalRequest(BaseModel):
    model_config = ConfigDict(extra="allow")
    knowledge_id: str = Field(description="Name of the knowledge base.")
    query: str
    retrieval_setting: RetrievalSetting = Field(default_factory=RetrievalSetting)
    metadata_condition: MetadataCondition | None = None


class Record(BaseModel):
    content: str
    score: float
    title: str
    metadata: dict[str, Any]


class Records(BaseModel):
    records: list[Record]


@router.post("/retrieval")
async def retrieval(body: RetrievalRequest, request: Request, service: Serving, desk: Desking) -> Records:
    """The passages nearest to a query."""
    view = desk.base(body.knowledge_id)
    request.state.bases = [view.name]
    where = [_filter(body.metadata_condition)] if body.metadata_condition else []
    found = await service.searches.run(
        request, lambda _: view.retrieve(body.query, body.retrieval_setting.top_k, where=where, read=True)
    )
    service.metrics.searched(found.seconds)
    address = service.url(request)
    rated = zip(located(found.hits, [view]), scores(found.hits, found.evidence), strict=True)
    records = [
        Record(
            content=one.hit.text,
            score=score,
            title=file_name(one.hit.source),
            metadata={"path": one.told.source, "place": str(one.hit.locator), "id": one.told.id,
                      "url": one.url(address)},
        )
        for one, score in rated
        if score >= body.retrieval_setting.score_threshold
    ]  # fmt: skip
    return Records(records=records)


_OPERATORS = {
    "contains": "~",
    "start with": "^=",
    "end with": "$=",
    "is": "=",
    "=": "=",
    ">": ">",
    "<": "<",
    "≥": ">=",
    "≤": "<=",
    "before": "<",
    "after": ">",
}
_NEGATED = {"not contains": "contains", "is not": "is", "≠": "=", "not in": "in", "empty": "not empty"}


def _filter(asked: MetadataCondition) -> Filter:
    """
    Raises:
        QuestionError: there is no such operator.
    """
    each = tuple(_comparison(one) for one in asked.conditions)
    return AllOf(each) if asked.logical_operator == "and" else AnyOf(each)


def _comparison(asked: MetadataComparison) -> Filter:
    operator = asked.comparison_operator
    if operator in _NEGATED:
        return Not(_comparison(asked.model_copy(update={"comparison_operator": _NEGATED[operator]})))
    names = [asked.name] if isinstance(asked.name, str) else asked.name
    if operator == "not empty":
        return AnyOf(tuple(Condition(name, "~", "") for name in names))
    given = asked.value if isinstance(asked.value, list) else [asked.value]
    values = [text for one in given if one is not None for text in _values(operator, str(one))]
    compared = _OPERATORS.get("=" if operator == "in" else operator)
    if compared is None or not values:
        raise QuestionError(
            _("{operator!r} is no comparison, or lacks its value.", operator=operator),
            _("See Dify's document on external knowledge."),
        )
    if compared == "^=":  # a path that isn't told whole begins below any folder
        values += [f"/{value}" for value in values]
    return AnyOf(tuple(Condition(name, compared, value) for name in names for value in values))


def _values(operator: str, value: str) -> list[str]:
    """A list may come as a text with commas."""
    return [part.strip() for part in value.split(",")] if operator == "in" else [value]
