"""Evidence: what tells a question that the documents bear on from one that they don't."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval import relevance as judging
from kb_assistant.retrieval.fusion import Pool, fuse
from kb_assistant.retrieval.query_views import WITH_ANSWERS, QueryViews
from kb_assistant.retrieval.relevance import (
    BACKGROUND_QUERIES,
    CROSS_LINGUAL,
    EVIDENCE,
    GUESS,
    NAMED,
    RUNNER_UP,
    UNKNOWN,
    cross_lingual_features,
    judged_by_code,
    probability,
    relevance,
)
from kb_assistant.settings import Settings
from kb_assistant.types import Turn
from tests.fakes import HashEmbeddings
from tests.real import RememberedEmbeddings
from tests.samples import SAMPLE_DOCS

HISTORY = [Turn("Where is the pump?", "In the north hall.")]
PUMP = "The pump in the north hall is serviced every six weeks by Ann Bell. Its oil is changed in May."


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    embedder = HashEmbeddings()
    with KnowledgeBase(Settings(home=tmp_path), embedder=embedder) as base:  # type: ignore[arg-type]
        base.add(["The pump stands in the north hall.", "The gate is open until noon.", "No crane in a storm."])
        yield base


def unasked(_: Sequence[str]) -> NDArray[np.float32]:
    raise AssertionError("something is embedded without need")


def seen(base: KnowledgeBase, question: str) -> tuple[QueryViews, Pool, Sequence[int]]:
    views, pool = base.searcher().measure(question)
    return views, pool, fuse(views, pool).text_ids


def test_nothing_found_has_no_evidence(base: KnowledgeBase) -> None:
    views, pool, _ = seen(base, "anything")
    assert relevance(views, pool, [], unasked) == 0


def test_a_question_of_other_things_has_less_evidence(base: KnowledgeBase) -> None:
    asked = relevance(*seen(base, "Where does the pump stand?"), unasked)
    assert asked > relevance(*seen(base, "Is there a good recipe for lentil soup?"), unasked)


def test_of_a_code_that_no_text_has_nothing_is_known(base: KnowledgeBase) -> None:
    base.add(["E62 means that the water of the pump is too hot.", "E41 means that the door is open."])
    assert relevance(*seen(base, "What does E62 mean?"), unasked) >= NAMED
    assert relevance(*seen(base, "What does E30 of the pump mean?"), unasked) <= UNKNOWN
    assert judged_by_code(0.9, *seen(base, "What does E30 mean?")) == UNKNOWN
    assert judged_by_code(0.9, *seen(base, "Is the gate open at 5pm?")) == 0.9


@pytest.mark.parametrize(("low", "high", "times"), [(0.0, 1.0, 1), (0.0, 0.0, 0), (1.0, 1.0, 0)])
def test_what_was_told_is_embedded_where_the_rest_leaves_a_doubt(
    base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch, low: float, high: float, times: int
) -> None:
    monkeypatch.setattr(judging, "UNCERTAIN_RANGE", (low, high))
    views, pool = base.searcher().measure("Is it big?", HISTORY, headed=True)
    assert WITH_ANSWERS not in pool.cosines
    best, asked = fuse(views, pool).text_ids, []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(texts)
        return HashEmbeddings().encode_queries(texts)

    found = relevance(views, pool, best, embed)
    assert asked == [views.texts[WITH_ANSWERS]] * times
    assert 0 <= found <= 1
    if times:
        whole = pool.with_view(WITH_ANSWERS, HashEmbeddings().encode_queries([views.texts[WITH_ANSWERS]])[0])
        assert found == pytest.approx(relevance(views, whole, best, unasked))


@pytest.mark.parametrize(("alone", "times"), [(-8.0, 0), (8.0, 1)])
def test_what_was_told_is_not_embedded_where_the_question_by_itself_is_refused(
    base: KnowledgeBase, monkeypatch: pytest.MonkeyPatch, alone: float, times: int
) -> None:
    monkeypatch.setattr(judging, "GUESS", {"always": 0.0})  # as likely as not
    monkeypatch.setattr(judging, "FOLLOW_UP", {"always": alone})
    views, pool = base.searcher().measure("Is there lentil soup?", HISTORY, headed=True)
    pool = replace(pool, background=replace(pool.background, prior=(0.1, 0.1)))
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(texts)
        return HashEmbeddings().encode_queries(texts)

    found = relevance(views, pool, fuse(views, pool).text_ids, embed)
    assert asked == [views.texts[WITH_ANSWERS]] * times
    assert found <= probability({"always": alone}, {"always": 1.0})


@given(st.fixed_dictionaries(dict.fromkeys({**EVIDENCE, **GUESS, **CROSS_LINGUAL}, st.floats(-3000, 3000))))
def test_evidence_is_a_probability(signs: dict[str, float]) -> None:
    for weights in (EVIDENCE, GUESS, CROSS_LINGUAL):
        assert 0 <= probability(weights, signs) <= 1


def test_texts_in_another_language_are_compared_with_questions_on_anything(base: KnowledgeBase) -> None:
    """The nearer they are to such questions, the less it says that they are near to this one."""
    views, pool, best = seen(base, "Where does the pump stand?")
    away = -pool.vectors.mean(axis=0)
    near = pool.vectors[pool.places(best[:1])[0]]

    def gap(anything: NDArray[np.float32]) -> float:
        return cross_lingual_features(views, pool, best, lambda texts: np.stack([anything] * len(texts)))[
            "asked gap"
        ]

    assert gap(away) > gap(near)
    assert len(BACKGROUND_QUERIES["zh"]) == len(BACKGROUND_QUERIES["en"])


@pytest.mark.parametrize(
    ("distances", "ahead"),
    [
        ([4], 4),
        ([1, 4], 4 - 1 / 2),
        ([4, 3, 3, 3, 1], 4 - 4 / 5),
        ([4.0] + [3.0] * (RUNNER_UP - 2) + [1.0], 3),
        ([4.0] + [3.0] * (RUNNER_UP - 2) + [1.0] + [0.5] * 5, 3),
    ],
)
def test_how_far_the_nearest_is_ahead(distances: list[float], ahead: float) -> None:
    assert judging._lead(np.array(distances, np.float32)) == pytest.approx(ahead)


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("How often is the pump serviced?", True),
        ("Who services it?", True),
        ("What is the capital of France?", False),
        ("Who sings in the opera?", False),
        ("水稻怎么种？", False),
    ],
)
def test_a_single_document_is_enough(
    tmp_path: Path, real_embedder: RememberedEmbeddings, question: str, answered: bool
) -> None:
    with KnowledgeBase(Settings(home=tmp_path), embedder=real_embedder) as base:
        base.add([PUMP])
        assert base.retrieve(question).relevant == answered


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("艾德西观测站的创始人是谁？", True),
        ("红烧肉怎么做？", False),
        ("今天的股票行情怎么样？", False),
        ("怎样申请小额贷款？", False),
    ],
)
def test_a_question_in_a_language_that_no_document_is_in(
    tmp_path: Path, real_embedder: RememberedEmbeddings, question: str, answered: bool
) -> None:
    with KnowledgeBase(Settings(home=tmp_path), embedder=real_embedder) as base:
        base.ingest(SAMPLE_DOCS / "en")
        found = base.retrieve(question)
        assert found.relevant == answered
        if answered:
            assert "Okafor" in " ".join(hit.text for hit in found.hits)
            assert found.uncertain
