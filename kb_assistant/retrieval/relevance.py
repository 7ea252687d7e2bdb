"""Evidence: the probability that the results of a search are relevant to the question.

Logistic models (Platt, 1999) over the nearness of the best texts and the share of the words they contain; fitted
on public sets, with questions put to their own documents and to those of other sets (docs/evaluation.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kb_assistant.retrieval.fusion import Pool, fuse
from kb_assistant.retrieval.query_views import QUESTION, WITH_ANSWERS, WITH_QUESTIONS, QueryViews
from kb_assistant.text.analyzer import codes
from kb_assistant.text.conversation import points_back
from kb_assistant.text.language import Language

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Embed = Callable[[Sequence[str]], NDArray[np.float32]]

GUESS: Mapping[str, float] = {
    "always": -14.7,
    "distance": -0.9,
    "lead": 1.17,
    "nearness": -0.25,
    "asked nearness": 3.52,
    "coverage": 2.09,
    "asked coverage": 5.51,
    "told coverage": 6.5,
    "follow-up": 1.26,
}
EVIDENCE: Mapping[str, float] = {
    "always": -17.12,
    "told distance": -0.63,
    "told lead": 2.15,
    "nearness": 0.36,
    "asked nearness": 3.35,
    "asked coverage": 2.61,
    "told coverage": 8.98,
    "follow-up": 0.48,
}
"""Weights of the logistic models for the probability that the results are relevant: see relevance_features. The
first works without the vector of WITH_ANSWERS; the second is used if the first is in doubt."""

CROSS_LINGUAL: Mapping[str, float] = {
    "always": -10.99,
    "asked nearness": 2.95,
    "asked gap": 59.2,
    "follow-up": -3.41,
}
"""The same for texts in another language than the question: they share no words with it, and some are near to
everything in that language, so what counts is how much nearer they are to it than to BACKGROUND_QUERIES."""

FOLLOW_UP: Mapping[str, float] = {
    "always": -2.1,
    "chinese": -3.82,
    "nearness": 3.45,
    "lacking": -4.9,
    "alone": 0.24,
    "points back": 4.05,
}
"""The same for the question of a follow-up by itself: with the turns before, whatever it asks looks relevant to
what they were about. Its words that no earlier turn has must be found, and it must be near by itself; unrelated
Chinese texts are nearer to one another than English ones."""

ALONE = (-12.0, 6.0)
"""Range of the logit of a follow-up as a first question."""

OWN_GAP = 4.0
"""Logit that a follow-up in another language than the texts may lack by itself."""

UNCERTAIN_RANGE = (0.1, 0.9)
"""Probabilities between which an estimate is in doubt: a quarter of follow-ups."""

REFUSE, CERTAIN = 0.5, 0.75
"""Evidence below which a question is refused, or its answer marked uncertain: on public sets 3 % of the answerable
questions are refused, and 96 % of the questions of other sets (docs/evaluation.md)."""

NAMED = 0.6
"""Least evidence if a best text contains a code of the question, such as ERR-1042: the rest of the question may be
in another language."""

UNKNOWN = 0.4
"""Most evidence if no text contains the question's codes."""

_LEAST = 100.0

TOP = 5
"""Number of best texts examined for evidence."""

RUNNER_UP = 20
"""Rank of the text whose distance represents texts that are only on the subject."""

BACKGROUND_QUERIES: Mapping[Language, Sequence[str]] = {
    "zh": (
        "博物馆几点开门？",
        "这台打印机怎么安装驱动？",
        "公司的年假有多少天？",
        "他是哪一年出生的？",
        "这首歌是谁唱的？",
        "高血压应该吃什么药？",
        "合同到期后怎么续签？",
        "红烧鱼要放多少酱油？",
        "最近的地铁站在哪里？",
        "这种植物需要多少阳光？",
        "比赛的结果是什么？",
        "怎样备份数据库？",
        "报名费是多少钱？",
        "这座桥有多长？",
        "错误代码是什么意思？",
        "水在多少度结冰？",
    ),
    "en": (
        "When does the museum open?",
        "How do I install the driver of this printer?",
        "How many days of leave does the company give?",
        "In which year was he born?",
        "Who sang this song?",
        "Which drug helps against high blood pressure?",
        "How is the contract renewed when it ends?",
        "How much soy sauce goes into the fish?",
        "Where is the nearest underground station?",
        "How much sun does this plant need?",
        "What was the result of the match?",
        "How is the database backed up?",
        "What is the registration fee?",
        "How long is the bridge?",
        "What does the error code mean?",
        "At which temperature does water freeze?",
    ),
}
"""Unspecific questions, for Chinese and for any other language."""


