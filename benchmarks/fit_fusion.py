"""Chooses the weights of kb_assistant/retrieval/fusion.py for earlier turns, and shows what they do to other sets.

For each question the pool of texts that `kb` would order is measured. The question's own weights stay; what was
said before gets shares of them, from a grid: the shares whose mean of recall@5 and reciprocal rank, averaged over
the sets, is best; recall alone would put first what the last answer told.
Conversations are added that are made from sets without any: a question after others about anything, and after
others under the same title. They show where history misleads. Sets without titles are fitted apart, together with
the others stripped of theirs. "held out" is chosen by all but the set it is tried on, those whose name begins
alike, and what was made of them. The last table searches as `kb eval` does without the reader, with the weights in
use and with those held out, beside the last turn alone, all turns joined, and the unweighted rank fusion of both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
from measure import report

from kb_assistant import KnowledgeBase, Settings, Turn
from kb_assistant.evaluate.corpus import documents_of, fill, open_corpus
from kb_assistant.evaluate.datasets import EvalSet, Question, read_set, spread
from kb_assistant.evaluate.metrics import estimate, ranking
from kb_assistant.evaluate.ways import WAYS
from kb_assistant.retrieval import fusion
from kb_assistant.retrieval.fusion import MEASURES, Pool, features
from kb_assistant.retrieval.query_views import QueryViews
from kb_assistant.types import Hit

if TYPE_CHECKING:
    from kb_assistant.embedding.local import LocalEmbeddings

VIEWS = ("question", "asked", "told", "question 1", "answer 1")
SIMPLE = ("last turn", "with history", "ranks fused")
GRIDS: Mapping[bool, Mapping[str, Sequence[float]]] = {
    True: {
        "asked distance": (0, 0.2, 0.4),
        "told words": (0.1, 0.3),
        "told heading": (2, 3, 4.5),
        "question 1 words": (0, 0.1),
        "answer 1 words": (0, -0.1, -0.2),
    },
    False: {
        "told distance": (0.25, 0.5, 0.75, 1),
        "asked words": (0, 0.15, 0.3),
        "question 1 words": (0, 0.2, 0.35),
        "answer 1 words": (0, -0.1, -0.2),
    },
}
"""Shares of the question's weights, and the weight of a heading, for sets with titles and without."""
K = 5
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")


@dataclass
class Task:
    """Questions to one set's documents: what was measured of the pool of each, and which documents are right.

    Attributes:
        family: What the names of sets of one collection begin with.
    """

    name: str
    family: str
    headed: bool = True
    pools: list[np.ndarray] = field(default_factory=list)
    documents: list[list[str]] = field(default_factory=list)
    wanted: list[frozenset[str]] = field(default_factory=list)


def measured(views: QueryViews, pool: Pool) -> np.ndarray:
    """What was measured of a pool, shape (n, views, measures); 0 for views that the conversation lacks."""
    found = features(views, pool, VIEWS)
    empty = np.zeros((len(pool.text_ids), len(MEASURES)))
    return np.stack([found.get(view, empty) for view in VIEWS], axis=1)


def documents(kb: KnowledgeBase, pool: Pool) -> list[str]:
    with kb.store.read() as snapshot:
        places = snapshot.chunks_of_texts(pool.text_ids)
    return [places[text_id][0].source.removeprefix("document:") for text_id in pool.text_ids]


def task_of(kb: KnowledgeBase, task: Task, questions: Sequence[Question], headed: bool | None = None) -> Task:
    """The task with what was measured for the questions; as if nothing had headings, if `headed` is False."""
    searcher = kb.searcher()
    for question in questions:
        views, pool = searcher.measure(question.text, question.history, headed)
        if not pool.text_ids:
            continue
        task.headed = pool.headed
        values = measured(views, pool).astype(np.float32)
        if not pool.headed:
            values[:, :, MEASURES.index("heading")] = 0
        task.pools.append(values)
        task.documents.append(documents(kb, pool))
        task.wanted.append(frozenset(question.right))
    return task


