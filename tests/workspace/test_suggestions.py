"""Questions that documents suggest: about their headings, worded as people ask, and answered by the documents."""

from __future__ import annotations

import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.text.heading_questions import question_about
from kb_assistant.text.language import language_of
from kb_assistant.workspace.chats import SavedTurn
from kb_assistant.workspace.suggestions import example_questions, follow_up_questions

pytestmark = pytest.mark.engine


def test_examples_come_from_both_languages_and_are_answered(sample_kb: KnowledgeBase) -> None:
    asked = [question for seed in range(3) for question in example_questions(sample_kb, seed=seed)]
    assert any("What" in one for one in asked)
    assert any(language_of(one) == "zh" for one in asked)
    assert example_questions(sample_kb, 3, seed=1) == example_questions(sample_kb, 3, seed=1)
    for language in ("en", "zh"):
        wanted = example_questions(sample_kb, 3, seed=1, language=language)
        assert [language_of(question) for question in wanted] == [language] * 3
    replies = [sample_kb.ask(question) for question in dict.fromkeys(asked)]
    assert [reply.question for reply in replies if reply.refused or not reply.answer or not reply.citations] == []


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
