"""The index on the server gives what exact arithmetic gives: all of it where few texts are compared, and otherwise
as much as it says; always what its snapshot holds, whatever the table on the server holds.

The limit of exact searches is set low in most tests, so that a few hundred vectors are "large".
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kb_assistant.errors import EmbedderMismatch, StoreError
from kb_assistant.index.server_index import ServerIndex
from kb_assistant.maintenance.postgres_check import PostgresCheck
from kb_assistant.store import NewChunk, Source, Text
from kb_assistant.store.opening import open_store
from kb_assistant.store.postgres_vectors import HalfVectors
from tests import stores
from tests.postgres_server import PostgresServer, has_pgvector
from tests.samples import ROOT
from tests.vectors import DIMENSION, MODEL, Vectors

FEW = 40


@pytest.fixture
def server(pgvector_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    monkeypatch.setenv(stores.SERVER, pgvector_server.address)
    yield pgvector_server
    stores.drop_databases()


@pytest.fixture
def vectors(server: PostgresServer, tmp_path: Path) -> Iterator[Vectors]:  # noqa: ARG001 - it must run
    made = Vectors(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb_assistant.index.server_index.FEW", FEW)


def facts(vectors: Vectors, index: ServerIndex) -> dict[str, object]:
    with vectors.store.read() as snapshot:
        return index.describe(snapshot)


def prepared(vectors: Vectors) -> ServerIndex:
    index = ServerIndex()
    index.prepare(vectors.store)
    return index


def recall(
    vectors: Vectors,
    index: ServerIndex,
    k: int = 10,
    allowed: NDArray[np.int64] | None = None,
    queries: NDArray[np.float32] | None = None,
) -> float:
    """Share of the k nearest found, by NumPy in float64; checks that as many are found as there are, each
    in use, allowed, in order, with its exact cosine."""
    queries = vectors.unit(40) if queries is None else queries
    with vectors.store.read() as snapshot:
        ids = snapshot.live_ids()
        matrix = np.stack([vectors.by_hash[text.hash] for text in snapshot.texts(ids.tolist())]).astype(np.float64)
        found = index.search(snapshot, queries, k, allowed)
    inside = np.ones(len(ids), bool) if allowed is None else np.isin(ids, allowed)
    ids, matrix = ids[inside], matrix[inside]
    hits = wanted = 0
    for query, row in zip(queries.astype(np.float64), found, strict=True):
        exact = matrix @ query
        best = ids[np.argsort(-exact)[:k]]
        got, scores = np.array([text_id for text_id, _ in row], np.int64), [score for _, score in row]
        assert len(got) == len(set(got)) == len(best)
        assert np.isin(got, ids).all()
        assert scores == sorted(scores, reverse=True)
        np.testing.assert_allclose(scores, exact[np.searchsorted(ids, got)], atol=1e-5)
        hits += len(np.intersect1d(got, best))
        wanted += len(best)
    return hits / wanted if wanted else 1.0


def held(vectors: Vectors) -> int:
    """Rows in the server's table."""
    with vectors.store.read() as snapshot:
        return int(next(iter(snapshot.database.rows("SELECT count(*) FROM half_vectors")))[0])


def test_up_to_the_limit_it_is_exact_through_changes(vectors: Vectors) -> None:
    index = prepared(vectors)
    with vectors.store.read() as snapshot:
        assert index.search(snapshot, vectors.unit(2), 5) == [[], []]
    vectors.add_together(range(200))
    vectors.add(range(200, 230))
    vectors.check(index)
    vectors.remove(range(200, 220))
    vectors.check(index)
    vectors.add(range(200, 210))
    vectors.remove(range(220, 225))
    vectors.check(ServerIndex(), k=1000)
    index.save(vectors.store)
    vectors.check(index)
    assert facts(vectors, index) == {"kind": "pgvector-exact", "vectors": 215}
    with vectors.store.read() as snapshot, pytest.raises(EmbedderMismatch, match=r"48 numbers; .* has 64"):
        index.search(snapshot, np.zeros((1, 64), np.float32), 3)


