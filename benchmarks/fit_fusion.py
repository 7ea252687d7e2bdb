"""Fits the weights of kb_assistant/retrieval/fusion.py to conversations, and shows what they do to others.

For each question the pool of texts that `kb` would order is measured; the weights are those that make the right
documents most probable (a softmax over the pool; L-BFGS). Conversations are added that are made from sets without
any: a question after others about anything, and after others under the same title. They teach where history helps
and where it misleads. Each counts alike. Sets without titles are fitted apart, together with the others stripped
of theirs, which count as much as all of the former. "held out" is fitted to all but the set it is tried on and
what was made from it. The last table searches as `kb eval` does, each set with the weights that were fitted to the
others, beside the last turn alone, all turns joined, and the unweighted rank fusion of both.

With --evidence the logistic model is fitted instead, which tells questions put to their own documents from those
put to another set's; "held out" knows neither the documents it is tried on nor their questions.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import torch
from measure import report

from kb_assistant import KnowledgeBase, Settings, Turn
from kb_assistant.evaluate.corpus import documents_of, fill, open_corpus
from kb_assistant.evaluate.datasets import EvalSet, Question, read_set, spread
from kb_assistant.evaluate.metrics import estimate, ranking
from kb_assistant.evaluate.refusal import WRONGLY_REFUSED
from kb_assistant.evaluate.ways import OURS, WAYS, Way
from kb_assistant.retrieval import fusion
from kb_assistant.retrieval.fusion import MEASURES, Pool, features, fuse
from kb_assistant.retrieval.query_views import WITH_ANSWERS, QueryViews
from kb_assistant.retrieval.relevance import (
    EVIDENCE,
    GUESS,
    REFUSE,
    TOP,
    UNCERTAIN_RANGE,
    probability,
    relevance_features,
)

if TYPE_CHECKING:
    from kb_assistant.embedding.local import LocalEmbeddings

VIEWS = ("question", "asked", "told", "question 1", "answer 1", "question 2", "answer 2")
HEADING = MEASURES.index("heading")
DEPTH = 120
STEPS = 80
PENALTY = 1e-3
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")


@dataclass
class Task:
    """Questions to one set's documents: what was measured of the pool of each, and which of it is right."""

    name: str
    origin: str
    headed: bool = True
    stripped: bool = False
    pools: list[np.ndarray] = field(default_factory=list)
    right: list[np.ndarray] = field(default_factory=list)
    documents: list[list[str]] = field(default_factory=list)
    wanted: list[frozenset[str]] = field(default_factory=list)


def measured(views: QueryViews, pool: Pool) -> np.ndarray:
    """What was measured of a pool, shape (n, views, measures); 0 for views that the conversation lacks."""
    found = features(views, pool)
    empty = np.zeros((len(pool.text_ids), len(MEASURES)))
    return np.stack([found.get(view, empty) for view in VIEWS], axis=1)


def documents(kb: KnowledgeBase, pool: Pool) -> list[str]:
    with kb.store.read() as snapshot:
        places = snapshot.chunks_of_texts(pool.text_ids)
    return [places[text_id][0].source.removeprefix("document:") for text_id in pool.text_ids]


def task_of(
    kb: KnowledgeBase, name: str, origin: str, questions: Sequence[Question], headed: bool | None = None
) -> Task:
    task = Task(name, origin)
    searcher = kb.searcher()
    for question in questions:
        views, pool = searcher.measure(question.text, question.history, headed)
        if not pool.text_ids:
            continue
        task.headed = pool.headed
        names = documents(kb, pool)
        task.pools.append(measured(views, pool).astype(np.float32))
        task.right.append(np.array([one in question.right for one in names]))
        task.documents.append(names)
        task.wanted.append(frozenset(question.right))
    return task


def tasks_with(kb: KnowledgeBase, name: str, origin: str, questions: Sequence[Question]) -> Iterator[Task]:
    """The task as it is, and as it would be without headings where it has them."""
    task = task_of(kb, name, origin, questions)
    yield task
    if task.headed:
        bare = task_of(kb, f"{name}, no titles", origin, questions, headed=False)
        for pool in bare.pools:
            pool[:, :, HEADING] = 0
        yield replace(bare, stripped=True)


