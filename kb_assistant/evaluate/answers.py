"""Measures answers against references: from the knowledge base, without its follow-ups, and without it.

Decoding is greedy, so that a run can be repeated. Each question is asked in all ways before the next question: the
model then reads its earlier turns once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from kb_assistant.answering.citations import CitedStream
from kb_assistant.answering.prompts import fit, form_for
from kb_assistant.evaluate.corpus import documents_of
from kb_assistant.evaluate.datasets import Question
from kb_assistant.evaluate.metrics import Estimate, estimate, exact_match, rouge_l, token_f1, words
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.llm.capabilities import count_tokens, prompt_tokens
from kb_assistant.llm.extract import ExtractChat
from kb_assistant.llm.open import open_chat_model
from kb_assistant.messages import _
from kb_assistant.text.marks import unmarked

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

EXTRACT = "extract"
"""The model that quotes; it is there without any download."""

OURS, LAST, ALONE = "kb", "last turn", "model alone"
"""Names of the ways of answering."""

ABOUT: Mapping[str, str] = {
    OURS: "as kb ask answers",
    LAST: "the last turn alone is searched; the prompt holds the turns before it as usual",
    ALONE: "no passages: the model has the turns before and the question",
}

COMPARED = ("f1", "exact match", "rouge-l")
"""The measures whose differences are reported."""

_QUOTES = _("It only quotes passages, so there is nothing that it could answer without them.")

Observed = Mapping[str, Sequence[tuple[Question, float]]]
"""Values by measure, each with its question: one per question, or one per citing sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        text: Without the marks of its citations.
        held: For each citing sentence, whether the cited passages support it.
        cited: The documents of each citation.
        refused: Whether it is a refusal.
    """

    text: str
    held: Sequence[bool] = ()
    cited: Sequence[Sequence[str]] = ()
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A line of results: a way of answering, or the difference between two of them.

    Attributes:
        total: The estimate of each measure.
        groups: The same for the questions of one turn or label.
    """

    name: str
    about: str
    total: Mapping[str, Estimate]
    groups: Mapping[str, Mapping[str, Estimate]]

    @classmethod
    def of(cls, name: str, about: str, observed: Observed) -> Row:
        groups: defaultdict[str, defaultdict[str, list[tuple[Question, float]]]]
        groups = defaultdict(lambda: defaultdict(list))
        for measure, seen in observed.items():
            for question, value in seen:
                for group in question.groups:
                    groups[group][measure].append((question, value))
        by_group = {group: _estimates(groups[group]) for group in sorted(groups)}
        return cls(name, about, _estimates(observed), by_group)

    def to_json(self) -> dict[str, Any]:
        return {
            "way": self.name,
            "about": self.about,
            **{measure: found.to_json() for measure, found in self.total.items()},
            "groups": {
                group: {measure: found.to_json() for measure, found in row.items()}
                for group, row in self.groups.items()
            },
        }


@dataclass(frozen=True, slots=True)
class Answers:
    """The results of one model.

    Attributes:
        count: Number of questions asked.
        ways: Quality of the answers of each way.
        differences: How much better "kb" is than each other way, question by question.
        note: What couldn't be asked, or "".
    """

    model: str
    count: int
    ways: tuple[Row, ...]
    differences: tuple[Row, ...]
    note: str

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "questions": self.count,
            "ways": [row.to_json() for row in self.ways],
            "differences": [row.to_json() for row in self.differences],
            "note": self.note,
        }


def open_model(kb: KnowledgeBase, name: str) -> BaseChatModel:
    """The chat model of that name, decoding greedily.

    Raises:
        ModelError: there is none.
    """
    return open_chat_model(kb.model_settings.but(model=name, temperature=0.0), kb.models, kb.embedder)


