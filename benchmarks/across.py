#!/usr/bin/env python
"""Questions in one language, documents in the other: python benchmarks/across.py EN ZH --strange SET ...

EN and ZH hold the same Markdown files in English and Chinese. Of some of them (--files) the headings and the first
sentences under them are put, in either language, as questions to the documents in either: how often the right file
is among the first five, and how many are refused. SETs are folders of evaluation sets whose questions these
documents don't answer: how many of theirs are refused.

With --fit a logistic model of evidence across languages is fitted to what was seen: first questions alone, so that
its weight of follow-ups is 0.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from measure import report

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.evaluate.datasets import read_set, spread
from kb_assistant.retrieval.fusion import fuse
from kb_assistant.retrieval.relevance import CROSS_LINGUAL, REFUSE, TOP, cross_lingual_features
from kb_assistant.retrieval.searcher import foreign_texts
from kb_assistant.text.language import language_of

_SECTION = re.compile(r"^(#{1,3}) (.+)$\n+([^\n#|`>:*!<{-][^\n]*)?", re.M)
_NOT_TEXT = re.compile(r"\A---\n.*?\n---\n|```.*?```", re.S)
_MARKS = re.compile(r"[`*\[\]]|\([^)]*\)|\{.*?\}")
_SENTENCE_END = re.compile(r"(?<=[。！？])|(?<=[.!?]) ")


@dataclass(frozen=True)
class Asked:
    """A question put to documents; `file` is the one that is right, "" where none is."""

    documents: str
    language: str
    file: str
    found: bool
    refused: bool
    signs: dict[str, float] | None


def questions(text: str) -> Iterator[str]:
    """Headings under the file's title, and the first sentences under them."""
    title = ""
    for level, heading, after in _SECTION.findall(_NOT_TEXT.sub("", text)):
        name = _MARKS.sub("", heading).strip()
        title = name if len(level) == 1 else title
        yield name if name == title else f"{title}: {name}"
        yield _SENTENCE_END.split(_MARKS.sub("", after))[0].strip()


def put(kb: KnowledgeBase, documents: str, question: str, file: str) -> Asked:
    searcher = kb.searcher()
    found = searcher.search(question, k=5, read=True)
    views, pool = searcher.measure(question)
    best = fuse(views, pool).text_ids[:TOP]
    with kb.store.read() as snapshot:
        foreign = foreign_texts(snapshot, views.language, best)
    signs = cross_lingual_features(views, pool, foreign, kb.embedder.encode_queries) if foreign else None
    right = bool(file) and any(Path(hit.source).as_posix().endswith(f"/{file}") for hit in found.hits)
    language = language_of(question)
    return Asked(documents, language, file, right, found.evidence < REFUSE, signs)


def fit(asked: Sequence[Asked]) -> dict[str, float]:
    """Weights of the signs; those that found their file count as much as all that no file answers."""
    from sklearn.linear_model import LogisticRegression

    rows = [one for one in asked if one.signs and one.documents != one.language and (one.found or not one.file)]
    model = LogisticRegression(C=100, max_iter=5000, fit_intercept=False, class_weight="balanced")
    model.fit(
        [[one.signs[name] for name in CROSS_LINGUAL] for one in rows if one.signs], [one.found for one in rows]
    )
    return dict(zip(CROSS_LINGUAL, model.coef_[0].round(2).tolist(), strict=True))


def table(asked: Sequence[Asked]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for documents, language in product(("en", "zh"), repeat=2):
        some = [one for one in asked if (one.documents, one.language) == (documents, language)]
        own, strange = [one for one in some if one.file], [one for one in some if not one.file]
        rows.append(
            {
                "documents": documents,
                "questions": language,
                "asked": len(own),
                "recall@5": float(np.mean([one.found for one in own])),
                "refused": float(np.mean([one.refused for one in own])),
                "strange": len(strange),
                "strange refused": float(np.mean([one.refused for one in strange])),
            }
        )
    return rows


def main() -> None:
    arguments = parse()
    folders = {"en": arguments.en, "zh": arguments.zh}
    chance = random.Random(5)
    names = [{path.relative_to(folder) for path in folder.rglob("*.md")} for folder in folders.values()]
    files = sorted(chance.sample(sorted(names[0] & names[1]), arguments.files))
    own = [
        (question, file.as_posix())
        for folder in folders.values()
        for file in files
        for question in few(list(questions((folder / file).read_text("utf-8"))), chance)
    ]
    strange = [
        (question.text, "")
        for folder in arguments.strange
        for question in spread([one for one in read_set(folder).judged if not one.history], arguments.limit)
    ]
    asked = []
    with TemporaryDirectory() as made:
        home = arguments.home or Path(made)
        for documents, folder in folders.items():
            with KnowledgeBase(Settings.load(home=home, kb=documents)) as kb:
                kb.ingest([folder / file for file in files])
                asked += [put(kb, documents, question, file) for question, file in (*own, *strange)]
    report("Documents and questions, each in English and Chinese", table(asked), arguments.json)
    if arguments.fit:
        print(json.dumps(fit(asked)))


def few(found: Sequence[str], chance: random.Random) -> list[str]:
    """Two at most, none that is too short to mean anything."""
    fit_in = [text for text in found if len(text) >= (6 if language_of(text) == "zh" else 20)]
    return chance.sample(fit_in, min(2, len(fit_in)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("en", type=Path, help="Markdown files in English")
    parser.add_argument("zh", type=Path, help="the same files in Chinese")
    parser.add_argument("--strange", type=Path, nargs="*", default=[], help="sets of other questions")
    parser.add_argument("--files", type=int, default=110, help="files to take (default %(default)s)")
    parser.add_argument("--limit", type=int, default=60, help="questions a set (default %(default)s)")
    parser.add_argument("--fit", action="store_true", help="fit the model of evidence across languages")
    parser.add_argument("--home", type=Path, help="keep the embedded documents here, and use them again")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
