"""Recall and refusal on a set of documents, questions and judgements, with the installed embedder.

A set is a folder with corpus.jsonl (id, text, perhaps title), queries.jsonl (id, text, perhaps history) and
qrels.tsv (question, document, score; a header line). Each document becomes a text file that `kb ingest` reads and
splits; a passage counts for the documents that hold it. Recall@k is the share of a question's right documents
among its k best passages. The questions are searched as they stand, and as `kb` searches them: with the turns
before them as well. `kb` refuses where nothing it found bears on the question; it should for the questions of
other sets, and for those of this set that no document answers.

Between "from" and "to" lie 95 % of the means of 2,000 bootstrap samples of the questions. Questions of one
conversation resemble each other, so the truth may lie a little further off; where all are 0 or 1 it says nothing.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import report
from texts import rows

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.history import turns
from kb_assistant.retrieve import Retrieval
from kb_assistant.types import Turn

DEPTHS = (5, 10)
SAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the turns before it, and the ids of the documents that answer it."""

    text: str
    history: tuple[Turn, ...]
    right: frozenset[str]


def questions(folder: Path) -> list[Question]:
    right: defaultdict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, document, score = line.split("\t")
        if float(score) > 0:
            right[question].add(document)
    return [
        Question(row["text"], turns(row.get("history") or ()), frozenset(right[row["id"]]))
        for row in rows(folder / "queries.jsonl")
    ]


def spread(asked: Sequence[Question], limit: int) -> list[Question]:
    """At most `limit` of them, evenly spread."""
    count = min(limit, len(asked))
    return [asked[place * len(asked) // count] for place in range(count)]


def write_documents(corpus: Path, folder: Path) -> dict[str, str]:
    """A text file for each document; equal ones share one. Returns the files by document id."""
    folder.mkdir(parents=True, exist_ok=True)
    names: dict[str, str] = {}
    files: dict[str, str] = {}
    for row in rows(corpus):
        title, text = row.get("title") or "", row["text"]
        whole = text if text.startswith(title) else f"{title}\n\n{text}"
        files[row["id"]] = names.setdefault(whole, str(folder / f"{len(names):06}.txt"))
    for left in {str(file) for file in folder.iterdir()} - set(names.values()):
        Path(left).unlink()
    for whole, name in names.items():
        Path(name).write_text(whole, encoding="utf-8")
    return files


def recall(found: Retrieval, right: Collection[str], k: int) -> float:
    """Share of the right files among the k best passages."""
    held = {path for hit in found.hits[:k] for path in (hit.source, *hit.also_in)}
    return len(held & set(right)) / len(right)


def with_interval(name: str, values: Sequence[float]) -> dict[str, float]:
    """The mean, and the bounds that 95 % of bootstrap means lie within."""
    draws = np.random.default_rng(0).integers(len(values), size=(SAMPLES, len(values)))
    low, high = np.quantile(np.asarray(values, float)[draws].mean(axis=1), (0.025, 0.975))
    return {name: float(np.mean(values)), f"{name} from": float(low), f"{name} to": float(high)}


def recall_row(name: str, found: Sequence[Retrieval], right: Sequence[Collection[str]]) -> dict[str, object]:
    row: dict[str, object] = {"searched": name}
    for k in DEPTHS:
        row |= with_interval(f"@{k}", [recall(one, files, k) for one, files in zip(found, right, strict=True)])
    return row


def refusal_row(name: str, found: Sequence[Retrieval]) -> dict[str, object]:
    refused = with_interval("refused", [not one.relevant for one in found])
    return {"questions": name, "asked": len(found), **refused}


def main() -> None:
    arguments = parse()
    home = arguments.home or Path(tempfile.mkdtemp(prefix="kb-retrieval-"))
    try:
        embedder = KnowledgeBase.open().embedder
        settings = Settings.load(home=home, kb=arguments.set.resolve().name)
        with KnowledgeBase(settings, embedder=embedder) as kb:
            run(kb, arguments, write_documents(arguments.set / "corpus.jsonl", home / "sets" / settings.kb))
    finally:
        if arguments.home is None:
            shutil.rmtree(home)


def run(kb: KnowledgeBase, arguments: argparse.Namespace, files: Mapping[str, str]) -> None:
    done = kb.ingest(kb.settings.home / "sets" / kb.settings.kb)
    if done.failed:
        raise SystemExit(f"{done.failed} documents can't be read.")

    def search(asked: Sequence[Question], history: bool = True) -> list[Retrieval]:
        return [kb.retrieve(one.text, max(DEPTHS), one.history if history else ()) for one in asked]

    every = questions(arguments.set)
    answered = spread([one for one in every if one.right], arguments.limit)
    unanswered = spread([one for one in every if not one.right], arguments.limit)
    right = [{files[document] for document in one.right} for one in answered]
    told = search(answered)
    table = [recall_row("the last turn alone", search(answered, history=False), right)]
    if later := sum(bool(one.history) for one in answered):
        table.append(recall_row("with the turns before, as kb does", told, right))
    report(
        f"Recall: {len(answered)} questions, {later} with turns before them, to {len(files):,} documents,"
        f" {kb.status()['chunks']:,} chunks",
        table,
        arguments.json,
    )
    refusals = [refusal_row("its own, with an answer", told)]
    if unanswered:
        refusals.append(refusal_row("its own, without an answer", search(unanswered)))
    for other in arguments.others:
        found = search(spread(questions(other), arguments.limit))
        refusals.append(refusal_row(f"of {other.resolve().name}", found))
    report("Refusal", refusals, arguments.json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="a folder with corpus.jsonl, queries.jsonl and qrels.tsv")
    parser.add_argument("--others", type=Path, nargs="+", default=[],
                        help="sets whose questions these documents don't answer")  # fmt: skip
    parser.add_argument("--limit", type=int, default=400,
                        help="questions of each kind, evenly spread (default %(default)s)")  # fmt: skip
    parser.add_argument("--home", type=Path, help="keep the embedded documents here, and use them again")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
