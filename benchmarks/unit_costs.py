"""What one chunk costs, from which docs/scale.md reckons: bytes in the store, and of FAISS's indexes bytes of
memory, microseconds of building, recall and latency.

The indexes are an inverted file over 8-bit codes, which is what this project builds, and HNSW graphs (Malkov and
Yashunin, TPAMI 2020) over float32 and over 8-bit codes. Vectors are clustered, questions are stored vectors with
noise, the truth is a matrix product. One index after another, in this process.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measure import quantile, report
from numpy.typing import NDArray
from vectors import DIMENSION, RandomEmbeddings, clustered_vectors, unit_vectors

from kb_assistant.index.vector_index import import_faiss
from kb_assistant.store import NewChunk, Source, SQLiteStore, Text

Vectors = NDArray[np.float32]

QUESTIONS, K = 200, 10
CHARACTERS = 800
"""Of a chunk: 256 tokens of English are about a thousand, headings included; many chunks are shorter."""


def store_bytes(chunks: int) -> list[dict[str, Any]]:
    """Bytes a chunk of a store: in all, its vector, and the rest, which is its text twice over in words."""
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlucmfw", k=chance.randint(2, 10))) for _ in range(30_000)]
    weights = [1 / (place + 10) for place in range(len(words))]  # as of a language: few are frequent
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kb.sqlite"
        store = SQLiteStore(path, create=True)
        with store.write() as transaction:
            transaction.put_meta("embedder", RandomEmbeddings.fingerprint)
        started = time.perf_counter()
        for source in range(chunks // 100):
            texts = [Text("", _body(chance, words, weights)) for _ in range(100)]
            rows = unit_vectors(len(texts), seed=source)
            vectors = {text.hash: row.tobytes() for text, row in zip(texts, rows, strict=True)}
            with store.write(RandomEmbeddings.fingerprint) as transaction:
                facts = Source(f"/docs/{source}.md", f"{source:064}", "", "", "", False, "2026-01-01")
                transaction.put_source(facts, [NewChunk(text) for text in texts], vectors)
        seconds = time.perf_counter() - started
        store.close()
        size = sum(file.stat().st_size for file in path.parent.iterdir())
    each = size / chunks
    return [
        {"store": f"SQLite, {chunks:,} chunks of {CHARACTERS} characters", "bytes a chunk": round(each),
         "of which its vector": 4 * DIMENSION, "the rest": round(each - 4 * DIMENSION),
         "chunks/s written": round(chunks / seconds)}
    ]  # fmt: skip


def _body(chance: random.Random, words: list[str], weights: list[float]) -> str:
    return " ".join(chance.choices(words, weights, k=CHARACTERS // 6))[:CHARACTERS]


def candidates(count: int) -> Iterator[tuple[str, Any]]:
    faiss = import_faiss()
    lists, inner = int(4 * count**0.5), faiss.METRIC_INNER_PRODUCT
    yield "IVF, 8-bit codes", faiss.index_factory(DIMENSION, f"IVF{lists},SQ8", inner)
    yield "HNSW 32, float32", faiss.index_factory(DIMENSION, "HNSW32,Flat", inner)
    yield "HNSW 32, 8-bit codes", faiss.index_factory(DIMENSION, "HNSW32,SQ8", inner)


def index_costs(vectors: Vectors, questions: Vectors, truth: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    """A row an index, at the first of its settings that finds .95 of the ten nearest, else at the last."""
    faiss = import_faiss()
    for name, index in candidates(len(vectors)):
        started = time.perf_counter()
        index.train(vectors[: 256 * max(256, getattr(index, "nlist", 0))])
        index.add(vectors)
        built = time.perf_counter() - started
        graph = name.startswith("HNSW")
        for effort in (32, 64, 128, 256, 512):
            if graph:
                index.hnsw.efSearch = effort
            else:
                index.nprobe = effort
            times, found = [], []
            for question in questions:
                began = time.perf_counter()
                found.append(index.search(question[None], K)[1][0])
                times.append(time.perf_counter() - began)
            recall = np.mean([len(set(one) & set(two)) / K for one, two in zip(found, truth, strict=True)])
            if recall >= 0.95:
                break
        yield {
            "index": name, "vectors": len(vectors), "bytes a vector": round(_size(faiss, index) / len(vectors)),
            "build µs a vector": round(built / len(vectors) * 1e6), "recall@10": round(float(recall), 3),
            "effort": effort, "p50 ms": round(quantile(times, 0.5) * 1e3, 2),
            "p95 ms": round(quantile(times, 0.95) * 1e3, 2),
        }  # fmt: skip


def _size(faiss: Any, index: Any) -> int:
    """Bytes of an index in memory, near enough: what it takes when it is written."""
    return len(faiss.serialize_index(index))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--vectors", type=int, default=100_000, help="1000000 takes half an hour and 8 GB")
    options.add_argument("--chunks", type=int, default=5_000, help="for the store")
    options.add_argument("--threads", type=int, default=0, help="0: all cores")
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    if chosen.threads:
        import_faiss().omp_set_num_threads(chosen.threads)
    report("a chunk in the store", store_bytes(chosen.chunks), chosen.json)
    blocks = [
        clustered_vectors(min(100_000, chosen.vectors), seed) for seed in range(-(-chosen.vectors // 100_000))
    ]
    vectors = np.concatenate(blocks)[: chosen.vectors]
    noise = unit_vectors(QUESTIONS, seed=9)
    near = vectors[np.random.default_rng(9).integers(0, len(vectors), QUESTIONS)] + 0.5 * noise
    questions = np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), np.float32)
    truth = np.argsort(-(questions @ vectors.T), axis=1)[:, :K]
    report("a vector in an index", list(index_costs(vectors, questions, truth)), chosen.json)


if __name__ == "__main__":
    main()
