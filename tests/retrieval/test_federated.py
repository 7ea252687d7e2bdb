"""One question over two knowledge bases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.types import Turn
from tests.fakes import HashEmbeddings, ScriptedChat

PUMP = "# Pump\n\nThe pump of the station is red.\n\n# Boat\n\nThe boat is tied to the northern pier.\n"
NOTE = "# Note\n\nMy own pump at home is green and leaks.\n"


@pytest.fixture(params=[0.0])
def pair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[KnowledgeBase, KnowledgeBase]]:
    settings = Settings(home=tmp_path / "home", readers=1, refuse_below=request.param)
    embedder: Any = HashEmbeddings()
    model = ScriptedChat(pieces=["The pump is red and green."])
    opened = []
    for kb, text in (("default", PUMP), ("chat.x", NOTE)):
        (tmp_path / f"{kb}.md").write_text(text)
        base = KnowledgeBase(settings.but(kb=kb), embedder=embedder, chat_model=model)
        base.ingest(tmp_path / f"{kb}.md")
        opened.append(base)
    yield opened[0], opened[1]
    for base in opened:
        base.close()


def test_passages_of_both_reach_the_model(pair: tuple[KnowledgeBase, KnowledgeBase]) -> None:
    base, own = pair
    reply = base.ask("What colour is the pump?", beside=[own])
    assert {Path(hit.source).name for hit in reply.hits} == {"default.md", "chat.x.md"}
    model: Any = base.chat_model
    assert reply.answer
    assert "leaks" in str(model.prompts[-1])
    assert "station is red" in str(model.prompts[-1])


@pytest.mark.parametrize("pair", [0.2], indirect=True)
def test_one_that_holds_nothing_on_it_gives_nothing(pair: tuple[KnowledgeBase, KnowledgeBase]) -> None:
    base, own = pair
    alone = own.retrieve("Where is the boat tied, the northern pier?")
    assert not alone.relevant, alone.evidence
    reply = base.ask("Where is the boat tied, the northern pier?", beside=[own])
    assert {Path(hit.source).name for hit in reply.hits} == {"default.md"}


def test_no_more_than_k_and_no_text_twice(pair: tuple[KnowledgeBase, KnowledgeBase], tmp_path: Path) -> None:
    base, own = pair
    (tmp_path / "twin.md").write_text(PUMP)
    own.ingest(tmp_path / "twin.md")
    reply = base.ask("What colour is the pump?", beside=[own])
    texts = [hit.text for hit in reply.hits]
    assert len(texts) == len(set(texts)) <= base.settings.k


def test_the_rewriter_is_asked_once(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", readers=1, refuse_below=0.0, rewrite="model")
    embedder: Any = HashEmbeddings()
    model = ScriptedChat(pieces=["What colour is the pump?"])
    bases = []
    for kb in ("one", "two", "three"):
        (tmp_path / f"{kb}.md").write_text(f"# {kb}\n\n{PUMP}")
        bases.append(KnowledgeBase(settings.but(kb=kb), embedder=embedder, chat_model=model))
        bases[-1].ingest(tmp_path / f"{kb}.md")
    reply = bases[0].ask("and its colour?", [Turn("Is there a pump?", "Yes.")], beside=bases[1:])
    assert reply.query == "What colour is the pump?"
    assert len(model.prompts) == 1, "the answer isn't asked for yet"
    assert reply.answer
    assert len(model.prompts) == 2
    for base in bases:
        base.close()
