"""FAISS on a GPU against the CPU: the same texts and cosines, time of a search, of filters and of an update."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from findings import Findings
from measure import quantile
from numpy.typing import NDArray

from kb_assistant.index.flat import GPU_MOST, FlatIndex, import_faiss

DIMENSION = 384
SIZES = (100_000, 1_000_000)
Vectors = NDArray[np.float32]


class Texts:
    """What an index asks of a store: vectors by number, made as they are asked for."""

    dimension = DIMENSION

    def __init__(self, count: int) -> None:
        self.rows = unit(count, seed=0)

    def vectors(self, ids: list[int]) -> Vectors:
        return self.rows[np.asarray(ids, np.int64)]


def run(findings: Findings, dry: bool) -> None:
    faiss = findings.measure("faiss", import_faiss, lambda module: {"version": module.__version__})
    gpus = 0 if faiss is None else getattr(faiss, "get_num_gpus", int)()
    findings.note("GPUs that FAISS sees", gpus)
    for size in (2_000, 20_000) if dry else SIZES:
        texts = Texts(size)
        queries = unit(64, seed=1)
        findings.measure(f"torch, {size:,}", lambda: by_torch(texts.rows, queries, dry))  # noqa: B023
        if faiss is None or not (gpus or dry):
            findings.note(f"FAISS, {size:,}", "left out: no FAISS that sees a GPU")
            continue
        findings.measure(f"FAISS, {size:,}", lambda: compared(faiss, texts, size, queries))  # noqa: B023


def compared(faiss: Any, texts: Any, size: int, queries: Vectors) -> dict[str, Any]:
    """GPU against CPU over the first nine tenths of the texts, then with the last tenth added."""
    ids = np.arange(size * 9 // 10, dtype=np.int64)
    index = FlatIndex.of(texts, ids)

    def search(k: int, count: int = 1, allowed: NDArray[np.int64] | None = None) -> Callable[[int], Any]:
        return lambda n: index.search(texts, np.roll(queries, -n, axis=0)[:count], k, allowed)

    began = time.perf_counter()
    search(10)(0)
    found: dict[str, Any] = {"first search, copying to the GPU, s": time.perf_counter() - began}
    for k in (10, 50, min(GPU_MOST, len(ids))):
        here, there = search(k, 16)(0), None
        with on_the_cpu(faiss):
            there = search(k, 16)(0)
            cpu = milliseconds(search(k), 8)
        found[f"k={k}"] = agreement(here, there) | {"GPU ms": milliseconds(search(k), 40), "CPU ms": cpu}
    found["k=50, 16 questions at once, ms"] = milliseconds(search(50, 16), 20)
    more = min(GPU_MOST + 1, len(ids))
    found[f"k={more}, by the CPU, ms"] = milliseconds(search(more), 4)
    for share in (2, 100):
        found[f"one text in {share} allowed, ms"] = milliseconds(search(50, 1, ids[::share]), 8)
    began = time.perf_counter()
    index = index.updated(texts, np.arange(size // 10, size, dtype=np.int64))
    made = time.perf_counter()
    search(10)(0)
    found["update, a tenth gone and a tenth new, s"] = made - began
    found["first search after it, s"] = time.perf_counter() - made
    with on_the_cpu(faiss):
        there = search(50, 16)(0)
    found["after the update"] = agreement(search(50, 16)(0), there)
    return found


def by_torch(rows: Vectors, queries: Vectors, dry: bool) -> dict[str, Any]:
    """A product of matrices and its largest values: what a GPU does without FAISS."""
    import torch

    device = "cpu" if dry else "cuda"
    held, asked = torch.from_numpy(rows).to(device), torch.from_numpy(queries).to(device)

    def search(n: int) -> Any:
        best = torch.topk(asked[n % len(asked)][None] @ held.T, 50)
        return best.indices.cpu(), best.values.cpu()

    return {"k=50, ms": milliseconds(search, 40)}


def agreement(some: list[list[tuple[int, float]]], others: list[list[tuple[int, float]]]) -> dict[str, Any]:
    """How far two lists of neighbours are the same."""
    pairs = [pair for one, other in zip(some, others, strict=True) for pair in zip(one, other, strict=True)]
    ids = [[{number for number, _ in one} for one in both] for both in (some, others)]
    shared = [len(one & other) / len(one) for one, other in zip(*ids, strict=True)]
    return {
        "same ids": sum(shared) / len(shared),
        "same places": sum(one[0] == other[0] for one, other in pairs) / len(pairs),
        "largest difference of a cosine": max(abs(one[1] - other[1]) for one, other in pairs),
    }


@contextmanager
def on_the_cpu(faiss: Any) -> Iterator[None]:
    """Within it, the index finds no GPU."""
    before = getattr(faiss, "get_num_gpus", int)
    faiss.get_num_gpus = int
    try:
        yield
    finally:
        faiss.get_num_gpus = before


def milliseconds(work: Callable[[int], Any], rounds: int) -> dict[str, float]:
    """p50 and p95 of a call, after one that isn't counted."""
    work(0)
    taken = []
    for n in range(rounds):
        began = time.perf_counter()
        work(n)
        taken.append(1000 * (time.perf_counter() - began))
    return {"p50": quantile(taken, 0.5), "p95": quantile(taken, 0.95)}


def unit(count: int, seed: int) -> Vectors:
    """Random vectors of length 1, float32 (count, DIMENSION)."""
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows
