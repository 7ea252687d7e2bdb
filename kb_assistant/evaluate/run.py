"""One evaluation: searches and answers each question in each way and measures the results as values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kb_assistant.answering.reply import Reply
from kb_assistant.evaluate.answers import EXTRACT, Answers, Row, measure_answers, open_model
from kb_assistant.evaluate.corpus import documents_of
from kb_assistant.evaluate.datasets import EvalSet, Question, spread
from kb_assistant.evaluate.everyday import Everyday, measure_everyday
from kb_assistant.evaluate.held_out import HELD_OUT
from kb_assistant.evaluate.metrics import Estimate, estimate, ranking
from kb_assistant.evaluate.refusal import LATER_TURNS, NEAR_MISSES, Refusal
from kb_assistant.evaluate.spans import measure_spans
from kb_assistant.evaluate.ways import OURS, REWRITTEN, UNRANKED, WAYS, WITHOUT_WEIGHTS, Way
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.result import Retrieval
from kb_assistant.types import Turn

_PASSAGES = 3
"""Passages searched for each counted document: several may come from one document."""

_OPENINGS = 40
"""Most answered questions of a set that questions of other sets are asked after."""

_ANSWER = 50
"""Cost of answering a question, in searches, for the progress."""

Values = Mapping[str, Mapping[str, float]]
"""Values by question by measure."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How well one way of searching found the right documents.

    Attributes:
        total: The estimate of each measure over all questions.
        groups: The same over the questions of one turn or label, by "turn 2", "multi_turn: Follow-up" and so on.
        values: What each question got.
    """

    way: Way
    total: Mapping[str, Estimate]
    groups: Mapping[str, Mapping[str, Estimate]]
    values: Values

    def to_json(self) -> dict[str, Any]:
        return {
            "way": self.way.name,
            "about": self.way.about,
            **{name: found.to_json() for name, found in self.total.items()},
            "groups": {
                group: {name: found.to_json() for name, found in row.items()} for group, row in self.groups.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measurements on one set.

    Attributes:
        differences: How much more follow-ups gain than by the best of the ways without weights, by question.
    """

    name: str
    counts: Mapping[str, int]
    depths: tuple[int, ...]
    ways: tuple[Measured, ...]
    refusal: Refusal | None
    differences: tuple[Row, ...] = ()
    answers: tuple[Answers, ...] = ()
    everyday: tuple[Everyday, ...] = ()
    spans: tuple[Row, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "set": self.name,
            **self.counts,
            "depths": list(self.depths),
            "retrieval": [measured.to_json() for measured in self.ways],
            "differences": [row.to_json() for row in self.differences],
            "refusal": self.refusal.to_json() if self.refusal else None,
            "answers": [answers.to_json() for answers in self.answers],
            "everyday": [everyday.to_json() for everyday in self.everyday],
            "spans": [row.to_json() for row in self.spans],
        }


