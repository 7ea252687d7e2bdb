"""A large index against exact search: build, memory, recall and latency, and again after deletions and additions.

Fills a store with clustered vectors. Questions are stored vectors with noise, others than those the index is tuned
with; the truth is a matrix product with all vectors. Exact search, which serves smaller stores, is timed in turns
with the approximate one over the same vectors and questions. Each index is made in a process of its own, for its
peak of memory; after the changes the approximate one is made from its file of the state before. What an answering
process holds is measured in another one, after its searches.

With `--server` the store lies on a PostgreSQL server with pgvector (tests/postgres_server.py), whose index is a
third kind. Processor time is this program's and the server's together.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from measure import in_turns, quantile, report
from numpy.typing import NDArray
from vectors import DIMENSION, RandomEmbeddings, clustered_vectors, unit_vectors

import kb_assistant.index.vector_index
from kb_assistant.index.dense_index import DenseIndex, open_index
from kb_assistant.index.vector_index import import_faiss
from kb_assistant.store import KnowledgeStore, NewChunk, Snapshot, Source, Text
from kb_assistant.store.opening import open_store
from tests.postgres_server import PostgresServer

CHUNKS_A_SOURCE = 1000
K = 50


@dataclass(frozen=True)
class Place:
    """Where the store and the indexes lie.

    Attributes:
        store: The setting.
        kinds: Of the indexes.
        server: The process of the server, if there is one.
    """

    home: Path
    kinds: Sequence[str]
    store: str = "sqlite"
    server: int | None = None

    def opened(self, create: bool = False) -> KnowledgeStore:
        return open_store(self.store, self.home, "large", create)

    def index(self, kind: str) -> DenseIndex:
        """Have an index of this kind made, whatever the size."""
        kb_assistant.index.vector_index.EXACT_MOST = 10**12 if kind == "exact" else 0
        return open_index("server" if kind == "server" else "local", self.home / kind)

    def processor_seconds(self) -> float:
        """Of this process and of the server's, those that ended among them."""
        used = time.process_time()
        if self.server is not None:
            main = psutil.Process(self.server)
            ended = main.cpu_times()
            used += ended.children_user + ended.children_system
            for process in (main, *main.children()):
                with suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    used += times.user + times.system
        return used


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


def make(place: Place, kind: str) -> tuple[float, float, float]:
    """Seconds, those of processors, and the peak of memory in MB that it takes to bring the index to the store's
    state."""
    index = place.index(kind)
    if kind != "server":
        import_faiss()
    store = place.opened()
    before = psutil.Process().memory_info().rss
    started, used = time.perf_counter(), place.processor_seconds()
    index.save(store)
    taken = time.perf_counter() - started
    # getrusage's peak starts with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    return taken, place.processor_seconds() - used, (peak - before) / 1e6


def hold(place: Place, kind: str, questions: NDArray[np.float32]) -> tuple[float, float]:
    """MB that a process holds after its searches besides what it held with all modules loaded, and milliseconds of
    processors for each of them."""
    index = place.index(kind)
    if kind != "server":
        import_faiss().omp_set_num_threads(1)
    with place.opened().read() as snapshot:
        snapshot.vectors(snapshot.live_ids()[:10].tolist())
        before = psutil.Process().memory_info().rss
        index.load(snapshot)
        index.search(snapshot, questions[:1], K)
        used = place.processor_seconds()
        for question in questions:
            index.search(snapshot, question[None], K)
        used = place.processor_seconds() - used
    return (psutil.Process().memory_info().rss - before) / 1e6, used / len(questions) * 1000