def tasks_with(kb: KnowledgeBase, name: str, family: str, questions: Sequence[Question]) -> Iterator[Task]:
    """The task as it is, and as it would be without headings where it has them."""
    task = task_of(kb, Task(name, family), questions)
    yield task
    if task.headed:
        yield task_of(kb, Task(f"{name}, no titles", family), questions, headed=False)


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


def weights_of(headed: bool, shares: Mapping[str, float]) -> np.ndarray:
    """Weights of each measure of each view, shape (views, measures)."""
    question = np.array((fusion.WITH_HEADINGS if headed else fusion.WITHOUT_HEADINGS)["question"])
    weights = np.zeros((len(VIEWS), len(MEASURES)))
    weights[0] = question
    for name, share in shares.items():
        view, what = name.rsplit(" ", 1)
        row = weights[VIEWS.index(view)]
        if what == "heading":
            row[MEASURES.index(what)] = share
        else:
            columns = [MEASURES.index(one) for one in (("share", "match") if what == "words" else (what,))]
            row[columns] = share * question[columns]
    return weights


def in_use(headed: bool) -> np.ndarray:
    rows = fusion.WITH_HEADINGS if headed else fusion.WITHOUT_HEADINGS
    return np.array([rows.get(view, [0.0] * len(MEASURES)) for view in VIEWS])


def ranked(task: Task, weights: np.ndarray) -> tuple[float, float]:
    """Recall and mean reciprocal rank."""
    recalled, reciprocal = [], []
    for pool, names, wanted in zip(task.pools, task.documents, task.wanted, strict=True):
        order = np.argsort(-(pool.reshape(len(pool), -1) @ weights.ravel()), kind="stable")
        best = list(dict.fromkeys(names[place] for place in order))
        recalled.append(len(wanted & set(best[:K])) / len(wanted))
        reciprocal.append(next((1 / rank for rank, name in enumerate(best, start=1) if name in wanted), 0.0))
    return float(np.mean(recalled)), float(np.mean(reciprocal))


@dataclass
class Choice:
    """Recall and reciprocal rank of each point of the grid on each task, shape (points, tasks, 2)."""

    headed: bool
    tasks: Sequence[Task]
    points: list[dict[str, float]]
    reached: np.ndarray

    @classmethod
    def of(cls, headed: bool, tasks: Sequence[Task]) -> Choice:
        grid = GRIDS[headed]
        points = [dict(zip(grid, shares, strict=True)) for shares in itertools.product(*grid.values())]
        reached = [[ranked(task, weights_of(headed, point)) for task in tasks] for point in points]
        return cls(headed, tasks, points, np.array(reached))

    def best(self, without: str | None = None) -> int | None:
        """The place of the best point, by the tasks of all families but one."""
        used = [place for place, task in enumerate(self.tasks) if task.family != without]
        return int(np.argmax(self.reached[:, used].mean(axis=(1, 2)))) if used else None

    def show(self, as_json: bool) -> None:
        best = self.best()
        assert best is not None
        print("with titles" if self.headed else "without titles", json.dumps(self.points[best]))
        table = []
        for place, task in enumerate(self.tasks):
            held = self.best(without=task.family)
            shown = {
                "question alone": ranked(task, weights_of(self.headed, {})),
                "in use": ranked(task, in_use(self.headed)),
                "best": self.reached[best, place],
                "held out": None if held is None else self.reached[held, place],
            }
            cells = {name: None if one is None else f"{one[0]:.3f} {one[1]:.3f}" for name, one in shown.items()}
            table.append({"set": task.name, "questions": len(task.pools), **cells})
        titles = "with" if self.headed else "without"
        report(f"Recall@{K} and reciprocal rank in the pools, {titles} titles", table, as_json)


