"""Questions about headings, worded as people ask."""

from __future__ import annotations

import time

import pytest

from kb_assistant.text.heading_questions import question_about, questions_about


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        # parts of a thing, of a place, of a text
        ("Tidewell: the tide project > The turbines", "What should I know about the turbines of Tidewell?"),
        ("Tidewell: the tide project > Next steps", "What should I know about Tidewell's next steps?"),
        ("Corran Hostel > Work days", "What should I know about work days at Corran Hostel?"),
        ("Visitors' guide to Corran > Tickets", "What does the visitors' guide to Corran say about tickets?"),
        ("House rules > Damage and accidents", "What do the house rules say about damage and accidents?"),
        ("The Pump — a manual > NASA Seals", "What should I know about the Pump's NASA Seals?"),
        (
            "Tern-4 data logger > Reading the data",
            "What should I know about reading the data with the Tern-4 data logger?",
        ),
        ("Otter", "What should I know about Otter?"),
        ("Travel reimbursement policy", "What does the travel reimbursement policy say?"),
        # what is asked by words of its own
        ("Town Library Millbrook > Opening hours", "What are the opening hours at Town Library Millbrook?"),
        ("Dental Practice > Getting here", "How do I get to Dental Practice?"),
        ("Corran Hostel > Contact", "How can I contact Corran Hostel?"),
        ("The exchange programme > Partners", "Who are the partners of the exchange programme?"),
        ("Tidewell: the tide project > Overview", "What is Tidewell?"),
        # clauses
        ("Questions > How do I get there?", "How do I get there?"),
        ("Class trip to Lake Ardmore > What to pack", "What should I pack for the class trip to Lake Ardmore?"),
        (
            "Class trip to Lake Ardmore > If your child falls ill",
            "What should I keep in mind if my child falls ill?",
        ),
        ("Travel policy > What is not paid", "According to the travel policy, what is not paid?"),
        ("Data connector > Create a table", "How do I create a table for the data connector?"),
        ("Data connector > How to set `max_rows`", "How do I set max_rows for the data connector?"),
        # numbers, brackets
        (
            "Travel rules > 1.2 Before the trip",
            "According to the travel rules, what should I keep in mind before the trip?",
        ),
        ("Tidewell > 3) Money (资金)", "What should I know about Tidewell's money?"),
        ("茶园简介：历史与现状 > 采摘", "在茶园采摘要注意什么？"),
        ("青岚茶园参观指南 > 一、开放时间", "青岚茶园的开放时间是什么时候？"),
        ("青岚茶园参观指南 > 门票（每人）", "青岚茶园的门票多少钱？"),
        ("青岚茶园参观指南 > 交通", "怎么去青岚茶园？"),
        ("青岚茶园 > 注意事项", "青岚茶园有哪些注意事项？"),
        ("青岚茶园 > 历任园长", "青岚茶园的历任园长是谁？"),
        ("差旅报销制度 > 第三章 住宿", "差旅报销制度对住宿有什么规定？"),
        ("业主大会纪要 > 停车", "业主大会纪要里关于停车是怎么说的？"),
        ("爱宠医院 常见问题 > 吃了不该吃的东西", "吃了不该吃的东西怎么办？"),
        ("爱宠医院 常见问题 > 绝育", "在爱宠医院绝育要注意什么？"),
        ("数据库手册 > 创建表", "数据库怎么创建表？"),
        ("会议制度", "会议制度主要讲了什么？"),
        ("采摘", "能介绍一下采摘吗？"),
        # nothing to ask about
        ("Report > 3.1", ""),
        ("Report > References", ""),
        ("Report > Section 2.1.1", ""),
        ("手册 > 附录一", ""),
        ("x" * 80, ""),
        (" > ", ""),
        ("", ""),
    ],
)
def test_questions_are_worded_as_people_ask(heading: str, question: str) -> None:
    assert question_about(heading) == question


def test_the_text_tells_names_from_words_and_gives_the_article() -> None:
    text = "Whoever finds a lost key calls us. With Kafka, money is no matter."
    assert question_about("Kafka connector > How to set it", text) == "How do I set it for the Kafka connector?"
    assert question_about("House rules > Lost key", text) == "What do the house rules say about a lost key?"
    assert question_about("Ferry house > Kafka", text) == "What should I know about Kafka at the ferry house?"
    assert question_about("Ferry house > Money", text) == "What should I know about money at the ferry house?"


def test_each_heading_is_asked_about_once() -> None:
    passages = [("Guide > Food", "a"), ("Guide > Food", "b"), ("Guide > 1", "c"), ("", "d")]
    assert questions_about(passages) == {"Guide > Food": "What does the guide say about food?"}


@pytest.mark.parametrize("sign", ["(", "[", "*", "1.", "A ", "了", " > ", "of ", "\\", "“", "第"])
def test_long_and_hostile_headings_take_no_time(sign: str) -> None:
    began = time.process_time()
    question_about(f"Guide > {sign * 20_000}", sign * 20_000)
    question_about(f"{sign * 20_000} > Food", sign * 20_000)
    assert time.process_time() - began < 2
