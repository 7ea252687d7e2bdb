"""Orders the best passages anew, and judges them, by what the reader says of them.

The reader (kb_assistant/reader) reads the question, the turns before it and each passage together. Logistic
weights join its logits with the rank of the search and with the evidence of the search (relevance.py); fitted on
questions that the reader wasn't trained on (docs/evaluation.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from kb_assistant.retrieval.query_views import QueryViews
from kb_assistant.text.file_names import with_file_name
from kb_assistant.types import AnswerSpan, Hit

if TYPE_CHECKING:
    from kb_assistant.reader.reader import Reading

READ = 12
"""Most passages that are read."""

_RANK, _RELEVANCE, _ANSWER = 2.0, 0.5, 0.5
"""Weights for the order: of the logarithm of the search's rank, and of the reader's logits."""

READ_EVIDENCE = {"always": 1.0, "search": 0.6, "relevance": 2.1}
"""Weights of the logistic model for the probability that the passages bear on the question: of the logit of the
search's evidence, and of the largest relevance that the reader sees. Its logit for the answer adds nothing."""

_LIMIT = 8.0
"""Largest logit of the search's evidence that counts."""

_NO_SPAN = 0.0
"""A passage whose best span scores less, against there being none, gets no mark."""


class PassageReader(Protocol):
    """The reader, as the search needs it."""

    def read(
        self, question: str, passages: Sequence[tuple[str, str]], earlier: Sequence[str], seconds: float
    ) -> list[Reading | None]: ...


def read_hits(
    reader: PassageReader, views: QueryViews, hits: Sequence[Hit], evidence: float, seconds: float
) -> tuple[list[Hit], float]:
    """The passages in the order of what was read, with their answers marked, and the probability that they bear
    on the question.

    Args:
        hits: Best first; at most READ of them are read.
        evidence: The probability by the search alone.
        seconds: After this time no further passage is read; the unread ones keep their places behind.
    """
    first = hits[:READ]
    passages = [(with_file_name(hit.source, hit.locator.heading or ""), hit.text) for hit in first]
    readings = reader.read(views.question, passages, views.earlier, seconds)
    read = [
        (rank, hit, reading) for rank, (hit, reading) in enumerate(zip(first, readings, strict=True)) if reading
    ]
    unread = [hit for hit, reading in zip(first, readings, strict=True) if not reading]
    ranked = sorted(read, key=lambda one: -_score(one[0], one[2]))
    marked = [_marked(hit, reading) for _, hit, reading in ranked]
    return [*marked, *unread, *hits[READ:]], _probability([one[2] for one in ranked], evidence)


def _score(rank: int, reading: Reading) -> float:
    return -_RANK * math.log1p(rank) + _RELEVANCE * reading.relevance + _ANSWER * reading.answer


def _marked(hit: Hit, reading: Reading) -> Hit:
    if reading.span_score < _NO_SPAN:
        return hit
    return replace(hit, answer=AnswerSpan(*reading.span, _sigmoid(reading.answer)))


def _probability(readings: Sequence[Reading], evidence: float) -> float:
    if not readings:
        return evidence
    signs = read_signs(readings, evidence)
    return _sigmoid(math.fsum(weight * signs[name] for name, weight in READ_EVIDENCE.items()))


def read_signs(readings: Sequence[Reading], evidence: float) -> dict[str, float]:
    """What the logistic model joins: see READ_EVIDENCE."""
    return {
        "always": 1.0,
        "search": _logit(evidence),
        "relevance": max(reading.relevance for reading in readings),
        "answer": max(reading.answer for reading in readings),
    }


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _logit(probability: float) -> float:
    inner = min(max(probability, 1e-9), 1 - 1e-9)
    return min(max(math.log(inner / (1 - inner)), -_LIMIT), _LIMIT)
