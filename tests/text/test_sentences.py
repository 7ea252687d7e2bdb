"""Where a sentence ends is said once: pieces of documents, quotes and citations agree on it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from kb_assistant.answering.citations import CitedStream, marks
from kb_assistant.text.boundaries import SENTENCE, cuts_of
from kb_assistant.text.sentences import sentences
from kb_assistant.types import Hit, Locator

CASES = [
    ["水泵坏了。", "换新的！", "要多久？", "两天；", "也许三天。"],
    ["负责人是王工……", "电话是8021。"],
    ["See Fig. 3 by Dr. J. Smith, e.g. there.", "It is red."],
    ["It is No. 5 of the pumps.", "Is it on?", "No.", "It is off."],
    ['"Why?" he asked.', "Nobody knew!", "So what?"],
    ["Il a dit que oui ! en effet.", "Насос стоит 5 руб. за штуку.", "Да."],
    ["It takes 75 V.", "The other takes 1,200 W.", "It was 1923.", "Then A. Ross came."],
    ["In 1923 A. Ross came, with 12 men.", "He had 20 A.", "No more."],
    ["3.5 is the version.", "The file is a.txt."],
]


def text_of(case: list[str]) -> str:
    text = case[0]
    for before, after in pairwise(case):
        text += ("" if before[-1] > "\x7f" else " ") + after
    return text


@pytest.mark.parametrize("case", CASES)
def test_pieces_and_quotes_agree(case: list[str]) -> None:
    text = text_of(case)
    offsets = [0, *(offset for offset, rank in cuts_of(text, "prose") if rank == SENTENCE), len(text)]
    assert [text[start:end].strip() for start, end in pairwise(offsets)] == case
    assert sentences(text) == case


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("step", [1, 3, 1000])
def test_citations_agree(case: list[str], step: int) -> None:
    """Each sentence is cited by itself."""
    hits = list(map(hit, case))
    answer = text_of([f"{sentence}[{n}]" for n, sentence in enumerate(case, 1)])
    stream = CitedStream(hits)
    shown = "".join(stream.feed(answer[start : start + step]) for start in range(0, len(answer), step))
    shown += stream.finish()
    assert [mark.sentence for mark in marks(shown, hits)] == case
    assert len(stream.held) == len(case)


def hit(text: str) -> Hit:
    return Hit(id=text[:8], text=text, source="/docs/a.md", locator=Locator(), score=1.0)


def test_the_signs_of_a_quoted_mail_are_no_part_of_a_sentence() -> None:
    wrapped = """> The pump is so loud that nobody in the yard
> can sleep. Why?
It is an old pump, and nobody repairs it
> at all."""
    assert sentences(wrapped) == [
        "The pump is so loud that nobody in the yard can sleep.",
        "Why?",
        "It is an old pump, and nobody repairs it",
        "at all.",
    ]
    assert sentences(">> The pump is loud.\n> > 泵很响。\n> Why?") == ["The pump is loud.", "泵很响。", "Why?"]


def test_dated_entries_are_sentences_of_their_own() -> None:
    log = """2025-02-11 Filter of the upper pump changed by Olga, pressure is back at 2 bar
2025-03-04 Valve 3 leaks again, Petr ordered a seal from the yard next door
(2025/3/9) Seal fitted"""
    assert sentences(log) == log.splitlines()
    wrapped = "The upper pump was taken out, cleaned and measured by Olga and Petr on\n2025-02-11 in the yard."
    assert sentences(wrapped) == [wrapped.replace("\n", " ")]


def test_a_line_that_had_room_for_the_next_word_is_no_wrapped_one() -> None:
    note = """Subject: The upper gate in the yard is stuck
It opens a hand wide and then stops, so that nobody can bring the carts into the shed behind it."""
    assert sentences(note) == note.splitlines()
    wrapped = """The upper gate in the yard opens a hand wide
and then it stops with a noise"""
    assert sentences(wrapped) == [wrapped.replace("\n", " ")]
