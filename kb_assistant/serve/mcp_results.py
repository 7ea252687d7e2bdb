"""What the tools of the MCP server give, as their clients see it declared."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Found(BaseModel):
    """A passage that was found."""

    id: str = Field(description="For `fetch`.")
    title: str
    url: str
    text: str = Field(description="How it begins; `fetch` gives the whole.")
    source: str
    where_in: str = Field(description="Its place in the source.")
    score: float = Field(description="From 0 to 1.")


class Results(BaseModel):
    results: list[Found]
    evidence: float = Field(description="How probable it is that the passages bear on the query, from 0 to 1.")
    relevant: bool


class Fetched(BaseModel):
    id: str
    title: str
    text: str
    url: str
    metadata: dict[str, str]


class Cited(BaseModel):
    n: int
    id: str
    title: str
    url: str
    supported: bool = Field(description="Whether the passage holds the words of what cites it.")


class Told(BaseModel):
    answer: str
    citations: list[Cited]
    evidence: float
    refused: bool = Field(description="Whether the documents hold no answer.")
    uncertain: bool


class Base(BaseModel):
    name: str
    sources: int
    chunks: int


class Bases(BaseModel):
    bases: list[Base]


class Listed(BaseModel):
    id: str = Field(description="For `fetch`, and for `remove_source`.")
    title: str
    path: str
    chunks: int
    failed: bool


class Sources(BaseModel):
    sources: list[Listed]
    total: int


class Done(BaseModel):
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: list[str] = []


class Turn(BaseModel):
    role: Literal["user", "assistant"]
    text: str
