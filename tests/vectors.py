"""A store of random unit vectors, to hold the index against NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_assistant.index.vector_index import VectorIndex
from kb_assistant.store import NewChunk, Source, Text
from tests.stores import opened

DIMENSION = 48
MODEL = {"name": "random", "dimension": DIMENSION}


class Vectors:
    """A store with random unit vectors, one source each, and the same vectors in plain arrays."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.draw = np.random.default_rng(seed)
        self.store = opened(folder, create=True)
        self.by_hash: dict[bytes, NDArray[np.float32]] = {}
        self.ever: dict[bytes, NDArray[np.float32]] = {}
        with self.store.write() as transaction:
            transaction.put_meta("embedder", MODEL)

    def unit(self, count: int) -> NDArray[np.float32]:
        rows = self.draw.standard_normal((count, DIMENSION)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def add(self, names: range) -> None:
        with self.store.write(MODEL) as transaction:
            for name, vector in zip(names, self.unit(len(names)), strict=True):
                text = Text("", f"text {name}")
                self.by_hash[text.hash] = self.ever.setdefault(text.hash, vector)  # a text keeps its vector
                source = Source(f"/{name}", "", "", "", "", False, "", 1)
                transaction.put_source(source, [NewChunk(text)], {text.hash: vector.astype("<f4").tobytes()})

    def add_together(self, names: range) -> None:
        """As `add`, in one source, which is quicker on a server."""
        texts = [Text("", f"text {name}") for name in names]
        for text, vector in zip(texts, self.unit(len(names)), strict=True):
            self.by_hash[text.hash] = self.ever.setdefault(text.hash, vector)
        vectors = {text.hash: self.by_hash[text.hash].astype("<f4").tobytes() for text in texts}
        source = Source(f"/from {names.start}", "", "", "", "", False, "", len(texts))
        with self.store.write(MODEL) as transaction:
            transaction.put_source(source, [NewChunk(text) for text in texts], vectors)

    def remove(self, names: range) -> None:
        with self.store.write() as transaction:
            for name in names:
                transaction.remove_source(f"/{name}")
                del self.by_hash[Text("", f"text {name}").hash]

    def check(self, index: VectorIndex, k: int = 10) -> None:
        """Each query's k best, with the values that NumPy gives in float64."""
        queries = self.unit(7)
        with self.store.read() as snapshot:
            found = index.search(snapshot, queries, k)
            ids = [text_id for row in found for text_id, _ in row]
            hashes = dict(zip(ids, (text.hash for text in snapshot.texts(ids)), strict=True))
            assert index.check(snapshot) == []
            assert index.load(snapshot) == len(self.by_hash)
        keys = list(self.by_hash)
        matrix = np.stack(list(self.by_hash.values())).astype(np.float64)
        for query, row in zip(queries.astype(np.float64), found, strict=True):
            exact = matrix @ query
            best = np.argsort(-exact)[:k]
            assert [hashes[text_id] for text_id, _ in row] == [keys[place] for place in best]
            np.testing.assert_allclose([score for _, score in row], exact[best], atol=1e-5)
