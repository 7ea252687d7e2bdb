"""Sources are chosen and ordered by the store, and named by their places; what is removed can be brought back."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.store import Source
from kb_assistant.workspace import bases, folders
from kb_assistant.workspace.removals import KEPT_H, bring_back, delete_old_removals, remove_sources
from kb_assistant.workspace.source_list import ORDERS, SourceQuery, facets, place_of

PATHS = {"/docs/b/Zebra.md": 3, "/docs/a/apple.PDF": 1, "/docs/a/deep/kiwi.md": 2, "/docs/ab/文件": 0}


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    settings = Settings(home=tmp_path / "home")
    bases.create_base(settings)
    with KnowledgeBase(settings) as known:
        now = datetime.now(UTC)
        with known.store.write() as transaction:
            for day, (path, chunks) in enumerate(PATHS.items()):
                read = (now - timedelta(days=day)).isoformat(timespec="seconds")
                transaction.put_source(
                    Source(path, "d", "r", "", "broken" * (not chunks), not chunks, read, chunks), [], {}
                )
        yield known


def found(base: KnowledgeBase, query: SourceQuery) -> list[str]:
    listed = [source.path.rsplit("/", 1)[-1] for source in base.find_sources(query)]
    assert base.count_found(query) == len(listed)
    return listed


def test_every_order_has_its_reverse_and_equal_ones_keep_the_order_of_paths(base: KnowledgeBase) -> None:
    assert found(base, SourceQuery(order="name")) == ["apple.PDF", "kiwi.md", "Zebra.md", "文件"]
    assert found(base, SourceQuery(order="kind")) == ["文件", "kiwi.md", "Zebra.md", "apple.PDF"]
    assert found(base, SourceQuery(order="date", descending=True))[0] == "Zebra.md"
    assert found(base, SourceQuery(order="state", descending=True))[0] == "文件"
    for order in ORDERS:
        assert len(found(base, SourceQuery(order=order, descending=True))) == len(PATHS)


def test_conditions_hold_together(base: KnowledgeBase) -> None:
    assert found(base, SourceQuery(folder="/docs/a")) == ["apple.PDF", "kiwi.md"]
    assert found(base, SourceQuery(folder="/docs/a", kind="md")) == ["kiwi.md"]
    assert found(base, SourceQuery(contains="ZEB")) == ["Zebra.md"]
    assert found(base, SourceQuery(failed=True)) == ["文件"]
    yesterday = (datetime.now(UTC) - timedelta(days=1, hours=1)).isoformat()
    assert found(base, SourceQuery(since=yesterday, kind="pdf")) == ["apple.PDF"]
    assert found(base, SourceQuery(contains="'; DROP TABLE sources --", folder="' OR 1=1 --")) == []


def test_they_can_be_chosen_by_kinds_and_folders_that_may_be_seen(base: KnowledgeBase) -> None:
    assert facets(base).kinds == ("md", "pdf")
    assert facets(base).folders == ("/docs/a", "/docs/a/deep", "/docs/ab", "/docs/b")
    assert facets(base, lambda path: "/b/" in path) == type(facets(base))(("md",), ("/docs/b",))


def test_places_tell_nothing_of_the_machine(tmp_path: Path) -> None:
    known = folders.Folders(tmp_path / "uploads", (Path("/data/plans"), Path("/data/plans/old")))
    assert place_of("/data/plans/old/a/b.md", known) == "old/a/b.md"
    assert place_of(f"{tmp_path}/uploads/a/b.md", known) == "a/b.md"
    assert place_of("/home/somebody/secret/x/y.md", known) == "…/x/y.md"
    assert place_of("document:note", known) == ""


def test_what_is_removed_is_brought_back_and_is_gone_for_good_a_day_later(
    base: KnowledgeBase, tmp_path: Path
) -> None:
    own = tmp_path / "own.md"
    own.write_text("mine")
    one, two = folders.put_uploads(base.settings, [("in/one.md", b"1"), ("two.md", b"2")])
    paths = [str(path) for path in (one, two, own)]
    done = remove_sources(base, paths)
    assert own.exists()
    assert not one.exists()
    assert not two.exists()
    two.write_text("another of this name")
    assert bring_back(base, done) == [one, two, own]
    assert (one.read_text(), two.read_text()) == ("1", "another of this name")

    done = remove_sources(base, paths)
    delete_old_removals(base.settings)
    (aside,) = (base.settings.home / "uploads").glob("*/.removed/*")
    long_ago = time.time() - (KEPT_H + 1) * 3600
    os.utime(aside, (long_ago, long_ago))
    delete_old_removals(base.settings)
    assert bring_back(base, done) == [own]


def test_a_removal_of_a_hostile_name_touches_nothing_else(base: KnowledgeBase, tmp_path: Path) -> None:
    (upload,) = folders.put_uploads(base.settings, [("one.md", b"1")])
    other = tmp_path / "other.md"
    other.write_text("stays")
    remove_sources(base, [f"{upload.parent}/../../../other.md", f"{upload.parent}/missing.md"])
    assert other.exists()
    assert upload.exists()
