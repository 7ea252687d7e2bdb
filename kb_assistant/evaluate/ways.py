"""The compared ways of searching, from the last turn alone to a person's own rewriting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kb_assistant.evaluate.datasets import Question
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.result import Retrieval
from kb_assistant.retrieval.searcher import Side

OURS = "kb"
"""The name of the way that `kb ask` uses."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way of searching. `about` describes it; it is skipped for sets without a suitable question."""

    name: str
    about: str
    search: Callable[[KnowledgeBase, Question, int], Retrieval]
    fits: Callable[[Question], bool] = lambda _: True


def _last(*sides: Side) -> Callable[[KnowledgeBase, Question, int], Retrieval]:
    return lambda kb, question, k: kb.retrieve(question.text, k, sides=sides)


def _joined(kb: KnowledgeBase, question: Question, k: int) -> Retrieval:
    told = [text for turn in question.history for text in (turn.question, turn.answer)]
    return kb.retrieve(" ".join([*told, question.text]), k)


REWRITTEN = Way(
    "model rewrite",
    "as kb ask searches, with the question as the chat model rewrote it besides",
    lambda kb, question, k: kb.retrieve(question.text, k, question.history),
    lambda question: bool(question.history),
)
"""Compared if the setting `rewrite` is on."""

UNRANKED = Way(
    "not reranked",
    "as kb ask searches, without the reranker",
    lambda kb, question, k: kb.retrieve(question.text, k, question.history, rewrite=False, rerank=False),
)
"""Compared if the setting `reranker` names a model, which takes part in all ways that use both searches."""

WAYS = (
    Way("keywords", "BM25 alone, the last turn alone", _last("keyword")),
    Way("dense", "the embedder alone, the last turn alone", _last("dense")),
    Way("last turn", "both, the last turn alone", _last("dense", "keyword")),
    Way("with history", "both, all turns as one question", _joined, lambda question: bool(question.history)),
    Way(
        OURS,
        "as kb ask searches, without a model",
        lambda kb, question, k: kb.retrieve(question.text, k, question.history, rewrite=False),
    ),
    Way(
        "human rewrite",
        "both, the question as a person rewrote it",
        lambda kb, question, k: kb.retrieve(question.rewrite or question.text, k),
        lambda question: bool(question.rewrite),
    ),
)
