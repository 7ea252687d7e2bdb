"""Fits the logistic models for the evidence that passages bear on a question, and shows what they refuse.

Each set's questions are put to its own documents: as they are, and, where they are first ones, after a turn on
something else. The questions of the other sets are put to them as first questions and after a turn that the
documents do answer. So each set counts alike, and its own questions as much as all others'. Questions that were
written to be unanswerable from these documents are near misses: they are measured, not fitted to.

By default it is READ_EVIDENCE of kb_assistant/retrieval/reading.py, which joins the search's evidence and what the
reader says; "held out" is fitted to the other sets, with the threshold that refuses 3 % of their own questions.
Take sets that the reader was not trained on. A further table shows the order before and after reading. With
--search it is GUESS and EVIDENCE of kb_assistant/retrieval/relevance.py.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from measure import report

from kb_assistant import KnowledgeBase, Settings, Turn
from kb_assistant.evaluate.corpus import documents_of, fill, open_corpus
from kb_assistant.evaluate.datasets import EvalSet, Question, read_set, spread
from kb_assistant.evaluate.refusal import WRONGLY_REFUSED
from kb_assistant.retrieval import relevance
from kb_assistant.retrieval.fusion import fuse
from kb_assistant.retrieval.query_views import WITH_ANSWERS
from kb_assistant.retrieval.reading import READ, READ_EVIDENCE, read_hits

Kind = Literal["own", "own, later", "others", "others, later", "near misses"]
OWN: tuple[Kind, ...] = ("own", "own, later")
OTHERS: tuple[Kind, ...] = ("others", "others, later")
KINDS: tuple[Kind, ...] = (*OWN, *OTHERS, "near misses")
Signs = Mapping[str, float]
Weights = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Asked:
    """One question put to a set's documents: the signs for its evidence, and the ranks of the first right document
    before and after reading, from 0; None if it wasn't among them."""

    kind: Kind
    signs: Signs
    ranks: tuple[int | None, int | None] = (None, None)


