"""How near an answer is to its reference: exact match, ROUGE over words, BLEU over characters. All from 0 to 1.

The measures are those of ChatGLM2's own training: ROUGE-1, -2 and -L (Lin, 2004) as F1 over jieba's words, and
BLEU-4 (Papineni et al., 2002) over characters, where a count of zero is smoothed as by NIST (Chen, Cherry, 2014,
method 3). An empty answer scores 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

_ORDERS = 4


def words(text: str) -> list[str]:
    """The words that ROUGE counts; punctuation is some."""
    import rjieba

    return [word for word in rjieba.cut(text) if word.strip()]


def exact(answer: str, reference: str) -> float:
    """1 if both are the same but for blanks at the ends."""
    return float(answer.strip() == reference.strip())


def rouge_n(answer: str, reference: str, order: int) -> float:
    """F1 of the runs of `order` words that both have."""
    said, wanted = (_runs(words(text), order) for text in (answer, reference))
    return _f1((said & wanted).total(), said.total(), wanted.total())


def rouge_l(answer: str, reference: str) -> float:
    """F1 of the longest common subsequence of words."""
    said, wanted = words(answer), words(reference)
    return _f1(_longest_common(said, wanted), len(said), len(wanted))


def bleu_4(answer: str, reference: str) -> float:
    """BLEU of one answer, over characters.

    >>> round(bleu_4("好", "好"), 4)  # short answers lack runs of four characters
    0.3536
    """
    said, wanted = list(answer.strip()), list(reference.strip())
    logs, halved = 0.0, 1
    for order in range(1, _ORDERS + 1):
        runs = _runs(said, order)
        found, all_ = (runs & _runs(wanted, order)).total(), max(1, runs.total())
        if not found:
            if order == 1:
                return 0.0
            halved *= 2
        logs += math.log((found or 1 / halved) / all_) / _ORDERS
    return math.exp(logs) * min(1.0, math.exp(1 - len(wanted) / len(said)))


MEASURES: Mapping[str, Callable[[str, str], float]] = {
    "exact": exact,
    "rouge-1": lambda answer, reference: rouge_n(answer, reference, 1),
    "rouge-2": lambda answer, reference: rouge_n(answer, reference, 2),
    "rouge-l": rouge_l,
    "bleu-4": bleu_4,
}
"""The measures by name, each of an answer and its reference."""


def _runs(parts: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(parts[start : start + order]) for start in range(len(parts) - order + 1))


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for place, against in enumerate(other, start=1):
            before, row[place] = row[place], before + 1 if word == against else max(row[place], row[place - 1])
    return row[-1]


def _f1(common: int, said: int, wanted: int) -> float:
    return 2 * common / (said + wanted) if said and wanted else 0.0
