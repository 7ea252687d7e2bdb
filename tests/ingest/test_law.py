"""The law of ingest: whatever was done to the files, and however often they were ingested in between, the
knowledge base ends up as one fresh ingest of the files would make it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb_assistant.knowledge import KnowledgeBase
from tests.fakes import HashEmbeddings
from tests.ingest.edits import PARAGRAPHS, Folder, edits
from tests.law import answers, contents, small_kb

QUESTIONS = ["who founded the station", "水泵 检查", "ERR-1042 filter", "paragraph"]


def check_the_law(kb: KnowledgeBase, fresh: KnowledgeBase) -> None:
    assert contents(kb) == contents(fresh)
    assert answers(kb, QUESTIONS) == answers(fresh, QUESTIONS)


def play(script: list[tuple[str, str, str, list[str]]]) -> None:
    """Edit and ingest as the script says; at the end compare with a fresh ingest."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Folder(Path(scratch) / "docs")
        folder.root.mkdir()
        embedder = HashEmbeddings()
        with small_kb(Path(scratch) / "home", embedder) as kb, small_kb(Path(scratch) / "fresh") as fresh:
            for kind, name, other, texts in [*script, ("ingest", "", "", [])]:
                if kind not in ("ingest", "ingest part"):
                    folder.edit(kind, name, other, texts)
                    continue
                part = folder.root / name if kind == "ingest part" else folder.root
                if not part.exists():
                    continue
                before, seen = embedder.embedded, len(contents(kb)["texts"]) if kb.settings.kb_dir.exists() else 0
                report = kb.ingest(part)
                assert kb.verify().faults == ()
                assert report.embedded == embedder.embedded - before
                assert report.embedded >= len(contents(kb)["texts"]) - seen
            assert {row.path for row in kb.ingest(folder.root)} == {source.path for source in kb.sources()}, (
                "each file has its row"
            )
            fresh.ingest(folder.root)
            check_the_law(kb, fresh)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=4, max_size=14))
def test_edits_and_ingests_in_any_order_equal_one_fresh_ingest(script: list[Any]) -> None:
    play(script)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=10, max_size=40))
def test_long_histories_equal_one_fresh_ingest(script: list[Any]) -> None:
    play(script)


@pytest.mark.usefixtures("either_store")
def test_a_file_changes_places_with_another(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(PARAGRAPHS[0])
    (docs / "b.md").write_text(PARAGRAPHS[2])
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "fresh") as fresh:
        kb.ingest(docs)
        (docs / "a.md").rename(docs / "x")
        (docs / "b.md").rename(docs / "a.md")
        (docs / "x").rename(docs / "b.md")
        assert kb.ingest(docs).embedded == 0
        fresh.ingest(docs)
        check_the_law(kb, fresh)


@pytest.mark.usefixtures("either_store")
def test_a_file_becomes_a_folder_and_a_file_again(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    (docs / "a.md").mkdir(parents=True)
    (docs / "a.md" / "b.md").write_text(PARAGRAPHS[0])
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "fresh") as fresh:
        kb.ingest(docs)
        shutil.rmtree(docs / "a.md")
        (docs / "a.md").write_text(PARAGRAPHS[0])
        assert kb.ingest(docs).embedded == 0
        fresh.ingest(docs)
        check_the_law(kb, fresh)


def test_a_file_that_grows_too_large_loses_its_old_text(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text(PARAGRAPHS[0])
    with (
        small_kb(tmp_path / "home", file_megabytes=1) as kb,
        small_kb(tmp_path / "fresh", file_megabytes=1) as fresh,
    ):
        kb.ingest(docs)
        os.truncate(docs / "a.md", 1_000_001)
        (row,) = kb.ingest(docs)
        assert (row.status, row.chunks) == ("failed", 0)
        assert "larger than 1 MB" in row.reason
        assert kb.search("station") == ()
        fresh.ingest(docs)
        check_the_law(kb, fresh)
