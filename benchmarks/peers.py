"""How often the right document of a question in a conversation is found: by the search of `kb ask`, and by the
retrievers of LangChain, LlamaIndex and Haystack.

The sets are those of `kb eval`. All search the same passages by the same vectors; what differs is how words are
searched, how both are joined, and what is made of the turns before. The libraries leave those to a chat model, so
each is asked with the last turn alone, with the user's turn before it joined to it, and with a person's rewriting
where the set has one.

    python -m venv peers
    peers/bin/pip install langchain-classic langchain-community faiss-cpu rank-bm25 llama-index-core \\
        llama-index-retrievers-bm25 haystack-ai
    python benchmarks/peers.py SET … --home DIR --peer-python peers/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from measure import Row, report

from kb_assistant import KnowledgeBase
from kb_assistant.evaluate.corpus import documents_of, fill, open_corpus
from kb_assistant.evaluate.datasets import Question, read_set, spread
from kb_assistant.evaluate.metrics import estimate, ranking
from kb_assistant.evaluate.ways import OURS, WAYS
from kb_assistant.store import DOCUMENT_PREFIX

DEPTHS = (5, 10)
PASSAGES = 30
"""Passages that each retriever is asked for: several may come from one document."""

Ranked = Mapping[str, Sequence[str]]
"""Ids of documents, best first, by question."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET")
    parser.add_argument(
        "--home", type=Path, required=True, help="a home with the embedder; vectors are kept there"
    )
    parser.add_argument("--peer-python", required=True, help="Python of an environment with the libraries")
    parser.add_argument("--limit", type=int, help="most questions of a set, evenly spread [all]")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with KnowledgeBase.open(home=arguments.home) as home:
        for data in map(read_set, arguments.sets):
            with open_corpus(data, home.settings) as kb:
                fill(kb, data)
                questions = spread(data.judged, arguments.limit)
                rows, versions = compared(kb, questions, arguments.peer_python)
            report(f"{data.name}: {len(questions)} questions ({versions})", rows, arguments.json)


def compared(kb: KnowledgeBase, questions: Sequence[Question], python: str) -> tuple[list[Row], str]:
    """A row for each way of searching, and the libraries' versions."""
    ours = next(way for way in WAYS if way.name == OURS)
    searched = {one.id: documents_of(ours.search(kb, one, PASSAGES).hits) for one in questions}
    forms = {form: texts for form, texts in asked(questions).items() if texts}
    found, versions = by_peers(kb, {text for texts in forms.values() for text in texts.values()}, python)
    peers = {
        f"{name}, {form}": {id_: answers[text] for id_, text in texts.items()}
        for form, texts in forms.items()
        for name, answers in found.items()
    }
    ways = {"kb": searched} | peers
    return [row(name, questions, ranked, searched) for name, ranked in ways.items()], versions


def asked(questions: Sequence[Question]) -> dict[str, dict[str, str]]:
    """What the libraries are asked, by form and question."""
    before = {one.id: one.history[-1].question if one.history else "" for one in questions}
    rewritten = {one.id: one.rewrite or one.text for one in questions}
    return {
        "last turn": {one.id: one.text for one in questions},
        "joined": {one.id: f"{before[one.id]} {one.text}".strip() for one in questions},
        "human rewrite": rewritten if any(one.rewrite for one in questions) else {},
    }


def by_peers(kb: KnowledgeBase, texts: Iterable[str], python: str) -> tuple[dict[str, dict[str, list[str]]], str]:
    """Documents found for each text, best first, by retriever; and the versions of the libraries."""
    wanted = sorted(texts)
    with kb.store.read() as snapshot:
        ids = [int(text_id) for text_id in snapshot.live_ids()]
        passages = [text.embedded for text in snapshot.texts(ids)]
        vectors = snapshot.vectors(ids)
        documents = {
            str(text_id): list(dict.fromkeys(chunk.source.removeprefix(DOCUMENT_PREFIX) for chunk in chunks))
            for text_id, chunks in snapshot.chunks_of_texts(ids).items()
        }
    work = {
        "passages": [{"id": str(id_), "text": text} for id_, text in zip(ids, passages, strict=True)],
        "questions": wanted,
        "depth": PASSAGES,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "work.json").write_text(json.dumps(work), encoding="utf-8")
        np.save(folder / "passages.npy", vectors)
        np.save(folder / "questions.npy", kb.embedder.encode_queries(wanted))
        script = Path(__file__).with_name("peer_retrievers.py")
        alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        subprocess.run([python, str(script), name], check=True, env=alone, stdout=subprocess.DEVNULL)
        told = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    found = {
        retriever: {
            text: list(dict.fromkeys(document for id_ in ids for document in documents[id_]))
            for text, ids in zip(wanted, answers, strict=True)
        }
        for retriever, answers in told["found"].items()
    }
    return found, ", ".join(f"{name} {version}" for name, version in told["versions"].items())


def row(name: str, questions: Sequence[Question], ranked: Ranked, ours: Ranked) -> Row:
    """The measures of one way, and how much more `kb` finds, question by question."""
    right = {one.id: one.right for one in questions}
    conversations = [one.conversation for one in questions]
    values, best = ranking(right, ranked, DEPTHS), ranking(right, ours, DEPTHS)
    recall, ndcg = f"recall@{DEPTHS[0]}", f"ndcg@{DEPTHS[1]}"
    more = [best[recall][one.id] - values[recall][one.id] for one in questions]
    told = {
        measure: estimate([values[measure][one.id] for one in questions], conversations)
        for measure in (recall, ndcg)
    }
    gain = estimate(more, conversations)
    return {
        "way": name,
        **{measure: f"{value.mean:.3f} ({value.low:.2f}–{value.high:.2f})" for measure, value in told.items()},
        "kb − it": "" if ranked is ours else f"{gain.mean:+.3f} ({gain.low:+.2f} to {gain.high:+.2f})",
    }


if __name__ == "__main__":
    main()
