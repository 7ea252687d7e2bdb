"""PostgreSQL beside SQLite, in one run on one machine: how fast sources are committed, how long searches take.

    python benchmarks/stores.py --chunks 100000

The server is the system's or the wheel's (tests/postgres_server.py), on the loopback device, with its usual
promises to the disk. Vectors are hashes of words, so that no model is in the figures; they have 384 numbers.
Rounds of the two stores alternate.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.store import NewChunk, Source, Text
from tests.fakes import HashEmbeddings
from tests.postgres_server import PostgresServer

CHUNKS_A_SOURCE = 20
WORDS = 60
VOCABULARY = 20_000
QUESTIONS = 40


def words(draw: random.Random, count: int) -> str:
    """Words as they are spread in texts: a few everywhere, most rare."""
    return " ".join(f"word{int(VOCABULARY ** draw.random())}" for _ in range(count))


def sources(count: int) -> Iterator[tuple[Source, list[NewChunk]]]:
    draw = random.Random(0)
    for number in range(count // CHUNKS_A_SOURCE):
        path = f"/docs/{number % 100}/{number}.md"
        chunks = [
            NewChunk(Text(f"Part {seq}", words(draw, WORDS)), lines=(seq, seq)) for seq in range(CHUNKS_A_SOURCE)
        ]
        yield Source(path, f"{number:064}", "recipe", "", "", False, "2026-01-01", len(chunks)), chunks


def fill(kb: KnowledgeBase, parts: list[tuple[Source, list[NewChunk]]], vectors: dict[bytes, bytes]) -> float:
    """Commit sources, each in its transaction. Returns the seconds."""
    fingerprint = kb.embedder.fingerprint
    began = time.perf_counter()
    for source, chunks in parts:
        with kb.store.write(fingerprint) as transaction:
            transaction.put_source(source, chunks, {chunk.text.hash: vectors[chunk.text.hash] for chunk in chunks})
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5, help="of the questions")
    given = parser.parse_args()
    embedder = HashEmbeddings(dimension=384)
    server = PostgresServer.start(durable=True)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            stores = {"sqlite": "sqlite", "postgresql": server.address}
            bases = {
                name: KnowledgeBase(Settings(home=Path(scratch) / name, store=store), embedder=embedder)  # type: ignore[arg-type]
                for name, store in stores.items()
            }
            print(json.dumps(measure(bases, given.chunks, given.rounds), indent=1))
            for kb in bases.values():
                kb.close()
    finally:
        server.remove()


def measure(bases: dict[str, KnowledgeBase], chunks: int, rounds: int) -> dict[str, object]:
    filled = dict.fromkeys(bases, 0.0)
    for kb in bases.values():
        with kb.writing_documents():
            pass
    batch: list[tuple[Source, list[NewChunk]]] = []
    every = list(sources(chunks))
    for start in range(0, len(every), 250):
        batch = every[start : start + 250]
        texts = [chunk.text for _, part in batch for chunk in part]
        rows = next(iter(bases.values())).embedder.encode_passages([text.embedded for text in texts])
        vectors = {text.hash: row.astype("<f4").tobytes() for text, row in zip(texts, rows, strict=True)}
        for name, kb in bases.items():
            filled[name] += fill(kb, batch, vectors)
    draw = random.Random(1)
    questions = [words(draw, 6) for _ in range(QUESTIONS)]
    found = {name: [[hit.id for hit in kb.search(one)] for one in questions[:5]] for name, kb in bases.items()}
    took: dict[str, list[float]] = {name: [] for name in bases}
    for _round in range(rounds):
        fresh = [f"{one} {words(draw, 1)}" for one in questions]  # nothing is remembered of them
        for name, kb in bases.items():
            for question in fresh:
                began = time.perf_counter()
                kb.search(question)
                took[name].append(1000 * (time.perf_counter() - began))
    medians = {name: statistics.median(times) for name, times in took.items()}
    rates = {name: chunks / seconds for name, seconds in filled.items()}
    return {
        "chunks": chunks,
        "same hits": found["sqlite"] == found["postgresql"],
        "search p50 ms": {name: round(value, 2) for name, value in medians.items()},
        "search, PostgreSQL : SQLite": round(medians["postgresql"] / medians["sqlite"], 2),
        "chunks committed a second": {name: round(value) for name, value in rates.items()},
        "commits, PostgreSQL : SQLite": round(rates["postgresql"] / rates["sqlite"], 2),
    }


if __name__ == "__main__":
    main()