def measure_answers(
    questions: Sequence[Question],
    kb: KnowledgeBase,
    name: str,
    done: Callable[[], None] = lambda: None,
    model: BaseChatModel | None = None,
) -> Answers:
    """Ask questions that have reference answers, and measure the answers.

    Args:
        name: The chat model.
        done: Called after each question.
        model: That model, if it is open already; it should decode greedily.

    Raises:
        ModelError: the model is missing or can't answer.
    """
    model = model or open_model(kb, name)
    quotes = isinstance(model, ExtractChat)
    asked: dict[str, list[Answer]] = {way: [] for way in ABOUT if not (quotes and way == ALONE)}
    for question in questions:
        for way, answer in _answer(kb, model, question, tuple(asked)):
            asked[way].append(answer)
        done()
    seen = {way: _observe(questions, answers) for way, answers in asked.items()}
    return Answers(
        name,
        len(questions),
        tuple(Row.of(way, ABOUT[way], observed) for way, observed in seen.items()),
        tuple(_difference(seen[OURS], seen[way], way) for way in seen if way != OURS),
        _QUOTES if quotes else "",
    )


def _answer(
    kb: KnowledgeBase, model: BaseChatModel, question: Question, ways: Sequence[str]
) -> Iterator[tuple[str, Answer]]:
    if ALONE in ways:
        yield ALONE, _alone(kb, model, question)
    ours = _from_passages(kb, model, question, follow=True)
    yield OURS, ours
    yield LAST, _from_passages(kb, model, question, follow=False) if question.history else ours


def _from_passages(kb: KnowledgeBase, model: BaseChatModel, question: Question, follow: bool) -> Answer:
    found = kb.retrieve(question.text, history=question.history if follow else (), read=True)
    turn: dict[str, Any] = {"answer": ""}
    for piece in kb.as_chain(chat_model=model).answer(question.text, question.history, found):
        turn |= {**piece, "answer": turn["answer"] + piece.get("answer", "")}
    checked = CitedStream(turn["hits"])
    checked.feed(turn["answer"])
    checked.finish()
    cited = [documents_of((citation.hit,)) for citation in turn["citations"]]
    numbers = [citation.n for citation in turn["citations"]]
    return Answer(unmarked(turn["answer"], numbers), checked.held, cited, turn["refused"])


def _alone(kb: KnowledgeBase, model: BaseChatModel, question: Question) -> Answer:
    prompt = fit(
        question.text,
        (),
        question.history,
        partial(count_tokens, model),
        prompt_tokens(model, kb.settings),
        form=form_for(model, kb.settings),
    )
    return Answer(str(model.invoke(prompt.messages).text))


def _observe(questions: Sequence[Question], answers: Sequence[Answer]) -> Observed:
    both = list(zip(questions, answers, strict=True))
    of_answer: dict[str, Callable[[Question, Answer], float]] = {
        "f1": lambda question, answer: token_f1(answer.text, question.answers),
        "exact match": lambda question, answer: exact_match(answer.text, question.answers),
        "rouge-l": lambda question, answer: rouge_l(answer.text, question.answers),
        "words": lambda _, answer: len(words(answer.text)),
        "refused": lambda _, answer: answer.refused,
        "cites": lambda _, answer: bool(answer.held),
    }
    observed = {name: [(one, float(of(one, other))) for one, other in both] for name, of in of_answer.items()}
    observed["citation precision"] = [(one, float(held)) for one, other in both for held in other.held]
    observed["cites right document"] = [
        (one, float(any(document in one.right for document in documents)))
        for one, other in both
        for documents in other.cited
        if one.right
    ]
    return observed


def _difference(ours: Observed, others: Observed, way: str) -> Row:
    observed = {
        measure: [
            (question, mine - theirs)
            for (question, mine), (_, theirs) in zip(ours[measure], others[measure], strict=True)
        ]
        for measure in COMPARED
    }
    return Row.of(f"{OURS} − {way}", f"how much better {OURS} is, question by question", observed)


def _estimates(observed: Observed) -> dict[str, Estimate]:
    return {
        measure: estimate([value for _, value in seen], [question.conversation for question, _ in seen])
        for measure, seen in observed.items()
    }