def evaluate(
    data: EvalSet,
    kb: KnowledgeBase,
    *,
    depths: Sequence[int] = (5, 10),
    limit: int | None = None,
    others: Sequence[EvalSet] = (),
    models: Sequence[str] = (),
    spans: bool = False,
    besides: Sequence[Way] = (),
    progress: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Measure retrieval, refusal and answers of a knowledge base that holds the set's documents.

    Args:
        depths: Numbers of top documents that count.
        limit: Most questions of each kind, evenly spread.
        others: Sets whose questions these documents don't answer; the set itself is ignored among them.
        models: Chat models that answer the questions with reference answers; everyday questions and dialogues
            are answered by `extract` if none is named.
        spans: Whether to measure the spans that answer; the set has a corpus.jsonl then.
        besides: Further ways of searching to compare.
        progress: Called with the share that is done.

    Raises:
        ModelError: one of the models is missing or can't answer.
    """
    asked, answered = spread(data.judged, limit), spread(data.answered, limit)
    ways = [way for way in (*_ways(kb), *besides) if any(way.fits(question) for question in asked)]
    wrong: dict[str, Sequence[Question]] = {}
    if data.unanswerable:
        wrong[NEAR_MISSES] = spread(data.unanswerable, limit)
    strange = [other for other in others if other.folder != data.folder]
    wrong |= {f"of {other.name}": spread(other.judged, limit) for other in strange}
    wrong |= _off_topic(kb, data, strange, limit)
    dialogues = spread(data.dialogues, limit)
    searches = len(asked) * (len(ways) + 1) + sum(map(len, wrong.values()))
    spanned = spread(_spanned(data), limit) if spans else ()
    models = models or ((EXTRACT,) if data.everyday else ())
    answers_asked = len(models) * (len(answered) + len(dialogues)) * _ANSWER
    done = _Done(searches + answers_asked + len(spanned) * _ANSWER, progress)

    def answer_done() -> None:
        done.add(_ANSWER)

    found = {way.name: [_search(kb, way, one, max(depths) * _PASSAGES, done) for one in asked] for way in ways}
    refusal = _refusal(kb, asked, wrong, done) if OURS in found else None
    answers, everyday = [], []
    for name in models:
        if data.everyday:
            everyday.append(measure_everyday(answered, dialogues, kb, name, answer_done))
        else:
            answers.append(measure_answers(answered, kb, name, answer_done))
    found_spans = measure_spans(spanned, _texts(data, spanned), kb, done=answer_done) if spanned else ()
    measured = tuple(_measure(way, asked, found[way.name], depths) for way in ways)
    return Evaluation(
        data.name,
        _counts(kb, asked),
        tuple(depths),
        measured,
        refusal,
        tuple(_differences(measured, asked, depths[0])),
        tuple(answers),
        tuple(everyday),
        found_spans,
    )


def _spanned(data: EvalSet) -> tuple[Question, ...]:
    return tuple(question for question in data.answered if question.right) if data.corpus.is_file() else ()


def _texts(data: EvalSet, questions: Sequence[Question]) -> dict[str, str]:
    """The texts of the right documents, by id."""
    wanted = {document for question in questions for document in question.right}
    return {document.id: document.text for document in data.documents() if document.id in wanted}


def _off_topic(
    kb: KnowledgeBase, data: EvalSet, others: Sequence[EvalSet], limit: int | None
) -> dict[str, Sequence[Question]]:
    """First questions of other sets, asked as the second and as the third turn after answered ones of this set."""
    firsts = {other.name: spread(_firsts(other), limit) for other in others}
    openings = _openings(kb, _firsts(data)) if any(firsts.values()) else ()
    return {
        f"of {name}, {later}": [
            replace(question, history=_before(openings, place, turns)) for place, question in enumerate(questions)
        ]
        for name, questions in firsts.items()
        for turns, later in enumerate(LATER_TURNS, start=1)
        if questions and len(openings) >= turns
    }


def _firsts(data: EvalSet) -> tuple[Question, ...]:
    return tuple(question for question in data.judged if not question.history)


def _openings(kb: KnowledgeBase, questions: Sequence[Question]) -> tuple[Turn, ...]:
    """Turns that the knowledge base answers, by quotes."""
    model = open_model(kb, EXTRACT)
    replies = (Reply(kb.as_chain(chat_model=model), one.text) for one in spread(questions, _OPENINGS))
    return tuple(reply.turn for reply in replies if not reply.refused)


def _before(openings: Sequence[Turn], place: int, turns: int) -> tuple[Turn, ...]:
    return tuple(openings[(place + back) % len(openings)] for back in range(turns))


def _ways(kb: KnowledgeBase) -> Iterator[Way]:
    yield from WAYS
    if kb.settings.rewrite != "off":
        yield REWRITTEN
    if kb.settings.reranker:
        yield UNRANKED


class _Done:
    """Reports the progress towards `total`."""

    def __init__(self, total: int, progress: Callable[[float], None]) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def add(self, amount: int = 1) -> None:
        self._done += amount
        self._progress(self._done / self._total)


def _search(kb: KnowledgeBase, way: Way, question: Question, k: int, done: _Done) -> Retrieval:
    found = way.search(kb, question, k)
    done.add()
    return found


def _refusal(
    kb: KnowledgeBase, asked: Sequence[Question], wrong: Mapping[str, Sequence[Question]], done: _Done
) -> Refusal:
    """Search each question as a user would ask it: with more passages than usual the evidence differs."""
    ours = next(way for way in WAYS if way.name == OURS)

    def evidence(questions: Sequence[Question]) -> list[float]:
        return [_search(kb, ours, one, kb.settings.k, done).evidence for one in questions]

    others = {name: evidence(questions) for name, questions in wrong.items()}
    return Refusal(evidence(asked), others, kb.thresholds.refuse_below, kb.thresholds.uncertain_below)


def _counts(kb: KnowledgeBase, asked: Sequence[Question]) -> dict[str, int]:
    state = kb.status()
    return {
        "documents": state["sources"],
        "chunks": state["chunks"],
        "questions": len(asked),
        "follow-ups": sum(bool(question.history) for question in asked),
    }


def _measure(
    way: Way, questions: Sequence[Question], found: Sequence[Retrieval], depths: Sequence[int]
) -> Measured:
    right = {question.id: question.right for question in questions}
    ranked = {question.id: documents_of(one.hits) for question, one in zip(questions, found, strict=True)}
    values = ranking(right, ranked, depths)
    groups: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        for name in question.groups:
            groups[name].append(question)
    return Measured(
        way,
        _estimates(values, questions),
        {name: _estimates(values, members) for name, members in sorted(groups.items())},
        values,
    )


def _differences(ways: Sequence[Measured], questions: Sequence[Question], depth: int) -> Iterator[Row]:
    """Recall of the weighed ways, less that of the best one without weights."""
    measure = f"recall@{depth}"
    plain = [one for one in ways if one.way.name in WITHOUT_WEIGHTS]
    if len(plain) < len(WITHOUT_WEIGHTS):
        return
    best = max(plain, key=lambda one: one.total[measure].mean)
    for one in ways:
        if one.way.name in (OURS, HELD_OUT):
            mine, theirs = one.values[measure], best.values[measure]
            more = [(question, mine[question.id] - theirs[question.id]) for question in questions]
            about = "how much more is found than by the best way without weights, question by question"
            yield Row.of(f"{one.way.name} − {best.way.name}", about, {measure: more})


def _estimates(values: Values, questions: Sequence[Question]) -> dict[str, Estimate]:
    conversations = [question.conversation for question in questions]
    return {
        name: estimate([found[question.id] for question in questions], conversations)
        for name, found in values.items()
    }