def nearest(snapshot: Snapshot, questions: NDArray[np.float32]) -> NDArray[np.int64]:
    """Ids of the K texts nearest to each question, (n, K)."""
    ids = snapshot.live_ids()
    parts = np.array_split(ids, max(1, len(ids) // CHUNKS_A_SOURCE))
    scores = np.hstack([questions @ snapshot.vectors(part.tolist()).T for part in parts])
    return ids[np.argsort(-scores, axis=1)[:, :K]]


def rows_of(state: str, place: Place, questions: NDArray[np.float32]) -> Iterator[dict[str, object]]:
    """A row for each kind of index over the store as it is."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        made = pool.starmap(make, [(place, kind) for kind in place.kinds], chunksize=1)
        holding = pool.starmap(hold, [(place, kind, questions) for kind in place.kinds], chunksize=1)
    indexes = []
    with place.opened().read() as snapshot:
        truth = nearest(snapshot, questions)
        for kind in place.kinds:
            indexes.append(place.index(kind))
            indexes[-1].load(snapshot)
        found = [[index.search(snapshot, row[None], K)[0] for row in questions] for index in indexes]
        turns = [itertools.cycle(questions[:, None]) for _ in indexes]
        asked = [
            lambda index=index, turn=turn: index.search(snapshot, next(turn), K)
            for index, turn in zip(indexes, turns, strict=True)
        ]
        times = in_turns(asked, len(questions))
        facts = [index.describe(snapshot) or {} for index in indexes]
    for taken, answers, fact, making, (held, searching) in zip(times, found, facts, made, holding, strict=True):
        yield {
            "state": state,
            "kind": fact["kind"],
            "vectors": fact["vectors"],
            "made s": making[0],
            "made processor s": making[1],
            "peak MB": making[2],
            "held MB": held,
            **{f"recall@{depth}": recall(answers, truth, depth) for depth in (10, K)},
            "p50 ms": quantile(taken, 0.5) * 1000,
            "p95 ms": quantile(taken, 0.95) * 1000,
            "p50 / exact": quantile(taken, 0.5) / quantile(times[0], 0.5),
            "processor ms": searching,
            "lists": fact.get("lists"),
            "read": fact.get("lists_read", fact.get("examined")),
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
        if not arguments.server:
            run(arguments, Place(Path(home), arguments.kinds.split(",")))
            return
        server = PostgresServer.start(durable=True, pgvector=True)
        try:
            kinds = [*arguments.kinds.split(","), "server"]
            run(arguments, Place(Path(home), kinds, server.address, server.process))
        finally:
            server.remove()


def run(arguments: argparse.Namespace, place: Place) -> None:
    total = arguments.vectors // CHUNKS_A_SOURCE
    store = place.opened(create=True)
    with store.write() as transaction:
        transaction.put_meta("embedder", RandomEmbeddings.fingerprint)
    add(store, range(total))
    # Of the sources in the middle, which no change below touches.
    stored = clustered_vectors(CHUNKS_A_SOURCE, seed=total // 2)[: arguments.questions]
    noisy = stored + 0.5 * unit_vectors(len(stored), seed=1)
    questions = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    rows = list(rows_of("built", place, questions))
    if not arguments.built:
        rows += rows_after_changes(place, store, total, questions)
    store.close()
    report(f"Search for {K} of vectors of {DIMENSION} numbers, {len(questions)} questions", rows, arguments.json)


def rows_after_changes(
    place: Place, store: KnowledgeStore, total: int, questions: NDArray[np.float32]
) -> Iterator[dict[str, object]]:
    fifth = total // 5
    remove(store, range(fifth))
    yield from rows_of("a fifth deleted", place, questions)
    add(store, range(total, total + fifth))
    yield from rows_of("a fifth added", place, questions)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=300_000, help="how many (default %(default)s)")
    parser.add_argument("--questions", type=int, default=200, help="how many, at most 1000 (default %(default)s)")
    parser.add_argument("--kinds", default="exact,approximate", help="of indexes (default %(default)s)")
    parser.add_argument("--built", action="store_true", help="leave out the changes")
    parser.add_argument("--server", action="store_true", help="on a PostgreSQL server with pgvector")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
