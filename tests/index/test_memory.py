"""How much memory an index takes while it is made and searched: its vectors, and codes of an eighth as much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.store import NewChunk, Source, SQLiteStore, Text

COUNT, DIMENSION = 60_000, 512
VECTORS = 4 * COUNT * DIMENSION

MAKE = """
import sys
from pathlib import Path
from kb_assistant.index.vector_index import VectorIndex, import_faiss
from kb_assistant.store import SQLiteStore

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

import_faiss()
with SQLiteStore(Path(sys.argv[1]) / "kb.sqlite").read() as snapshot:
    before = peak()
    index = VectorIndex(Path(sys.argv[1]) / "index.cache")
    index.load(snapshot)
    made = peak()
    for _ in range(2):
        index.search(snapshot, snapshot.vectors([1]), 30)
    print(made - before, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_vectors_are_held_once_while_it_is_made_and_searched(tmp_path: Path) -> None:
    model: dict[str, str | int] = {"name": "random", "dimension": DIMENSION}
    rows = np.random.default_rng(0).standard_normal((COUNT, DIMENSION), np.float32)
    chunks = [NewChunk(Text("", f"text {number}")) for number in range(COUNT)]
    vectors = {chunk.text.hash: row.tobytes() for chunk, row in zip(chunks, rows, strict=True)}
    store = SQLiteStore(tmp_path / "kb.sqlite", create=True)
    with store.write(model) as transaction:
        transaction.put_meta("embedder", model)
        transaction.put_source(Source("/all", "", "", "", "", False, "", COUNT), chunks, vectors)
    store.close()
    for made in ("from the store", "from its file"):
        done = subprocess.run(
            [sys.executable, "-c", MAKE, str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        shares = [int(held) / VECTORS for held in done.stdout.split()]
        assert shares[0] < 1.15, f"{shares[0]:.2f} times its vectors, made {made}"
        assert shares[1] < 1.3, f"{shares[1]:.2f} times its vectors, made {made} and searched"
