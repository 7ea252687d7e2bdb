"""A home of the version before the modules were moved is read as it was: see tests/data/old_home/README.md."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.settings import write_setting
from kb_assistant.workspace.access import Access, User
from kb_assistant.workspace.chats import ChatStore
from kb_assistant.workspace.folders import folders_of
from tests.fakes import HashEmbeddings
from tests.samples import ROOT

MADE = ROOT / "tests" / "data" / "old_home"
EXPECTED = json.loads((MADE / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return shutil.copytree(MADE / "home", tmp_path / "home")


@pytest.fixture
def kb(home: Path) -> Iterator[KnowledgeBase]:
    with KnowledgeBase(Settings.load(home=home), embedder=HashEmbeddings()) as base:  # type: ignore[arg-type]
        yield base


@pytest.mark.parametrize("question", list(EXPECTED["hits"]))
def test_searches_find_what_they_found(kb: KnowledgeBase, question: str) -> None:
    found: list[dict[str, Any]] = EXPECTED["hits"][question]
    hits = kb.search(question)
    assert [(hit.id, hit.text, Path(hit.source).name) for hit in hits] == [
        (one["id"], one["text"], one["source"]) for one in found
    ]
    assert [hit.similarity for hit in hits] == pytest.approx([one["similarity"] for one in found])


def test_it_is_sound_and_its_index_is_taken_over(kb: KnowledgeBase) -> None:
    cache = kb.settings.kb_dir / "index.cache"
    before = cache.read_bytes()
    assert kb.verify().faults == ()
    assert kb.status()["index"] == {"kind": "exact", "vectors": 4}
    kb.search("boats")
    assert cache.read_bytes() == before


def test_settings_are_read_and_written_beside_their_comments(home: Path) -> None:
    with KnowledgeBase(Settings.load(home=home), embedder=HashEmbeddings()) as kb:  # type: ignore[arg-type]
        assert kb.status()["floors"] | {"from": ""} == {"refuse": 0.2, "certain": 0.6, "from": ""}
    write_setting(home, "k", 4)
    written = (home / "kb.toml").read_text(encoding="utf-8")
    assert "# Settings of the weather station." in written
    assert "# was 0.3" in written
    assert Settings.load(home=home).k == 4


def test_thresholds_kept_with_another_meaning_of_evidence_are_ignored(home: Path) -> None:
    (home / "kb.toml").unlink()
    with KnowledgeBase(Settings.load(home=home), embedder=HashEmbeddings()) as kb:  # type: ignore[arg-type]
        floors = kb.status()["floors"]
    assert floors == {"refuse": 0.0, "certain": 0.0, "from": "none"}, "0.25 and 0.65 were measured before"


def test_folders_tokens_and_conversations_are_read(kb: KnowledgeBase, home: Path) -> None:
    folders = folders_of(kb.settings)
    assert str(folders.uploads.relative_to(home)) == "uploads/c167658435eb4490bde01037e432c9a4"
    assert folders.watched == (Path("/tmp/kb-old-home/docs"),)
    assert Access(home).check(EXPECTED["token"]) == User("ada", "read")
    chats = ChatStore(home / "chats.sqlite")
    [chat] = chats.of("local")
    [turn] = chats.turns(chat.id)
    assert (turn.question, turn.answer, turn.state, turn.rating) == (
        "Who founded the station?",
        EXPECTED["answer"],
        "done",
        1,
    )
    assert turn.turn.hits[0].text == EXPECTED["hits"]["Who founded the station?"][0]["text"]
    assert "".join(kb.ask("Who founded the station?", [turn.turn])) == EXPECTED["answer"]


def test_it_takes_new_documents(kb: KnowledgeBase, tmp_path: Path) -> None:
    docs = shutil.copytree(MADE / "docs", tmp_path / "docs")
    (docs / "new.md").write_text("The tide gauge is read at noon.")
    statuses = {Path(row.path).name: row.status for row in kb.ingest(docs)}
    assert statuses == {"new.md": "added", "station.md": "added", "手册.md": "added"}  # they follow the folder
    assert kb.search("tide gauge noon")[0].text == "The tide gauge is read at noon."
    assert kb.verify().faults == ()
    assert kb.as_vectorstore().get_by_ids(["boats"])[0].metadata["owner"] == "Ada"
