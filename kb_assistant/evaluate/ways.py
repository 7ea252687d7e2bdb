"""The compared ways of searching, from the last turn alone to a person's own rewriting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kb_assistant.evaluate.datasets import Question
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.candidates import Side
from kb_assistant.retrieval.result import Retrieval
from kb_assistant.types import Hit

OURS = "kb"
"""The name of the way that `kb ask` uses."""

WITHOUT_WEIGHTS = ("last turn", "with history", "ranks fused")
"""The ways that need no weights for earlier turns."""

_SMOOTHING = 60
"""The constant of reciprocal rank fusion (Cormack et al., SIGIR 2009)."""


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


def _ranks_fused(kb: KnowledgeBase, question: Question, k: int) -> Retrieval:
    """The documents of both forms of the question, each by its best passage, in the order of their fused ranks."""
    last, joined = _last("dense", "keyword")(kb, question, k), _joined(kb, question, k)
    scores: dict[str, float] = {}
    best: dict[str, Hit] = {}
    for found in (last, joined):
        first = {hit.source: hit for hit in reversed(found.hits)}
        for rank, source in enumerate(dict.fromkeys(hit.source for hit in found.hits), start=1):
            scores[source] = scores.get(source, 0.0) + 1 / (_SMOOTHING + rank)
            best.setdefault(source, first[source])
    ordered = sorted(scores, key=lambda source: -scores[source])
    return replace(last, hits=tuple(replace(best[source], score=scores[source]) for source in ordered[:k]))


REWRITTEN = Way(
    "model rewrite",
    "as kb ask searches, with the question as the chat model rewrote it besides",
    lambda kb, question, k: kb.retrieve(question.text, k, question.history, read=True),
    lambda question: bool(question.history),
)
"""Compared if the setting `rewrite` is on."""

UNRANKED = Way(
    "not reranked",
    "as kb ask searches, without the reranker",
    lambda kb, question, k: kb.retrieve(
        question.text, k, question.history, rewrite=False, rerank=False, read=True
    ),
)
"""Compared if the setting `reranker` names a model, which takes part in all ways that use both searches."""

WAYS = (
    Way("keywords", "BM25 alone, the last turn alone", _last("keyword")),
    Way("dense", "the embedder alone, the last turn alone", _last("dense")),
    Way("last turn", "both, the last turn alone", _last("dense", "keyword")),
    Way("with history", "both, all turns as one question", _joined, lambda question: bool(question.history)),
    Way(
        "ranks fused",
        "the two before, their ranks fused without weights",
        _ranks_fused,
        lambda question: bool(question.history),
    ),
    Way(
        OURS,
        "as kb ask searches, without a model",
        lambda kb, question, k: kb.retrieve(question.text, k, question.history, rewrite=False, read=True),
    ),
    Way(
        "human rewrite",
        "both, the question as a person rewrote it",
        lambda kb, question, k: kb.retrieve(question.rewrite or question.text, k),
        lambda question: bool(question.rewrite),
    ),
)
