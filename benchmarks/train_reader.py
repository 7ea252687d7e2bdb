"""What a reader gains by training on a set of questions that it has never seen, and what it loses of the old.

    python benchmarks/train_reader.py SET --home DIR --learn 220 --hold 100

SET is in BEIR's form, such as KdConv travel; DIR holds multilingual-e5-small. Documents are parted, so that no
question is measured on a document that was learned. Two minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kb_assistant.evaluate.datasets import EvalDocument, Question
from kb_assistant.models.adapters import AdapterHome
from kb_assistant.models.home import ModelHome
from kb_assistant.training.reader.asked import Asked
from kb_assistant.training.reader.examples import tfidf_nearest
from kb_assistant.training.reader.measure import passage_of
from kb_assistant.training.reader.own import ReaderJob, train_reader
from kb_assistant.training.reader.written import open_set

PASSAGES = 5
LONGEST = 120
"""Characters of the longest fact that may be marked."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--learn", type=int, default=220)
    parser.add_argument("--hold", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measured", type=int, default=100)
    options = parser.parse_args()
    asked = list(_asked(options.set))
    named = sorted({one for one, _question in asked})
    random.Random(options.seed).shuffle(named)
    held = frozenset(named[: len(named) // 3])
    parts: dict[bool, list[Asked]] = {False: [], True: []}
    random.Random(options.seed).shuffle(asked)
    for name, question in asked:
        parts[name in held].append(question)
    base = ModelHome(options.home / "models").get("multilingual-e5-small", "embedder")
    with tempfile.TemporaryDirectory() as folder:
        job = ReaderJob(
            "benchmark", base, parts[False][: options.learn], parts[True][: options.hold], "set", options.epochs,
            options.rate, options.seed, measured=options.measured,
        )  # fmt: skip
        outcome = train_reader(job, AdapterHome(Path(folder)))
    assert outcome is not None
    told = {"kept": outcome.adapter is not None, "own": outcome.own.to_json(), "usual": outcome.usual.to_json()}
    print(json.dumps(told, indent=2))


def _asked(folder: Path) -> Iterator[tuple[str, Asked]]:
    """The document's name and the question, for those whose answer stands in it."""
    read = open_set(folder)
    documents = list(read.documents())
    places = {one.id: place for place, one in enumerate(documents)}
    questions = [one for one in read.questions if one.answerable and len(one.right) == 1 and len(one.history) < 3]
    texts = [" ".join([*(turn.question for turn in one.history), one.text]) for one in questions]
    near = tfidf_nearest(texts, [f"{one.title}\n{one.text}" for one in documents], PASSAGES)
    facts = _facts(folder)
    for question, found in zip(questions, near, strict=True):
        right = places[next(iter(question.right))]
        answer = _answer(question, documents[right], facts.get(question.id, ()))
        if not answer:
            continue
        others = [place for place in found if place != right and answer not in documents[place].text]
        kept = [right, *others][:PASSAGES]
        earlier = tuple(text for turn in question.history for text in (turn.question, turn.answer))
        passages = tuple(passage_of(documents[place]) for place in kept)
        yield (
            documents[right].id,
            Asked(question.text, earlier, passages, 0, (answer,), tuple(range(1, len(kept)))),
        )


def _facts(folder: Path) -> dict[str, list[str]]:
    """The facts that each question's answer uses, where the set names them."""
    rows = map(json.loads, (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["id"]: [fact[-1] for fact in row.get("facts", ())] for row in rows}


def _answer(question: Question, document: EvalDocument, facts: list[str] | tuple[str, ...]) -> str:
    possible = [*question.answers, *facts]
    return next((one for one in possible if one in document.text and 0 < len(one) <= LONGEST), "")


if __name__ == "__main__":
    main()
