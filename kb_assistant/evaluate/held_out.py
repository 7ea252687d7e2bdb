"""Leave one set out: earlier turns weighed by shares that all other sets choose, to see what holds on a new one.

The question's own weights (kb_assistant/retrieval/fusion.py) stay. What was said before gets shares of them from
a grid: those whose mean of recall and reciprocal rank in the pools that `kb` orders, averaged over the sets, is
best; recall alone would put first what the last answer told. Sets without conversations lend made-up ones, which
show where history misleads. Sets with titles also count as if they had none.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kb_assistant.evaluate.datasets import EvalSet, Question, spread
from kb_assistant.evaluate.ways import Way
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.fusion import IN_USE, MEASURES, FusionWeights, Pool, features
from kb_assistant.retrieval.query_views import QueryViews
from kb_assistant.retrieval.result import Retrieval
from kb_assistant.store import DOCUMENT_PREFIX
from kb_assistant.types import Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HELD_OUT = "held out"
"""The name of the way that searches with the weights chosen by the other sets."""

_VIEWS = ("question", "asked", "told", "question 1", "answer 1")
_GRIDS: Mapping[bool, Mapping[str, Sequence[float]]] = {
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
"""Shares of the question's weights, and the weight of a heading, with titles and without."""

_DEPTH = 5
_MOST_TURNS = 3
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")

Shares = Mapping[str, float]


@dataclass
class _Task:
    """Questions to one set's documents: the features of the pool of each, shape (n, views, measures), the
    documents of its texts, and which are right.

    Attributes:
        family: What the names of sets of one collection begin with: they are left out together.
    """

    family: str
    headed: bool = True
    pools: list[NDArray[np.float32]] = field(default_factory=list)
    documents: list[list[str]] = field(default_factory=list)
    wanted: list[frozenset[str]] = field(default_factory=list)

    def reached(self, weights: NDArray[np.float64]) -> float:
        """The mean of recall and reciprocal rank with these weights, shape (views, measures)."""
        import numpy as np

        values = []
        for pool, names, wanted in zip(self.pools, self.documents, self.wanted, strict=True):
            order = np.argsort(-(pool.reshape(len(pool), -1) @ weights.ravel()), kind="stable")
            best = list(dict.fromkeys(names[place] for place in order))
            values.append(len(wanted & set(best[:_DEPTH])) / len(wanted))
            values.append(next((1 / rank for rank, name in enumerate(best, start=1) if name in wanted), 0.0))
        return float(np.mean(values)) if values else 0.0


