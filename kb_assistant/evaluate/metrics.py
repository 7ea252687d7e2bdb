"""Measures of retrieval and of answers, with confidence intervals.

Ranking is measured by trec_eval (through pytrec_eval), overlap of sequences by rapidfuzz. Answers are compared as
SQuAD does (Rajpurkar et al., EMNLP 2016), Chinese by character as CMRC 2018 does (Cui et al., EMNLP 2019); ROUGE-L
is the F1 of the longest common subsequence (Lin, 2004).
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import KBError
from kb_assistant.messages import _
from kb_assistant.text.analyzer import fold, is_cjk

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = 2_000
"""Number of bootstrap samples for an interval."""

_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and the bounds that contain 95 % of the means of bootstrap samples."""

    mean: float
    low: float
    high: float
    count: int

    def to_json(self) -> dict[str, float]:
        return {
            "mean": round(self.mean, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "count": self.count,
        }

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f}–{self.high:.3f})"


def ranking(
    right: Mapping[str, Mapping[str, int]], ranked: Mapping[str, Sequence[str]], depths: Sequence[int]
) -> dict[str, dict[str, float]]:
    """Recall, nDCG, reciprocal rank and hit of each question, at each depth.

    Args:
        right: Relevance of the right documents, by question.
        ranked: Documents found, best first and each once, by question.
        depths: Numbers of top documents that count.

    Returns:
        Values by question by measure, the measures named "recall@5" and so on; 0 for a question without found
        documents.

    Raises:
        KBError: pytrec_eval isn't installed.
    """
    pytrec_eval = import_measure("pytrec_eval")
    measured: dict[str, dict[str, float]] = {}
    for depth in depths:
        # trec_eval sorts by score, so scores are derived from the ranks; its reciprocal rank has no depth.
        run = {
            name: {document: float(-rank) for rank, document in enumerate(ranked[name][:depth])} for name in right
        }
        names = {"recall": f"recall.{depth}", "ndcg": f"ndcg_cut.{depth}", "mrr": "recip_rank",
                 "hit": f"success.{depth}"}  # fmt: skip
        judge = pytrec_eval.RelevanceEvaluator(
            {name: dict(docs) for name, docs in right.items()}, set(names.values())
        )
        found = judge.evaluate({name: documents for name, documents in run.items() if documents})
        for ours, theirs in names.items():
            key = theirs.replace(".", "_")
            measured[f"{ours}@{depth}"] = {name: found.get(name, {}).get(key, 0.0) for name in right}
    return measured


def estimate(values: Sequence[float], groups: Sequence[Hashable] | None = None) -> Estimate:
    """The mean with its interval. Whole groups are drawn, because questions of one conversation are similar."""
    import numpy as np

    if not values:
        return Estimate(0.0, 0.0, 0.0, 0)
    sums: defaultdict[Hashable, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for value, group in zip(values, groups or range(len(values)), strict=True):
        sums[group][0] += value
        sums[group][1] += 1
    table: NDArray[Any] = np.array(list(sums.values()))
    draws = np.random.default_rng(0).integers(len(table), size=(SAMPLES, len(table)))
    drawn = table[draws].sum(axis=1)
    low, high = np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975))
    return Estimate(float(np.mean(values)), float(low), float(high), len(values))


def exact_match(answer: str, references: Sequence[str]) -> float:
    """1 if the answer's words equal those of a reference, else 0."""
    return float(any(words(answer) == words(reference) for reference in references))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """F1 of the words shared with a reference; the best reference counts."""
    return max((_f1(_shared(words(answer), words(one)), answer, one) for one in references), default=0.0)


def rouge_l(answer: str, references: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words with a reference; the best reference counts.

    Raises:
        KBError: rapidfuzz isn't installed.
    """
    longest = import_measure("rapidfuzz.distance").LCSseq.similarity
    return max((_f1(longest(words(answer), words(one)), answer, one) for one in references), default=0.0)


def words(text: str) -> list[str]:
    """The words that the answer measures count: folded, without punctuation and articles, Chinese by character.

    >>> words("The ZT-4 泵站。")
    ['zt4', '泵', '站']
    """
    spaced = "".join(
        f" {letter} " if is_cjk(letter) else "" if unicodedata.category(letter)[0] in "PS" else letter
        for letter in fold(text).casefold()
    )
    return [word for word in spaced.split() if word not in _ARTICLES]


def import_measure(name: str) -> Any:
    """A package of the extra `eval`.

    Raises:
        KBError: it isn't installed.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise KBError(
            _("Package {package} is missing.", package=name.split(".")[0]), _('pip install "kb-assistant[eval]"')
        ) from error


def _shared(one: list[str], other: list[str]) -> int:
    return (Counter(one) & Counter(other)).total()


def _f1(shared: int, answer: str, reference: str) -> float:
    lengths = len(words(answer)) + len(words(reference))
    return 2 * shared / lengths if lengths else 1.0