def relevance(
    views: QueryViews, pool: Pool, best: Sequence[int], embed: Embed, foreign: Sequence[int] = ()
) -> float:
    """Probability, from 0 to 1, that the results are relevant to the question; 0 without results.

    Args:
        best: Ids of the TOP best texts.
        embed: Returns unit vectors of n questions, shape (n, d). It is costly, and only called in case of doubt.
        foreign: The best texts in another language than the question. They count if the embedder's usual cosines
            are known.
    """
    if not best:
        return 0.0
    found = _within(views, pool, best, embed)
    if foreign and pool.background.prior and found < CERTAIN:
        found = max(found, _across(views, pool, foreign, embed))
    return judged_by_code(found, views, pool, best)


def _within(views: QueryViews, pool: Pool, best: Sequence[int], embed: Embed) -> float:
    if views.fresh is None or not pool.background.prior:
        return _joined(views, pool, best, embed)
    alone = probability(FOLLOW_UP, follow_up_features(views, pool, best, embed))
    return min(alone, _joined(views, pool, best, embed, alone))


def _across(views: QueryViews, pool: Pool, foreign: Sequence[int], embed: Embed) -> float:
    """The same for texts in another language."""
    signs = cross_lingual_features(views, pool, foreign, embed)
    joined = probability(CROSS_LINGUAL, signs)
    if views.fresh is None:
        return joined
    alone = {"always": 1.0, "asked nearness": signs["nearness"], "asked gap": signs["gap"], "follow-up": 0.0}
    return min(joined, probability({**CROSS_LINGUAL, "always": CROSS_LINGUAL["always"] + OWN_GAP}, alone))


def _joined(views: QueryViews, pool: Pool, best: Sequence[int], embed: Embed, most: float = 1.0) -> float:
    """The probability by the question with the turns before.

    Args:
        most: The probability by something else; the lesser one is wanted. Below the range of doubt it is the
            lesser of the two, whatever the doubt.
    """
    if not views.is_first and WITH_ANSWERS not in pool.cosines:
        guess = probability(GUESS, relevance_features(views, pool, best))
        if most < UNCERTAIN_RANGE[0] or not UNCERTAIN_RANGE[0] <= guess <= UNCERTAIN_RANGE[1]:
            return guess
        pool = pool.with_view(WITH_ANSWERS, embed([views.texts[WITH_ANSWERS]])[0])
    return probability(EVIDENCE, relevance_features(views, pool, best))


def judged_by_code(evidence: float, views: QueryViews, pool: Pool, best: Sequence[int]) -> float:
    """The evidence, at least NAMED if one of the best texts has a code of the question, whatever words are around
    it; at most UNKNOWN if no text has one: what else is said of E62 is no answer to what E30 means."""
    if names_code(views, pool, best):
        return max(evidence, NAMED)
    return min(evidence, UNKNOWN) if _names_unknown_code(views, pool) else evidence


def _names_unknown_code(views: QueryViews, pool: Pool) -> bool:
    """Whether the question names codes that begin with a letter, and no text that was found has one."""
    named = [word for word in codes(views.question) if word[0].isascii() and word[0].isalpha()]
    return bool(named) and not (pool.table.term_coverage(named) > 0).any()


def names_code(views: QueryViews, pool: Pool, best: Sequence[int]) -> bool:
    """Whether one of the best texts contains a code of the question."""
    named = [word for word in codes(views.question) if word in pool.table.columns]
    return bool(named) and bool((pool.table.term_coverage(named)[pool.places(best)] > 0).any())


