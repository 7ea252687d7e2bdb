"""Measures a reader on documents that it wasn't trained on.

python -m kb_assistant.training.reader.measure SET… --embedder FOLDER --weights FILE
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_assistant.errors import KBError
from kb_assistant.evaluate.datasets import EvalDocument, Question
from kb_assistant.evaluate.metrics import exact_match, token_f1
from kb_assistant.reader.reader import Reader, Reading
from kb_assistant.training.reader.train import held_out, tfidf_nearest
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


def measure(reader: Reader, folder: Path, limit: int, kept: Callable[[str, str], bool], seed: int = 0) -> Measured:
    """Measure on the documents of a set that `kept` accepts, by the set's name and the document's title or id."""
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
    scores, exact, firsts, held, missing = [], [], [], [], []
    for question, found in zip(answerable, near, strict=True):
        right = places[_document(question)]
        candidates = [right, *[place for place in found if place != right][: _CANDIDATES - 1]]
        readings = _read(reader, question, [documents[place] for place in candidates])
        start, end = readings[0].span
        said = documents[right].text[start:end]
        scores.append(token_f1(said, question.answers))
        exact.append(exact_match(said, question.answers))
        firsts.append(float(readings[0].relevance >= max(one.relevance for one in readings)))
        held.append(readings[0].answer)
    for question in others:
        missing.append(_read(reader, question, [documents[places[_document(question)]]])[0].answer)
    area, caught = _told_apart(np.array(held), np.array(missing))
    mean = [float(np.mean(values)) if values else float("nan") for values in (scores, exact, firsts)]
    return Measured(len(answerable), mean[0], mean[1], mean[2], area, caught)


def _document(question: Question) -> str:
    return question.context or next(iter(question.right), "")


def _read(reader: Reader, question: Question, documents: Sequence[EvalDocument]) -> list[Reading]:
    readings = reader.read(question.text, [(one.title, one.text) for one in documents])
    return [reading for reading in readings if reading]


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
