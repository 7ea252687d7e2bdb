"""Measures by hand, and what the weights make of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.index.sample import Sample
from kb_assistant.retrieval import fusion
from kb_assistant.retrieval.bm25 import WordIndex
from kb_assistant.retrieval.fusion import MATCH, MEASURES, TYPICAL, Background, Pool, features, fuse
from kb_assistant.retrieval.query_views import REWRITTEN, SEARCHED, QueryViews, query_views
from kb_assistant.store import KnowledgeStore, NewChunk, Source, SQLiteStore, Text
from kb_assistant.types import Turn
from tests.fakes import HashEmbeddings

TEXTS = [
    Text("The pump", "It stands in the north hall."),
    Text("The gate", "It is open until noon."),
    Text("The crane", "Nobody may use the crane in a storm."),
]
HISTORY = [Turn("Where is the pump?", "In the north hall.")]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KnowledgeStore]:
    embedder = HashEmbeddings()
    store = SQLiteStore(tmp_path / "kb.sqlite", create=True)
    vectors = embedder.encode_passages([text.embedded for text in TEXTS])
    with store.write(embedder.fingerprint) as transaction:
        transaction.put_meta("embedder", dict(embedder.fingerprint))
        transaction.put_source(
            Source("a.md", "", "", "", "", False, ""),
            [NewChunk(text) for text in TEXTS],
            {text.hash: row.astype("<f4").tobytes() for text, row in zip(TEXTS, vectors, strict=True)},
        )
    yield store
    store.close()


def pooled(store: KnowledgeStore, views: QueryViews, names: Iterable[str] | None = None) -> tuple[Pool, list[str]]:
    """All texts seen by all views, or by some, and their headings in the pool's order."""
    embedder = HashEmbeddings()
    with store.read() as snapshot:
        words = WordIndex(snapshot, len(TEXTS))
        vectors = {name: embedder.encode_queries([views.texts[name]])[0] for name in names or views.texts}
        ids = snapshot.live_ids().tolist()
        background = Background(Sample(snapshot.vectors(ids), has_headings=True))
        pool = Pool.of(snapshot, ids, views, vectors, snapshot.vectors, background, words)
    return pool, list(pool.headings)


def test_weights_are_of_views_and_measures_that_there_are() -> None:
    views = query_views("now?", [Turn("a?", "b."), Turn("c?", "d."), Turn("e?", "f.")])
    for weights in (fusion.WITH_HEADINGS, fusion.WITHOUT_HEADINGS):
        assert {"question"} < weights.keys() < views.texts.keys()
        assert {len(row) for row in weights.values()} == {len(MEASURES)}
    assert set(SEARCHED) == {*views.searched, REWRITTEN}


def test_measures_by_hand(store: KnowledgeStore) -> None:
    pool, headings = pooled(store, query_views("Who may use the crane?", ()))
    table = features(query_views("Who may use the crane?", ()), pool, ["question"])["question"]
    crane = headings.index("The crane")
    distance, share, match, heading = table[crane]
    assert distance == pytest.approx(
        (pool.cosines["question"][crane] - pool.cosines["question"].mean()) / pool.cosines["question"].std(),
        abs=1e-3,
    )
    assert 0 < share < 1
    assert match == pytest.approx(share * pool.table.max_score(["may", "use", "crane"]) / MATCH)
    assert heading == 1
    assert [row[3] for place, row in enumerate(table) if place != crane] == [0, 0]


def test_best_first_and_cosines_to_the_question(store: KnowledgeStore) -> None:
    views = query_views("Who may use the crane?", ())
    pool, headings = pooled(store, views)
    fused = fuse(views, pool)
    crane = headings.index("The crane")
    assert fused.text_ids[0] == pool.text_ids[crane]
    assert fused.similarities[0] == pytest.approx(pool.cosines["question"][crane])
    assert list(fused.scores) == sorted(fused.scores, reverse=True)
    assert fuse(views, pool, ["keyword"]).text_ids[0] == pool.text_ids[crane]


def test_what_was_said_before_tells_what_is_meant(store: KnowledgeStore) -> None:
    alone, told = query_views("Is it big?", ()), query_views("Is it big?", HISTORY)
    pool, headings = pooled(store, told)
    assert headings[pool.text_ids.index(fuse(told, pool).text_ids[0])] == "The pump"
    assert fuse(told, pool).scores != fuse(alone, pooled(store, alone)[0]).scores


def test_nothing_found_is_nothing_fused(store: KnowledgeStore) -> None:
    views = query_views("anything", ())
    with store.read() as snapshot:
        vectors = dict(zip(["question"], HashEmbeddings().encode_queries(["anything"]), strict=True))
        background = Background(Sample(snapshot.vectors([]), has_headings=False))
        pool = Pool.of(snapshot, [], views, vectors, snapshot.vectors, background, WordIndex(snapshot, 3))
    assert fuse(views, pool) == fusion.Fused((), (), ())


def test_distances_are_in_standard_deviations() -> None:
    sample = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)
    view = np.array([1, 0], np.float32)
    usual = sample @ view
    found = Background(Sample(sample, has_headings=False)).distance(view, np.array([0.9], np.float32))
    assert found[0] == pytest.approx((0.9 - usual.mean()) / usual.std())


def test_a_small_index_leans_on_what_is_usual_elsewhere() -> None:
    view = np.array([1, 0], np.float32)
    alone = Background(Sample(np.zeros((0, 2), np.float32), has_headings=False), (0.7, 0.1))
    assert alone.distance(view, np.array([0.9], np.float32))[0] == pytest.approx(2)
    few = np.repeat(np.array([[0.5, 0.5]], np.float32), TYPICAL, axis=0)
    both = Background(Sample(few, has_headings=False), (0.7, 0.1))
    spread = np.sqrt(0.5 * 0.1**2 + 0.25 * 0.2**2)
    assert both.distance(view, np.array([0.9], np.float32))[0] == pytest.approx((0.9 - 0.6) / spread, rel=1e-4)


def test_no_spread_at_all_is_no_division_by_nothing() -> None:
    view = np.array([1, 0], np.float32)
    assert np.isfinite(
        Background(Sample(np.array([view]), has_headings=False)).distance(view, np.array([1], np.float32))
    ).all()
