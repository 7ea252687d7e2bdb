"""The measures against cases worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.errors import KBError
from kb_assistant.evaluate.metrics import estimate, exact_match, import_measure, ranking, rouge_l, token_f1, words

RIGHT = {"one": {"a": 1, "b": 1}, "two": {"c": 1}, "none": {"d": 1}}
FOUND = {"one": ["x", "a", "y", "b"], "two": ["c"], "none": []}


def test_ranking_by_hand() -> None:
    found = ranking(RIGHT, FOUND, (2, 4))
    assert found["recall@2"] == {"one": 0.5, "two": 1.0, "none": 0.0}
    assert found["recall@4"]["one"] == 1.0
    assert found["hit@2"] == {"one": 1.0, "two": 1.0, "none": 0.0}
    assert found["mrr@2"] == {"one": 0.5, "two": 1.0, "none": 0.0}
    ideal = 1 + 1 / math.log2(3)
    assert found["ndcg@2"]["one"] == pytest.approx(1 / math.log2(3) / ideal, abs=1e-4)
    assert found["ndcg@4"]["one"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal, abs=1e-4)


def test_what_is_ranked_below_the_depth_gives_no_reciprocal_rank() -> None:
    found = ranking({"q": {"a": 1}}, {"q": ["x", "y", "a"]}, (2, 3))
    assert (found["mrr@2"]["q"], found["mrr@3"]["q"]) == (0.0, pytest.approx(1 / 3))


def test_graded_relevance_counts_in_ndcg() -> None:
    found = ranking({"q": {"a": 1, "b": 3}}, {"q": ["a", "b"]}, (2,))
    assert found["ndcg@2"]["q"] == pytest.approx((1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3)), abs=1e-4)


@given(st.permutations(["a", "b", "c", "d", "e"]), st.sets(st.sampled_from("abcde"), min_size=1))
def test_ranking_agrees_with_its_definition(order: list[str], right: set[str]) -> None:
    found = ranking({"q": dict.fromkeys(right, 1)}, {"q": order}, (3,))
    held = [document in right for document in order[:3]]
    assert found["recall@3"]["q"] == pytest.approx(sum(held) / len(right), abs=1e-4)
    assert found["hit@3"]["q"] == float(any(held))
    assert found["mrr@3"]["q"] == pytest.approx(1 / (1 + held.index(True)) if any(held) else 0.0, abs=1e-4)


def test_intervals_hold_the_mean_and_grow_with_dependence() -> None:
    values = [0.0, 1.0] * 50
    alone = estimate(values)
    assert (alone.mean, alone.count) == (0.5, 100)
    assert 0.38 < alone.low < 0.5 < alone.high < 0.62
    pairs = estimate([0.0] * 50 + [1.0] * 50, [n // 25 for n in range(100)])
    assert pairs.high - pairs.low > 2 * (alone.high - alone.low)
    assert estimate([]).count == 0
    assert estimate([1.0, 1.0]).low == 1.0


@pytest.mark.parametrize(
    ("answer", "reference", "match", "f1", "rouge"),
    [
        ("The cat sat.", "a cat sat", 1, 1, 1),
        ("the big cat", "cat", 0, 2 / 3, 2 / 3),
        ("sat cat", "cat sat", 0, 1, 0.5),
        ("1998年9月", "1998 年 9 月。", 1, 1, 1),
        ("北京大学", "北京", 0, 2 / 3, 2 / 3),
        ("ＡＢＣ", "abc", 1, 1, 1),
        ("", "cat", 0, 0, 0),
        ("", "", 1, 1, 1),
    ],
)
def test_answers_by_hand(answer: str, reference: str, match: float, f1: float, rouge: float) -> None:
    assert exact_match(answer, [reference]) == match
    assert token_f1(answer, [reference]) == pytest.approx(f1)
    assert rouge_l(answer, [reference]) == pytest.approx(rouge)


def test_the_best_reference_counts() -> None:
    assert token_f1("cat", ["dog", "cat"]) == 1
    assert rouge_l("cat", ["dog", "cat"]) == 1
    assert token_f1("cat", []) == rouge_l("cat", []) == exact_match("cat", []) == 0


def test_words() -> None:
    assert words("The ZT-4 泵站，v1.2!") == ["zt4", "泵", "站", "v12"]


def test_a_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(KBError) as caught:
        import_measure("pytrec_eval_that_is_not_there")
    assert "kb-assistant[eval]" in caught.value.hint
