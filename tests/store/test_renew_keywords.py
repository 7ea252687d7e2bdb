"""A keyword index made by older rules: renewed before it is searched, in one step, and never half."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.text import analyzer as keywords
from tests.fakes import BlindEmbeddings
from tests.law import contents, small_kb
from tests.processes import another_writer
from tests.samples import ROOT

COUNT = 60


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(COUNT):
        (folder / f"{number}.md").write_text(f"The weather of day {number} was mild, 第{number}天。")
    (folder / "bird.md").write_text("Herons were nesting in the reeds. 圖書館開放。")
    return folder


@pytest.fixture
def old(tmp_path: Path, docs: Path) -> Iterator[KnowledgeBase]:
    """A store as an older version left it: whole words, and no note of the rules. Only words find anything."""
    with small_kb(tmp_path / "home", BlindEmbeddings()) as kb:
        kb.ingest(docs)
        make_old(kb)
        yield kb


def make_old(kb: KnowledgeBase) -> None:
    with closing(sqlite3.connect(kb.settings.kb_dir / "kb.sqlite")) as db:
        for text_id, body in db.execute("SELECT id, body FROM texts").fetchall():
            db.execute("UPDATE keywords SET tokens = ? WHERE rowid = ?", (body.lower(), text_id))
        db.execute("DELETE FROM meta WHERE key = 'keywords'")
        db.commit()


def fits(kb: KnowledgeBase) -> bool:
    with kb.store.read() as snapshot:
        return snapshot.keywords_fit


def is_found(kb: KnowledgeBase) -> bool:
    found = [kb.retrieve(question, 1, sides=["keyword"]).hits for question in ("nest heron", "图书馆开放")]
    return all(hits and hits[0].source.endswith("bird.md") for hits in found)


def test_a_search_renews_it_once_and_says_so(
    old: KnowledgeBase, docs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert old.verify().faults == (), "other rules are no damage"
    assert is_found(old)
    assert caplog.messages == [f"Words are indexed anew for this version: {COUNT + 1} texts, nothing is embedded."]
    assert old.verify().faults == ()
    with small_kb(tmp_path / "fresh", BlindEmbeddings()) as fresh:
        fresh.ingest(docs)
        assert contents(old) == contents(fresh)


def test_an_ingest_with_nothing_to_do_renews_it(old: KnowledgeBase, docs: Path) -> None:
    report = old.ingest(docs)
    assert (report.unchanged, report.embedded) == (COUNT + 1, 0)
    assert fits(old)


def test_any_change_renews_all_of_it(old: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    (docs / "0.md").unlink()
    old.remove([docs / "0.md"])
    assert fits(old)
    with small_kb(tmp_path / "fresh", BlindEmbeddings()) as fresh:
        fresh.ingest(docs)
        assert contents(old) == contents(fresh)


def test_another_release_of_a_library_renews_it(old: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_found(old)
    monkeypatch.setattr(keywords, "analyzer_version", lambda: "2; PyStemmer 99")
    assert not fits(old)
    assert is_found(old)
    assert fits(old)


def test_while_another_writes_the_search_goes_by_meaning(
    old: KnowledgeBase, docs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (docs / "7.md").read_text()
    with another_writer(old.settings.kb_dir):
        found = old.retrieve("nest heron")
        assert not fits(old)
        assert all(hit.similarity is not None for hit in found.hits), "found by their vectors"
        assert old.search(text), "and it does find"
    assert "Searching by meaning alone" in caplog.text
    assert "Another process is writing" in caplog.text
    assert is_found(old)


def test_a_disk_that_refuses_does_not_stop_the_search(
    old: KnowledgeBase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("kb_assistant.store.Transaction.renew_keywords", full)
        assert old.search("nest heron")
    assert "Searching by meaning alone" in caplog.text
    assert not fits(old)
    assert is_found(old)


def test_searches_at_once_all_succeed(old: KnowledgeBase) -> None:
    start = threading.Barrier(6)

    def search(_: int) -> None:
        with small_kb(old.settings.home, BlindEmbeddings()) as kb:
            start.wait()
            assert kb.search("nest heron")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(search, range(6)))
    assert is_found(old)
    assert old.verify().faults == ()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_kill_in_the_middle_leaves_the_old_index_whole(old: KnowledgeBase) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from kb_assistant.text import analyzer as keywords\n"
        "from tests.fakes import BlindEmbeddings; from tests.law import small_kb\n"
        "plain, calls = keywords.analyze, []\n"
        "def tokens(text):\n"
        "    calls.append(text)\n"
        "    if len(calls) == 30: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return plain(text)\n"
        "keywords.analyze = tokens\n"
        "small_kb(Path(sys.argv[1]), BlindEmbeddings()).search('nest heron')\n"
    )
    before = contents(old)
    process = subprocess.run([sys.executable, "-c", code, str(old.settings.home)], cwd=ROOT, env=os.environ)
    assert process.returncode == -signal.SIGKILL
    assert contents(old) == before
    assert not fits(old)
    assert is_found(old)
