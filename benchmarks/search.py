"""Time of a search, over real texts: p50 and p95 of each part, against 40 ms.

Fills a knowledge base with passages of the given texts and vectors made of their words, as to embed so many takes
hours, then searches with real questions: the model in --models embeds them, for the time it takes, and vectors of
words stand in for what it gives. A question with turns before it is asked as in a chat, after the turn before it
was searched for, which isn't timed; and then anew by a process that has seen none of them.

Peers on the same data: an exact matrix product in NumPy beside the dense part, and an FTS5 query of all tokens
beside the keyword part, which reads rare tokens first and stops. The overlap says what that stop costs: the share
of the ten best of the full list that the shorter one has among its ten best, and among all it gives.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from measure import in_turns, quantile, report
from numpy.typing import NDArray
from texts import Question, passages, questions
from vectors import RandomEmbeddings, unit_vectors, word_vectors

from kb_assistant import Settings
from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.index.vector_index import VectorIndex
from kb_assistant.model_folder import Model
from kb_assistant.models.home import ModelHome
from kb_assistant.retrieval.bm25 import WordIndex
from kb_assistant.retrieval.candidates import DEPTH
from kb_assistant.retrieval.query_views import query_views
from kb_assistant.retrieval.searcher import Searcher
from kb_assistant.store import KnowledgeStore, NewChunk, Source, SQLiteStore, Text

LIMIT_MS = 40.0
PARTS = ("embed", "dense", "keyword", "fuse", "passages")
CHUNKS_A_SOURCE = 1000
CHUNKS_A_SECTION = 8
HEADING_CHARACTERS = 24


def fill(store: KnowledgeStore, texts: Sequence[str], headed: bool) -> None:
    """Put the passages into the store, CHUNKS_A_SOURCE in a transaction, under headings made of some of them."""
    headings = [text[:HEADING_CHARACTERS] if headed else "" for text in texts[::CHUNKS_A_SECTION]]
    with store.write() as transaction:
        transaction.put_meta("embedder", RandomEmbeddings.fingerprint)
    for number, start in enumerate(range(0, len(texts), CHUNKS_A_SOURCE)):
        part = enumerate(texts[start : start + CHUNKS_A_SOURCE], start)
        chunks = [NewChunk(Text(headings[place // CHUNKS_A_SECTION], body)) for place, body in part]
        rows = word_vectors([chunk.text.embedded for chunk in chunks])
        vectors = {chunk.text.hash: row.tobytes() for chunk, row in zip(chunks, rows, strict=True)}
        source = Source(f"/texts/{number:04}.txt", f"{number}", "", "", "", False, "2025-01-01T00:00:00+00:00")
        with store.write(RandomEmbeddings.fingerprint) as transaction:
            transaction.put_source(source, chunks, vectors)
        if sys.stderr.isatty():
            print(f"\r{start + len(chunks):,} of {len(texts):,} passages", end="", file=sys.stderr)


class Questions:
    """Takes a real model's time for vectors of words."""

    fingerprint = RandomEmbeddings.fingerprint

    def __init__(self, model: Model) -> None:
        self.model = model
        self.forget()

    def forget(self) -> None:
        """As a new process would have it, but for loading the model."""
        self._embedder = LocalEmbeddings(self.model, "cpu")
        self._embedder.encode_queries(["ready"])

    def encode_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self._embedder.encode_queries(texts)
        return word_vectors(texts)


def ask_all(
    store: KnowledgeStore, index: VectorIndex, embedder: Questions, asked: Sequence[Question], k: int, fresh: bool
) -> dict[str, list[float]]:
    """Milliseconds of each part for each question."""
    times: dict[str, list[float]] = {part: [] for part in (*PARTS, "all")}
    embedder.forget()
    searcher = Searcher(store, index, embedder)
    for question in asked:
        if fresh:
            embedder.forget()
            searcher = Searcher(store, index, embedder)
        elif question.history:
            *before, last = question.history
            searcher.search(last.question, before, k)
        laps = searcher.search(question.text, question.history, k).seconds
        for part in PARTS:
            times[part].append(laps[part] * 1000)
        times["all"].append(sum(laps.values()) * 1000)
    return times


def rows_of(label: str, times: dict[str, list[float]]) -> Iterator[dict[str, object]]:
    for part, values in times.items():
        p50, p95 = quantile(values, 0.5), quantile(values, 0.95)
        share = p50 / LIMIT_MS if part == "all" else None
        yield {"questions": label, "part": part, "p50 ms": p50, "p95 ms": p95, "p50 / limit": share}


def dense_rows(store: KnowledgeStore, index: VectorIndex, rounds: int) -> Iterator[dict[str, object]]:
    """Our index against one matrix product with a partial sort, in turns."""
    with store.read() as snapshot:
        matrix = snapshot.vectors(snapshot.live_ids().tolist())
        for count in (1, 2):
            queries = unit_vectors(count, seed=count)

            def exact(queries: NDArray[np.float32] = queries) -> None:
                scores = queries @ matrix.T
                best = np.argpartition(-scores, DEPTH, axis=1)[:, :DEPTH]
                np.take_along_axis(scores, best, axis=1).sort(axis=1)

            def ours(queries: NDArray[np.float32] = queries) -> None:
                index.search(snapshot, queries, DEPTH)

            yield comparison(f"dense, {count} forms: ours / NumPy", *in_turns([ours, exact], rounds))


