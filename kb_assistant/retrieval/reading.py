"""Orders the best passages anew, and judges them, by what the reader says of them.

The reader (kb_assistant/reader) reads the question, the turns before it and each passage together. Logistic
weights join its logits with the rank of the search and with the evidence of the search (relevance.py); fitted on
questions that the reader wasn't trained on (docs/evaluation.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kb_assistant.retrieval.asked_rows import asked_rows, in_rows
from kb_assistant.retrieval.query_views import QueryViews
from kb_assistant.retrieval.relevance import NAMED
from kb_assistant.retrieval.told import Told, read_told, told_lines
from kb_assistant.text.conversation import is_unclear, points_back
from kb_assistant.text.file_names import with_file_name
from kb_assistant.text.language import language_of
from kb_assistant.text.sentences import sentences
from kb_assistant.types import AnswerSpan, Hit

if TYPE_CHECKING:
    from kb_assistant.reader.reader import Reading

READ = 12
"""Most passages that are read."""

ALONE = 4
"""Passages that are read without the turns before, too: beside these, a question off the subject seems to be on
it, and one that stands alone is answered by what was told. Not where the question says too little by itself."""

_RANK, _RELEVANCE, _ANSWER = 2.0, 0.5, 0.5
"""Weights for the order: of the logarithm of the search's rank, and of the reader's logits."""

CITED, CITED_LONG, LONG = 0.7, 2.0, 4
"""What a passage gains in this order for its source being cited by the answer before, which a short question such
as "can I cancel?" goes on about: in a source of a few passages, and in one of LONG or more, which says more than
one thing."""

_ELSEWHERE = 0.5
"""How much less sure, as a logit, an answer in another source is for each of these points; its span must be surer
by the whole of them to be marked."""

READ_EVIDENCE = {"search": 0.5, "relevance": 1.3, "alone": 0.7, "foreign": 1.5, "foreign search": 0.5}
"""Weights of the logistic model for the probability that the passages bear on the question: of the logit of the
search's evidence, and of the largest relevance that the reader sees, with the turns before and without them. Its
logit for the answer adds nothing. Of a passage in another language than the question it sees less, and the search
counts more."""

_LIMIT = 8.0
"""Largest logit of the search's evidence that counts."""

_NO_SPAN = -2.0
"""A passage whose best span scores less, against there being none, gets no mark."""


_DOUBTFUL = 0.2
"""A mark with a lower score is no answer. Of the answered questions of public sets 0 to 8 % have none better, most
often those for which no right passage is among the first (docs/evaluation.md)."""


class PassageReader(Protocol):
    """The reader, as the search needs it."""

    def read(
        self, question: str, passages: Sequence[tuple[str, str]], earlier: Sequence[str], seconds: float
    ) -> list[Reading | None]: ...


class ReadHits(NamedTuple):
    """Passages in the order of what was read.

    Attributes:
        hits: With their answers marked; the unread ones keep their places behind.
        evidence: The probability that they bear on the question.
        signs: What it is made of: see READ_EVIDENCE; nothing if no passage was read.
    """

    hits: list[Hit]
    evidence: float
    signs: Mapping[str, float]


def read_hits(
    reader: PassageReader,
    views: QueryViews,
    hits: Sequence[Hit],
    evidence: float,
    seconds: float,
    gains: Mapping[str, float] = MappingProxyType({}),
) -> ReadHits:
    """Read the passages, the best ones also without the turns before.

    Args:
        hits: Best first; at most READ of them are read.
        evidence: The probability by the search alone.
        seconds: After this time no further passage is read.
        gains: What passages gain in the order, by source; see CITED.
    """
    deadline = time.monotonic() + seconds
    first = hits[:READ]
    told = [(with_file_name(hit.source, hit.locator.heading or ""), hit.text) for hit in first]
    readings = reader.read(views.question, told, views.earlier, seconds)
    alone: dict[int, Reading] = {}
    left = deadline - time.monotonic()
    if views.earlier and left > 0 and not is_unclear(views.question) and not points_back(views.question):
        places = sorted((n for n, one in enumerate(readings) if one), key=lambda n: -_relevance(readings[n]))[
            :ALONE
        ]
        again = reader.read(views.question, [told[n] for n in places], (), left)
        alone = {place: reading for place, reading in zip(places, again, strict=True) if reading}
    read = [
        (rank, hit, _surer(reading, alone.get(place)))
        for place, (rank, hit, reading) in enumerate(zip(_ranks(views, first), first, readings, strict=True))
        if reading
    ]
    left = deadline - time.monotonic()
    kept = _kept(reader, views, first, [heading for heading, _ in told], [one for _, _, one in read], left)
    unread = [hit for hit, reading in zip(first, readings, strict=True) if not reading]
    ranked = sorted(read, key=lambda one: -_score(one[0], one[2]) - gains.get(one[1].source, 0.0))
    most = max((gains.get(hit.source, 0.0) for _, hit, _ in ranked), default=0.0)
    ordered = [
        *(
            _marked(reader, views, hit, reading, most - gains.get(hit.source, 0.0), deadline)
            for _, hit, reading in ranked
        ),
        *unread,
        *hits[READ:],
    ]
    if kept:
        ordered = _answered_by(kept, first[kept.line.hit], ordered)
    if not ranked:
        return ReadHits(ordered, evidence, {})
    signs = _signs([one for one in readings if one], list(alone.values()), evidence)
    if language_of(ranked[0][1].text) != views.language:
        signs |= {"foreign": 1.0, "foreign search": signs["search"]}
    sure = kept or (signs["foreign"] and ranked[0][2].relevance > 0 and ranked[0][2].span_score > 0)
    return ReadHits(ordered, max(evidence_of(signs), NAMED if sure else 0.0), signs)


