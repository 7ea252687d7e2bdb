"""The curve of thresholds against hand-made evidence."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.evaluate.refusal import Refusal, together

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_shares_by_hand() -> None:
    refusal = Refusal([0.9, 0.8, 0.6, 0.3], {"off": [0.1, 0.2, 0.7, 0.05]}, refuse_below=0.5, uncertain_below=0.7)
    assert refusal.wrongly_refused().mean == 0.25
    assert refusal.rightly_refused()["off"].mean == 0.75
    assert refusal.marked_uncertain().mean == 0.25
    point = refusal.curve[50]
    assert (point.threshold, point.answered_right, point.refused_right) == (0.5, 0.75, 0.75)
    assert refusal.recommended.threshold == 0.26, (
        "the middle of those from .21 to .3, which all refuse three of four"
    )
    assert refusal.recommended_certain == 0.3


def test_the_most_that_can_be_refused_while_one_in_twenty_is_wrongly() -> None:
    answerable = [0.1, *(0.5 + step / 100 for step in range(19))]
    refusal = Refusal(answerable, {"near": [0.05, 0.2, 0.3, 0.49, 0.5, 0.9], "none": []}, 0.9, 0.95)
    best = refusal.refused_at_best()
    assert best["near"].mean == pytest.approx(4 / 6), "those below .5, where one of twenty is refused"
    assert best["near"].low < best["near"].mean < best["near"].high
    assert best["none"].count == 0
    assert Refusal([], {"near": [0.1]}, 0.5, 0.6).refused_at_best()["near"].mean == 0


def test_what_is_refused_over_all_sets() -> None:
    one = Refusal([0.9, 0.1], {"its own": [0.2], "of b, x": [0.3, 0.8], "of b, x, second turn": [0.7]}, 0.5, 0.6)
    other = Refusal([0.6], {"of a": [0.65], "of a, second turn": [0.1]}, 0.7, 0.8)
    shares = {kind: (share.mean, share.count) for kind, share in together([one, other]).items()}
    assert shares == {
        "with an answer": (pytest.approx(2 / 3), 3),
        "its own": (1, 1),
        "of other sets": (pytest.approx(2 / 3), 3),
        "of other sets, second turn": (0.5, 2),
    }


def test_without_unanswerable_questions_it_still_recommends() -> None:
    assert Refusal([0.42, 0.9], {}, 0.5, 0.6).recommended.threshold == 0.21


@given(SHARES, SHARES)
def test_the_recommended_floor_keeps_its_promise(answerable: list[float], others: list[float]) -> None:
    best = Refusal(answerable, {"off": others}, 0.5, 0.6).recommended
    assert sum(value >= best.threshold for value in answerable) / len(answerable) >= 0.97
    assert Refusal(answerable, {"off": others}, 0.5, 0.6).recommended_certain >= best.threshold
    assert best.refused_right == pytest.approx(sum(value < best.threshold for value in others) / len(others))


@given(SHARES, SHARES)
def test_a_higher_floor_refuses_more(answerable: list[float], others: list[float]) -> None:
    curve = Refusal(answerable, {"off": others}, 0.5, 0.6).curve
    assert all(one.answered_right >= two.answered_right for one, two in pairwise(curve))
    assert all(one.refused_right <= two.refused_right for one, two in pairwise(curve))