def keyword_rows(store: KnowledgeStore, asked: Sequence[Question]) -> Iterator[dict[str, object]]:
    """The keyword part against an FTS5 query of all tokens, in turns, and how far the two lists agree."""
    ours: list[float] = []
    peer: list[float] = []
    best: list[float] = []
    held: list[float] = []
    with store.read() as snapshot:
        total = len(snapshot.live_ids())
        for question in asked:
            views = query_views(question.text, question.history)
            for name in views.searched:
                tokens = views.words[name]
                started = time.perf_counter()
                pruned = [text_id for text_id, _ in WordIndex(snapshot, total).rank(tokens, DEPTH)]
                middle = time.perf_counter()
                full = keyword_search(snapshot.place, tokens, DEPTH)[:10]
                ours.append(middle - started)
                peer.append(time.perf_counter() - middle)
                if full:
                    best.append(len(set(full) & set(pruned[:10])) / len(full))
                    held.append(len(set(full) & set(pruned)) / len(full))
    overlap = {"top-10 overlap": sum(best) / len(best), f"in our {DEPTH}": sum(held) / len(held)}
    yield comparison("keyword: ours / all tokens", ours, peer) | overlap


def keyword_search(path: Path, tokens: Sequence[str], limit: int) -> list[int]:
    """Ids of the texts that hold any of the tokens, best first by FTS5's BM25."""
    match = " OR ".join('"' + token.replace('"', '""') + '"' for token in tokens)
    query = "SELECT rowid FROM keywords WHERE keywords MATCH ? ORDER BY rank LIMIT ?"
    with closing(sqlite3.connect(path)) as db:
        return [row[0] for row in db.execute(query, (match, limit))] if tokens else []


def comparison(name: str, ours: Sequence[float], peer: Sequence[float]) -> dict[str, object]:
    mine, other = quantile(ours, 0.5) * 1000, quantile(peer, 0.5) * 1000
    return {
        "pair": name,
        "ours p50 ms": mine,
        "peer p50 ms": other,
        "ours min": min(ours) * 1000,
        "peer min": min(peer) * 1000,
        "ratio p50": mine / other,
        "ratio p95": quantile(ours, 0.95) / quantile(peer, 0.95),
    }


def main() -> None:
    arguments = parse()
    home = arguments.home or Path(tempfile.mkdtemp(prefix="kb-search-"))
    try:
        run(arguments, home)
    finally:
        if arguments.home is None:
            shutil.rmtree(home)


def run(arguments: argparse.Namespace, home: Path) -> None:
    filled = home / "kb.sqlite"
    store = SQLiteStore(filled, create=True)
    with store.read() as snapshot:
        held = snapshot.counts()["texts"]
    if not held:
        texts = passages(arguments.text, arguments.characters, arguments.chunks)
        started = time.perf_counter()
        fill(store, texts, not arguments.bare)
        held = len(texts)
        report("Fill", [{"passages": held, "seconds": time.perf_counter() - started}], arguments.json)
    index = VectorIndex(home / "index.cache")
    embedder = Questions(ModelHome(arguments.models).get(Settings.load().embedder, "embedder"))
    asked = questions(arguments.questions, arguments.count)
    ask_all(store, index, embedder, asked[:20], arguments.k, fresh=False)
    follow_ups = [question for question in asked if question.history]
    groups = {
        "alone": ([Question(question.text, ()) for question in asked], False),
        "follow-ups in a chat": (follow_ups, False),
        "follow-ups, nothing known": (follow_ups[:: len(follow_ups) // 30 + 1], True),
    }
    rows = [
        row
        for name, (group, fresh) in groups.items()
        if group
        for row in rows_of(f"{len(group)} {name}", ask_all(store, index, embedder, group, arguments.k, fresh))
    ]
    report(f"Search over {held:,} passages; limit {LIMIT_MS:g} ms for p50", rows, arguments.json)
    pairs = [*keyword_rows(store, asked), *dense_rows(store, index, arguments.rounds)]
    report("Against peers", pairs, arguments.json)
    store.close()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, nargs="+", required=True,
                        help='folders of .md and .txt files, .jsonl files with a field "text"')  # fmt: skip
    parser.add_argument("--questions", type=Path, nargs="+", required=True,
                        help='.jsonl files with a field "text", and "history" where there is one')  # fmt: skip
    parser.add_argument("--models", type=Path, default=Settings.load().models_dir,
                        help="models folder of a home (default %(default)s)")  # fmt: skip
    parser.add_argument("--chunks", type=int, default=100_000, help="passages (default %(default)s)")
    parser.add_argument("--characters", type=int, default=240,
                        help="longest Chinese passage; others four times that (default %(default)s)")  # fmt: skip
    parser.add_argument("--count", type=int, default=600, help="questions (default %(default)s)")
    parser.add_argument("--k", type=int, default=5, help="hits wanted (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of the dense pair (default %(default)s)")
    parser.add_argument("--bare", action="store_true", help="passages without headings")
    parser.add_argument("--home", type=Path, help="keep the filled store here, and use it again if it is there")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
