"""One evaluation: each question is searched in each way and measured; what comes out are values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kb_assistant.evaluate.corpus import documents_of
from kb_assistant.evaluate.datasets import EvalSet, Question, spread
from kb_assistant.evaluate.metrics import Estimate, estimate, ranking
from kb_assistant.evaluate.refusal import Refusal
from kb_assistant.evaluate.ways import OURS, WAYS, Way
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieve import Retrieval

_LATER = 4
"""Turns from this one on are one group."""

_PASSAGES = 3
"""Passages searched for each document that counts: several may be of one document."""

Values = Mapping[str, Mapping[str, float]]
"""Values by question by measure."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How well one way of searching found the right documents.

    Attributes:
        total: The estimate of each measure over all questions.
        groups: The same over the questions of one turn or label, by "turn 2", "multi_turn: Follow-up" and so on.
        values: What each question got.
    """

    way: Way
    total: Mapping[str, Estimate]
    groups: Mapping[str, Mapping[str, Estimate]]
    values: Values

    def to_json(self) -> dict[str, Any]:
        return {
            "way": self.way.name,
            "about": self.way.about,
            **{name: found.to_json() for name, found in self.total.items()},
            "groups": {
                group: {name: found.to_json() for name, found in row.items()} for group, row in self.groups.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured on one set."""

    name: str
    counts: Mapping[str, int]
    depths: tuple[int, ...]
    ways: tuple[Measured, ...]
    refusal: Refusal | None

    def to_json(self) -> dict[str, Any]:
        return {
            "set": self.name,
            **self.counts,
            "depths": list(self.depths),
            "retrieval": [measured.to_json() for measured in self.ways],
            "refusal": self.refusal.to_json() if self.refusal else None,
        }


def evaluate(
    data: EvalSet,
    kb: KnowledgeBase,
    *,
    depths: Sequence[int] = (5, 10),
    limit: int | None = None,
    others: Sequence[EvalSet] = (),
    ways: Sequence[Way] = WAYS,
    progress: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Measure retrieval and refusal of a knowledge base that holds the set's documents.

    Args:
        depths: How many documents count.
        limit: Questions of each kind at most, evenly spread.
        others: Sets whose questions these documents don't answer; the set itself among them is passed over.
        ways: Ways of searching to compare; refusal is that of OURS among them.
        progress: Told the share that is done.
    """
    asked = spread(data.judged, limit)
    compared = [way for way in ways if any(way.fits(question) for question in asked)]
    wrong = {"its own": spread(data.unanswerable, limit)} if data.unanswerable else {}
    strange = [other for other in others if other.folder != data.folder]
    wrong |= {f"of {other.name}": spread(other.judged, limit) for other in strange}
    search = _Searches(kb, len(asked) * len(compared) + sum(map(len, wrong.values())), progress)
    found = {way.name: search.all(way, asked, max(depths) * _PASSAGES) for way in compared}
    refusal = None
    if OURS in found:
        ours = next(way for way in ways if way.name == OURS)
        refusal = Refusal(
            [one.evidence for one in found[OURS]],
            {name: [one.evidence for one in search.all(ours, questions, 1)] for name, questions in wrong.items()},
            kb.floors.refuse,
            kb.floors.certain,
        )
    state = kb.status()
    counts = {
        "documents": state["sources"],
        "chunks": state["chunks"],
        "questions": len(asked),
        "follow-ups": sum(bool(question.history) for question in asked),
    }
    measured = tuple(_measure(way, asked, found[way.name], depths) for way in compared)
    return Evaluation(data.name, counts, tuple(depths), measured, refusal)


class _Searches:
    """Searches questions and tells how far it is of `total`."""

    def __init__(self, kb: KnowledgeBase, total: int, progress: Callable[[float], None]) -> None:
        self._kb, self._total, self._progress, self._done = kb, total, progress, 0

    def all(self, way: Way, questions: Sequence[Question], k: int) -> list[Retrieval]:
        return [self._one(way, question, k) for question in questions]

    def _one(self, way: Way, question: Question, k: int) -> Retrieval:
        found = way.search(self._kb, question, k)
        self._done += 1
        self._progress(self._done / self._total)
        return found


def _measure(
    way: Way, questions: Sequence[Question], found: Sequence[Retrieval], depths: Sequence[int]
) -> Measured:
    right = {question.id: question.right for question in questions}
    ranked = {question.id: documents_of(one.hits) for question, one in zip(questions, found, strict=True)}
    values = ranking(right, ranked, depths)
    groups: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        for name in _groups_of(question):
            groups[name].append(question)
    return Measured(
        way,
        _estimates(values, questions),
        {name: _estimates(values, members) for name, members in sorted(groups.items())},
        values,
    )


def _groups_of(question: Question) -> list[str]:
    turn = f"turn {question.turn}" if question.turn < _LATER else f"turn {_LATER} and later"
    return [turn, *(f"{label}: {value}" for label, value in question.labels.items())]


def _estimates(values: Values, questions: Sequence[Question]) -> dict[str, Estimate]:
    conversations = [question.conversation for question in questions]
    return {
        name: estimate([found[question.id] for question in questions], conversations)
        for name, found in values.items()
    }
