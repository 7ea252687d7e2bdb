"""Citations: what is shown doesn't depend on how the text arrives, nothing is lost, no mark points nowhere."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kb_assistant.answering.citations import CitedStream, marks
from kb_assistant.text.marks import unmarked
from kb_assistant.types import Citation, Hit, Locator


def code_ends(text: str, start: int) -> int:
    """Where the code ends that begins at a backtick; `start` where it is no code."""
    run = start
    while run < len(text) and text[run] == "`":
        run += 1
    at = run
    while at < len(text):
        line = text[at:].split("\n")[1:2]
        if text[at] == "\n" and line and opens_block(line[0], at + 1 + len(line[0]) < len(text)):
            return start
        if text[at] == "`":
            other = at
            while other < len(text) and text[other] == "`":
                other += 1
            if other - at == run - start:
                return other
            at = other
        else:
            at += 1
    return start


def opens_block(line: str, ended: bool) -> bool:
    """Whether no paragraph goes on in a line."""
    bare = line.lstrip(BLANKS)
    return (ended and not bare) or bare.startswith(("```", "~~~"))


BLANKS = " \t\r\x1f\u3000\u00a0\u2028"


def code_places(text: str) -> set[int]:
    """Places of code, by going through the text line by line and sign by sign."""
    code: set[int] = set()
    at, fence = 0, ""
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        line = text[at:end].strip(BLANKS + "\n")
        if fence:
            code |= set(range(at, end))
            if line.startswith(fence) and set(line) == {fence[0]}:
                fence = ""
            at = end
            continue
        sign = line[:1]
        run = len(line) - len(line.lstrip(sign)) if sign in ("`", "~") else 0
        if run >= 3 and not (sign == "`" and "`" in line[run:]):
            fence = sign * run
            code |= set(range(at, end))
            at = end
            continue
        while at < end:
            if text[at] == "\\" and text[at + 1 : at + 2] not in ("", "\n"):
                at += 2
            elif text[at] == "`":
                after = code_ends(text, at)
                code |= set(range(at, after))
                at = max(after, at + 1 if after > at else at + len(text[at:]) - len(text[at:].lstrip("`")))
                end = max(end, text.find("\n", at - 1) + 1 or len(text)) if at > end else end
            else:
                at += 1
    return code


def oracle(text: str, count: int) -> list[tuple[int, int, list[int]]]:
    """Start, end and numbers of the marks of a text, found sign by sign."""
    code = code_places(text)
    found: list[tuple[int, int, list[int]]] = []
    at = 0
    while at < len(text):
        end = min((place for sign in "]】" if (place := text.find(sign, at)) > 0), default=-1)
        inside = text[at + 1 : end].replace("，", ",").replace("、", ",").split(",")
        numbers = [part.strip(BLANKS) for part in inside]
        behind_mark = bool(found) and found[-1][1] == at
        before = text[at - 1] if at and not behind_mark and at - 1 not in code else " "
        joined = text[at] == "[" and (before in ")]_" or (before.isalnum() and before < "\u2e80"))
        fits = all(part.isdecimal() and len(part) <= 3 and 1 <= int(part) <= 99 for part in numbers)
        if text[at] in "[【" and end > 0 and fits and not joined and not code & set(range(at, end + 1)):
            valid = [int(part) for part in numbers if int(part) <= count]
            if valid:
                found.append((at, end + 1, valid))
                at = end + 1
                continue
        at += 1
    return found


def rest(text: str, count: int) -> str:
    """Letters outside the marks and without blanks: a mark may bring a space or take one along."""
    kept, last = "", 0
    for start, end, _ in oracle(text, count):
        kept, last = kept + text[last:start], end
    return "".join((kept + text[last:]).split())


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
        *("[", "]", "【", "】", ",", "，", "1", "7", "a[1]", "[x]", "f(x)[2]", "rows[0][1]", "[404]", "[2020]"),
        *("`", "``", "```", "~~~", "\n```\n", "\n~~~py\n", "`rows[1]`", "\n    ```\n", "\\"),
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


STRANGE = tuple(hit(f"nothing {n}") for n in range(3))
"""Passages that hold nothing of what is said, so that no mark is added."""


@given(TEXTS)
def test_nothing_but_marks_comes_or_goes(text: str) -> None:
    shown, _ = say([text], STRANGE)
    assert rest(shown, 3) == rest(text, 3)


@given(st.text(st.characters(exclude_characters="[]【】")))
def test_text_that_nothing_supports_is_shown_as_it_is(text: str) -> None:
    assert say([text], ())[0] == text


@given(TEXTS)
def test_every_mark_is_a_citation_and_every_citation_a_mark(text: str) -> None:
    shown, citations = say([text], STRANGE)
    said = [n for *_, numbers in oracle(text, 3) for n in numbers]
    assert [citation.n for citation in citations] == list(dict.fromkeys(said))
    assert all(citation.hit is STRANGE[citation.n - 1] for citation in citations)
    assert {n for *_, numbers in oracle(shown, 3) for n in numbers} == set(said)
    assert [mark.n for mark in marks(shown, STRANGE)] == [n for *_, ns in oracle(shown, 3) for n in ns]


@given(TEXTS)
def test_history_is_told_without_marks_and_with_all_else(text: str) -> None:
    shown, citations = say([text], STRANGE)
    told = unmarked(shown, [citation.n for citation in citations])
    assert "".join(told.split()) == rest(text, 3)
    assert not marks(told, STRANGE) or told != shown


@pytest.mark.parametrize(
    "text",
    [
        "Read sys.argv[1] first.",
        "It is rows[0], or rows[1][2].",
        "Call f(x)[1] and get(2)[2].",
        "The page says [404] since [2020].",
        "A number from [0, 1] or [1, 100].",
        "Use `[1]` or ``a ` [2]`` here.",
        "A list:\n```python\nrows = [1]\nprint(rows, [2])\n```\n",
        "~~~\n[1]\n```\n[2]",
        "It was in 1962[1].",
        "ключ[1]",
    ],
)
def test_what_only_looks_like_a_mark_stays(text: str) -> None:
    assert say([text], STRANGE) == say(list(text), STRANGE) == (text, ())
    assert unmarked(text) == text
    assert marks(text, STRANGE) == []


def test_a_mark_beside_code_is_one() -> None:
    said = "Run `rows[1]` [1]. A ` alone [2].\n```\n[3]\n```\n[3]"
    shown, citations = say(list(said), STRANGE)
    assert shown == said
    assert [citation.n for citation in citations] == [1, 2, 3]
    assert unmarked(shown, (1, 2, 3)) == "Run `rows[1]`. A ` alone.\n```\n[3]\n```\n"


def test_code_is_neither_cited_nor_changed() -> None:
    block = "```\nThe tower is 34 metres high.\n```\nIt was founded by Alasdair Munn in 1962."
    assert say([block])[0] == f"{block} [2]"


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
        ("The tower is 34 metres high [7].", "The tower is 34 metres high [7]. [1]"),
        ("Who knows [7].", "Who knows [7]."),
        ("Who knows [0].", "Who knows [0]."),
        ("Who knows. [9] [8]", "Who knows. [9] [8]"),
        ("Who knows. [2] [8] [1]", "Who knows. [2] [8] [1]"),
        ("Café [1]. Café. [1]", "Café [1]. Café. [1]"),
        ("It is 34 metres high [1, 9].", "It is 34 metres high [1]."),
        ("It is 34 metres high [1][1] [1].", "It is 34 metres high [1]."),
        ("It was founded in 1962【2】.", "It was founded in 1962 [2]."),
        ("Both [1,2].", "Both [1] [2]."),
        ("门票每张15元【3】。", "门票每张15元[3]。"),
        ("门票每张15元。【3】", "门票每张15元。[3]"),
        ("门票每张15元[3，8]。", "门票每张15元[3]。"),
        ("门票每张15元。", "门票每张15元。[3]"),
        ("不知道[8]。", "不知道[8]。"),
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


def test_a_mark_never_stands_within_a_picture() -> None:
    hit = Hit(
        "1", "Its picture ![pixel](https://tracker.invalid/p.png) hangs on the wall.", "a.md", Locator(), 1.0
    )
    for cut in (1, 3, 100):
        stream = CitedStream([hit])
        text = "Its picture ![pixel](https://tracker.invalid/p.png) hangs on the wall."
        shown = "".join(stream.feed(text[at : at + cut]) for at in range(0, len(text), cut)) + stream.finish()
        assert shown == f"{text} [1]"
        (mark,) = marks(shown, [hit])
        assert mark.sentence == text


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


def test_without_passages_there_are_no_marks() -> None:
    assert say(["A [1]. B【2】。"], ()) == ("A [1]. B【2】。", ())


def test_each_sentence_that_cites_counts_once() -> None:
    checked = CitedStream([hit("The tower is 34 metres high."), hit("Munn founded it in 1962.")])
    checked.feed("The tower is 34 metres high [1]. The tower is 99 metres high [1]. Well. Munn founded it [2][1].")
    checked.finish()
    assert checked.held == (True, False, False)


def test_marks_are_taken_out() -> None:
    assert unmarked("It is so [1]. 是这样[2][3]。") == "It is so. 是这样。"
