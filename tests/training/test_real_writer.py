"""Questions and neutral answers that a real small model writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.text.wording import is_refusal
from kb_assistant.training.encode import encoder_for
from kb_assistant.training.mine import from_model
from kb_assistant.training.neutral import neutral_prompts, replayed
from tests.chatglm2_data import TINY

pytestmark = pytest.mark.engine

TEXTS = (
    "The ferry to Lunden island leaves the north pier at nine in the morning and returns at five.",
    "The bus to Marwick castle leaves the market square at ten in the morning and returns at four.",
    "The train to Oster valley leaves the old station at eight in the morning and returns at six.",
    "The bakery on Mill Street sells rye bread on Mondays and cinnamon rolls on Fridays.",
)


def test_what_a_real_model_writes_is_kept_with_its_passage(home: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for text in TEXTS:
        name = text.split()[1]
        (docs / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n", encoding="utf-8")
    settings = Settings(home=home, model="smollm2-135m-instruct", temperature=0.0, threads=1, max_tokens=160)
    with KnowledgeBase(settings) as kb:
        kb.ingest(docs)
        made = from_model(kb, len(TEXTS))
        own = replayed(
            kb.chat_model,  # type: ignore[arg-type]
            [one for one in neutral_prompts(8) if one.isascii()],
            encoder_for(read_checkpoint(TINY)),
        )
    written = [one for one in made if not is_refusal(one.answer)]
    assert written
    for one in written:
        assert one.style == "grounded"
        assert Path(one.passages[0].source).parent == docs  # the passage that it was written on is found first
        assert one.group == one.passages[0].source
        assert "[" in one.answer
    assert own
    assert all(one.answer and one.question in neutral_prompts(8) for one in own)
