"""Follow-ups rewritten by the chat model: searched besides, bounded, and left out where it fails."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.answering.rewrite import LONGEST, condense, rewrite
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.text.wording import CHINESE, ENGLISH
from kb_assistant.types import Turn
from tests.fakes import HashEmbeddings, ScriptedChat
from tests.waiting import PATIENCE

HISTORY = [Turn("Where is the bell tower?", "In the north hall [1].")]
FILES = {"tower.md": "The bell tower is 34 metres high.", "pump.md": "The pump is two metres high."}


def scripted(*pieces: Any) -> ScriptedChat:
    return ScriptedChat(pieces=list(pieces))


def base(tmp_path: Path, chat: Any, **settings: Any) -> KnowledgeBase:
    docs = tmp_path / "docs"
    docs.mkdir(exist_ok=True)
    for name, text in FILES.items():
        (docs / name).write_text(text)
    embedder: Any = HashEmbeddings()
    options: dict[str, Any] = {"readers": 1, "refuse_below": 0, "rewrite": "model", **settings}
    kb = KnowledgeBase(Settings(home=tmp_path / "home", **options), embedder=embedder, chat_model=chat)
    kb.ingest(docs)
    return kb


def test_the_rewritten_question_is_searched_beside_the_one_asked(tmp_path: Path) -> None:
    model = scripted('"How high is ', 'the bell tower?"')
    with base(tmp_path, model) as kb:
        found = kb.retrieve("How high is it?", 2, HISTORY)
    assert found.queries[0] == "How high is it?"
    assert found.query == "How high is the bell tower?"
    assert Path(found.hits[0].source).name == "tower.md"
    assert found.seconds["rewrite"] >= 0


def test_a_first_question_asks_no_model_nor_does_one_where_it_is_off(tmp_path: Path) -> None:
    model = scripted("never")
    with base(tmp_path, model) as kb:
        kb.search("How high is it?")
        kb.retrieve("How high is it?", history=HISTORY, rewrite=False)
    with base(tmp_path, model, rewrite="off") as kb:
        kb.search("How high is it?", history=HISTORY)
    assert model.prompts == []


@pytest.mark.parametrize(
    "pieces",
    [
        [RuntimeError("out of memory")],
        [""],
        ["  \n "],
        ["word " * LONGEST],
        ["How high is it?"],
    ],
)
def test_what_is_of_no_use_is_left_out(tmp_path: Path, pieces: list[Any]) -> None:
    with base(tmp_path, scripted(*pieces)) as kb:
        found = kb.retrieve("How high is it?", 2, HISTORY)
    assert len(found.queries) == 3, "alone, with what was asked, with what was told"
    assert found.hits


def test_only_the_first_line_counts(tmp_path: Path) -> None:
    with base(tmp_path, scripted("How high is the bell tower?\n", "It is a good question.")) as kb:
        assert kb.retrieve("How high is it?", 2, HISTORY).query == "How high is the bell tower?"


def test_a_slow_model_is_not_awaited() -> None:
    model = scripted("How ", lambda: time.sleep(0.3), "high is the tower?")
    settings = Settings(home=Path("/nowhere"), rewrite_seconds=0.1)
    assert rewrite(model, "How high is it?", HISTORY, settings) == ""


def test_a_conversation_too_long_for_the_model_is_not_sent() -> None:
    model = scripted("never")
    settings = Settings(home=Path("/nowhere"), context_tokens=300)
    assert rewrite(model, "How high?", [Turn("x " * 2000, "y " * 2000)], settings) == ""
    assert model.prompts == []


def test_the_quoting_model_rewrites_nothing(tmp_path: Path) -> None:
    with base(tmp_path, None, model="extract") as kb:
        assert len(kb.retrieve("How high is it?", 2, HISTORY).queries) == 3


def test_the_prompt_is_in_the_questions_language_and_without_marks() -> None:
    (english,) = condense("How high is it?", HISTORY)
    assert (
        english.text
        == f"- Where is the bell tower?\n- In the north hall.\n- How high is it?\n\n{ENGLISH.condense}"
    )
    (chinese,) = condense("它有多高？", [Turn("钟楼在哪里？", "在北厅。")])
    assert chinese.text.endswith(CHINESE.condense)


def test_a_real_small_model_does_no_harm(sample_home: Path) -> None:
    """SmolLM2 rewrites badly; what the question and its history find stays found."""
    told = [Turn("Who founded the Corran Lighthouse Cooperative?", "It was founded by Alasdair Munn in 1962.")]
    model = "smollm2-135m-instruct"
    with KnowledgeBase.open(home=sample_home, model=model, rewrite="model", rewrite_seconds=PATIENCE) as kb:
        found = kb.retrieve("and who runs it now?", 5, told)
    assert any("Bridget Hallam" in hit.text for hit in found.hits)
    assert len(found.queries) in (3, 4)
    assert found.seconds["rewrite"] < PATIENCE
