"""References to numbered parts of a document, and the numbers that parts begin with."""

from __future__ import annotations

import time

import pytest

from kb_assistant.text.numbered_parts import PartsAround, asked_parts, count_met, part_at


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("What does clause 3.2 say?", "3.2 Breach"),
        ("What does clause 3.2 say?", "3.2. Breach"),
        ("What is said in Section 4?", "4. Payment"),
        ("What is said in section 4?", "4 Payment"),
        ("Explain §7.1", "7.1 Notice"),
        ("Summarize Article IV.", "Article IV. Scope"),
        ("Summarize article 4", "Article IV Scope"),
        ("What is in Annex B?", "Annex B: Prices"),
        ("What is in Appendix 2?", "附录2 价格"),
        ("What do clauses 3.1, 3.2 and 5 say?", "5) Keys"),
        ("What must be done in step 3?", "3. Close the valve."),
        ("clause 4(b)", "(b) within ten days"),
        ("第二条的内容是什么？", "第二条 考勤"),
        ("第2条的内容是什么？", "第二条 考勤"),
        ("第十二條規定了什麼？", "第十二条 考勤"),
        ("第一百零二条", "第一〇二条 罚款"),
        ("3.2条说了什么", "3.2 违约"),
        ("合同第3.2款", "3.2 违约"),
        ("第三章讲什么", "三、加班"),
        ("第二项", "（二）病假"),
        ("附件一有什么？", "附件一 价目表"),
        ("What was fixed in Halden 2.4?", "2.4 (May 2025)"),
        ("what changed in halden 2.4", "## [2.4] - 2025-05-02"),
        ("what's new in v2.4", "v2.4"),
        ("What is new in version 2.4 of the rules?", "Version 2.4"),
        ("What is new in version 2.4 of the rules?", "2.4\tMay 2025\tGuests added"),
        ("海登2.4有什么新功能？", "2.4 新功能"),
    ],
)
def test_a_reference_means_the_part_with_its_number(question: str, heading: str) -> None:
    part = part_at(heading)
    assert part
    assert any(part.is_meant_by(one) for one in asked_parts(question))


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("What does clause 3.2 say?", "3.3 Keys"),
        ("What does clause 3.2 say?", "13.2 Keys"),
        ("What does clause 3 say?", "3.2 Keys"),
        ("What does clause 3.2 say?", "3.2.1 Keys"),
        ("第二条", "第二章 考勤"),
        ("第二条", "第十二条 考勤"),
        ("Article IV", "Section IV. Scope"),
        ("What was fixed in Halden 2.4?", "2.4.1 (June 2025)"),
        ("What was fixed in Halden 2.4?", "Section 2.4"),
    ],
)
def test_other_parts_are_not_meant(question: str, heading: str) -> None:
    part = part_at(heading)
    assert part
    assert not any(part.is_meant_by(one) for one in asked_parts(question))


@pytest.mark.parametrize(
    "question",
    ["Which version is 3.2?", "How long is 3.2 km?", "In which part of town is it?", "他有3条狗", "第二天去哪里？",
     "What is the item worth?", "in 2024", ""],
)  # fmt: skip
def test_what_refers_to_no_part(question: str) -> None:
    assert asked_parts(question) == []


@pytest.mark.parametrize("text", ["A breach ends it.", "3.5 percent", "考勤", "2024 was dry.", "I was there.", ""])
def test_texts_without_a_number_begin_no_part_that_is_asked_for(text: str) -> None:
    assert part_at(text) is None or not part_at(text).is_meant_by(asked_parts("clause 3")[0])  # type: ignore[union-attr]


def test_sentences_are_in_the_parts_above_and_before_them() -> None:
    around = PartsAround("contract > 3 Termination")
    asked = asked_parts("clause 3.2 (a)")
    said = ("3.1 Notice.", "It takes four months.", "3.2 Breach.", "(a) of secrecy", "at once", "3.3 Keys.")
    assert [count_met(asked, around.then(one)) for one in said] == [0, 0, 1, 2, 2, 0]
    assert count_met(asked_parts("clause 3"), around.then("(b) other")) == 1


def test_a_row_begins_a_part_and_a_part_of_the_said_kind_is_meant_more() -> None:
    asked = asked_parts("周二第二节是什么课")
    assert count_met(asked, PartsAround().then("节次: 第二节 9:00 | 星期二: 物理")) == 2
    assert count_met(asked, PartsAround().then("节次: 第三节 10:00 | 星期二: 历史")) == 0
    assert count_met(asked, PartsAround("规定 > 2 值班").then("每天一人。")) == 1


def test_time_is_linear() -> None:
    began = time.process_time()
    for text in ("第" * 100_000, "clause 1," * 20_000, "1." * 100_000, "section " * 30_000, "i" * 100_000):
        asked_parts(text)
        part_at(text)
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "question",
    [
        "What is the first step I need to take?",
        "Which part I should replace?",
        "the section A team wrote",
        "Should I schedule 2 calls?",
    ],
)
def test_pronouns_articles_and_verbs_are_no_parts(question: str) -> None:
    assert asked_parts(question) == []


def test_a_number_in_letters_goes_on_with_a_few_words() -> None:
    assert asked_parts("What does Article I of the treaty say?") == asked_parts("Article I")
    assert asked_parts("schedule 2 of the lease") != []
