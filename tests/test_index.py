"""The index gives what exact arithmetic gives: values and ids, after any changes, from memory and from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kb_assistant.errors import EmbedderMismatch
from kb_assistant.index import GPU_MOST, VectorIndex, import_faiss
from kb_assistant.store import KnowledgeStore, NewChunk, Source, Text

DIMENSION = 48


class Vectors:
    """A store with random unit vectors, one source each, and the same vectors in plain arrays."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.draw = np.random.default_rng(seed)
        self.store = KnowledgeStore(folder / "kb.sqlite", create=True)
        self.by_hash: dict[bytes, NDArray[np.float32]] = {}
        self.ever: dict[bytes, NDArray[np.float32]] = {}
        with self.store.write() as transaction:
            transaction.put_meta("embedder", {"dimension": DIMENSION})

    def unit(self, count: int) -> NDArray[np.float32]:
        rows = self.draw.standard_normal((count, DIMENSION)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def add(self, names: range) -> None:
        with self.store.write() as transaction:
            for name, vector in zip(names, self.unit(len(names)), strict=True):
                text = Text("", f"text {name}")
                self.by_hash[text.hash] = self.ever.setdefault(text.hash, vector)  # a text keeps its vector
                source = Source(f"/{name}", "", "", "", "", False, "", 1)
                transaction.put_source(source, [NewChunk(text)], {text.hash: vector.astype("<f4").tobytes()})

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


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Vectors]:
    made = Vectors(tmp_path)
    yield made
    made.store.close()


def check_through_changes(vectors: Vectors, cache: Path) -> None:
    index = VectorIndex(cache)
    vectors.add(range(300))
    vectors.check(index)
    vectors.add(range(300, 350))
    vectors.check(index)
    vectors.remove(range(20, 120))
    vectors.check(index)
    vectors.add(range(20, 40))
    vectors.remove(range(200, 210))
    vectors.check(index)
    with vectors.store.read() as snapshot:
        index.save(snapshot)
    vectors.check(VectorIndex(cache))
    vectors.check(index, k=1000)
    vectors.remove(range(20, 21))
    vectors.check(VectorIndex(cache))


def test_values_and_ids_are_those_of_exact_inner_products(vectors: Vectors, tmp_path: Path) -> None:
    check_through_changes(vectors, tmp_path / "index.cache")


@pytest.mark.gpu
def test_values_and_ids_are_exact_on_a_gpu(vectors: Vectors, tmp_path: Path) -> None:
    faiss = import_faiss()
    assert faiss.get_num_gpus() > 0, "this needs faiss-gpu and a GPU"
    check_through_changes(vectors, tmp_path / "index.cache")
    vectors.add(range(1000, 6000))
    for k in (GPU_MOST, GPU_MOST + 1, 5000):
        vectors.check(VectorIndex(tmp_path / "index.cache"), k=k)


def test_more_neighbours_than_a_gpu_can_find_are_found_on_the_cpu(
    vectors: Vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a GPU whose every use would fail."""
    monkeypatch.setattr(import_faiss(), "get_num_gpus", lambda: 1)
    monkeypatch.setattr(import_faiss(), "StandardGpuResources", None, raising=False)
    vectors.add(range(GPU_MOST + 1))
    index = VectorIndex(tmp_path / "index.cache")
    vectors.check(index, k=GPU_MOST + 1)
    with pytest.raises(TypeError, match="NoneType"):
        vectors.check(index, k=GPU_MOST)


def test_the_file_is_read_and_not_only_written(
    vectors: Vectors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors.add(range(50))
    with vectors.store.read() as snapshot:
        VectorIndex(tmp_path / "index.cache").save(snapshot)
    monkeypatch.setattr("kb_assistant.index._fresh", lambda _: pytest.fail("built from the store"))
    vectors.check(VectorIndex(tmp_path / "index.cache"))


def test_an_index_from_nothing_grows_and_empties(vectors: Vectors, tmp_path: Path) -> None:
    index = VectorIndex(tmp_path / "index.cache")
    queries = vectors.unit(2)
    with vectors.store.read() as snapshot:
        assert index.search(snapshot, queries, 5) == [[], []]
        index.save(snapshot)
    vectors.add(range(3))
    vectors.check(index)
    vectors.remove(range(3))
    with vectors.store.read() as snapshot:
        assert index.search(snapshot, queries, 5) == [[], []]
        assert VectorIndex(tmp_path / "index.cache").search(snapshot, queries, 5) == [[], []]


def test_a_snapshot_taken_before_a_removal_doesnt_bring_it_back(vectors: Vectors, tmp_path: Path) -> None:
    index = VectorIndex(tmp_path / "index.cache")
    vectors.add(range(20))
    other = KnowledgeStore(tmp_path / "kb.sqlite")
    with other.read() as early:
        early.counts()
        vectors.remove(range(5))
        with vectors.store.read() as late:
            assert index.load(late) == 15
        assert index.load(early) == 15
    other.close()


def test_questions_of_another_dimension_are_refused(vectors: Vectors, tmp_path: Path) -> None:
    vectors.add(range(5))
    index = VectorIndex(tmp_path / "index.cache")
    with (
        vectors.store.read() as snapshot,
        pytest.raises(EmbedderMismatch, match=r"48 numbers; .* has 64"),
    ):
        index.search(snapshot, np.zeros((1, 64), np.float32), 3)


def test_leftovers_of_killed_processes_are_cleared(vectors: Vectors, tmp_path: Path) -> None:
    vectors.add(range(5))
    (tmp_path / "index.cache.4711.140").write_bytes(hashlib.sha256(b"half").digest())
    with vectors.store.read() as snapshot:
        VectorIndex(tmp_path / "index.cache").save(snapshot)
    assert sorted(path.name for path in tmp_path.glob("index*")) == ["index.cache"]
