"""The texts that stand for a question."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.retrieval.query_views import ALONE, TOLD_CHARACTERS, TURNS, query_views
from kb_assistant.types import Turn


def test_a_first_question_stands_for_itself() -> None:
    views = query_views("  Who runs it? ", ())
    assert views.texts == {"question": "Who runs it?"}
    assert views.searched == ("question",)
    assert views.is_first


def test_a_follow_up_stands_with_what_was_asked_and_told() -> None:
    views = query_views("and now?", [Turn("Who founded the cooperative?", "Alasdair Munn.")])
    assert views.searched == ("question", "asked", "told")
    assert views.texts["asked"] == "Who founded the cooperative? and now?"
    assert views.texts["told"] == "Who founded the cooperative? Alasdair Munn. and now?"
    assert views.texts["question 1"] == "Who founded the cooperative?"
    assert views.texts["answer 1"] == "Alasdair Munn."
    assert not views.is_first


def test_only_the_last_turns_count_and_only_so_much_of_them() -> None:
    told = [Turn(f"question {number}?", "answer " * 9) for number in range(TURNS + 2)]
    views = query_views("now?", told)
    assert "question 1?" not in views.texts["told"]
    assert views.texts["asked"].startswith("question 2?")
    assert views.texts["question 1"] == f"question {TURNS + 1}?"
    assert f"question {ALONE + 1}" not in views.texts
    long = query_views("now?", [Turn("q", "word " * 1000)])
    assert len(long.texts["told"]) <= TOLD_CHARACTERS + len(" now?")


def test_what_is_embedded_depends_on_whether_texts_stand_under_headings() -> None:
    views = query_views(
        "and now?", [Turn("Who founded it?", "Alasdair Munn."), Turn("When?", "In 1911.")], "rewritten"
    )
    assert views.dense_views(headed=True) == ("question", "question 1", "question 2", "rewritten")
    assert views.dense_views(headed=False) == ("question", "question 1", "question 2", "told", "rewritten")
    assert query_views("Who?", ()).dense_views(headed=False) == ("question",)


def test_words_of_earlier_turns_are_not_the_questions_own() -> None:
    views = query_views("When was the pump built?", [Turn("Where is the pump?", "The pump is in the cellar.")])
    assert "pump" in views.words["question"]
    assert "pump" in views.words["told"]
    assert "pump" not in views.words["answer 1"]
    assert "cellar" in views.words["answer 1"]


TURN = st.builds(Turn, st.text(max_size=30), st.text(max_size=30))


@given(st.text(max_size=30), st.lists(TURN, max_size=5))
def test_no_text_is_blank_and_each_has_words(question: str, history: list[Turn]) -> None:
    views = query_views(question, history)
    assert views.texts["question"] == question.strip()
    assert all(text.strip() for name, text in views.texts.items() if name != "question")
    assert views.texts.keys() == views.words.keys()
