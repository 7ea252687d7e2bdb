"""The texts that stand for a question."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.retrieval.query_views import ALONE, TOLD_CHARACTERS, TURNS, conversation
from kb_assistant.types import Turn


def test_a_first_question_stands_for_itself() -> None:
    talk = conversation("  Who runs it? ", ())
    assert talk.texts == {"question": "Who runs it?"}
    assert talk.searched == ("question",)
    assert talk.is_first


def test_a_follow_up_stands_with_what_was_asked_and_told() -> None:
    talk = conversation("and now?", [Turn("Who founded the cooperative?", "Alasdair Munn.")])
    assert talk.searched == ("question", "asked", "told")
    assert talk.texts["asked"] == "Who founded the cooperative? and now?"
    assert talk.texts["told"] == "Who founded the cooperative? Alasdair Munn. and now?"
    assert talk.texts["question 1"] == "Who founded the cooperative?"
    assert talk.texts["answer 1"] == "Alasdair Munn."
    assert not talk.is_first


def test_only_the_last_turns_count_and_only_so_much_of_them() -> None:
    told = [Turn(f"question {number}?", "answer " * 9) for number in range(TURNS + 2)]
    talk = conversation("now?", told)
    assert "question 1?" not in talk.texts["told"]
    assert talk.texts["asked"].startswith("question 2?")
    assert talk.texts["question 1"] == f"question {TURNS + 1}?"
    assert f"question {ALONE + 1}" not in talk.texts
    long = conversation("now?", [Turn("q", "word " * 1000)])
    assert len(long.texts["told"]) <= TOLD_CHARACTERS + len(" now?")


def test_what_is_embedded_depends_on_whether_texts_stand_under_headings() -> None:
    talk = conversation(
        "and now?", [Turn("Who founded it?", "Alasdair Munn."), Turn("When?", "In 1911.")], "rewritten"
    )
    assert talk.dense_views(headed=True) == ("question", "question 1", "question 2", "rewritten")
    assert talk.dense_views(headed=False) == ("question", "question 1", "question 2", "told", "rewritten")
    assert conversation("Who?", ()).dense_views(headed=False) == ("question",)


def test_words_of_earlier_turns_are_not_the_questions_own() -> None:
    talk = conversation("When was the pump built?", [Turn("Where is the pump?", "The pump is in the cellar.")])
    assert "pump" in talk.words["question"]
    assert "pump" in talk.words["told"]
    assert "pump" not in talk.words["answer 1"]
    assert "cellar" in talk.words["answer 1"]


TURN = st.builds(Turn, st.text(max_size=30), st.text(max_size=30))


@given(st.text(max_size=30), st.lists(TURN, max_size=5))
def test_no_text_is_blank_and_each_has_words(question: str, history: list[Turn]) -> None:
    talk = conversation(question, history)
    assert talk.texts["question"] == question.strip()
    assert all(text.strip() for name, text in talk.texts.items() if name != "question")
    assert talk.texts.keys() == talk.words.keys()
