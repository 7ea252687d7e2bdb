"""How well evidence separates answerable from unanswerable questions, and which floor separates them best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.metrics import Estimate, estimate
from kb_assistant.messages import _
from kb_assistant.retrieval.result import Floors

WRONGLY_REFUSED = 0.03
"""Largest share of answerable questions that the recommended floor may refuse."""

MARKED = 0.1
"""Largest share of them that may be refused or marked uncertain."""

LEAST = 20
"""Fewest questions of each kind for keeping a floor: fewer can't measure a share of 3 %."""

STEPS = 100
"""Number of floors on the curve, evenly spread between 0 and 1."""


@dataclass(frozen=True, slots=True)
class Point:
    """The effect of one floor: the share of answerable questions answered, and of the others refused."""

    floor: float
    answered_right: float
    refused_right: float

    def to_json(self) -> dict[str, float]:
        return {
            "floor": self.floor,
            "answered right": round(self.answered_right, 4),
            "refused right": round(self.refused_right, 4),
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """Evidence of questions, and the effect of floors.

    Attributes:
        answerable: Evidence of each question that the documents answer.
        unanswerable: Evidence of each that they don't, by origin of the questions.
        floor: The floor in use.
        uncertain: Below this an answer is marked uncertain.
    """

    answerable: Sequence[float]
    unanswerable: Mapping[str, Sequence[float]]
    floor: float
    uncertain: float

    @property
    def curve(self) -> tuple[Point, ...]:
        """Each floor from 0 to 1. All unanswerable questions count equally, whatever their origin."""
        others = [value for values in self.unanswerable.values() for value in values]
        floors = [step / STEPS for step in range(STEPS + 1)]
        return tuple(Point(floor, _share(self.answerable, floor), 1 - _share(others, floor)) for floor in floors)

    @property
    def recommended(self) -> Point:
        """The floor that refuses most unanswerable questions while refusing at most WRONGLY_REFUSED of the
        answerable ones; the middle one of several, because future questions differ."""
        allowed = [point for point in self.curve if point.answered_right >= 1 - WRONGLY_REFUSED]
        most = max(point.refused_right for point in allowed)
        best = [point for point in allowed if point.refused_right == most]
        return best[len(best) // 2]

    @property
    def recommended_certain(self) -> float:
        """The highest evidence that at most MARKED of the answerable questions fall short of."""
        return max(point.floor for point in self.curve if point.answered_right >= 1 - MARKED)

    def floors(self) -> Floors:
        """The recommended floors, for keeping with the index.

        Raises:
            DatasetError: there are too few questions.
        """
        others = sum(map(len, self.unanswerable.values()))
        if min(len(self.answerable), others) < LEAST:
            raise DatasetError(
                _(
                    "{answerable} questions with an answer and {others} without are too few for a floor.",
                    answerable=len(self.answerable),
                    others=others,
                ),
                _(
                    "It takes {count} of each; --other DIR adds questions of a set that the documents don't "
                    "answer.",
                    count=LEAST,
                ),
            )
        return Floors(self.recommended.floor, self.recommended_certain)

    def wrongly_refused(self) -> Estimate:
        return estimate([float(value < self.floor) for value in self.answerable])

    def rightly_refused(self) -> dict[str, Estimate]:
        return {
            name: estimate([float(value < self.floor) for value in values])
            for name, values in self.unanswerable.items()
        }

    def marked_uncertain(self) -> Estimate:
        """Share of the answerable questions that are answered, but marked uncertain."""
        return estimate([float(self.floor <= value < self.uncertain) for value in self.answerable])

    def to_json(self) -> dict[str, Any]:
        return {
            "floor": self.floor,
            "uncertain below": self.uncertain,
            "wrongly refused": self.wrongly_refused().to_json(),
            "marked uncertain": self.marked_uncertain().to_json(),
            "rightly refused": {name: share.to_json() for name, share in self.rightly_refused().items()},
            "recommended": {**self.recommended.to_json(), "certain": self.recommended_certain},
            "curve": [point.to_json() for point in self.curve],
        }


def _share(values: Sequence[float], floor: float) -> float:
    """Share of the values that pass the floor; 1 without values."""
    return sum(value >= floor for value in values) / len(values) if values else 1.0
