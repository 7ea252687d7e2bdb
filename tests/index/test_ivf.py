"""Above the limit of exact search: recall as it is said to be, exact cosines, and no trust in files or old states.

The limits are set low here, so that a few hundred vectors are "large".
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kb_assistant.errors import StoreError
from kb_assistant.index.ivf import IVFIndex
from kb_assistant.index.vector_index import VectorIndex
from kb_assistant.store import SQLiteStore
from tests.vectors import Vectors

LARGE = 400
FEW = 40


@pytest.fixture(scope="module", autouse=True)
def small_limits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kb_assistant.index.vector_index.EXACT_MOST", LARGE)
        patch.setattr("kb_assistant.index.flat.FEW", FEW)
        patch.setattr("kb_assistant.index.ivf.FEW", FEW)
        yield


@pytest.fixture
def vectors(tmp_path: Path) -> Iterator[Vectors]:
    made = Vectors(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "index.cache"


def in_order(vectors: Vectors) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Live text ids, ascending, and their vectors as they were made."""
    with vectors.store.read() as snapshot:
        ids = snapshot.live_ids()
        rows = [vectors.by_hash[text.hash] for text in snapshot.texts(ids.tolist())]
    return ids, np.stack(rows).astype(np.float64)


def recall(
    vectors: Vectors,
    index: VectorIndex,
    k: int = 10,
    allowed: NDArray[np.int64] | None = None,
    queries: NDArray[np.float32] | None = None,
) -> float:
    """Share of the k nearest found, by NumPy in float64; checks that what is found is alive, allowed, in order and
    has its exact cosine."""
    queries = vectors.unit(60) if queries is None else queries
    ids, matrix = in_order(vectors)
    inside = np.ones(len(ids), bool) if allowed is None else np.isin(ids, allowed)
    ids, matrix = ids[inside], matrix[inside]
    with vectors.store.read() as snapshot:
        found = index.search(snapshot, queries, k, allowed)
    hits = wanted = 0
    for query, row in zip(queries.astype(np.float64), found, strict=True):
        exact = matrix @ query
        best = ids[np.argsort(-exact)[:k]]
        got = np.array([text_id for text_id, _ in row], np.int64)
        scores = [score for _, score in row]
        assert len(got) == len(set(got)) == len(best)
        assert np.isin(got, ids).all()
        assert scores == sorted(scores, reverse=True)
        np.testing.assert_allclose(scores, exact[np.searchsorted(ids, got)], atol=1e-5)
        hits += len(np.intersect1d(got, best))
        wanted += len(best)
    return hits / wanted if wanted else 1.0


def facts(vectors: Vectors, index: VectorIndex) -> dict[str, object]:
    with vectors.store.read() as snapshot:
        described = index.describe(snapshot)
    assert described is not None
    return described


def save(vectors: Vectors, cache: Path) -> bytes:
    VectorIndex(cache).save(vectors.store)
    return cache.read_bytes()


def faults(vectors: Vectors, index: VectorIndex) -> list[str]:
    with vectors.store.read() as snapshot:
        return index.check(snapshot)


def fail(*_: object) -> None:
    pytest.fail("built from the store")


def test_recall_is_measured_and_true(vectors: Vectors, cache: Path) -> None:
    """Random queries are harder than the measured ones, which lie near stored vectors."""
    vectors.add(range(2000))
    index = VectorIndex(cache)
    assert recall(vectors, index) >= 0.9
    near = vectors.unit(100) * 0.5 + np.stack(list(vectors.by_hash.values())[:100])
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    assert recall(vectors, index, queries=near) >= 0.96
    described = facts(vectors, index)
    assert (described["kind"], described["vectors"], described["trained_on"]) == ("ivf-int8", 2000, 2000)
    assert described["recall@10"] >= 0.97  # type: ignore[operator]
    assert 8 <= described["lists_read"] <= described["lists"]  # type: ignore[operator]
    assert faults(vectors, index) == []