def _kept(
    reader: PassageReader,
    views: QueryViews,
    hits: Sequence[Hit],
    headings: Sequence[str],
    readings: Sequence[Reading],
    seconds: float,
) -> Told | None:
    """What was told before, if that answers the question."""
    lines = told_lines(views.texts.get("answer 1", ""), hits, views.cited_sources)
    others = max((reading.answer for reading in readings), default=-math.inf)
    return read_told(reader.read, views.question, views.earlier, lines, headings, others, seconds)


def _answered_by(told: Told, passage: Hit, hits: Sequence[Hit]) -> list[Hit]:
    """The passages, that with the line that was told first, and marked alone."""
    answer = AnswerSpan(*told.span, _sigmoid(told.reading.answer))
    others = [replace(hit, answer=None) for hit in hits if hit.id != passage.id]
    return [replace(passage, answer=answer), *others]


def _ranks(views: QueryViews, hits: Sequence[Hit]) -> list[int]:
    """The places of the passages among those in their language, as similarities across languages don't compare;
    those in another one than the question's come one later."""
    foreign = [language_of(hit.text) != views.language for hit in hits]
    return [int(one) + foreign[:place].count(one) for place, one in enumerate(foreign)]


def answers_somewhere(hits: Sequence[Hit]) -> bool:
    """Whether a passage has a mark that is sure enough. Passages may be on the very subject and not answer."""
    return any(hit.answer and hit.answer.score >= _DOUBTFUL for hit in hits)


def _relevance(reading: Reading | None) -> float:
    return reading.relevance if reading else -math.inf


def _surer(reading: Reading, alone: Reading | None) -> Reading:
    """The reading that is surer of an answer."""
    return alone if alone and alone.answer > reading.answer else reading


def _signs(readings: Sequence[Reading], alone: Sequence[Reading], evidence: float) -> dict[str, float]:
    return {
        "always": 1.0,
        "search": _logit(evidence),
        "relevance": max(reading.relevance for reading in readings),
        "answer": max(reading.answer for reading in readings),
        "alone": max(reading.relevance for reading in alone or readings),
        "answer alone": max(reading.answer for reading in alone or readings),
        "foreign": 0.0,
        "foreign search": 0.0,
    }


def evidence_of(signs: Mapping[str, float]) -> float:
    """The probability that passages bear on a question."""
    return _sigmoid(math.fsum(weight * signs[name] for name, weight in READ_EVIDENCE.items()))


def _score(rank: int, reading: Reading) -> float:
    return -_RANK * math.log1p(rank) + _RELEVANCE * reading.relevance + _ANSWER * reading.answer


def _within(
    reader: PassageReader, views: QueryViews, hit: Hit, span: tuple[int, int], seconds: float
) -> tuple[int, int]:
    """Where an item of several sentences answers."""
    told = (hit.locator.heading or "", hit.text[slice(*span)])
    (again,) = reader.read(views.question, [told], views.earlier, seconds)
    return (span[0] + again.span[0], span[0] + again.span[1]) if again else span


def _marked(
    reader: PassageReader, views: QueryViews, hit: Hit, reading: Reading, elsewhere: float, deadline: float
) -> Hit:
    if reading.span_score < _NO_SPAN + elsewhere:
        return hit
    span, *others = asked_rows(views.question, hit.text, reading.span, views.texts.get("question 1", ""))
    left = deadline - time.monotonic()
    if left > 0 and span != reading.span and len(sentences(hit.text[slice(*span)])) > 1:
        span = _within(reader, views, hit, span, left)
    also = reading.also if reading.also and not in_rows(hit.text, reading.also[0]) else None
    also = others[0] if others else also
    return replace(hit, answer=AnswerSpan(*span, _sigmoid(reading.answer - _ELSEWHERE * elsewhere), also))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def _logit(probability: float) -> float:
    inner = min(max(probability, 1e-9), 1 - 1e-9)
    return min(max(math.log(inner / (1 - inner)), -_LIMIT), _LIMIT)
