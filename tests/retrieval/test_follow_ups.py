"""What a follow-up asks must be in the documents, whatever the turns before were about."""

from __future__ import annotations

import pytest

from kb_assistant import KnowledgeBase
from kb_assistant.retrieval.query_views import query_views
from kb_assistant.types import Turn

ENGLISH, CHINESE = "Who founded the Aldersea Station?", "白鹭洲有观鸟塔吗？"


def evidence(base: KnowledgeBase, first: str, question: str) -> float:
    return base.retrieve(question, history=[base.ask(first).turn]).evidence


@pytest.mark.parametrize(
    ("first", "question"),
    [
        (ENGLISH, "What's the capital of Portugal?"),
        (ENGLISH, "Who painted the Mona Lisa?"),
        (ENGLISH, "and how do I play chess?"),
        (CHINESE, "葡萄牙的首都是哪里？"),
        (CHINESE, "三国演义的作者是谁"),
        (CHINESE, "怎樣學彈吉他？"),
    ],
)
def test_what_the_documents_do_not_know_is_refused_in_a_second_turn(
    sample_kb: KnowledgeBase, first: str, question: str
) -> None:
    assert evidence(sample_kb, first, question) < sample_kb.thresholds.refuse_below


@pytest.mark.parametrize(
    ("first", "question"),
    [
        (ENGLISH, "and who runs it now?"),
        (ENGLISH, "when?"),
        (ENGLISH, "is there a library?"),
        (ENGLISH, "How old must volunteers be?"),
        (CHINESE, "它什么时候开放？"),
        (CHINESE, "谁负责？"),
        (CHINESE, "門票多少錢"),
        (CHINESE, "茶园有多大"),
    ],
)
def test_what_they_know_is_answered_whether_it_points_back_or_not(
    sample_kb: KnowledgeBase, first: str, question: str
) -> None:
    assert evidence(sample_kb, first, question) >= sample_kb.thresholds.refuse_below


def test_the_words_that_no_earlier_turn_has_are_known() -> None:
    history = [Turn("Who keeps the boat?", "Anselm keeps the boat. [1]")]
    assert query_views("Who paints the boat?", history).fresh == ["paint"]
    assert query_views("and why?", history).fresh is None
    assert query_views("Who paints the boat?", ()).fresh is None
