"""Lines of conversations that hold what is searched."""

from __future__ import annotations

import time

from kb_assistant.workspace.chat_search import AFTER, BEFORE, find_in
from kb_assistant.workspace.chats import Chat, SavedTurn

CHAT = Chat("c", "ann", "default", "The ferry", "2026-01-01", "2026-01-01")


def turn(id_: int, question: str, answer: str = "") -> SavedTurn:
    return SavedTurn(id_, "c", "2026-01-01", question, answer)


def test_the_turn_with_most_of_the_words_gives_the_line_with_their_places() -> None:
    turns = [turn(1, "When does it run?", "At nine."), turn(2, "And on Sunday?", "Sunday at TEN,\nfrom the quay.")]
    found = find_in(CHAT, turns, ["sunday", "ten"])
    assert found is not None
    assert (found.turn, found.line) == (2, "Sunday at TEN, from the quay.")
    assert [found.line[start:end] for start, end in found.spans] == ["Sunday", "TEN"]


def test_all_words_must_be_there_and_the_title_counts() -> None:
    assert find_in(CHAT, [turn(1, "When?")], ["ferry", "bus"]) is None
    found = find_in(CHAT, [turn(1, "When?")], ["FERRY"])
    assert found is not None
    assert (found.turn, found.line, found.spans) == (None, "", ())


def test_a_long_answer_is_cut_around_the_word_in_any_language() -> None:
    found = find_in(CHAT, [turn(1, "问", "茶" * 500 + "门票三十元" + "园" * 500)], ["门票"])
    assert found is not None
    assert len(found.line) <= BEFORE + AFTER + 2
    assert found.line.startswith("…")
    assert found.line.endswith("…")
    assert [found.line[start:end] for start, end in found.spans] == ["门票"]


def test_signs_of_patterns_and_markup_are_searched_as_they_are() -> None:
    found = find_in(CHAT, [turn(1, "Is it <b>(a|b)*</b>?")], ["(a|b)*", "<b>"])
    assert found is not None
    assert [found.line[start:end] for start, end in found.spans] == ["<b>", "(a|b)*"]


def test_long_turns_and_many_words_take_no_time() -> None:
    began = time.process_time()
    turns = [turn(n, "aaaa " * 5_000, "ba" * 50_000) for n in range(20)]
    found = find_in(CHAT, turns, ["a" * n for n in range(1, 5)])
    assert found is not None
    assert time.process_time() - began < 5