def leave_one_out(
    sets: Sequence[EvalSet],
    choices: Sequence[Choice],
    settings: Settings,
    embedder: LocalEmbeddings,
    limit: int,
    as_json: bool,
) -> None:
    """Recall of each set as searched, with the weights in use and with those that know nothing of it."""
    ways = {way.name: way for way in WAYS}
    table = []
    for data in sets:
        choice = next(one for one in choices if any(task.name == data.name for task in one.tasks))
        held = choice.best(without=family(data))
        if held is None:
            print(f"{data.name}: there is no other set to choose by")
            continue
        questions = spread(data.judged, limit)
        talks = [question.conversation for question in questions]
        with open_corpus(data, settings, embedder) as kb:
            found = {
                name: recalls(questions, [ways[name].search(kb, one, 3 * K).hits for one in questions])
                for name in SIMPLE
            }
            found["in use"] = recalls(questions, [asked(kb, one) for one in questions])
            with using(choice.headed, weights_of(choice.headed, choice.points[held])):
                found["held out"] = recalls(questions, [asked(kb, one) for one in questions])
        best = max(SIMPLE, key=lambda name: float(np.mean(found[name])))
        more = [mine - other for mine, other in zip(found["held out"], found[best], strict=True)]
        shown = {name: str(estimate(values, talks)) for name, values in found.items()}
        table.append({"set": data.name, "questions": len(questions), **shown, "best of three": best,
                      "held out − best": str(estimate(more, talks))})  # fmt: skip
    if table:
        report(f"Recall@{K} as searched", table, as_json)


def asked(kb: KnowledgeBase, question: Question) -> Sequence[Hit]:
    """Three passages for each document that counts, as kb searches without a model."""
    return kb.retrieve(question.text, 3 * K, question.history, rewrite=False).hits


def recalls(questions: Sequence[Question], found: Sequence[Sequence[Hit]]) -> list[float]:
    found_of = {one.id: documents_of(hits) for one, hits in zip(questions, found, strict=True)}
    values = ranking({one.id: one.right for one in questions}, found_of, (K,))[f"recall@{K}"]
    return [values[one.id] for one in questions]


@contextmanager
def using(headed: bool, weights: np.ndarray) -> Iterator[None]:
    """Searches use these weights, shape (views, measures), meanwhile."""
    rows = {view: weights[row].tolist() for row, view in enumerate(VIEWS)}
    with mock.patch.object(fusion, "WITH_HEADINGS" if headed else "WITHOUT_HEADINGS", rows):
        yield


def family(data: EvalSet) -> str:
    return data.name.split("-")[0]


def tasks_of(kb: KnowledgeBase, data: EvalSet, limit: int) -> Iterator[Task]:
    """The set's own questions, and conversations made from them where it has none."""
    questions = spread(data.judged, limit)
    yield from tasks_with(kb, data.name, family(data), questions)
    if any(question.history for question in questions):
        return
    few = spread(questions, limit // 2)
    for same, kind in ((False, "anything"), (True, "the same title")):
        made = list(made_up(data, few, same))
        if 2 * len(made) > len(few):
            yield from tasks_with(kb, f"{data.name} after {kind}", family(data), made)


def main() -> None:
    arguments = parse()
    settings = Settings.load(home=arguments.home)
    embedder = KnowledgeBase(settings).embedder
    sets = [read_set(folder) for folder in arguments.sets]
    tasks: list[Task] = []
    for data in sets:
        with open_corpus(data, settings, embedder) as kb:
            fill(kb, data)
            tasks += tasks_of(kb, data, arguments.limit)
    choices = []
    for headed in (True, False):
        if some := [task for task in tasks if task.headed == headed]:
            choices.append(Choice.of(headed, some))
            choices[-1].show(arguments.json)
    leave_one_out(sets, choices, settings, embedder, arguments.limit, arguments.json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sets", type=Path, nargs="+", help="folders with corpus.jsonl, queries.jsonl and qrels.tsv"
    )
    parser.add_argument("--limit", type=int, default=400, help="questions a set (default %(default)s)")
    parser.add_argument("--home", type=Path, help="keep the embedded documents here, and use them again")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
