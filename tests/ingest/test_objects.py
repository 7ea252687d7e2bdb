"""Objects of a real S3-compatible server (SeaweedFS, out of its wheel): found, changed, gone, refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest import objects
from kb_assistant.errors import KBError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings
from tests.fakes import HashEmbeddings
from tests.object_server import bucket_at, needs_objects, object_server

pytestmark = needs_objects


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with object_server(tmp_path_factory.mktemp("weed")) as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import obstore

    with bucket_at(endpoint, monkeypatch) as store:
        obstore.put(store, "sea/tides.md", b"# Tides\n\nThe tide rises at noon.")
        obstore.put(store, "sea/deep/bell tower.md", b"The bell tower rings at nine.")
        obstore.put(
            store, "sea/\xe7\x81\xaf\xe5\xa1\x94.txt".encode("latin-1").decode(), "灯塔建于1890年。".encode()
        )
        obstore.put(store, "sea/film.mp4", b"no document")
        obstore.put(store, "sea/.hidden/x.md", b"hidden")
        obstore.put(store, "seaside/other.md", b"Another prefix that begins alike.")
        yield store


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    embedder: Any = HashEmbeddings()
    settings = Settings(home=tmp_path / "home", readers=1, model="extract", file_megabytes=1)
    with KnowledgeBase(settings, embedder=embedder) as made:
        yield made


def test_objects_are_found_changed_and_gone(
    bucket: Any, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    foretold = kb.ingest("s3://docs/sea", dry_run=True)
    assert (foretold.added, kb.settings.kb_dir.exists()) == (3, False)
    report = kb.ingest("s3://docs/sea")
    assert (report.added, report.failed, report.skipped) == (3, 0, {".mp4": 1})
    hit = kb.search("When does the bell tower ring?")[0]
    assert (hit.source, hit.file) == ("s3://docs/sea/deep/bell tower.md", "there")
    assert hit.locator.lines == (1, 1)
    assert kb.search("灯塔")[0].source == "s3://docs/sea/灯塔.txt"

    def fetched(*_: Any) -> bytes:
        raise AssertionError("nothing changed, so nothing is fetched")

    with monkeypatch.context() as patched:
        patched.setattr(objects.Bucket, "read", fetched)
        assert kb.ingest("s3://docs/sea/").unchanged == 3
    obstore.put(bucket, "sea/tides.md", b"# Tides\n\nThe tide rises at midnight.")
    obstore.delete(bucket, "sea/deep/bell tower.md")
    report = kb.ingest("s3://docs/sea")
    assert (report.updated, report.unchanged, report.removed) == (1, 1, 1)
    assert "midnight" in kb.search("When does the tide rise?")[0].text
    assert {source.path for source in kb.sources()} == {"s3://docs/sea/tides.md", "s3://docs/sea/灯塔.txt"}
    assert not kb.missing_files()
    assert kb.verify().sound


def test_one_object_patterns_and_removal(bucket: Any, kb: KnowledgeBase) -> None:  # noqa: ARG001
    assert [row.path for row in kb.ingest("s3://docs/sea/tides.md")] == ["s3://docs/sea/tides.md"]
    assert kb.ingest("s3://docs/sea", exclude=["deep/"]).added == 1
    assert kb.ingest("s3://docs", include=["seaside/*"]).added == 1
    assert kb.ingest("s3://docs/sea", exclude=["*.txt", "deep/"], prune=True).removed == 1
    assert kb.remove(["s3://docs/sea"]) == ["s3://docs/sea/tides.md"]
    assert [source.path for source in kb.sources()] == ["s3://docs/seaside/other.md"]


def test_an_object_sent_again_is_the_same(bucket: Any, kb: KnowledgeBase) -> None:
    import obstore

    kb.ingest("s3://docs/sea/tides.md")
    obstore.put(
        bucket, "sea/tides.md", b"# Tides\n\nThe tide rises at noon.", attributes={"Content-Type": "text/x"}
    )
    report = kb.ingest("s3://docs/sea/tides.md")
    assert (report.unchanged, report.embedded) == (1, 0)


def test_large_and_damaged_objects_are_rows(bucket: Any, kb: KnowledgeBase) -> None:
    import obstore

    obstore.put(bucket, "sea/large.txt", b"a" * (1 << 21))
    obstore.put(bucket, "sea/damaged.pdf", b"%PDF-1.7 and no more")
    report = kb.ingest("s3://docs/sea")
    failed = {row.path: row.reason for row in report if row.status == "failed"}
    assert set(failed) == {"s3://docs/sea/large.txt", "s3://docs/sea/damaged.pdf"}
    assert "larger than 1 MB" in failed["s3://docs/sea/large.txt"]
    assert report.added == 3


def test_what_cannot_be_read_says_why_and_removes_nothing(
    bucket: Any, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    kb.ingest("s3://docs/sea/tides.md")
    for address, reason in (
        ("s3://docs/nowhere", "No object lies at"),
        ("s3://nobucket-here/x", "NoSuchBucket"),
        ("s3://", "is no address"),
        ("s3://A_B/x", "is no address"),
    ):
        with pytest.raises(KBError, match=reason):
            kb.ingest(address)
    obstore.delete(bucket, "sea/tides.md")
    with pytest.raises(KBError, match="No object lies at") as caught:
        kb.ingest("s3://docs/sea/tides.md")
    assert "--prune" in caught.value.hint
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-this-one")
    with pytest.raises(KBError, match="403 Forbidden") as caught:
        kb.ingest("s3://docs/sea", prune=True)
    assert "not-this-one" not in caught.value.full_message
    assert len(kb.sources()) == 1


def test_what_goes_with_files_alone_is_refused(bucket: Any, kb: KnowledgeBase, tmp_path: Path) -> None:  # noqa: ARG001
    with pytest.raises(KBError, match="at once"):
        kb.ingest(["s3://docs/sea", tmp_path])
    with pytest.raises(KBError, match="watched"):
        next(kb.watch("s3://docs/sea"))
    with pytest.raises(KBError, match="readers"):
        kb.ingest("s3://docs/sea", readers=["ann"])


def test_a_stop_between_windows_goes_on_next_time(
    bucket: Any, kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    import obstore

    monkeypatch.setattr(objects, "AT_ONCE", 4)
    for place in range(20):
        obstore.put(bucket, f"many/{place}.md", f"Boat {place} waits.".encode())
    report = kb.ingest("s3://docs/many", stop=lambda: bool(kb.settings.kb_dir.exists() and len(kb.sources()) >= 4))
    assert report.stopped
    assert 4 <= len(kb.sources()) < 20
    assert kb.ingest("s3://docs/many").added == 20 - report.added
    assert kb.verify().sound