def questions_of(data: EvalSet, sets: Sequence[EvalSet], limit: int) -> Iterator[tuple[Kind, Question]]:
    chance = random.Random(data.name)
    for one in spread(data.judged, limit):
        yield "own", one
    firsts = [one for one in data.judged if not one.history] or list(data.judged)
    for one in spread(firsts, limit // 2):
        if not one.history:
            yield "own, later", after(one, chance.choice(firsts))
    for one in spread(data.unanswerable, limit):
        yield "near misses", one
    others = [other for other in sets if other is not data]
    for other in others:
        for one in spread([one for one in other.judged if not one.history], limit // len(others) + 1):
            yield "others", one
            yield "others, later", after(one, chance.choice(firsts))


def after(question: Question, earlier: Question) -> Question:
    return replace(question, history=(Turn(earlier.rewrite or earlier.text, (*earlier.answers, "")[0]),))


def as_read(kb: KnowledgeBase, kind: Kind, question: Question) -> Asked | None:
    """What the reader says of the best passages."""
    searcher, reader = kb.searcher(), kb.reader
    assert reader, "the model that the reader stands on isn't installed: kb models pull"
    views = searcher.query_views(question.text, question.history, rewrite=False)
    found = searcher.find(views, READ)
    if not found.hits:
        return None
    read = read_hits(reader, views, found.hits, found.evidence, 60)
    ranks = tuple(rank_of(question, documents_of(hits)) for hits in (found.hits, read.hits))
    return Asked(kind, read.signs, (ranks[0], ranks[1]))


def rank_of(question: Question, documents: Sequence[str]) -> int | None:
    return next((rank for rank, one in enumerate(dict.fromkeys(documents)) if one in question.right), None)


def as_searched(kb: KnowledgeBase, kind: Kind, question: Question) -> Asked | None:
    """What the search alone says."""
    views, pool = kb.searcher().measure(question.text, question.history)
    best = fuse(views, pool).text_ids[: relevance.TOP]
    if not best:
        return None
    if WITH_ANSWERS in views.texts:
        pool = pool.with_view(WITH_ANSWERS, kb.embedder.encode_queries([views.texts[WITH_ANSWERS]])[0])
    return Asked(kind, relevance.relevance_features(views, pool, best))


def fit(asked: Iterable[Sequence[Asked]], names: Sequence[str]) -> Weights:
    """Weights of the signs. Each set of documents counts alike, and its own questions as much as all others."""
    from sklearn.linear_model import LogisticRegression

    values, answered, weights = [], [], []
    for one in asked:
        for kinds in (OWN, OTHERS):
            some = [each for each in one if each.kind in kinds]
            values += [[each.signs[name] for name in names] for each in some]
            answered += [kinds is OWN] * len(some)
            weights += [1000 / len(some)] * len(some)
    model = LogisticRegression(C=30, max_iter=5000, fit_intercept=False).fit(values, answered, weights)
    return dict(zip(names, model.coef_[0].round(3).tolist(), strict=True))


def logits(weights: Weights, asked: Iterable[Asked], *kinds: Kind) -> np.ndarray:
    return np.array([
        sum(weight * one.signs[name] for name, weight in weights.items()) for one in asked if one.kind in kinds
    ])  # fmt: skip


def floor(weights: Weights, asked: Iterable[Sequence[Asked]]) -> float:
    """The logit that WRONGLY_REFUSED of the own questions are below; each set counts alike."""
    own = [logits(weights, one, *OWN) for one in asked]
    pooled = np.concatenate(own)
    share = np.concatenate([np.full(len(values), 1 / len(values)) for values in own])
    order = np.argsort(pooled)
    return float(pooled[order][np.searchsorted(np.cumsum(share[order]), WRONGLY_REFUSED * share.sum())])


def show_refusal(seen: Mapping[str, Sequence[Asked]], used: Weights, names: Sequence[str], as_json: bool) -> None:
    everything = fit(seen.values(), names)
    print("fitted to all:", json.dumps(everything), f"3 % below {floor(everything, seen.values()):.3f}")
    table = []
    for name, asked in seen.items():
        others = [one for other, one in seen.items() if other != name]
        held = fit(others, names) if others else everything
        for label, weights, least in (("in use", used, 0.0), ("held out", held, floor(held, others or [asked]))):
            shares = {
                kind: float(np.mean(values < least)) if len(values := logits(weights, asked, kind)) else None
                for kind in KINDS
            }
            table.append({"documents": name, "weights": label, **shares})
    report("Share refused", table, as_json)


def show_order(seen: Mapping[str, Sequence[Asked]], as_json: bool) -> None:
    table = []
    for name, asked in seen.items():
        own = [one.ranks for one in asked if one.kind == "own"]
        shares = {
            f"{label} {when}": float(np.mean([ranks[place] is not None and ranks[place] < depth for ranks in own]))
            for depth, label in ((1, "first"), (5, "among five"))
            for place, when in enumerate(("searched", "read"))
        }
        table.append({"documents": name, "questions": len(own), **shares})
    report("Right document", table, as_json)


def main() -> None:
    arguments = parse()
    settings = Settings.load(home=arguments.home)
    sets = [read_set(folder) for folder in arguments.sets]
    ask = as_searched if arguments.search else as_read
    seen = {}
    for data in sets:
        with open_corpus(data, settings) as kb:
            fill(kb, data)
            found = [ask(kb, kind, question) for kind, question in questions_of(data, sets, arguments.limit)]
            seen[data.name] = [one for one in found if one]
    if arguments.search:
        for name, used in (("GUESS", relevance.GUESS), ("EVIDENCE", relevance.EVIDENCE)):
            print(name)
            show_refusal(seen, used, list(used), arguments.json)
    else:
        show_refusal(seen, READ_EVIDENCE, arguments.signs, arguments.json)
        show_order(seen, arguments.json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="+", help="folders that `kb eval` takes, with a corpus.jsonl")
    parser.add_argument("--search", action="store_true", help="fit the models of the search's evidence instead")
    parser.add_argument("--signs", nargs="+", default=list(READ_EVIDENCE), help="signs that are joined")
    parser.add_argument("--limit", type=int, default=60, help="questions of each kind (default %(default)s)")
    parser.add_argument("--home", type=Path, help="keep the embedded documents here, and use them again")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
