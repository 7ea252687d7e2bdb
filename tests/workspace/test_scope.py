"""Where a question is searched, as it is chosen from lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from kb_assistant.workspace.scope import Scope, tags_of, types_of
from tests.fakes import HashEmbeddings


@pytest.fixture
def base(tmp_path: Path) -> Any:
    embedder: Any = HashEmbeddings()
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, day, tags in (("old", "2023-12-31", "[boats]"), ("new", "2024-01-01", "[boats, tea]")):
        (docs / f"{name}.md").write_text(
            f"---\ndate: {day}\ntags: {tags}\n---\n# {name}\n\nThe {name} pump is red.\n"
        )
    (docs / "[plain].txt").write_text("The plain pump is red.\n")
    with KnowledgeBase(Settings(home=tmp_path / "home", readers=1), embedder=embedder) as opened:
        opened.ingest(docs)
        yield opened


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        (Scope(), {"old.md", "new.md", "[plain].txt"}),
        (Scope(types=("txt",)), {"[plain].txt"}),
        (Scope(since="2024-01-01"), {"new.md"}),
        (Scope(until="2023-12-31"), {"old.md"}),
        (Scope(since="2023-01-01", until="2024-12-31", tags=("tea",)), {"new.md"}),
        (Scope(tags=("tea", "boats")), {"old.md", "new.md"}),
        (Scope(name="[plain]"), {"[plain].txt"}),
    ],
)
def test_it_is_searched_there_alone(base: KnowledgeBase, scope: Scope, found: set[str]) -> None:
    hits = base.search("Which pump is red?", k=10, where=scope.conditions())
    assert {Path(hit.source).name for hit in hits} == found


def test_what_can_be_chosen(base: KnowledgeBase) -> None:
    assert types_of(base) == ["md", "txt"]
    assert tags_of(base) == ["boats", "tea"]
    assert tags_of(base, lambda path: path.endswith("old.md")) == ["boats"]