def relevance_features(views: QueryViews, pool: Pool, best: Sequence[int]) -> dict[str, float]:
    """The signals for the relevance of texts to the question.

    "distance" is the nearness of the nearest best text within this index, "lead" its lead over texts that are only
    on the subject, "nearness" its nearness by the embedder's usual cosines, "coverage" the largest share of the
    words contained. "asked" and "told" name the view; plain "nearness" and "coverage" are the question's, plain
    "distance" and "lead" those of what was asked. For a first question all views are the question itself. The
    signals of the vector of WITH_ANSWERS are missing if it isn't embedded.
    """
    places = pool.places(best)
    asked, told = _asked(views), QUESTION if views.is_first else WITH_ANSWERS

    def coverage(view: str) -> float:
        return float(pool.table.term_coverage(views.words[view])[places].max())

    found = {
        "always": 1.0,
        "distance": float(pool.distances[asked][places].max()),
        "lead": _lead(pool.distances[asked]),
        "nearness": pool.nearness(QUESTION, places),
        "asked nearness": pool.nearness(asked, places),
        "coverage": coverage(QUESTION),
        "asked coverage": coverage(asked),
        "told coverage": coverage(told),
        "follow-up": float(not views.is_first),
    }
    if told in pool.distances:
        found["told distance"] = float(pool.distances[told][places].max())
        found["told lead"] = _lead(pool.distances[told])
    return found


def follow_up_features(views: QueryViews, pool: Pool, best: Sequence[int], embed: Embed) -> dict[str, float]:
    """The signals for the question of a follow-up by itself: see relevance_features.

    "lacking" grows with the number of its fresh words that the best text lacks; Chinese words count half, because
    they overlap. "alone" is the logit of its evidence as a first question; "points back" tells a pronoun.
    """
    places, fresh, chinese = pool.places(best), views.fresh or (), views.language == "zh"
    lacking = len(fresh) * (1 - float(pool.table.term_coverage(fresh)[places].max())) if fresh else 0.0
    first = replace(views, texts={QUESTION: views.question}, fresh=None)
    alone = _joined(first, pool, fuse(first, pool).text_ids[:TOP], embed)
    return {
        **relevance_features(views, pool, best),
        "chinese": float(chinese),
        "points back": float(points_back(views.question)),
        "lacking": math.log1p(lacking) * (0.5 if chinese else 1.0),
        "alone": min(max(math.log(max(alone, 1e-9) / max(1 - alone, 1e-9)), ALONE[0]), ALONE[1]),
    }


def cross_lingual_features(
    views: QueryViews, pool: Pool, foreign: Sequence[int], embed: Embed
) -> dict[str, float]:
    """The signals for texts in another language: the nearness of the nearest by the embedder's usual cosines, and
    the gap, in cosines, by which one is nearer to what was asked than to BACKGROUND_QUERIES."""
    asked, places = _asked(views), pool.places(foreign)
    to_anything = pool.vectors[places] @ embed(BACKGROUND_QUERIES.get(views.language, BACKGROUND_QUERIES["en"])).T

    def gap(view: str) -> float:
        return float((pool.cosines[view][places] - to_anything.mean(axis=1)).max())

    return {
        "always": 1.0,
        "nearness": pool.nearness(QUESTION, places),
        "gap": gap(QUESTION),
        "asked nearness": pool.nearness(asked, places),
        "asked gap": gap(asked),
        "follow-up": float(not views.is_first),
    }


def _asked(views: QueryViews) -> str:
    return QUESTION if views.is_first else WITH_QUESTIONS


def _lead(distances: NDArray[np.float32]) -> float:
    """How far the nearest text is ahead of the RUNNER_UP-th.

    In a small index the last text replaces it, with less weight the fewer there are: a single text is compared
    with the usual value, 0.
    """
    ordered: list[float] = sorted(distances.tolist(), reverse=True)
    if len(ordered) >= RUNNER_UP:
        return ordered[0] - ordered[RUNNER_UP - 1]
    return ordered[0] - ordered[-1] * (1 - 1 / len(ordered))


def probability(weights: Mapping[str, float], signs: Mapping[str, float]) -> float:
    """The output of a logistic model."""
    logit = math.fsum(weight * signs[name] for name, weight in weights.items())
    return 1 / (1 + math.exp(-max(logit, -_LEAST)))
