"""In a knowledge base in two languages, what answers in the other one is read too, though all in the question's is
nearer to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kb_assistant.embedding.base import TextEmbeddings
from kb_assistant.index.sample import Centre, Sample
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.across import moved
from kb_assistant.settings import Settings
from tests.homes import link_models

CLUBS = ("rowing", "chess", "pottery", "fencing", "drama", "astronomy", "cooking", "archery", "sewing", "debating",
         "climbing", "photography", "gardening", "robotics", "choir", "cycling")  # fmt: skip
LANTERNS = "# 元宵灯会\n\n灯会在东湖公园举行,晚上18:40点灯,20:30放烟花。门票免费。\n"
WEDDING = "# 婚宴安排\n\n上午9:20接新娘,11:28举行结婚仪式,12:00开席。宴会厅在三楼。\n"


@pytest.fixture(scope="module")
def clubs(
    models_home: Path, real_embedder: TextEmbeddings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("across")
    home, documents = link_models(models_home, folder / "home"), folder / "documents"
    documents.mkdir()
    for hour, club in enumerate(CLUBS):
        text = (
            f"# The {club} club\n\nThe evening of the {club} club starts at {hour + 5}:15 in room {hour + 30}.\n"
        )
        (documents / f"{club}.md").write_text(text, "utf-8")
    for name, text in (("灯会.md", LANTERNS), ("婚宴.md", WEDDING)):
        (documents / name).write_text(text, "utf-8")
    with KnowledgeBase(Settings(home=home, model="extract"), embedder=real_embedder) as base:
        base.ingest([documents])
        yield base


def test_what_is_nearest_in_the_other_language_is_read_too(clubs: KnowledgeBase) -> None:
    found = clubs.retrieve("when do the fireworks of the lantern festival start", 12, read=True).hits
    assert any(hit.source.endswith("灯会.md") for hit in found)
    assert len(found) == 12


def test_what_answers_in_the_other_language_is_told(clubs: KnowledgeBase) -> None:
    reply = clubs.ask("when does the wedding ceremony start")
    assert "11:28" in reply.answer
    assert reply.citations[0].hit.source.endswith("婚宴.md")


def test_what_answers_in_the_questions_language_stays_first(clubs: KnowledgeBase) -> None:
    assert clubs.ask("when does the pottery club start").citations[0].hit.source.endswith("pottery.md")
    assert clubs.ask("灯会在哪里举行").citations[0].hit.source.endswith("灯会.md")


@pytest.mark.parametrize("question", ["who won the chess olympiad in 1924", "火星上有几个月亮"])
def test_what_neither_language_answers_is_refused(clubs: KnowledgeBase, question: str) -> None:
    assert clubs.ask(question).refused


def test_a_vector_is_moved_from_centre_to_centre_where_there_are_two() -> None:
    vector = np.array([1, 0, 0], np.float32)
    english, chinese = np.array([0.8, 0, 0.6], np.float32), np.array([0, 0.8, 0.6], np.float32)
    both = {"en": Centre(60, english), "zh": Centre(40, chinese)}
    there = moved(vector, Sample(np.stack([english, chinese]), True, both), "en")
    assert there is not None
    assert there == pytest.approx(np.array([0.2, 0.8, 0]) / np.hypot(0.2, 0.8))
    for centres in ({"en": Centre(9, english)}, {"zh": Centre(9, chinese)}, {}, both | {"zh": Centre(1, chinese)}):
        assert moved(vector, Sample(english[None], True, centres), "en") is None, "nothing to search by itself"
