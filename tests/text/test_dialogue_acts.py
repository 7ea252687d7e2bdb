"""What a turn is meant to do, told from its words: in English and Chinese, and never at the cost of a question."""
# ruff: noqa: E501 - many turns a line

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.text.dialogue_acts import COURTESIES, Act, dialogue_act

TURNS = {
    "thanks": (
        "Thanks!", "Thank you so much for your help", "thx", "ok great, thanks a lot", "No, thanks", "that's very helpful",
        "谢谢", "謝謝您的解答！", "好的，谢谢", "非常感谢你的帮助", "OK谢谢", "辛苦了", "🙏 谢谢",
    ),
    "greeting": ("hello", "Hi there!", "Good morning", "hey, how are you?", "你好", "您好！", "在嗎", "早上好"),
    "farewell": ("bye!", "Good night", "see you tomorrow", "再见", "拜拜", "晚安"),
    "assent": ("ok", "Got it.", "that's all for now", "perfect", "好的", "嗯嗯", "明白了", "知道了", "太好了", "沒問題", "👍"),
    "more": (
        "more", "Tell me more about it", "can you elaborate?", "go on", "In more detail, please", "what else?", "any more info?",
        "再详细一点", "继续", "还有吗？", "能不能讲得具体一些", "還有呢", "展开说说",
    ),
    "form": (
        "shorter please", "as a list", "in Chinese", "can you put that into a table?", "in simple words", "translate it into French",
        "简短一点", "用英文回答", "列成表格", "翻译成中文", "一句话概括", "說得通俗一些",
    ),
    "now": (
        "What's the weather today?", "what is the weather like outside", "what time is it?", "Is it going to rain tomorrow",
        "今天天气怎么样？", "现在几点了", "今天星期几？", "明天會下雨嗎",
    ),
    "about": (
        "你能干嘛", "你有什么功能？", "你会做啥",
        "Which documents are there?", "list all files", "How many sources do you have?", "What's in this library?",
        "what questions can I ask you?", "who are you?", "Hello, what can you do?", "what is the latest document?",
        "有哪些资料", "知识库里一共有几份文件？", "你能回答哪些问题", "你能回答哪方面的问题", "你可以解决哪类问题", "我可以问你什么？", "最近更新的文档是哪个", "這個知識庫有什麼內容",
    ),
    "document": (
        "Summarise the annual report", "What is the handbook about?", "a brief summary of notes.txt", "report.pdf", "TL;DR",
        "what does the statute say?", "Summarize this document", "tell me about the statute",
        "总结一下年度报告", "章程讲了什么", "这份文档的主要内容是什么", "年報.pdf", "把章程概括一下", "介绍一下章程",
    ),
    "question": (
        "thanks, and how much is it?", "Hello, where is the station?", "谢谢，那门票多少钱？", "你好，请问几点开门", "and for members?",
        "How are the pumps?", "When is the next ok from the board?", "好的品种有哪些？", "谢谢是什么意思", "再见山在哪里", "对讲机在哪里借",
        "tell me more about the tower", "what is more expensive?", "具体时间是几点", "还有多少员工", "继续教育学院在哪",
        "Is there a short list of members?", "英文名称是什么", "翻译是谁", "哪种表格要填写",
        "How many documents must I hand in?", "需要哪些文件？", "which papers do I need for the visa", "最新的展览是什么",
        "What can I do on the island?", "help desk phone number", "who are the members?", "有哪些鸟",
        "what does the policy say about hotels", "What is he about to do?", "它讲了什么", "What are they about?",
        "Right of way", "what was the weather like in 1953?", "How is the weather station powered?", "几点开门", "天气记录从哪年开始", "what time is lunch", "good practice", "morning opening hours", "no smoking areas",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "turn"), [(kind, turn) for kind, turns in TURNS.items() for turn in turns])
def test_a_turn_is_told_by_its_whole_text(kind: str, turn: str) -> None:
    assert dialogue_act(turn).kind == kind
    assert dialogue_act(f"  {turn.upper()} ").kind == kind


@pytest.mark.parametrize(
    ("turn", "topic", "named"),
    [
        ("Could you summarise the travel policy, please?", "travel policy", "loosely"),
        ("Summarise travel-policy.docx", "travel-policy.docx", "fully"),
        ("总结茶园简介.md", "茶园简介.md", "fully"),
        ("What is the travel policy document about?", "travel policy", "fully"),
        ("tell me about the travel policy", "travel policy", "exactly"),
        ("總結一下會議紀要這份文件", "会议纪要", "loosely"),
        ("会议纪要主要讲了哪些内容？", "会议纪要", "fully"),
        ("Minutes 2025.txt", "minutes 2025.txt", "fully"),
        ("what is this document about?", "", "fully"),
        ("总结一下", "", "fully"),
    ],
)
def test_a_document_is_named_by_the_words_that_are_left(turn: str, topic: str, named: str) -> None:
    act = dialogue_act(turn)
    assert (act.kind, act.topic, act.named) == ("document", topic, named)


def test_the_newest_documents_are_asked_for_as_such() -> None:
    assert dialogue_act("what is the newest document?").newest
    assert dialogue_act("最新的文件是什么").newest
    assert not dialogue_act("what documents are there?").newest


@given(st.sampled_from([turn for kind in COURTESIES for turn in TURNS[kind]]), st.sampled_from(TURNS["question"]))
def test_a_courtesy_before_a_question_leaves_it_a_question(courtesy: str, question: str) -> None:
    assert dialogue_act(f"{courtesy}, {question}").kind not in COURTESIES


@pytest.mark.parametrize("unit", ["明白了", "ok ", "谢谢你的", "more ", "的", "please can you ", "有哪些"])
def test_a_long_turn_takes_no_long_time(unit: str) -> None:
    dialogue_act(unit)
    start = time.process_time()
    dialogue_act(unit * 400 + "x?")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "question",
    [
        "Give me an overview of all documents",
        "Summarise everything",
        "What are these documents about?",
        "Sum up the knowledge base.",
        "总结所有文档的内容",
        "概括一下知识库的内容",
        "这些文档主要讲了什么？",
    ],
)
def test_a_summary_of_all_documents_is_told_from_one_of_a_document(question: str) -> None:
    assert dialogue_act(question) == Act("document", every=True)


@pytest.mark.parametrize(
    "question", ["Summarise the document", "Summarise it", "总结一下这份文档", "Summarise all the minutes"]
)
def test_a_summary_of_one_document_stays_one(question: str) -> None:
    assert not dialogue_act(question).every
