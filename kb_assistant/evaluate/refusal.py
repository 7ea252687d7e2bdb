"""How well evidence separates answerable from unanswerable questions, and which threshold separates them best."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.metrics import SAMPLES, Estimate, estimate
from kb_assistant.messages import _
from kb_assistant.retrieval.result import Thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WRONGLY_REFUSED = 0.03
"""Largest share of answerable questions that the recommended threshold may refuse."""

MARKED = 0.1
"""Largest share of them that may be refused or marked uncertain."""

ALLOWED = 0.05
"""Share of answerable questions that may be refused where the most is to be refused of the others."""

NEAR_MISSES = "its own"
"""The origin of a set's own questions without an answer: they are on its subject."""

LATER_TURNS = ("second turn", "third turn")
"""The turns that questions of other sets are asked in besides the first; they end the origin's name."""

LEAST = 20
"""Fewest questions of each kind for keeping a threshold: fewer can't measure a share of 3 %."""

STEPS = 100
"""Number of thresholds on the curve, evenly spread between 0 and 1."""


@dataclass(frozen=True, slots=True)
class Point:
    """The effect of one threshold: the share of answerable questions answered, and of the others refused."""

    threshold: float
    answered_right: float
    refused_right: float

    def to_json(self) -> dict[str, float]:
        return {
            "floor": self.threshold,
            "answered right": round(self.answered_right, 4),
            "refused right": round(self.refused_right, 4),
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """Evidence of questions, and the effect of thresholds.

    Attributes:
        answerable: Evidence of each question that the documents answer.
        unanswerable: Evidence of each that they don't, by origin of the questions.
        refuse_below: The threshold in use.
        uncertain_below: Below this an answer is marked uncertain.
    """

    answerable: Sequence[float]
    unanswerable: Mapping[str, Sequence[float]]
    refuse_below: float
    uncertain_below: float

    @property
    def curve(self) -> tuple[Point, ...]:
        """Each threshold from 0 to 1. All unanswerable questions count equally, whatever their origin."""
        others = [value for values in self.unanswerable.values() for value in values]
        thresholds = [step / STEPS for step in range(STEPS + 1)]
        return tuple(Point(one, _share(self.answerable, one), 1 - _share(others, one)) for one in thresholds)

    @property
    def recommended(self) -> Point:
        """The threshold that refuses most unanswerable questions while refusing at most WRONGLY_REFUSED of the
        answerable ones; the middle one of several, because future questions differ."""
        allowed = [point for point in self.curve if point.answered_right >= 1 - WRONGLY_REFUSED]
        most = max(point.refused_right for point in allowed)
        best = [point for point in allowed if point.refused_right == most]
        return best[len(best) // 2]

    @property
    def recommended_certain(self) -> float:
        """The highest evidence that at most MARKED of the answerable questions fall short of."""
        return max(point.threshold for point in self.curve if point.answered_right >= 1 - MARKED)

    def thresholds(self) -> Thresholds:
        """The recommended thresholds, for keeping with the index.

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
        return Thresholds(self.recommended.threshold, self.recommended_certain)

    def wrongly_refused(self) -> Estimate:
        return estimate([float(value < self.refuse_below) for value in self.answerable])

    def rightly_refused(self) -> dict[str, Estimate]:
        return {
            name: estimate([float(value < self.refuse_below) for value in values])
            for name, values in self.unanswerable.items()
        }

    def refused_at_best(self) -> dict[str, Estimate]:
        """Share of the unanswerable questions refused by the highest threshold that refuses at most ALLOWED of the
        answerable ones, by origin. Each bootstrap sample has a threshold of its own."""
        return {name: _refused_at_best(self.answerable, values) for name, values in self.unanswerable.items()}

    def marked_uncertain(self) -> Estimate:
        """Share of the answerable questions that are answered, but marked uncertain."""
        return estimate([float(self.refuse_below <= value < self.uncertain_below) for value in self.answerable])

    def to_json(self) -> dict[str, Any]:
        return {
            "floor": self.refuse_below,
            "uncertain below": self.uncertain_below,
            "wrongly refused": self.wrongly_refused().to_json(),
            "marked uncertain": self.marked_uncertain().to_json(),
            "rightly refused": {name: share.to_json() for name, share in self.rightly_refused().items()},
            f"refused at {ALLOWED} wrongly": {
                name: share.to_json() for name, share in self.refused_at_best().items()
            },
            "recommended": {**self.recommended.to_json(), "certain": self.recommended_certain},
            "curve": [point.to_json() for point in self.curve],
        }


def together(refusals: Sequence[Refusal]) -> dict[str, Estimate]:
    """Shares refused over the questions of all evaluations: those with an answer, those on the documents' subject
    without one, and those of other sets by turn."""
    refused: defaultdict[str, list[float]] = defaultdict(list)
    for one in refusals:
        refused["with an answer"] += [float(value < one.refuse_below) for value in one.answerable]
        for origin, values in one.unanswerable.items():
            refused[_kind(origin)] += [float(value < one.refuse_below) for value in values]
    return {kind: estimate(values) for kind, values in refused.items()}


def _kind(origin: str) -> str:
    if origin == NEAR_MISSES:
        return origin
    later = next((turn for turn in LATER_TURNS if origin.endswith(f", {turn}")), "")
    return f"of other sets, {later}" if later else "of other sets"


def _share(values: Sequence[float], threshold: float) -> float:
    """Share of the values that reach the threshold; 1 without values."""
    return sum(value >= threshold for value in values) / len(values) if values else 1.0


def _refused_at_best(answerable: Sequence[float], others: Sequence[float]) -> Estimate:
    import numpy as np

    if not answerable or not others:
        return Estimate(0.0, 0.0, 0.0, len(others))

    def refused(answered: NDArray[np.float64], strange: NDArray[np.float64]) -> float:
        allowed = int(ALLOWED * len(answered))
        return float(np.mean(strange < np.partition(answered, allowed)[allowed]))

    right, wrong = np.array(answerable, np.float64), np.array(others, np.float64)
    chance = np.random.default_rng(0)
    drawn = [refused(chance.choice(right, len(right)), chance.choice(wrong, len(wrong))) for _ in range(SAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(refused(right, wrong), float(low), float(high), len(wrong))