class HeldOut:
    """What each set tells about the weights of earlier turns; `add` the sets, then ask for the `way` of each."""

    def __init__(self) -> None:
        self._tasks: list[_Task] = []
        self._reached: dict[bool, NDArray[np.float64]] = {}

    def add(
        self,
        data: EvalSet,
        kb: KnowledgeBase,
        limit: int | None = None,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Measure the pools of a set's questions, and of conversations made from them where it has none.

        Args:
            kb: Holds the set's documents.
            limit: Most questions, evenly spread.
            progress: Called with the share that is done.
        """
        if not data.corpus.is_file():
            return  # files of one's own, and dialogues
        questions = spread(data.judged, limit)
        kinds: list[Sequence[Question]] = [questions]
        if not any(question.history for question in questions):
            few = spread(questions, len(questions) // 2)
            made = [list(made_up(data, few, same_title=same)) for same in (False, True)]
            kinds += [one for one in made if 2 * len(one) > len(few)]
        for done, kind in enumerate(kinds, start=1):
            task = _measured(kb, _family(data), kind)
            self._tasks.append(task)
            if task.headed:
                self._tasks.append(_measured(kb, task.family, kind, headed=False))
            progress(done / len(kinds))
        self._reached.clear()

    def way(self, data: EvalSet) -> Way | None:
        """Search as `kb ask` does, with the weights that the other sets choose; None if there is no other set."""
        chosen = {headed: self.chosen(headed, without=data) for headed in (True, False)}
        if not any(chosen.values()):
            return None
        weights = FusionWeights(
            *(_rows(headed, shares) if shares else _in_use(headed) for headed, shares in chosen.items())
        )

        def search(kb: KnowledgeBase, question: Question, k: int) -> Retrieval:
            searcher = kb.searcher().weighted(weights)
            return searcher.search(question.text, question.history, k, rewrite=False, read=True)

        return Way(HELD_OUT, "as kb ask searches, earlier turns weighed as all other sets choose", search)

    def chosen(self, headed: bool, without: EvalSet | None = None) -> Shares | None:
        """The best shares for an index with titles or without, by all families of sets but one's; None without
        any."""
        tasks = [task for task in self._tasks if task.headed == headed]
        used = [place for place, task in enumerate(tasks) if not without or task.family != _family(without)]
        if not used:
            return None
        points = _points(headed)
        if headed not in self._reached:
            self._reached[headed] = _table(headed, points, tasks)
        return points[int(self._reached[headed][:, used].mean(axis=1).argmax())]


def made_up(data: EvalSet, questions: Sequence[Question], same_title: bool) -> Iterator[Question]:
    """Questions of a set without conversations, after one to three others: about anything, or about documents of
    the same title. Seeded."""
    chance = random.Random(1)
    texts = {document.id: document for document in data.documents()}
    by_title = defaultdict(list)

    def title(question: Question) -> str:
        return texts[next(iter(question.right))].title or question.id

    for one in data.judged:
        by_title[title(one) if same_title else ""].append(one)
    for question in questions:
        others = [one for one in by_title[title(question) if same_title else ""] if one.id != question.id]
        past = chance.sample(others, min(chance.randint(1, _MOST_TURNS), len(others)))
        turns = [Turn(one.text, _answering(texts[next(iter(one.right))].text, one.answers)) for one in past]
        if turns:
            yield replace(question, history=tuple(turns))


def _answering(text: str, answers: Sequence[str]) -> str:
    """The sentence that holds the answer; else the answer."""
    return next((part for part in _SENTENCE.split(text) if answers and answers[0] in part), *answers[:1] or [""])[
        :400
    ]


def _family(data: EvalSet) -> str:
    return data.name.split("-")[0]


def _measured(kb: KnowledgeBase, family: str, questions: Sequence[Question], headed: bool | None = None) -> _Task:
    """The task of these questions; as if nothing had headings, if `headed` is False."""
    import numpy as np

    searcher, task = kb.searcher(), _Task(family)
    for question in questions:
        views, pool = searcher.measure(question.text, question.history, headed)
        if not pool.text_ids:
            continue
        task.headed = pool.headed
        values = _features(views, pool).astype(np.float32)
        if not pool.headed:
            values[:, :, MEASURES.index("heading")] = 0
        task.pools.append(values)
        task.documents.append(_documents(kb, pool))
        task.wanted.append(frozenset(question.right))
    return task


def _features(views: QueryViews, pool: Pool) -> NDArray[np.float64]:
    """The features of a pool, shape (n, views, measures); 0 for views that the conversation lacks."""
    import numpy as np

    found = features(views, pool, _VIEWS)
    empty = np.zeros((len(pool.text_ids), len(MEASURES)))
    return np.stack([found.get(view, empty) for view in _VIEWS], axis=1)


def _documents(kb: KnowledgeBase, pool: Pool) -> list[str]:
    with kb.store.read() as snapshot:
        places = snapshot.chunks_of_texts(pool.text_ids)
    return [places[text_id][0].source.removeprefix(DOCUMENT_PREFIX) for text_id in pool.text_ids]


def _points(headed: bool) -> list[dict[str, float]]:
    grid = _GRIDS[headed]
    return [dict(zip(grid, shares, strict=True)) for shares in itertools.product(*grid.values())]


def _table(headed: bool, points: Sequence[Shares], tasks: Sequence[_Task]) -> NDArray[np.float64]:
    """What each point of the grid reaches on each task, shape (points, tasks)."""
    import numpy as np

    rows = [_matrix(_rows(headed, point)) for point in points]
    return np.array([[task.reached(row) for task in tasks] for row in rows])


def _in_use(headed: bool) -> Mapping[str, Sequence[float]]:
    return IN_USE.with_headings if headed else IN_USE.without_headings


def _rows(headed: bool, shares: Shares) -> dict[str, list[float]]:
    """Weights of each measure by view: the question's own, and shares of them."""
    own = list(_in_use(headed)["question"])
    rows = {view: [0.0] * len(MEASURES) for view in _VIEWS} | {"question": own}
    for name, share in shares.items():
        view, what = name.rsplit(" ", 1)
        for measure in ("share", "match") if what == "words" else (what,):
            place = MEASURES.index(measure)
            rows[view][place] = share if what == "heading" else share * own[place]
    return rows


def _matrix(rows: Mapping[str, Sequence[float]]) -> NDArray[np.float64]:
    import numpy as np

    return np.array([rows[view] for view in _VIEWS])