@pytest.mark.usefixtures("small_limit")
def test_recall_is_measured_and_true(vectors: Vectors) -> None:
    """Random questions are harder than the measured ones, which lie near stored vectors."""
    index = prepared(vectors)
    vectors.add_together(range(1500))
    assert facts(vectors, index) == {"kind": "pgvector-exact", "vectors": 1500}
    assert recall(vectors, index) == 1, "before the graph is made all are compared"
    index.save(vectors.store)
    described = facts(vectors, index)
    assert (described["kind"], described["vectors"], described["unmeasured"]) == ("pgvector-hnsw", 1500, 0)
    assert described["recall@10"] >= 0.97  # type: ignore[operator]
    assert recall(vectors, index) >= 0.9
    near = vectors.unit(100) * 0.5 + np.stack(list(vectors.by_hash.values())[:100])
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    assert recall(vectors, index, queries=near) >= 0.96
    assert recall(vectors, index, k=700) == 1, "more than the graph gives at once"


@pytest.mark.usefixtures("small_limit")
def test_a_low_recall_is_said(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = HalfVectors.near_by_graph
    monkeypatch.setattr("kb_assistant.index.server_index._EFFORTS", (40, 1000))
    monkeypatch.setattr(HalfVectors, "near_by_graph", lambda *given: [row[::2] for row in whole(*given)])
    index = prepared(vectors)
    vectors.add_together(range(1500))
    index.save(vectors.store)
    assert facts(vectors, index)["examined"] == 1000, "nothing more helped"
    assert 0.4 < facts(vectors, index)["recall@10"] < 0.6  # type: ignore[operator]
    assert recall(vectors, index) < 0.7


@pytest.mark.usefixtures("small_limit")
def test_it_follows_additions_and_removals_and_is_measured_again(vectors: Vectors) -> None:
    index = prepared(vectors)
    vectors.add_together(range(600))
    vectors.add(range(600, 680))
    index.save(vectors.store)
    vectors.remove(range(600, 620))
    vectors.add(range(2000, 2010))
    assert recall(vectors, index) >= 0.9
    assert facts(vectors, index)["unmeasured"] == 30
    index.save(vectors.store)
    assert facts(vectors, index)["unmeasured"] == 30, "less than a tenth"
    vectors.remove(range(620, 670))
    index.save(vectors.store)
    assert facts(vectors, index)["unmeasured"] == 0
    new = np.stack([vectors.by_hash[key] for key in list(vectors.by_hash)[-10:]])
    assert recall(vectors, index, k=1, queries=new) == 1, "what was added to the graph is found by it"
    with vectors.store.write() as transaction:
        assert transaction.purge_orphaned() == 70
    assert held(vectors) == 620


@pytest.mark.usefixtures("small_limit")
def test_each_snapshot_finds_what_it_holds(vectors: Vectors, tmp_path: Path) -> None:
    index = prepared(vectors)
    vectors.add_together(range(300))
    vectors.add(range(300, 320))
    index.save(vectors.store)
    other = stores.opened(tmp_path)
    with other.read() as early:
        known = set(early.live_ids().tolist())
        vectors.remove(range(300, 320))
        vectors.add_together(range(400, 430))
        with vectors.store.write() as transaction:
            transaction.purge_orphaned()
        with vectors.store.read() as late:
            assert index.load(late) == 330
            found = {text_id for text_id, _ in index.search(late, vectors.unit(1), 1000)[0]}
            assert found == set(late.live_ids().tolist())
        assert {text_id for text_id, _ in index.search(early, vectors.unit(1), 1000)[0]} == known
    other.close()


@pytest.mark.usefixtures("small_limit")
def test_what_the_table_lacks_is_found_and_added(vectors: Vectors) -> None:
    """As after the setting was changed, or an older version wrote."""
    vectors.add_together(range(100))
    with vectors.store.read() as snapshot, pytest.raises(StoreError, match="isn't set up"):
        ServerIndex().load(snapshot)
    index = prepared(vectors)
    vectors.check(index)
    assert facts(vectors, index) == {"kind": "pgvector-exact", "vectors": 100, "not_held": 100}
    vectors.add_together(range(100, 110))
    assert facts(vectors, index)["not_held"] == 100
    allowed = np.arange(1, 109, 3, dtype=np.int64)
    assert recall(vectors, index, allowed=allowed) == 1
    index.save(vectors.store)
    assert (facts(vectors, index)["kind"], held(vectors)) == ("pgvector-hnsw", 110)
    with vectors.store.write() as transaction:
        transaction.database.run("DELETE FROM half_vectors WHERE mod(text_id, 10) = 0")
        transaction.begin_vector_epoch()
    assert recall(vectors, index, k=50) >= 0.9
    index.save(vectors.store)
    assert held(vectors) == 110


def test_another_process_sees_at_once_what_was_added(vectors: Vectors) -> None:
    """The state of the store is the same, only the table isn't."""
    vectors.add_together(range(100))
    index, other = prepared(vectors), ServerIndex()
    assert facts(vectors, other)["not_held"] == 100
    index.save(vectors.store)
    assert "not_held" not in facts(vectors, other)


def test_after_new_vectors_of_another_length_a_view_from_before_finds_its_own(
    vectors: Vectors, tmp_path: Path
) -> None:
    index = prepared(vectors)
    vectors.add_together(range(60))
    index.save(vectors.store)
    queries = vectors.unit(3)
    with vectors.store.read() as snapshot:
        before, ids = index.search(snapshot, queries, 10), snapshot.live_ids().tolist()
    other = stores.opened(tmp_path)
    with other.read() as early:
        early.counts()
        rows = rebuild(vectors, ids)
        with vectors.store.read() as late:
            assert [text_id for text_id, _ in ServerIndex().search(late, rows[7:8], 1)[0]] == [ids[7]]
        ServerIndex().save(vectors.store)
        after = index.search(early, queries, 10)
        assert [[text_id for text_id, _ in row] for row in after] == [
            [text_id for text_id, _ in row] for row in before
        ]
    other.close()
    with vectors.store.read() as late:
        assert index.describe(late) == {"kind": "pgvector-exact", "vectors": 60}
        assert [text_id for text_id, _ in index.search(late, rows[7:8], 1)[0]] == [ids[7]]


def rebuild(vectors: Vectors, ids: list[int]) -> NDArray[np.float32]:
    """Replace all vectors by some of twice the length, which it returns."""
    longer: dict[str, str | int] = {"name": "longer", "dimension": 2 * DIMENSION}
    rows = np.random.default_rng(1).standard_normal((len(ids), 2 * DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with vectors.store.write() as transaction:
        transaction.begin_rebuild(longer)
        transaction.put_rebuilt({text_id: row.tobytes() for text_id, row in zip(ids, rows, strict=True)})
        transaction.finish_rebuild(longer)
    return rows


class Filled:
    """A large knowledge base, for many examples."""

    def __init__(self, folder: Path) -> None:
        self.vectors = Vectors(folder)
        self.index = prepared(self.vectors)
        self.vectors.add_together(range(690))
        self.vectors.add(range(690, 700))
        self.vectors.remove(range(690, 693))
        self.index.save(self.vectors.store)


@pytest.fixture(scope="module")
def filled(pgvector_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(stores.SERVER, pgvector_server.address)
        patch.setattr("kb_assistant.index.server_index.FEW", FEW)
        made = Filled(tmp_path_factory.mktemp("filled"))
        yield made
        made.vectors.store.close()
        stores.drop_databases()


TEXT_IDS = st.integers(1, 800) | st.sampled_from([-1, 0, 2**40])


@given(allowed=st.sets(TEXT_IDS, max_size=FEW), k=st.integers(1, 60))
@settings(deadline=None, max_examples=25)
def test_among_few_texts_the_search_is_exact(filled: Filled, allowed: set[int], k: int) -> None:
    chosen = np.array(sorted(allowed), np.int64)
    assert recall(filled.vectors, filled.index, k, chosen, filled.vectors.unit(2)) == 1


@given(share=st.floats(0, 1), k=st.integers(1, 60), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_among_many_texts_as_many_are_found_as_there_are(filled: Filled, share: float, k: int, seed: int) -> None:
    """That is checked by `recall`; the recall itself is that without a limit."""
    allowed = np.flatnonzero(np.random.default_rng(seed).random(720) < share).astype(np.int64)
    assert recall(filled.vectors, filled.index, k, allowed, filled.vectors.unit(8)) >= 0.85


@pytest.mark.parametrize("scanned", [20_000, 10])
def test_texts_of_one_corner_are_found_though_the_question_is_of_another(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, scanned: int
) -> None:
    """The graph begins far from the allowed texts, and may give up."""
    monkeypatch.setattr("kb_assistant.index.server_index.math.sqrt", lambda _: 0)
    monkeypatch.setattr("kb_assistant.store.postgres_vectors._USUAL_SCAN", scanned)
    with filled.vectors.store.read() as snapshot:
        ids = snapshot.live_ids()
        matrix = snapshot.vectors(ids.tolist())
    allowed = np.sort(ids[np.argsort(matrix @ matrix[0])[-FEW - 20 :]])
    assert recall(filled.vectors, filled.index, k=30, allowed=allowed, queries=-matrix[:1]) >= 0.9


def test_altered_rows_are_named_and_mended(filled: Filled) -> None:
    store = filled.vectors.store
    check = PostgresCheck(lambda: store)
    assert check.check(filled.index).faults == ()
    with store.write() as transaction:
        other = "(SELECT h.vector FROM half_vectors h WHERE h.text_id = 9)"
        assert transaction.database.run(f"UPDATE half_vectors SET vector = {other} WHERE text_id IN (20, 30)") == 2
    assert check.check(filled.index).faults == ("vectors: 2 are others in the server's index",)
    assert check.repair() == ()
    assert check.check(filled.index).faults == ()
    assert held(filled.vectors) == 697
    assert recall(filled.vectors, filled.index) >= 0.9


@pytest.mark.usefixtures("server")
def test_searching_loads_no_faiss(tmp_path: Path) -> None:
    made = Vectors(tmp_path)
    prepared(made)
    made.add_together(range(50))
    made.store.close()
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from kb_assistant.index.dense_index import open_index\n"
        "from tests.stores import opened\n"
        "index = open_index('server', Path('index.cache'))\n"
        "with opened(Path(sys.argv[1])).read() as snapshot:\n"
        "    assert len(index.search(snapshot, np.eye(1, 48, dtype=np.float32), 9)[0]) == 9\n"
        "assert 'faiss' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def refused(address: str, folder: Path) -> StoreError:
    store = open_store(address, folder, "kb", create=True)
    with store.write() as transaction:
        transaction.put_meta("embedder", MODEL)
    try:
        with pytest.raises(StoreError) as caught:
            ServerIndex().prepare(store)
    finally:
        store.close()
    return caught.value


def test_a_server_without_pgvector_is_told_what_to_install(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_pgvector(postgres_server.programs):
        pytest.skip("the system's server has pgvector")
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    error = refused(stores.store_of(tmp_path), tmp_path)
    stores.drop_databases()
    assert "has no pgvector" in error.message
    assert "postgresql-NN-pgvector" in error.hint


def test_an_old_pgvector_is_refused(vectors: Vectors, tmp_path: Path) -> None:
    index = prepared(vectors)
    vectors.add(range(3))
    with vectors.store.write() as transaction:
        transaction.database.run("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'")
    with vectors.store.read() as snapshot, pytest.raises(StoreError, match=r"has pgvector 0\.7\.4") as caught:
        index.search(snapshot, vectors.unit(1), 3)
    assert "ALTER EXTENSION vector UPDATE" in caught.value.hint
    with vectors.store.write() as transaction:
        transaction.database.run("DROP TABLE half_vectors")
    assert "0.7.4" in refused(stores.store_of(tmp_path), tmp_path).message


def test_who_may_not_set_it_up_is_told_who_may(server: PostgresServer, tmp_path: Path) -> None:
    address = stores.store_of(tmp_path)
    name = address.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        connection.execute(f"GRANT CREATE ON DATABASE {name} TO plain")
    passfile = tmp_path / "pass"
    passfile.touch(0o600)
    passfile.write_text("*:*:*:plain:plain\n")
    theirs = f"postgresql://plain@127.0.0.1:{server.port}/{name}?passfile={passfile}"
    error = refused(theirs, tmp_path)
    assert "can't be set up" in error.message
    assert "CREATE EXTENSION vector" in error.hint
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA tools; CREATE EXTENSION vector SCHEMA tools; GRANT USAGE ON SCHEMA tools TO plain"
        )
    store = open_store(theirs, tmp_path, "kb")
    ServerIndex().prepare(store)
    with store.write(MODEL) as transaction:
        text = Text("", "a")
        row = np.eye(1, DIMENSION, dtype="<f4")
        transaction.put_source(
            Source("/a", "", "", "", "", False, "", 1), [NewChunk(text)], {text.hash: row.tobytes()}
        )
    ServerIndex().save(store)
    with store.read() as snapshot:
        assert [score for _, score in ServerIndex().search(snapshot, row, 1)[0]] == [1.0]
    store.close()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP OWNED BY plain CASCADE; DROP ROLE plain")