def made_up(data: EvalSet, questions: Sequence[Question], same: bool) -> Iterator[Question]:
    """Questions of a set without conversations, after one to three others."""
    chance = random.Random(1)
    texts = {document.id: document for document in data.documents()}
    everything = data.judged
    by_title = defaultdict(list)
    for one in everything:
        by_title[texts[next(iter(one.right))].title or one.id].append(one)
    for question in questions:
        title = texts[next(iter(question.right))].title or question.id
        others = [one for one in (by_title[title] if same else everything) if one.id != question.id]
        if others:
            past = chance.sample(others, min(chance.randint(1, 3), len(others)))
            turns = tuple(
                Turn(one.text, _sentence(texts[next(iter(one.right))].text, one.answers)) for one in past
            )
            yield replace(question, history=turns)


def _sentence(text: str, answers: Sequence[str]) -> str:
    """The sentence that holds the answer."""
    return next((part for part in _SENTENCE.split(text) if answers and answers[0] in part), *answers[:1])[:400]


def fit(tasks: Sequence[Task]) -> np.ndarray:
    """Weights of each measure of each view, shape (views, measures)."""
    batches = [_batch(task) for task in tasks]
    own = sum(not task.stripped for task in tasks)
    shares = [1 / own if not task.stripped else 1 / (len(tasks) - own) for task in tasks]
    weights = torch.zeros(len(VIEWS) * len(MEASURES))
    weights[:2] = torch.tensor([1.0, 5.0])
    weights.requires_grad_(True)
    headed = any(task.headed for task in tasks)
    used = torch.tensor([headed or place % len(MEASURES) != HEADING for place in range(len(weights))])
    shares = [share / sum(shares) for share in shares]
    optimizer = torch.optim.LBFGS([weights], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = PENALTY * (weights**2).sum()
        for (values, right, there), share in zip(batches, shares, strict=True):
            scores = (values @ (weights * used)).masked_fill(~there, -1e9)
            lost = torch.logsumexp(scores, 1) - torch.logsumexp(scores.masked_fill(~right, -1e9), 1)
            loss = loss + lost.mean() * share
        loss.backward()
        return loss

    optimizer.step(closure)
    return (weights * used).detach().numpy().reshape(len(VIEWS), len(MEASURES))


def _batch(task: Task) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    kept = [number for number, right in enumerate(task.right) if right.any()]
    values = torch.zeros(len(kept), DEPTH, len(VIEWS) * len(MEASURES))
    right, there = torch.zeros(2, len(kept), DEPTH, dtype=torch.bool)
    for row, number in enumerate(kept):
        pool = task.pools[number]
        near = np.argsort(-(pool[:, 0, 0] + pool[:, 2, 0] + 10 * pool[:, 0, 1] + 10 * pool[:, 2, 1]))
        near = sorted(near, key=lambda place: not task.right[number][place])[:DEPTH]  # the right ones first
        values[row, : len(near)] = torch.tensor(pool[near].reshape(len(near), -1))
        right[row, : len(near)] = torch.tensor(task.right[number][near])
        there[row, : len(near)] = True
    return values, right, there


def recall(task: Task, weights: np.ndarray, k: int = 5) -> float:
    values = []
    for pool, names, wanted in zip(task.pools, task.documents, task.wanted, strict=True):
        order = np.argsort(-(pool.reshape(len(pool), -1) @ weights.ravel()), kind="stable")
        best = list(dict.fromkeys(names[place] for place in order))[:k]
        values.append(len(wanted & set(best)) / len(wanted))
    return float(np.mean(values))


def signs_of(kb: KnowledgeBase, questions: Sequence[Question]) -> list[dict[str, float]]:
    rows = []
    searcher = kb.searcher()
    for question in questions:
        views, pool = searcher.measure(question.text, question.history)
        if best := fuse(views, pool).text_ids[:TOP]:
            if WITH_ANSWERS in views.texts:
                pool = pool.with_view(WITH_ANSWERS, kb.embedder.encode_queries([views.texts[WITH_ANSWERS]])[0])
            rows.append(relevance_features(views, pool, best))
    return rows


@dataclass(frozen=True, eq=False)
class Asked:
    """What was seen when questions of one set were put to the documents of one."""

    documents: str
    questions: str
    signs: Sequence[dict[str, float]]

    @property
    def answered(self) -> bool:
        return self.documents == self.questions

    def values(self, names: Iterable[str]) -> np.ndarray:
        return np.array([[signs[name] for name in names] for signs in self.signs])


Logistic = dict[str, float]


def logistic(asked: Sequence[Asked], names: Sequence[str]) -> Logistic:
    """Weights of the signs. Each set of documents counts alike, and its own questions as much as all others."""
    from sklearn.linear_model import LogisticRegression

    share = {
        one: 1 / sum(len(other.signs) for other in asked
                     if (other.documents, other.answered) == (one.documents, one.answered))
        for one in asked
    }  # fmt: skip
    model = LogisticRegression(C=30, max_iter=5000, fit_intercept=False)
    model.fit(
        np.concatenate([one.values(names) for one in asked]),
        np.concatenate([np.full(len(one.signs), one.answered) for one in asked]),
        1000 * np.concatenate([np.full(len(one.signs), share[one]) for one in asked]),
    )
    return dict(zip(names, model.coef_[0].round(3).tolist(), strict=True))


def judged(one: Asked, guess: Logistic, whole: Logistic) -> np.ndarray:
    """The evidence of each question, as evidence.py comes to it within a language."""
    values = []
    for signs in one.signs:
        first = probability(guess, signs)
        doubt = not signs["follow-up"] or UNCERTAIN_RANGE[0] <= first <= UNCERTAIN_RANGE[1]
        values.append(probability(whole, signs) if doubt else first)
    return np.array(values)


def fit_evidence(asked: Sequence[Asked], as_json: bool) -> None:
    models = [logistic(asked, list(names)) for names in (GUESS, EVIDENCE)]
    print("GUESS", json.dumps(models[0]), "\nEVIDENCE", json.dumps(models[1]))
    seen, unseen = {}, {}
    for one in asked:
        seen[one] = judged(one, *models)
        others = [other for other in asked if one.documents not in (other.documents, other.questions)]
        unseen[one] = judged(one, *(logistic(others, list(names)) for names in (GUESS, EVIDENCE)))
    for name, found in (("fitted", seen), ("held out", unseen)):
        own = np.concatenate([values for one, values in found.items() if one.answered])
        floor = float(np.quantile(own, WRONGLY_REFUSED))
        table = [
            {"documents": one.documents, "questions": one.questions, "asked": len(one.signs),
             "refused": float(np.mean(values < floor)), f"below {REFUSE}": float(np.mean(values < REFUSE))}
            for one, values in found.items()
        ]  # fmt: skip
        strange = np.concatenate([values for one, values in found.items() if not one.answered])
        for label, values in (("own", own), ("strange", strange)):
            table.append({"documents": "all", "questions": label, "asked": len(values),
                          "refused": float(np.mean(values < floor)),
                          f"below {REFUSE}": float(np.mean(values < REFUSE))})  # fmt: skip
        report(
            f"Evidence, {name}, at the floor {floor:.3f} that refuses 3 % of what has an answer", table, as_json
        )


def fit_weights(tasks: Sequence[Task], as_json: bool) -> None:
    headed = [task for task in tasks if task.headed]
    bare = [task for task in tasks if not task.headed]
    for name, some in (("WITH_HEADINGS", headed), ("WITHOUT_HEADINGS", bare)):
        weights = fit(some)
        rows = {view: [round(float(weight), 2) for weight in weights[row]] for row, view in enumerate(VIEWS)}
        print(name, json.dumps(rows))
        table = []
        for task in some:
            others = [other for other in some if other.origin != task.origin]
            table.append({"set": task.name, "questions": len(task.pools), "fitted": recall(task, weights),
                          "held out": recall(task, fit(others)) if others else None})  # fmt: skip
        report(f"Recall@5, {name}", table, as_json)


def leave_one_out(
    sets: Sequence[EvalSet],
    tasks: Sequence[Task],
    settings: Settings,
    embedder: LocalEmbeddings,
    limit: int,
    as_json: bool,
) -> None:
    """Recall@5 of each set as `kb eval` measures it, with weights that know neither it nor what was made of it."""
    ways = {way.name: way for way in WAYS}
    simple = ("last turn", "with history", "ranks fused")
    table = []
    for data in sets:
        questions = spread(data.judged, limit)
        talks = [question.conversation for question in questions]
        headed = next(task.headed for task in tasks if task.name == data.name)
        others = [task for task in tasks if task.headed == headed and task.origin != data.name]
        if not others:
            print(f"{data.name}: none of the other sets can be fitted to")
            continue
        with open_corpus(data, settings, embedder) as kb:
            found = {name: searched(kb, ways[name], questions) for name in (*simple, OURS)}
            with weights_of(headed, fit(others)):
                found["held out"] = searched(kb, ways[OURS], questions)
        best = max(simple, key=lambda name: float(np.mean(found[name])))
        more = [mine - other for mine, other in zip(found["held out"], found[best], strict=True)]
        shown = {name: str(estimate(values, talks)) for name, values in found.items()}
        table.append({"set": data.name, "questions": len(questions), **shown, "best of three": best,
                      "held out − best": str(estimate(more, talks))})  # fmt: skip
    if table:
        report("Recall@5 as searched, held out: fitted to the other sets", table, as_json)


def searched(kb: KnowledgeBase, way: Way, questions: Sequence[Question], k: int = 5) -> list[float]:
    """Recall of each question; three passages are searched for each document that counts."""
    ranked = {one.id: documents_of(way.search(kb, one, 3 * k).hits) for one in questions}
    values = ranking({one.id: one.right for one in questions}, ranked, (k,))[f"recall@{k}"]
    return [values[one.id] for one in questions]


@contextmanager
def weights_of(headed: bool, weights: np.ndarray) -> Iterator[None]:
    """Searches use these weights, shape (views, measures), meanwhile."""
    rows = {view: weights[row].tolist() for row, view in enumerate(VIEWS)}
    with mock.patch.object(fusion, "WITH_HEADINGS" if headed else "WITHOUT_HEADINGS", rows):
        yield


def tasks_of(kb: KnowledgeBase, data: EvalSet, limit: int) -> Iterator[Task]:
    """The set's own questions, and conversations made from them where it has none."""
    questions = spread(data.judged, limit)
    yield from tasks_with(kb, data.name, data.name, questions)
    if any(question.history for question in questions):
        return
    few = spread(questions, limit // 2)
    for same, kind in ((False, "anything"), (True, "the same title")):
        made = list(made_up(data, few, same))
        if 2 * len(made) > len(few):
            yield from tasks_with(kb, f"{data.name} after {kind}", data.name, made)


def main() -> None:
    arguments = parse()
    settings = Settings.load(home=arguments.home)
    embedder = KnowledgeBase(settings).embedder
    sets = [read_set(folder) for folder in arguments.sets]
    tasks: list[Task] = []
    asked: list[Asked] = []
    for data in sets:
        with open_corpus(data, settings, embedder) as kb:
            fill(kb, data)
            if not arguments.evidence:
                tasks += tasks_of(kb, data, arguments.limit)
                continue
            for other in sets:
                few = spread(other.judged, arguments.limit if other is data else arguments.limit // 3)
                asked.append(Asked(data.name, other.name, signs_of(kb, few)))
    if arguments.evidence:
        fit_evidence(asked, arguments.json)
    else:
        fit_weights(tasks, arguments.json)
        leave_one_out(sets, tasks, settings, embedder, arguments.limit, arguments.json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sets", type=Path, nargs="+", help="folders with corpus.jsonl, queries.jsonl and qrels.tsv"
    )
    parser.add_argument("--evidence", action="store_true", help="fit the model of evidence instead")
    parser.add_argument("--limit", type=int, default=400, help="questions a set (default %(default)s)")
    parser.add_argument("--home", type=Path, help="keep the embedded documents here, and use them again")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
