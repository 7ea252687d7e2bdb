"""Does a passage get found better when it is indexed with the last sentences of the one before it?

Takes a set of paragraphs with questions and answers (corpus.jsonl, queries.jsonl, qrels.tsv), joins the
paragraphs of one title into one document, splits these as `kb ingest` does, and looks for the passage that holds
the answer: by vectors, by keywords (BM25) and by both ranks joined (reciprocal rank fusion). The passages are the
same each time; only what is embedded and indexed of them grows, by at most a quarter of a passage.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measure import report
from numpy.typing import NDArray

from ingest.readers.blocks import Block, Content
from ingest.split import Splitter
from kb_assistant.embedding.local import LocalEmbeddings, open_embeddings
from kb_assistant.model_folder import describe
from kb_assistant.text import analyzer as keywords
from kb_assistant.text.boundaries import SENTENCE, cuts_of

_SHARE = 4  # of a passage, that what stands before it may take
_BEST = 5


class Passage(NamedTuple):
    title: str
    text: str
    start: int
    end: int
    goes_on: bool


class Question(NamedTuple):
    text: str
    right: frozenset[int]


def main() -> None:
    arguments = parse()
    embedder = open_embeddings(describe(arguments.model), "cpu")
    splitter = Splitter(embedder.count_tokens, arguments.chunk_tokens)
    documents, places = joined(arguments.folder, arguments.paragraphs)
    passages = [passage for title, text in documents.items() for passage in split(splitter, title, text)]
    questions = list(answerable(arguments.folder, passages, places, arguments.questions))
    asked = embedder.encode_queries([question.text for question in questions])
    rows = []
    for sentences in (0, 1, 2):
        texts = with_overlap(embedder, passages, sentences, arguments.chunk_tokens // _SHARE)
        vectors = np.zeros((len(texts), embedder.dimension), np.float32)
        for batch, found in embedder.encode_batches(texts):
            vectors[batch] = found
        rows.append({"sentences before": sentences, **measured(asked @ vectors.T, texts, questions)})
    report(
        f"{len(documents)} documents, {len(passages)} passages, {len(questions)} questions", rows, arguments.json
    )


def joined(folder: Path, most: int) -> tuple[dict[str, str], dict[str, tuple[str, int, int]]]:
    """Documents by title, and where each paragraph stands: title, start, end."""
    parts: dict[str, list[str]] = defaultdict(list)
    places: dict[str, tuple[str, int, int]] = {}
    for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()[:most]:
        row = json.loads(line)
        title, text = row["title"] or row["id"], row["text"].strip()
        start = sum(len(part) + 2 for part in parts[title])
        parts[title].append(text)
        places[row["id"]] = title, start, start + len(text)
    return {title: "\n\n".join(texts) for title, texts in parts.items()}, places


def split(splitter: Splitter, title: str, text: str) -> list[Passage]:
    found: list[Passage] = []
    for piece in splitter.split(Content(title, (Block(text),))):
        start = text.index(piece.text, found[-1].end if found else 0)
        found.append(Passage(title, piece.text, start, start + len(piece.text), bool(found)))
    return found


def answerable(
    folder: Path, passages: list[Passage], places: dict[str, tuple[str, int, int]], most: int
) -> list[Question]:
    """Questions of the paragraphs taken, each with the passages that hold an answer in its paragraph."""
    with (folder / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        paragraph = {row["query-id"]: row["doc-id"] for row in csv.DictReader(file, delimiter="\t")}
    found: list[Question] = []
    for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        place = places.get(paragraph.get(row["id"], ""))
        if place is None or len(found) >= most:
            continue
        title, start, end = place
        right = frozenset(
            index
            for index, one in enumerate(passages)
            if one.title == title and one.start < end and start < one.end
            and any(answer in one.text for answer in row.get("answers", ()))
        )  # fmt: skip
        if right:
            found.append(Question(row["text"], right))
    return found


def with_overlap(embedder: LocalEmbeddings, passages: list[Passage], sentences: int, most: int) -> list[str]:
    """What is embedded and indexed: title, the last sentences before where they aren't too long, text."""
    before = [""]
    for last, here in pairwise(passages):
        cuts = [0, *(offset for offset, rank in cuts_of(last.text, "prose") if rank <= SENTENCE)]
        tail = last.text[cuts[-min(sentences, len(cuts))] :] if sentences and here.goes_on else ""
        before.append(tail if tail and embedder.count_tokens([tail])[0] <= most else "")
    return [
        "\n".join(part for part in (one.title, tail, one.text) if part)
        for one, tail in zip(passages, before, strict=True)
    ]


def measured(scores: NDArray[np.float32], texts: list[str], questions: list[Question]) -> dict[str, float]:
    by_vectors = np.argsort(-scores, axis=1, kind="stable")
    by_words = np.argsort(-bm25(texts, questions), axis=1, kind="stable")
    row: dict[str, float] = {}
    for name, orders in (("vectors", by_vectors), ("words", by_words), ("both", fused(by_vectors, by_words))):
        ranks = [
            min(place for place, index in enumerate(order) if int(index) in question.right)
            for order, question in zip(orders, questions, strict=True)
        ]
        row[f"{name}: recall@{_BEST}"] = sum(rank < _BEST for rank in ranks) / len(ranks)
        row[f"{name}: MRR@10"] = sum(1 / (rank + 1) for rank in ranks if rank < 10) / len(ranks)
    return row


def bm25(texts: list[str], questions: list[Question]) -> NDArray[np.float64]:
    """Okapi BM25 with the product's tokens and its usual parameters, (questions, texts)."""
    bags = [Counter(keywords.analyze(text)) for text in texts]
    lengths = np.array([sum(bag.values()) for bag in bags])
    norms = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    holders: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, bag in enumerate(bags):
        for word, count in bag.items():
            holders[word].append((index, count))
    scores = np.zeros((len(questions), len(texts)))
    for row, question in enumerate(questions):
        for word in set(keywords.analyze(question.text)):
            rarity = math.log(1 + (len(texts) - len(holders[word]) + 0.5) / (len(holders[word]) + 0.5))
            for index, count in holders[word]:
                scores[row, index] += rarity * count * 2.2 / (count + norms[index])
    return scores


def fused(*orders: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cormack et al., Reciprocal Rank Fusion (2009), with its constant of 60."""
    total = sum(1 / (61 + np.argsort(order, axis=1)) for order in orders)
    return np.argsort(-np.asarray(total), axis=1, kind="stable")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds corpus.jsonl, queries.jsonl, qrels.tsv")
    parser.add_argument("--model", type=Path, required=True, help="folder of an embedding model")
    parser.add_argument("--paragraphs", type=int, default=500, help="the first so many (default %(default)s)")
    parser.add_argument("--questions", type=int, default=500, help="at most (default %(default)s)")
    parser.add_argument("--chunk-tokens", type=int, default=256, help="longest passage (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
