"""Questions that documents suggest: about their headings, worded as people ask, and answered by the documents."""

from __future__ import annotations

import pytest

from kb_assistant.answering.documents import question_about
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.text.language import language_of
from kb_assistant.workspace.chats import SavedTurn
from kb_assistant.workspace.suggestions import example_questions, follow_up_questions

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        (
            "Tidewell: the tide energy project > The turbines",
            "What can you tell me about the turbines of Tidewell?",
        ),
        ("Visitor guide > Opening hours", "What can you tell me about opening hours of visitor guide?"),
        ("The Pump — a manual > NASA Seals", "What can you tell me about NASA Seals of the Pump?"),
        ("Questions > How do I get there?", "How do I get there?"),
        ("Otter", "What can you tell me about Otter?"),
        ("茶园简介：历史与现状 > 采摘", "茶园简介的“采摘”有哪些内容？"),
        ("采摘", "关于“采摘”，文档里有哪些内容？"),
        ("Report > 3.1", ""),
        ("x" * 80, ""),
        ("", ""),
    ],
)
def test_questions_are_worded_as_people_ask(heading: str, question: str) -> None:
    assert question_about(heading) == question


def test_examples_come_from_both_languages_and_are_answered(sample_kb: KnowledgeBase) -> None:
    asked = [question for seed in range(3) for question in example_questions(sample_kb, seed=seed)]
    assert any("What" in one for one in asked)
    assert any("有哪些内容" in one for one in asked)
    assert example_questions(sample_kb, 3, seed=1) == example_questions(sample_kb, 3, seed=1)
    for language in ("en", "zh"):
        wanted = example_questions(sample_kb, 3, seed=1, language=language)
        assert [language_of(question) for question in wanted] == [language] * 3
    refused = [question for question in asked if sample_kb.ask(question).refused]
    assert refused == []


def test_what_may_be_asked_next_is_about_other_headings_of_the_cited_document(sample_kb: KnowledgeBase) -> None:
    reply = sample_kb.ask("Who founded the Aldersea Station?")
    turn = SavedTurn(1, "c", "", reply.question, reply.answer, "done", reply.to_json())
    suggested = follow_up_questions(sample_kb, turn)
    assert 1 <= len(suggested) <= 3
    assert len(set(suggested)) == len(suggested)
    cited = {turn.hits[mark.n - 1].locator.heading for mark in turn.marks}
    assert not {question_about(heading or "") for heading in cited} & set(suggested)
    refused = SavedTurn(2, "c", "", "Cake?", "No.", "done", reply.to_json() | {"refused": True})
    assert follow_up_questions(sample_kb, refused) == []
