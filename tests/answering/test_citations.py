"""Citations: what is shown doesn't depend on how the text arrives, nothing is lost, no mark points nowhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kb_assistant.answering.citations import CitedStream, unmarked
from kb_assistant.types import Citation, Hit, Locator

MARK = re.compile(r"[\[【][^\S\n]*\d{1,3}(?:[^\S\n]*[,，、][^\S\n]*\d{1,3})*[^\S\n]*[\]】]")


def hit(text: str, heading: str | None = None) -> Hit:
    return Hit(id=text[:8], text=text, source="/docs/a.md", locator=Locator(heading=heading), score=1.0)


TOWER = hit("The tower is 34 metres high. Visitors climb 163 steps to the gallery.", "The lighthouse")
FOUNDER = hit("The cooperative was founded by Alasdair Munn in 1962.", "Who we are")
BIRDS = hit("观鸟塔周三至周日6:30至11:30开放。白鹭洲的门票每张15元，老人和孩子免费。", "参观")
HITS = (TOWER, FOUNDER, BIRDS)


def say(pieces: Sequence[str], hits: Sequence[Hit] = HITS) -> tuple[str, tuple[Citation, ...]]:
    stream = CitedStream(hits)
    shown = "".join(map(stream.feed, pieces)) + stream.finish()
    return shown, stream.citations


def cited(text: str, hits: Sequence[Hit] = HITS) -> list[tuple[int, bool]]:
    return [(citation.n, citation.supported) for citation in say([text], hits)[1]]


FRAGMENTS = st.sampled_from(
    [
        *("The tower is 34 metres high", "The tower is 99 metres high", "founded by Alasdair Munn in 1962", "Hm"),
        *("观鸟塔周三至周日6:30至11:30开放", "门票每张15元", "门票每张16元", "好"),
        *(
            "[1]",
            " [2]",
            "[3]",
            "[0]",
            "[7]",
            "[1, 9]",
            "[1,2]",
            "[2、 3]",
            "【2】",
            "【 3 】",
            "[12",
            "[1234]",
            "[]",
        ),
        *("[", "]", "【", "】", ",", "，", "1", "7", "a[1]", "[x]"),
        *(" ", "  ", "\t", "\n", "\n\n", "\u3000", "\u00a0", "\r\n", "\u2028", "\x1f"),
        *(".", "。", "！", "?", "...", "”", '"', "'", "）", ")", "3.14", "e.g. ", "Dr."),
    ]
)
TEXTS = st.one_of(st.lists(FRAGMENTS, max_size=14).map("".join), st.text(max_size=30))


@st.composite
def texts_in_pieces(draw: st.DrawFn) -> tuple[str, list[str]]:
    text = draw(TEXTS)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return text, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(texts_in_pieces())
def test_shown_text_and_citations_are_the_same_however_the_text_is_cut(case: tuple[str, list[str]]) -> None:
    text, pieces = case
    whole = say([text])
    assert say(pieces) == whole
    assert say(list(text)) == whole


def without_marks(text: str) -> str:
    """Letters without marks and blanks: a mark may bring a space or take one along."""
    return "".join(MARK.sub("", text).split())


@given(TEXTS)
def test_nothing_but_marks_comes_or_goes(text: str) -> None:
    assume(not MARK.search(MARK.sub("", text)))  # a mark made of what stands around another
    shown, _ = say([text])
    assert without_marks(shown) == without_marks(text)


@given(st.text(st.characters(exclude_characters="[]【】")))
def test_text_that_nothing_supports_is_shown_as_it_is(text: str) -> None:
    assert say([text], ())[0] == text


@given(TEXTS)
def test_every_mark_shown_is_a_citation_and_every_citation_a_mark(text: str) -> None:
    assume(not MARK.search(MARK.sub("", text)))
    shown, citations = say([text])
    marks = [int(n) for mark in MARK.findall(shown) for n in re.findall(r"\d+", mark)]
    assert list(dict.fromkeys(marks)) == [citation.n for citation in citations]
    assert all(citation.hit is HITS[citation.n - 1] for citation in citations)


def test_what_is_held_back_comes_out_at_the_end() -> None:
    for tail in ("[", "[1", "[1,", " 【", ".", '."', "。", " ", "[12"):
        stream = CitedStream(())
        assert stream.feed("yes" + tail) + stream.finish() == "yes" + tail


def test_text_is_shown_as_soon_as_it_cannot_change() -> None:
    stream = CitedStream(HITS)
    assert stream.feed("The tow") == "The tow"
    assert stream.feed("er is [") == "er is"
    assert stream.feed("x") == " [x"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("The tower is 34 metres high [1].", "The tower is 34 metres high [1]."),
        ("The tower is 34 metres high. [1]", "The tower is 34 metres high. [1]"),
        ("The tower is 34 metres high.[1]", "The tower is 34 metres high. [1]"),
        ("The tower is 34 metres high [7].", "The tower is 34 metres high. [1]"),
        ("Who knows [7].", "Who knows."),
        ("Who knows [0].", "Who knows."),
        ("Who knows. [9] [8]", "Who knows."),
        ("It is 34 metres high [1, 9].", "It is 34 metres high [1]."),
        ("It is 34 metres high [1][1] [1].", "It is 34 metres high [1]."),
        ("It was founded in 1962【2】.", "It was founded in 1962 [2]."),
        ("Both [1,2].", "Both [1] [2]."),
        ("门票每张15元【3】。", "门票每张15元[3]。"),
        ("门票每张15元。【3】", "门票每张15元。[3]"),
        ("门票每张15元[3，8]。", "门票每张15元[3]。"),
        ("门票每张15元。", "门票每张15元。[3]"),
        ("不知道[8]。", "不知道。"),
        ("First line [1]\n[2] second line", "First line [1]\n[2] second line"),
        ("One。\n[1] two", "One。\n[1] two"),
    ],
)
def test_marks_are_checked(said: str, shown: str) -> None:
    assert say([said])[0] == shown


def test_a_sentence_without_a_mark_is_cited_only_where_a_passage_plainly_holds_it() -> None:
    assert say(["The tower is 34 metres high."])[0] == "The tower is 34 metres high. [1]"
    assert say(["It is a lovely building with a red door and a garden."])[1] == ()
    assert say(["The tower."])[1] == (), "two words say too little"
    assert say(["观鸟塔周三至周日开放。"])[0] == "观鸟塔周三至周日开放。[3]"
    assert say(["这里的天气很好，适合散步。"])[1] == ()


def test_each_sentence_is_looked_at_by_itself() -> None:
    said = (
        "The tower is 34 metres high. Nobody knows what tomorrow brings. It was founded by Alasdair Munn in 1962."
    )
    shown, citations = say([said])
    assert shown == (
        "The tower is 34 metres high. [1] Nobody knows what tomorrow brings. "
        "It was founded by Alasdair Munn in 1962. [2]"
    )
    assert [(citation.n, citation.supported) for citation in citations] == [(1, True), (2, True)]


def test_a_number_that_the_passage_does_not_hold_is_not_supported() -> None:
    assert cited("The tower is 34 metres high [1].") == [(1, True)]
    assert cited("The tower is 35 metres high [1].") == [(1, False)]
    assert cited("白鹭洲的门票每张15元[3]。") == [(3, True)]
    assert cited("白鹭洲的门票每张25元[3]。") == [(3, False)]
    assert cited("The tower is 35 metres high.") == [], "nor is it cited unasked"


def test_other_forms_of_its_words_are_support() -> None:
    pumps = hit("The keepers opened both valves. Reindeer counted: 4,812, by release v1.2.")
    assert cited("A keeper is opening the valve [1].", [pumps]) == [(1, True)]
    assert cited("There are 4812 reindeers [1].", [pumps]) == [(1, True)]
    assert cited("There are 812 reindeers [1].", [pumps]) == [(1, False)], "part of a number is another number"
    assert cited("Release v1.3 counted the reindeer [1].", [pumps]) == [(1, False)]
    assert cited("觀鳥塔週三至週日開放[3]。") == [(3, True)]
    assert cited("門票每張１５元。") == [(3, True)]


def test_the_wrong_passage_is_not_support() -> None:
    assert cited("The cooperative was founded by Alasdair Munn [1].") == [(1, False)]
    assert cited("观鸟塔周三至周日开放[2]。") == [(2, False)]


def test_one_unsupported_sentence_makes_the_citation_unsupported() -> None:
    assert cited("The tower is 34 metres high [1]. It was built from chocolate by giants [1].") == [(1, False)]
    assert cited("It was built from chocolate by giants [1]. The tower is 34 metres high [1].") == [(1, False)]


def test_words_of_the_heading_count_as_the_passages() -> None:
    assert cited("The lighthouse tower [1].") == [(1, True)]


def test_full_width_digits_are_the_same_numbers() -> None:
    assert cited("门票每张１５元[3]。") == [(3, True)]


@example("[[7]9]")
@given(st.lists(st.sampled_from(["[", "]", "【", "1", "7", "[7]", "[1]", ",", " "]), max_size=12).map("".join))
def test_nested_brackets_do_not_stop_it(text: str) -> None:
    shown, _ = say(list(text))
    assert set(shown) <= set(text) | set("[] 1237")


def test_without_passages_all_marks_go() -> None:
    assert say(["A [1]. B【2】。"], ()) == ("A. B。", ())


def test_each_sentence_that_cites_counts_once() -> None:
    checked = CitedStream([hit("The tower is 34 metres high."), hit("Munn founded it in 1962.")])
    checked.feed("The tower is 34 metres high [1]. The tower is 99 metres high [1]. Well. Munn founded it [2][1].")
    checked.finish()
    assert checked.held == (True, False, False)


def test_marks_are_taken_out() -> None:
    assert unmarked("It is so [1]. 是这样[2][3]。") == "It is so. 是这样。"
