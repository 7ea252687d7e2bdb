"""Measures a reader on documents that it wasn't trained on.

python -m kb_assistant.training.reader.measure SET… --embedder FOLDER --weights FILE
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_assistant.errors import KBError
from kb_assistant.evaluate.datasets import EvalDocument, Question
from kb_assistant.evaluate.metrics import exact_match, token_f1
from kb_assistant.reader.reader import Reader
from kb_assistant.training.reader.asked import Asked
from kb_assistant.training.reader.examples import held_out, tfidf_nearest
from kb_assistant.training.reader.written import open_set

_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one set.

    Attributes:
        questions: Number of answerable questions.
        f1: Mean F1 of the likeliest span in the right document.
        exact: Share of spans that equal a reference answer.
        first: Share of questions whose right document comes first among _CANDIDATES, the others being the nearest
            by words.
        area: Area under the curve of telling answerable from unanswerable questions by the document that they
            were written for; NaN if the set has only one kind.
        caught: Share of the unanswerable questions below the score that a twentieth of the answerable ones is
            below.
    """

    questions: int
    f1: float
    exact: float
    first: float
    area: float
    caught: float

    def to_json(self) -> dict[str, float | None]:
        """The figures, None for those that the set doesn't give."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: None if math.isnan(value) else round(value, 4) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Scores:
    """What a reader says, question by question, in their order.

    Attributes:
        f1, exact: Of the likeliest span in the right passage; NaN where no answer is known.
        first: 1 where no other passage is more relevant than the right one, else 0.
        held: Logit of the answer, for the right passages,
        missing: and for questions that aren't answered the largest one.
    """

    f1: list[float]
    exact: list[float]
    first: list[float]
    held: list[float]
    missing: list[float]

    @property
    def values(self) -> list[float]:
        """Of each question with an answer: how far the right passage comes first, and is marked rightly."""
        pairs = zip(self.first, self.f1, strict=True)
        return [first if math.isnan(f1) else (first + f1) / 2 for first, f1 in pairs]

    def summed(self) -> Measured:
        """The figures of all of them."""
        mean = [_mean(values) for values in (self.f1, self.exact, self.first)]
        area, caught = _told_apart(np.array(self.held), np.array(self.missing))
        return Measured(len(self.first), mean[0], mean[1], mean[2], area, caught)


def scores(reader: Reader, asked: Sequence[Asked]) -> Scores:
    """Read the passages of each question."""
    found = Scores([], [], [], [], [])
    for one in asked:
        readings = [reading for reading in reader.read(one.question, one.passages, one.earlier) if reading]
        if one.right is None:
            found.missing.append(max(reading.answer for reading in readings))
            continue
        right = readings[one.right]
        found.first.append(float(right.relevance >= max(reading.relevance for reading in readings)))
        found.held.append(right.answer)
        said = one.passages[one.right][1][slice(*right.span)]
        found.f1.append(token_f1(said, one.answers) if one.answers else math.nan)
        found.exact.append(exact_match(said, one.answers) if one.answers else math.nan)
    return found


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def measure(reader: Reader, folder: Path, limit: int, kept: Callable[[str, str], bool], seed: int = 0) -> Measured:
    """Measure on the documents of a set that `kept` accepts, by the set's name and the document's title or id."""
    return scores(reader, asked_of_set(folder, limit, kept, seed)).summed()


def asked_of_set(folder: Path, limit: int, kept: Callable[[str, str], bool], seed: int = 0) -> list[Asked]:
    """Questions of a set without turns before: those that are answered, each with its document and the nearest
    others, then those that aren't, with the document that they were written for; at most `limit` of each."""
    read = open_set(folder)
    documents = [one for one in read.documents() if kept(folder.name, one.title or one.id)]
    places = {one.id: place for place, one in enumerate(documents)}
    asked = [one for one in read.questions if not one.history and _document(one) in places]
    random.Random(seed).shuffle(asked)
    answerable = [one for one in asked if one.answerable and one.answers][:limit]
    others = [one for one in asked if not one.answerable][:limit]
    near = tfidf_nearest(
        [one.text for one in answerable], [f"{d.title}\n{d.text}" for d in documents], _CANDIDATES
    )
    made = []
    for question, found in zip(answerable, near, strict=True):
        right = places[_document(question)]
        candidates = [right, *[place for place in found if place != right][: _CANDIDATES - 1]]
        passages = [passage_of(documents[place]) for place in candidates]
        made.append(Asked(question.text, (), tuple(passages), 0, tuple(question.answers), ()))
    for question in others:
        passages = [passage_of(documents[places[_document(question)]])]
        made.append(Asked(question.text, (), tuple(passages), None, (), (0,)))
    return made


def passage_of(document: EvalDocument) -> tuple[str, str]:
    """Heading and body."""
    return document.title, document.text


def _document(question: Question) -> str:
    return question.context or next(iter(question.right), "")


def _told_apart(held: NDArray[np.float64], missing: NDArray[np.float64]) -> tuple[float, float]:
    if not len(held) or not len(missing):
        return float("nan"), float("nan")
    above = (held[:, None] > missing[None]).mean() + 0.5 * (held[:, None] == missing[None]).mean()
    return float(above), float((missing < np.quantile(held, 0.05)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--titles", nargs="*", help="measure on these titles instead of the held-out tenth")
    options = parser.parse_args()
    reader = Reader(options.embedder, options.weights)

    def kept(name: str, title: str) -> bool:
        return title in options.titles if options.titles else held_out(name, title)

    try:
        for folder in options.sets:
            print(folder.name, measure(reader, folder, options.limit, kept), flush=True)
    except KBError as error:
        parser.error(f"{error.message} {error.hint}")


if __name__ == "__main__":
    main()
