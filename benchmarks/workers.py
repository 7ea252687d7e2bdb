"""How much faster several workers are than one, where embedding is what takes time.

    python benchmarks/workers.py --workers 4

Workers are threads, each with a connection, a home and reader processes of its own, on a PostgreSQL server of the
system or the wheel (tests/postgres_server.py). The embedder sleeps for each passage, as if it waited for a server:
two cores are enough to show it. Time counts from the first passage to the last commit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings
from tests.postgres_server import PostgresServer


class SleepingEmbeddings(HashEmbeddings):
    """Embeddings that take so many seconds a passage."""

    def __init__(self, seconds: float, began: list[float]) -> None:
        super().__init__(batch=8)
        self._seconds, self._began = seconds, began

    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        self._began.append(time.monotonic())
        for rows, batch in super().encode_batches(texts):
            time.sleep(self._seconds * len(rows))
            yield rows, batch


def seconds_of(workers: int, files: int, seconds: float, address: str, folder: Path) -> float:
    """How long so many workers take for so many files of a passage each, of so many seconds."""
    docs, began = folder / "docs", list[float]()
    docs.mkdir(exist_ok=True)
    for number in range(files):
        (docs / f"{number}.md").write_text(f"Valve {number} belongs to circuit {number * 7} of {workers} workers.")

    def opened(name: str) -> KnowledgeBase:
        settings = Settings(home=folder / name, kb=f"of{workers}", store=address, readers=1)
        return KnowledgeBase(settings, embedder=SleepingEmbeddings(seconds, began))

    ordering = opened("ordering")
    ordering.ingest(docs, workers=True, stop=lambda: True)
    bases = [opened(f"worker{number}") for number in range(workers)]
    threads = [threading.Thread(target=base.shared_work.work, args=("empty",)) for base in bases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - min(began)
    state = ordering.shared_work.state().ingests[0]
    assert (state.state, state.done, state.failed) == ("done", files, 0), state
    assert ordering.verify().faults == ()
    for base in (ordering, *bases):
        base.close()
    return took


def measured(workers: int, files: int, seconds: float) -> dict[str, Any]:
    """One worker beside so many."""
    server = PostgresServer.start(durable=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            taken = [seconds_of(count, files, seconds, server.address, Path(folder)) for count in (1, workers)]
    finally:
        server.remove()
    return {
        "workers": workers,
        "files": files,
        "seconds_a_passage": seconds,
        "one_s": round(taken[0], 1),
        "all_s": round(taken[1], 1),
        "times": round(taken[0] / taken[1], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=0.25)
    asked = parser.parse_args()
    print(json.dumps(measured(asked.workers, asked.files, asked.seconds)))


if __name__ == "__main__":
    main()
