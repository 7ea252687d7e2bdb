"""A large index against exact search: build, memory, recall and latency, and again after deletions and additions.

Fills a store with clustered vectors. Questions are stored vectors with noise, others than those the index is tuned
with; the truth is a matrix product with all vectors. Exact search, which serves smaller stores, is timed in turns
with the approximate one over the same vectors and questions. Each index is made in a process of its own, for its
peak of memory; after the changes the approximate one is made from its file of the state before.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
from measure import in_turns, quantile, report
from numpy.typing import NDArray
from vectors import DIMENSION, RandomEmbeddings, clustered_vectors, unit_vectors

import kb_assistant.index.vector_index
from kb_assistant.index.vector_index import VectorIndex, import_faiss
from kb_assistant.store import KnowledgeStore, NewChunk, Snapshot, Source, SQLiteStore, Text

CHUNKS_A_SOURCE = 1000
KINDS = ("exact", "approximate")
K = 50


def add(store: KnowledgeStore, numbers: range) -> None:
    """A source of CHUNKS_A_SOURCE texts for each number."""
    for number in numbers:
        chunks = [NewChunk(Text("", f"text {number}.{place}")) for place in range(CHUNKS_A_SOURCE)]
        rows = clustered_vectors(CHUNKS_A_SOURCE, seed=number)
        vectors = {chunk.text.hash: row.tobytes() for chunk, row in zip(chunks, rows, strict=True)}
        with store.write(RandomEmbeddings.fingerprint) as transaction:
            transaction.put_source(Source(f"/{number}", "", "", "", "", False, ""), chunks, vectors)


def remove(store: KnowledgeStore, numbers: range) -> None:
    with store.write() as transaction:
        for number in numbers:
            transaction.remove_source(f"/{number}")
        transaction.purge_orphaned()


def choose(kind: str) -> None:
    """Have indexes of this kind made, whatever their size."""
    kb_assistant.index.vector_index.EXACT_MOST = 10**12 if kind == "exact" else 0


def make(home: Path, kind: str) -> tuple[float, float]:
    """Seconds and the peak of memory in MB it takes to bring the index file to the store's state."""
    choose(kind)
    import_faiss()
    store = SQLiteStore(home / "kb.sqlite")
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    with store.read() as snapshot:
        VectorIndex(home / kind).save(snapshot)
    taken = time.perf_counter() - started
    # getrusage's peak starts with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    return taken, (peak - before) / 1e6


def nearest(snapshot: Snapshot, questions: NDArray[np.float32]) -> NDArray[np.int64]:
    """Ids of the K texts nearest to each question, (n, K)."""
    ids = snapshot.live_ids()
    parts = np.array_split(ids, max(1, len(ids) // CHUNKS_A_SOURCE))
    scores = np.hstack([questions @ snapshot.vectors(part.tolist()).T for part in parts])
    return ids[np.argsort(-scores, axis=1)[:, :K]]


def rows_of(state: str, home: Path, questions: NDArray[np.float32]) -> Iterator[dict[str, object]]:
    """A row for each kind of index over the store as it is."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        made = pool.starmap(make, [(home, kind) for kind in KINDS], chunksize=1)
    indexes = [VectorIndex(home / kind) for kind in KINDS]
    with SQLiteStore(home / "kb.sqlite").read() as snapshot:
        truth = nearest(snapshot, questions)
        for kind, index in zip(KINDS, indexes, strict=True):
            choose(kind)
            index.load(snapshot)
        found = [[index.search(snapshot, row[None], K)[0] for row in questions] for index in indexes]
        turns = [itertools.cycle(questions[:, None]) for _ in indexes]
        asked = [
            lambda index=index, turn=turn: index.search(snapshot, next(turn), K)
            for index, turn in zip(indexes, turns, strict=True)
        ]
        times = in_turns(asked, len(questions))
        facts = [index.describe(snapshot) or {} for index in indexes]
    for taken, answers, fact, (seconds, megabytes) in zip(times, found, facts, made, strict=True):
        yield {
            "state": state,
            "kind": fact["kind"],
            "vectors": fact["vectors"],
            "made s": seconds,
            "peak MB": megabytes,
            **{f"recall@{depth}": recall(answers, truth, depth) for depth in (10, K)},
            "p50 ms": quantile(taken, 0.5) * 1000,
            "p95 ms": quantile(taken, 0.95) * 1000,
            "p50 / exact": quantile(taken, 0.5) / quantile(times[0], 0.5),
            "lists": fact.get("lists"),
            "read": fact.get("lists_read"),
            "said recall@10": fact.get("recall@10"),
        }


def recall(answers: list[list[tuple[int, float]]], truth: NDArray[np.int64], depth: int) -> float:
    """Share of the `depth` nearest that was found among as many."""
    shares = [
        len({text_id for text_id, _ in row[:depth]} & set(near[:depth].tolist())) / depth
        for row, near in zip(answers, truth, strict=True)
    ]
    return sum(shares) / len(shares)


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="kb-large-") as home:
        run(arguments, Path(home))


def run(arguments: argparse.Namespace, home: Path) -> None:
    total = arguments.vectors // CHUNKS_A_SOURCE
    store = SQLiteStore(home / "kb.sqlite", create=True)
    with store.write() as transaction:
        transaction.put_meta("embedder", RandomEmbeddings.fingerprint)
    add(store, range(total))
    # Of the sources in the middle, which no change below touches.
    stored = clustered_vectors(CHUNKS_A_SOURCE, seed=total // 2)[: arguments.questions]
    noisy = stored + 0.5 * unit_vectors(len(stored), seed=1)
    questions = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    rows = list(rows_of("built", home, questions))
    fifth = total // 5
    remove(store, range(fifth))
    rows += rows_of("a fifth deleted", home, questions)
    add(store, range(total, total + fifth))
    rows += rows_of("a fifth added", home, questions)
    store.close()
    report(f"Search for {K} of vectors of {DIMENSION} numbers, {len(questions)} questions", rows, arguments.json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=300_000, help="how many (default %(default)s)")
    parser.add_argument("--questions", type=int, default=200, help="how many, at most 1000 (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
