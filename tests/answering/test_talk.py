"""Turns that need no search: courtesies, what the knowledge base and its documents hold, more of an answer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.answering.reply import Reply
from kb_assistant.text.replies import CHINESE, ENGLISH, TRADITIONAL
from kb_assistant.text.wording import CHINESE as ZH_WORDING
from kb_assistant.text.wording import ENGLISH as WORDING
from kb_assistant.types import Turn
from tests.fakes import HashEmbeddings, ScriptedChat


def cited(reply: Reply) -> set[str]:
    return {Path(citation.hit.source).name for citation in reply.citations}


def talk(base: KnowledgeBase, *questions: str) -> list[Reply]:
    """The replies to turns asked one after another, as `--history` gives them: without passages."""
    said: list[dict[str, str]] = []
    found = []
    for question in questions:
        reply = base.ask(question, said)
        found.append(reply)
        said += [{"role": "user", "text": question}, {"role": "assistant", "text": reply.answer}]
    return found


@pytest.mark.parametrize(
    ("turns", "answer"),
    [
        (["good evening"], ENGLISH.greeting),
        (["您好"], CHINESE.greeting),
        (["Who keeps the porter's room?", "thank you very much"], ENGLISH.thanks),
        (["园长是谁？", "明白了，多谢"], CHINESE.thanks),
        (["园长是谁？", "ok"], CHINESE.assent),
        (["園長是誰？", "謝謝你"], TRADITIONAL.thanks),
        (["bye"], ENGLISH.farewell),
    ],
)
def test_a_courtesy_gets_a_word_back(sample_kb: KnowledgeBase, turns: list[str], answer: str) -> None:
    reply = talk(sample_kb, *turns)[-1]
    assert (reply.answer, reply.kind, reply.refused, reply.uncertain) == (answer, "courtesy", False, False)
    assert (reply.citations, reply.hits, reply.queries) == ((), (), ())
    assert reply.to_json()["query"] == turns[-1]


def test_the_knowledge_base_says_what_it_holds(sample_kb: KnowledgeBase) -> None:
    for question in ("which files are there?", "知识库里有什么内容？", "知識庫裡有什麼內容？"):
        reply = sample_kb.ask(question)
        assert (reply.kind, reply.refused, reply.citations) == ("about", False, ())
        count = len(sample_kb.sources(failed=False))
        assert str(count) in reply.answer.splitlines()[0]
        for title in ("History of Aldersea Station", "travel-policy.docx", "会议纪要.txt", "茶园简介.md"):
            assert title in reply.answer


def test_the_examples_it_gives_are_answered(sample_kb: KnowledgeBase) -> None:
    asked = [
        line[2:] for line in sample_kb.ask("what can I ask?").answer.split(ENGLISH.examples)[1].splitlines()[1:]
    ]
    assert len(asked) == 3
    assert not any(sample_kb.ask(question).refused for question in asked)


def test_only_documents_within_the_conditions_are_told(sample_kb: KnowledgeBase) -> None:
    reply = sample_kb.ask("what documents do you have?", where=["type=pdf"])
    assert "pump-manual.pdf" in reply.answer
    assert "history.md" not in reply.answer
    assert sample_kb.ask("summarize the history", where=["type=pdf"]).kind != "document"


@pytest.mark.parametrize(
    ("question", "file"),
    [
        ("Summarise the visitor guide", "visitor-guide.html"),
        ("what is the Tidewell project about?", "tidewell-project.md"),
        ("pump-manual.pdf", "pump-manual.pdf"),
        ("Give me a short overview of the meeting minutes", "minutes-2025-03.txt"),
        ("湿地观测站讲了什么？", "湿地观测站.md"),
        ("總結一下揉捻機手冊", "揉捻机手册.pdf"),
    ],
)
def test_a_document_is_summed_up_by_its_own_sentences(sample_kb: KnowledgeBase, question: str, file: str) -> None:
    reply = sample_kb.ask(question)
    assert (reply.kind, reply.refused, cited(reply)) == ("document", False, {file})
    assert len(reply.answer.splitlines()) >= 3
    assert all(citation.supported for citation in reply.citations)


def test_this_document_is_the_one_talked_of(sample_kb: KnowledgeBase) -> None:
    first, second = talk(sample_kb, "When does the boat leave?", "what is this document about?")
    assert cited(second) <= cited(first)
    assert second.kind == "document"
    assert sample_kb.ask("这份文件讲了什么？").answer.startswith(CHINESE.which)


@pytest.mark.parametrize(
    "turns",
    [
        ["How old must volunteers be?", "tell me more"],
        ["研究园有多少员工？", "能详细一点吗？", "继续"],
        ["Summarize the exchange programme", "go on", "more please"],
    ],
)
def test_more_is_more_of_the_same_document(sample_kb: KnowledgeBase, turns: list[str]) -> None:
    said = talk(sample_kb, *turns)
    source = cited(said[0])
    for before, reply in pairwise(said):
        assert (reply.kind, reply.refused) == ("more", False)
        assert len(cited(reply)) == 1
        assert cited(reply) <= source
        lines = {line.rsplit("[", 1)[0].strip() for line in reply.answer.splitlines()}
        assert not lines & {line.rsplit("[", 1)[0].strip() for line in before.answer.splitlines()}


def test_the_form_of_quotes_cannot_be_changed(sample_kb: KnowledgeBase) -> None:
    assert talk(sample_kb, "How old must volunteers be?", "as a table")[-1].answer == ENGLISH.needs_model
    assert talk(sample_kb, "园长是谁？", "用英文回答")[-1].answer == CHINESE.needs_model


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How much does it cost?", ENGLISH.unclear),
        ("and on Sundays?", ENGLISH.unclear),
        ("他是哪里人？", CHINESE.unclear),
        ("tell me more", ENGLISH.nothing_before),
        ("简短一点", CHINESE.nothing_before),
    ],
)
def test_what_cannot_be_resolved_is_asked_back(sample_kb: KnowledgeBase, question: str, answer: str) -> None:
    reply = sample_kb.ask(question)
    assert (reply.answer, reply.kind, reply.citations) == (answer, "unclear", ())


@pytest.mark.parametrize("refusal", [WORDING.refusal, ZH_WORDING.refusal])
def test_a_refused_turn_weighs_nothing(sample_kb: KnowledgeBase, refusal: str) -> None:
    question = "When does the boat leave?"
    alone = sample_kb.ask(question)
    after = sample_kb.ask(question, [Turn("哪些线路故障最常见", refusal), Turn("谢谢", CHINESE.thanks)])
    assert (after.answer, after.evidence, after.queries) == (alone.answer, alone.evidence, alone.queries)


DOCS = {
    "tower.md": "# Tower\n\nThe tower is 34 metres high. Its lamp flashes white.\n",
    "report-2023.md": "# Report\n\nThe tower was painted in the year 2023.\n",
    "report-2024.md": "# Report\n\nThe lamp was renewed in the year 2024.\n",
}


@pytest.fixture(scope="module")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talk")
    for name, text in DOCS.items():
        (folder / name).write_text(text, encoding="utf-8")
    with KnowledgeBase(Settings(home=folder / "home", readers=1), embedder=HashEmbeddings()) as base:  # type: ignore[arg-type]
        base.ingest([folder / name for name in DOCS])
    return folder / "home"


def small_base(home: Path, model: ScriptedChat) -> KnowledgeBase:
    return KnowledgeBase(Settings(home=home, refuse_below=0), embedder=HashEmbeddings(), chat_model=model)  # type: ignore[arg-type]


def test_a_chat_model_sums_up_and_rewords(small_home: Path) -> None:
    model = ScriptedChat(pieces=["It is about a tower [1]."])
    with small_base(small_home, model) as base:
        first = base.ask("Summarize the tower document")
        assert (first.answer, first.kind, cited(first)) == ("It is about a tower [1].", "document", {"tower.md"})
        assert {Path(hit.source).name for hit in first.hits} == {"tower.md"}
        second = base.ask("as a list", [first.turn])
        assert (second.kind, {Path(hit.source).name for hit in second.hits}) == ("form", {"tower.md"})
        assert second.answer == first.answer
        assert "as a list" in str(model.prompts[-1][-1].text)


def test_several_documents_of_one_name_are_listed(small_home: Path) -> None:
    with small_base(small_home, ScriptedChat(pieces=["never asked"])) as base:
        reply = base.ask("summarize the report")
        assert reply.answer.splitlines() == [
            ENGLISH.which,
            "- Report (report-2023.md)",
            "- Report (report-2024.md)",
        ]
        assert base.ask("summarize the 2024 report").kind == "document"


@pytest.mark.parametrize(
    ("choice", "file"),
    [
        ("the second one", "report-2024.md"),
        ("the first", "report-2023.md"),
        ("report-2023.md", "report-2023.md"),
        ("2024", "report-2024.md"),
        ("the 2023 one please", "report-2023.md"),
        ("I mean the one of 2024", "report-2024.md"),
        ("2023年的那份", "report-2023.md"),
        ("最后一个", "report-2024.md"),
    ],
)
def test_one_of_the_listed_documents_is_chosen(small_home: Path, choice: str, file: str) -> None:
    with small_base(small_home, ScriptedChat(pieces=["It is a report [1]."])) as base:
        first = base.ask("summarize the report")
        assert first.answer
        second = base.ask(choice, [first.turn])
        assert second.answer
        assert (second.kind, cited(second)) == ("document", {file})


def test_another_question_after_the_list_is_answered(small_home: Path) -> None:
    with small_base(small_home, ScriptedChat(pieces=["34 metres [1]."])) as base:
        first = base.ask("summarize the report")
        assert first.answer
        second = base.ask("how high is the tower?", [first.turn])
        assert second.answer
        assert second.kind == "answer"


@pytest.mark.parametrize(
    ("turns", "holds", "not_held"),
    [
        (["Who founded the Aldersea Station?", "no, I meant the Corran cooperative"], "Alasdair Munn", "Okafor"),
        (["白鹭洲湿地观测站是谁建立的？", "不是，我问的是茶叶研究园"], "沈若兰", "高远山"),
        (["Who runs the Aldersea Station?", "And the Corran Lighthouse Cooperative?"], "Hallam", "oceanographer"),
    ],
)  # fmt: skip
def test_what_is_meant_is_answered(sample_kb: KnowledgeBase, turns: list[str], holds: str, not_held: str) -> None:
    answer = talk(sample_kb, *turns)[-1].answer
    assert holds in answer
    assert not not_held or not_held not in answer


@pytest.mark.parametrize("question", ["Give me an overview of all documents", "总结所有文档的内容"])
def test_all_documents_are_summed_up_each_in_a_sentence_of_its_own(
    sample_kb: KnowledgeBase, question: str
) -> None:
    reply = sample_kb.ask(question)
    assert (reply.kind, reply.refused) == ("document", False)
    assert len(cited(reply)) >= 9
    assert all(line.startswith("- ") for line in reply.answer.splitlines())


def test_a_model_sums_up_all_documents_from_a_passage_of_each(small_home: Path) -> None:
    with small_base(small_home, ScriptedChat(pieces=["A tower and more [1]."])) as base:
        reply = base.ask("Summarise everything")
        assert (reply.answer, reply.kind) == ("A tower and more [1].", "document")
        assert len({hit.source for hit in reply.hits}) == len(base.sources(failed=False)) > 1
