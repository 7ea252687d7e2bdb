"""The index gives what exact arithmetic gives: values and ids, after any changes, from memory and from disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.errors import EmbedderMismatch, StoreError
from kb_assistant.index.vector_index import GPU_MOST, VectorIndex, import_faiss
from tests.forking import run_forking
from tests.stores import opened
from tests.vectors import Vectors

pytestmark = pytest.mark.usefixtures("either_store")


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
    index.save(vectors.store)
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


@pytest.mark.sqlite
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
    VectorIndex(tmp_path / "index.cache").save(vectors.store)
    monkeypatch.setattr("kb_assistant.index.vector_index._fresh", lambda _: pytest.fail("built from the store"))
    vectors.check(VectorIndex(tmp_path / "index.cache"))


def test_an_index_from_nothing_grows_and_empties(vectors: Vectors, tmp_path: Path) -> None:
    index = VectorIndex(tmp_path / "index.cache")
    queries = vectors.unit(2)
    with vectors.store.read() as snapshot:
        assert index.search(snapshot, queries, 5) == [[], []]
    index.save(vectors.store)
    vectors.add(range(3))
    vectors.check(index)
    vectors.remove(range(3))
    with vectors.store.read() as snapshot:
        assert index.search(snapshot, queries, 5) == [[], []]
        assert VectorIndex(tmp_path / "index.cache").search(snapshot, queries, 5) == [[], []]


def test_a_snapshot_taken_before_a_removal_doesnt_bring_it_back(vectors: Vectors, tmp_path: Path) -> None:
    index = VectorIndex(tmp_path / "index.cache")
    vectors.add(range(20))
    other = opened(tmp_path)
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


def test_a_text_that_is_nowhere_is_damage_and_no_other_text(vectors: Vectors, tmp_path: Path) -> None:
    vectors.add(range(20))
    index = VectorIndex(tmp_path / "index.cache")
    with vectors.store.read() as snapshot:
        live = snapshot.live_ids().tolist()
        assert np.array_equal(index.vectors(snapshot, live[::-1]), snapshot.vectors(live[::-1]))
        for text in (0, live[-1] + 1):
            with pytest.raises(StoreError, match="missing"):
                index.vectors(snapshot, [live[0], text])


def test_leftovers_of_killed_processes_are_cleared(vectors: Vectors, tmp_path: Path) -> None:
    vectors.add(range(5))
    (tmp_path / "index.cache.4711.140").write_bytes(hashlib.sha256(b"half").digest())
    VectorIndex(tmp_path / "index.cache").save(vectors.store)
    assert sorted(path.name for path in tmp_path.glob("index*")) == ["index.cache"]


def test_a_process_that_forks_after_a_search_searches_in_the_child() -> None:
    code = (
        "import numpy as np\n"
        "from kb_assistant.index.flat import FlatIndex, import_faiss\n"
        "faiss = import_faiss()\n"
        "faiss.omp_set_num_threads(4)\n"
        "vectors = np.random.default_rng(1).standard_normal((5000, 64), dtype=np.float32)\n"
        "flat = faiss.IndexFlatIP(64)\n"
        "flat.add(vectors)\n"
        "index = FlatIndex(np.arange(5000), flat)\n"
        "found = index.search(None, vectors[:9], 5)\n"
        "def act():\n"
        "    assert index.search(None, vectors[:9], 5) == found\n"
        "fork(act)\n"
    )
    run_forking(code)