def test_the_measured_recall_is_low_where_few_lists_are_read(
    vectors: Vectors, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb_assistant.index.ivf.TARGET", 0.3)
    monkeypatch.setattr("kb_assistant.index.ivf.LEAST_LISTS", 1)
    vectors.add(range(2000))
    save(vectors, cache)
    described = facts(vectors, VectorIndex(cache))
    assert 1 <= described["lists_read"] <= 5  # type: ignore[operator]
    assert 0.1 < described["recall@10"] < 0.9  # type: ignore[operator]
    assert recall(vectors, VectorIndex(cache)) < 0.7


def test_any_number_of_neighbours_is_found(vectors: Vectors, cache: Path) -> None:
    vectors.add(range(1000))
    index = VectorIndex(cache)
    assert recall(vectors, index, k=1) >= 0.9
    assert recall(vectors, index, k=700) >= 0.8, "many more than the recall was measured for"
    for k in (1000, 5000):
        assert recall(vectors, index, k=k) == 1
    with vectors.store.read() as snapshot:
        assert index.search(snapshot, vectors.unit(2), 0) == [[], []]


def test_recall_stays_through_deletions_and_additions(vectors: Vectors, cache: Path) -> None:
    index = VectorIndex(cache)
    vectors.add(range(1500))
    save(vectors, cache)
    vectors.remove(range(100))
    assert recall(vectors, index) >= 0.9
    assert (facts(vectors, index)["changed"], facts(vectors, index)["unmeasured"]) == (100, 100)
    vectors.remove(range(100, 300))
    vectors.add(range(2000, 2300))
    assert recall(vectors, index) >= 0.9
    described = facts(vectors, index)
    assert (described["vectors"], described["changed"], described["trained_on"]) == (1500, 600, 1500)
    assert described["unmeasured"] == 0, "as a tenth had changed"
    assert described["recall@10"] >= 0.97  # type: ignore[operator]
    assert faults(vectors, index) == []
    vectors.add(range(3000, 3400))
    assert recall(vectors, index) >= 0.9
    described = facts(vectors, index)
    assert (described["changed"], described["trained_on"]) == (0, 1900), "the lists are made anew"
    assert faults(vectors, index) == []


def test_an_update_leaves_alone_what_searches_may_be_using(vectors: Vectors) -> None:
    vectors.add(range(600))
    with vectors.store.read() as snapshot:
        old = IVFIndex.of(snapshot)
    facts_before = old.facts
    vectors.remove(range(50))
    vectors.add(range(700, 720))
    with vectors.store.read() as snapshot:
        new = old.updated(snapshot)
    assert (old.index.ntotal, old.facts) == (600, facts_before)
    assert (new.index.ntotal, new.facts["vectors"]) == (570, 570)


def test_it_changes_its_kind_at_the_limit_and_back(vectors: Vectors, cache: Path) -> None:
    index = VectorIndex(cache)
    vectors.add(range(LARGE))
    vectors.check(index)
    assert facts(vectors, index) == {"kind": "exact", "vectors": LARGE}
    vectors.add(range(LARGE, LARGE + 1))
    assert recall(vectors, index) >= 0.9
    assert facts(vectors, index)["kind"] == "ivf-int8"
    vectors.remove(range(5))
    vectors.check(index)
    assert facts(vectors, index) == {"kind": "exact", "vectors": LARGE - 4}


def test_the_file_gives_the_same_answers_and_is_not_built_again(
    vectors: Vectors, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors.add(range(600))
    queries = vectors.unit(5)
    first = save(vectors, cache)
    assert save(vectors, cache) == first
    with vectors.store.read() as snapshot:
        answers = VectorIndex(cache).search(snapshot, queries, 10)
        cache.unlink()
        assert VectorIndex(cache).search(snapshot, queries, 10) == answers
        assert cache.read_bytes() == first, "the same store gives the same index"
        monkeypatch.setattr("kb_assistant.index.vector_index._fresh", fail)
        assert VectorIndex(cache).search(snapshot, queries, 10) == answers


def test_a_file_of_an_earlier_state_is_updated_and_written(
    vectors: Vectors, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors.add(range(600))
    early = save(vectors, cache)
    vectors.add(range(600, 650))
    vectors.remove(range(30))
    index = VectorIndex(cache)
    with vectors.store.read() as snapshot:
        assert index.describe(snapshot) is None
    monkeypatch.setattr(IVFIndex, "of", fail)
    assert recall(vectors, index) >= 0.9
    assert (facts(vectors, index)["vectors"], facts(vectors, index)["changed"]) == (620, 80)
    assert faults(vectors, index) == []
    assert cache.read_bytes() != early
    assert facts(vectors, VectorIndex(cache)) == facts(vectors, index)


def test_an_index_that_lies_in_its_file_follows_changes(
    vectors: Vectors, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors.add(range(600))
    save(vectors, cache)
    index = VectorIndex(cache)
    assert recall(vectors, index) >= 0.9
    cache.unlink()  # what is mapped stays
    monkeypatch.setattr(IVFIndex, "of", fail)
    for kept in (range(600, 640), range(640, 650)):
        vectors.add(kept)
        vectors.remove(range(kept.start - 600, kept.stop - 600))
        assert recall(vectors, index) >= 0.9
        assert faults(vectors, index) == []


def test_vectors_of_lost_commits_are_not_taken_over(vectors: Vectors, tmp_path: Path, cache: Path) -> None:
    """A power cut takes the last commits back; counted again, the same text ids stand for other vectors."""
    vectors.add(range(600))
    vectors.store.close()
    database = tmp_path / "kb.sqlite"
    shutil.copy(database, tmp_path / "before")
    vectors.add(range(600, 700))
    save(vectors, cache)
    vectors.store.close()
    shutil.copy(tmp_path / "before", database)
    vectors.store = SQLiteStore(database)
    for name in list(vectors.by_hash)[600:]:
        del vectors.by_hash[name]
    vectors.add(range(800, 900))
    index = VectorIndex(cache)
    assert recall(vectors, index) >= 0.9
    assert faults(vectors, index) == []
    late = np.stack(list(vectors.by_hash.values())[600:])
    assert recall(vectors, index, k=1, queries=late) >= 0.97


def test_a_damaged_file_changes_nothing(vectors: Vectors, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb_assistant.index.recall.QUESTIONS", 16)  # to build it quickly, again and again
    vectors.add(range(LARGE + 1))
    good = save(vectors, cache)
    queries = vectors.unit(3)
    with vectors.store.read() as snapshot:
        answers = VectorIndex(cache).search(snapshot, queries, 10)
        draw = random.Random(3)
        head = good.index(b"\n", good.index(b"\n") + 1) + 1
        bad = [
            b"", b"\n\n", good[:20], good[:head], good[: head + 8], good[: head + 2000], good[:-1], good + b"\0",
            good[:head] + b"\xff" * (len(good) - head), draw.randbytes(len(good)),
        ]  # fmt: skip
        for place in [*range(0, head + 16, 23), *draw.sample(range(head, len(good)), 10)]:
            bad.append(good[:place] + bytes([good[place] ^ (1 << draw.randrange(8))]) + good[place + 1 :])
        for data in bad:
            cache.write_bytes(data)
            VectorIndex(cache).describe(snapshot)
            assert VectorIndex(cache).search(snapshot, queries, 10) == answers
            assert cache.read_bytes() == good, "not written anew"


def test_a_file_that_faiss_refuses_is_built_anew(
    vectors: Vectors, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does that another version of FAISS wrote."""
    vectors.add(range(LARGE + 1))
    good = save(vectors, cache)
    with monkeypatch.context() as patch:
        patch.setattr("faiss.write_index", lambda _index, _writer: None)
        cache.unlink()
        save(vectors, cache)
    assert len(cache.read_bytes()) < len(good)
    assert recall(vectors, VectorIndex(cache)) >= 0.9
    assert cache.read_bytes() == good


def test_a_disk_that_refuses_costs_time_only(
    vectors: Vectors, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    vectors.add(range(LARGE + 1))
    assert recall(vectors, VectorIndex(cache)) >= 0.9
    assert list(cache.parent.glob("index.cache*")) == []


def test_damage_in_the_store_is_told_and_not_found(vectors: Vectors, tmp_path: Path, cache: Path) -> None:
    vectors.add(range(600))
    save(vectors, cache)
    ids, matrix = in_order(vectors)
    vectors.store.close()
    with closing(sqlite3.connect(tmp_path / "kb.sqlite", isolation_level=None)) as db:
        db.execute("UPDATE vectors SET vector = zeroblob(length(vector)) WHERE text_id = ?", (int(ids[7]),))
    vectors.store = SQLiteStore(tmp_path / "kb.sqlite")
    index = VectorIndex(cache)
    query = matrix[7:8].astype(np.float32)
    with pytest.raises(StoreError, match="altered"), vectors.store.read() as snapshot:
        index.search(snapshot, query, 3)
    with pytest.raises(StoreError, match="altered"), vectors.store.read() as snapshot:
        index.search(snapshot, query, 3, ids[:20])
    with vectors.store.read() as snapshot:
        assert len(index.search(snapshot, query, 3, ids[20:40])[0]) == 3


@pytest.mark.parametrize("count", [LARGE, LARGE + 100])
def test_vectors_other_than_the_stores_are_a_fault(vectors: Vectors, cache: Path, count: int) -> None:
    vectors.add(range(count))
    index = VectorIndex(cache)
    assert faults(vectors, index) == []
    with vectors.store.write() as transaction:
        (rows,) = transaction._db.rows("SELECT vector, crc FROM vectors WHERE text_id = 9")
        transaction._db.run("UPDATE vectors SET vector = ?, crc = ? WHERE text_id = 30", rows)
    assert faults(vectors, index) == ["the FAISS index holds other vectors than the store"]


def test_an_older_view_of_the_store_finds_only_what_it_knows(
    vectors: Vectors, tmp_path: Path, cache: Path
) -> None:
    vectors.add(range(600))
    index = VectorIndex(cache)
    other = SQLiteStore(tmp_path / "kb.sqlite")
    with other.read() as early:
        known = set(early.live_ids().tolist())
        vectors.remove(range(50))
        vectors.add(range(600, 640))
        with vectors.store.read() as late:
            assert index.load(late) == 590
        found = {text_id for text_id, _ in index.search(early, vectors.unit(1), 1000)[0]}
        assert len(found) == 550
        assert found < known
    other.close()


@pytest.mark.parametrize(("free", "kind"), [(10**12, "ivf-int8"), (10**5, "ivf-pq")])
def test_codes_fit_the_free_memory(
    vectors: Vectors, cache: Path, monkeypatch: pytest.MonkeyPatch, free: int, kind: str
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free))
    vectors.add(range(2000))
    size = len(save(vectors, cache))
    index = VectorIndex(cache)
    assert recall(vectors, index) >= 0.85
    assert (facts(vectors, index)["kind"], facts(vectors, index)["vectors"]) == (kind, 2000)
    vectors.remove(range(100))
    vectors.add(range(3000, 3100))
    assert recall(vectors, index) >= 0.85
    assert facts(vectors, index)["kind"] == kind
    assert faults(vectors, index) == []
    codes = size - 2000 * (8 + 8 + 8)  # ids, checksums, ids again in the lists
    assert (codes < 2000 * 48) == (kind == "ivf-pq")


class Filled:
    """A store above and one below the limit, with their indexes: made once for many examples."""

    def __init__(self, folder: Path, count: int) -> None:
        folder.mkdir()
        self.vectors = Vectors(folder)
        self.vectors.add(range(count))
        self.vectors.remove(range(3))
        self.index = VectorIndex(folder / "index.cache")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Filled]]:
    folder = tmp_path_factory.mktemp("filled")
    made = {"exact": Filled(folder / "exact", LARGE), "approximate": Filled(folder / "approximate", 700)}
    yield made
    for one in made.values():
        one.vectors.store.close()


TEXT_IDS = st.integers(1, 800) | st.sampled_from([-1, 0, 2**40])


@given(
    allowed=st.sets(TEXT_IDS, max_size=FEW), k=st.integers(1, 60), kind=st.sampled_from(["exact", "approximate"])
)
@settings(deadline=None, max_examples=60)
def test_among_few_texts_the_search_is_exact(
    filled: dict[str, Filled], allowed: set[int], k: int, kind: str
) -> None:
    one = filled[kind]
    chosen = np.array(sorted(allowed), np.int64)
    assert recall(one.vectors, one.index, k, chosen, one.vectors.unit(2)) == 1


@given(share=st.floats(0, 1), k=st.integers(1, 60), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_among_many_texts_of_a_small_store_the_search_is_exact(
    filled: dict[str, Filled], share: float, k: int, seed: int
) -> None:
    one = filled["exact"]
    allowed = np.flatnonzero(np.random.default_rng(seed).random(LARGE) < share).astype(np.int64)
    assert recall(one.vectors, one.index, k, allowed) == 1


@pytest.mark.parametrize("share", [0.07, 0.2, 0.6, 1.0])
def test_among_many_texts_of_a_large_store_recall_is_that_without_a_limit(
    filled: dict[str, Filled], share: float
) -> None:
    one = filled["approximate"]
    chosen = np.flatnonzero(np.random.default_rng(1).random(700) < share).astype(np.int64)
    assert len(chosen) > FEW
    assert recall(one.vectors, one.index, allowed=chosen) >= 0.95
    assert recall(one.vectors, one.index, k=len(chosen), allowed=chosen) == 1.0


def test_texts_of_one_corner_are_found_though_the_question_is_of_another(
    filled: dict[str, Filled], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The allowed texts stand in lists that a search without the limit would not read."""
    monkeypatch.setattr("kb_assistant.index.ivf.FEW", 0)
    one = filled["approximate"]
    ids, matrix = in_order(one.vectors)
    allowed = np.sort(ids[np.argsort(matrix @ matrix[0])[-30:]])
    away = -matrix[:1].astype(np.float32)
    assert recall(one.vectors, one.index, k=10, allowed=allowed, queries=away) >= 0.9
