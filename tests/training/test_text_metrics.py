"""Against figures of what ChatGLM2's training measures with: rouge_chinese over jieba's words, BLEU of nltk."""

from __future__ import annotations

import pytest

from kb_assistant.training.text_metrics import MEASURES


@pytest.mark.parametrize(
    ("answer", "reference", "figures"),
    [
        ("工作满一年有十天年假。", "每年有十天年假，工作满一年后可以休。", (0, 76.2, 52.6, 47.6, 43.04)),
        ("The director signs it.", "The director signs the contract.", (0, 72.7, 44.4, 72.7, 56.28)),
        ("。", "三十天。", (0, 66.7, 0, 66.7, 1.76)),
        ("三十天内。", "三十天内。", (100, 100, 100, 100, 100)),
        ("好", "好", (100, 100, 0, 100, 35.36)),
        ("", "三十天。", (0, 0, 0, 0, 0)),
        ("  \n", "三十天。", (0, 0, 0, 0, 0)),
        ("abc", "三十天。", (0, 0, 0, 0, 0)),
        ("的的的的", "的", (0, 40, 0, 40, 15.97)),  # by hand: 1/4, 1/(2·3), 1/(4·2) and 1/(8·1)
    ],
)
def test_measures_equal_their_references(answer: str, reference: str, figures: tuple[float, ...]) -> None:
    measured = [100 * measure(answer, reference) for measure in MEASURES.values()]
    assert measured == pytest.approx(figures, abs=0.06)


def test_long_answers_take_no_long_time() -> None:
    assert MEASURES["rouge-l"]("是的。" * 700, "不是。" * 700) > 0
