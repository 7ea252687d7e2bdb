"""PostgreSQL beside SQLite, in one run on one machine: how fast sources are committed, how long searches take.

    python benchmarks/stores.py --chunks 100000

The server is the system's or the wheel's (tests/postgres_server.py), on the loopback device, with its usual
promises to the disk. Vectors are random, so that no model is in the figures; they have 384 numbers. The two stores
take turns. Beside other load look at the processor time, the server's included: it doesn't count what waits.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil

from ingest.run import WINDOW
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.store import NewChunk, Source, Text
from tests.fakes import HashEmbeddings
from tests.postgres_server import PostgresServer

CHUNKS_A_SOURCE = 20
WORDS = 60
VOCABULARY = 20_000
QUESTIONS = 40
DIMENSION = 384

IN_TURN = 140
"""Sources that one store commits before it is the other's turn."""

Part = tuple[Source, list[NewChunk]]


def words(draw: random.Random, count: int) -> str:
    """Words as they are spread in texts: a few everywhere, most rare."""
    return " ".join(f"word{int(VOCABULARY ** draw.random())}" for _ in range(count))


def sources(count: int) -> Iterator[Part]:
    draw = random.Random(0)
    for number in range(count // CHUNKS_A_SOURCE):
        path = f"/docs/{number % 100}/{number}.md"
        chunks = [
            NewChunk(Text(f"Part {seq}", words(draw, WORDS)), lines=(seq, seq)) for seq in range(CHUNKS_A_SOURCE)
        ]
        yield Source(path, f"{number:064}", "recipe", "", "", False, "2026-01-01", len(chunks)), chunks


def vectors_of(parts: list[Part], draw: np.random.Generator) -> dict[bytes, bytes]:
    """Random vectors of length 1, by the hash of the text."""
    rows = draw.standard_normal((sum(len(chunks) for _, chunks in parts), DIMENSION), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    texts = (chunk.text for _, chunks in parts for chunk in chunks)
    return {text.hash: row.tobytes() for text, row in zip(texts, rows, strict=True)}


def fill(kb: KnowledgeBase, parts: list[Part], vectors: dict[bytes, bytes]) -> None:
    """Commit sources as an ingest does: those of a window of texts in one transaction."""
    fingerprint, together = kb.embedder.fingerprint, -(-WINDOW // CHUNKS_A_SOURCE)
    with kb.writing_documents() as store:
        for start in range(0, len(parts), together):
            window = parts[start : start + together]
            given = {chunk.text.hash: vectors[chunk.text.hash] for _, chunks in window for chunk in chunks}
            with store.write(fingerprint) as transaction:
                transaction.put_sources(window, given)


class Meter:
    """Measures what one store does: seconds on the clock, and processor time of this process and of the server.

    Attributes:
        seconds, processor: So far, by the name of the store.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.seconds: Counter[str] = Counter()
        self.processor: Counter[str] = Counter()

    @contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        began, processor = time.perf_counter(), self._processor()
        yield
        self.seconds[name] += time.perf_counter() - began
        self.processor[name] += self._processor() - processor

    def _processor(self) -> float:
        """Seconds; the server's processes come and go."""
        main = psutil.Process(int((self._server.folder / "data" / "postmaster.pid").read_text().split()[0]))
        used = time.process_time() + sum(main.cpu_times()[2:4])
        for one in main.children():
            with suppress(psutil.NoSuchProcess):
                used += sum(one.cpu_times()[:2])
        return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5, help="of the questions")
    given = parser.parse_args()
    embedder = HashEmbeddings(dimension=DIMENSION)
    server = PostgresServer.start(durable=True)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            stores = {"sqlite": "sqlite", "postgresql": server.address}
            bases = {
                name: KnowledgeBase(Settings(home=Path(scratch) / name, store=store), embedder=embedder)  # type: ignore[arg-type]
                for name, store in stores.items()
            }
            found = measure_commits(bases, given.chunks, Meter(server))
            found |= measure_searches(bases, given.rounds, Meter(server))
            print(json.dumps(found, indent=1))
            for kb in bases.values():
                kb.close()
    finally:
        server.remove()


def measure_commits(bases: dict[str, KnowledgeBase], chunks: int, meter: Meter) -> dict[str, object]:
    draw, every = np.random.default_rng(0), list(sources(chunks))
    for start in range(0, len(every), IN_TURN):
        parts = every[start : start + IN_TURN]
        vectors = vectors_of(parts, draw)
        for name, kb in bases.items():
            with meter.measuring(name):
                fill(kb, parts, vectors)
    return {
        "chunks": chunks,
        "chunks committed a second": {name: round(chunks / seconds) for name, seconds in meter.seconds.items()},
        "processor ms a chunk": {name: round(1000 * used / chunks, 2) for name, used in meter.processor.items()},
        "commits, PostgreSQL : SQLite": round(meter.seconds["sqlite"] / meter.seconds["postgresql"], 2),
        "the same by processor time": round(meter.processor["sqlite"] / meter.processor["postgresql"], 2),
    }


def measure_searches(bases: dict[str, KnowledgeBase], rounds: int, meter: Meter) -> dict[str, object]:
    draw = random.Random(1)
    questions = [words(draw, 6) for _ in range(QUESTIONS)]
    found = {name: [[hit.id for hit in kb.search(one)] for one in questions[:5]] for name, kb in bases.items()}
    took: dict[str, list[float]] = {name: [] for name in bases}
    for _round in range(rounds):
        fresh = [f"{one} {words(draw, 1)}" for one in questions]  # nothing is remembered of them
        for name, kb in bases.items():
            with meter.measuring(name):
                for question in fresh:
                    began = time.perf_counter()
                    kb.search(question)
                    took[name].append(1000 * (time.perf_counter() - began))
    medians = {name: statistics.median(times) for name, times in took.items()}
    searches = rounds * QUESTIONS
    return {
        "same hits": found["sqlite"] == found["postgresql"],
        "search p50 ms": {name: round(value, 2) for name, value in medians.items()},
        "processor ms a search": {
            name: round(1000 * used / searches, 2) for name, used in meter.processor.items()
        },
        "search, PostgreSQL : SQLite": round(medians["postgresql"] / medians["sqlite"], 2),
        "search by processor time": round(meter.processor["postgresql"] / meter.processor["sqlite"], 2),
    }


if __name__ == "__main__":
    main()
