"""The store: one file that is the truth, whose ids stay, and whose errors say what to do."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.store import KnowledgeStore, NewChunk, Source, SQLiteStore, Text, chunk_id
from kb_assistant.store.database import Counting
from tests.law import contents, small_kb
from tests.samples import ROOT
from tests.stores import opened
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("either_store")

MODEL = {"name": "none", "dimension": 64}


def source(path: str, chunks: int = 1) -> Source:
    return Source(path, "d" * 64, "recipe", "Title", "", False, "2026-01-01T00:00:00+00:00", chunks)


def put(store: KnowledgeStore, path: str, *bodies: str) -> None:
    texts = [Text("", body) for body in bodies]
    vector = b"\0" * 256
    with store.write(MODEL) as transaction:
        transaction.put_source(source(path), [NewChunk(text) for text in texts], {t.hash: vector for t in texts})


@pytest.fixture
def store(tmp_path: Path) -> KnowledgeStore:
    made = opened(tmp_path, create=True)
    with made.write() as transaction:
        transaction.put_meta("embedder", MODEL)
    return made


def ids(store: KnowledgeStore, path: str) -> list[str]:
    with store.read() as snapshot:
        return [chunk.id for chunk in snapshot.chunks_of_source(path)]


def test_ids_depend_on_path_text_and_occurrence_alone(store: KnowledgeStore) -> None:
    put(store, "/a", "one", "two", "two")
    first = ids(store, "/a")
    put(store, "/a", "zero", "two", "one", "three", "two")
    again = ids(store, "/a")
    assert (again[2], again[1], again[4]) == tuple(first)
    put(store, "/b", "one")
    assert ids(store, "/b")[0] not in again
    # Written down, so that an upgrade that changes ids is a failed test and not a surprise.
    assert chunk_id("/a", Text("Heading", "文本"), 1) == "2738f40d0d25ca2614d1a2c34bc357fe"


@pytest.mark.sqlite
def test_a_newer_file_is_refused_with_the_way_out(tmp_path: Path, store: KnowledgeStore) -> None:
    store.close()
    with closing(sqlite3.connect(tmp_path / "kb.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    for create in (True, False):
        with pytest.raises(StoreError, match="newer version") as caught:
            SQLiteStore(tmp_path / "kb.sqlite", create)
        assert caught.value.hint == "Upgrade kb-assistant."


@pytest.mark.sqlite
def test_a_file_of_version_1_is_read_and_gets_its_new_column(tmp_path: Path, store: KnowledgeStore) -> None:
    put(store, "/a", "one", "two")
    before = ids(store, "/a")
    store.close()
    with closing(sqlite3.connect(tmp_path / "kb.sqlite")) as db:
        db.execute("ALTER TABLE chunks DROP COLUMN part")
        db.execute("PRAGMA user_version = 1")
    old = SQLiteStore(tmp_path / "kb.sqlite")
    assert ids(old, "/a") == before
    text = Text("", "three")
    with old.write(MODEL) as transaction:
        chunk = NewChunk(text, slide=3, sheet="S", attachment="a.xlsx")
        transaction.put_source(source("/b"), [chunk], {text.hash: b"\0" * 256})
    with old.read() as snapshot:
        (found,) = snapshot.chunks_of_source("/b")
        assert (found.locator.slide, found.locator.sheet, found.locator.attachment) == (3, "S", "a.xlsx")


def test_an_error_within_a_transaction_undoes_all_of_it(store: KnowledgeStore) -> None:
    put(store, "/a", "one")

    def change() -> None:
        with store.write() as transaction:
            transaction.remove_source("/a")
            transaction.put_source(source("/b"), [NewChunk(Text("", "unknown"))], {})

    with pytest.raises(StoreError, match="without its vector"):
        change()
    assert len(ids(store, "/a")) == 1
    assert ids(store, "/b") == []


def test_a_view_stays_as_it_was(store: KnowledgeStore, tmp_path: Path) -> None:
    put(store, "/a", "one")
    other = opened(tmp_path)
    with store.read() as snapshot:
        assert snapshot.counts()["chunks"] == 1
        put(other, "/b", "two")
        assert snapshot.counts()["chunks"] == 1
        with store.read() as nested:
            assert nested.counts()["chunks"] == 1
    with store.read() as snapshot:
        assert snapshot.counts()["chunks"] == 2


def test_text_of_any_kind_comes_back_as_it_was(store: KnowledgeStore) -> None:
    bodies = [
        "emoji 👩‍🔬",
        "line\r\nends\u2028",
        "'; DROP TABLE texts; --",
        '"quotes" AND (OR*',
        "　全角",
    ]
    put(store, "/a", *bodies)
    with store.read() as snapshot:
        assert [chunk.text.body for chunk in snapshot.chunks_of_source("/a")] == bodies
        for word in ('"', "AND", "*", "'", "(", "emoji"):
            assert len(snapshot.postings(word)) == snapshot.holders([word], Counting(10, 10, 10))[word].number


def test_threads_that_ended_leave_no_open_file(store: KnowledgeStore) -> None:
    """Each request of a server has a thread; their connections stayed open until the end."""
    put(store, "/a", "one")

    def read() -> None:
        with store.read() as snapshot:
            snapshot.counts()

    def open_files_after(threads: int) -> int:
        for _ in range(threads):
            thread = threading.Thread(target=read)
            thread.start()
            thread.join()
        return len(list(Path("/proc/self/fd").iterdir()))

    if not Path("/proc/self/fd").exists():
        pytest.skip("counts open files through /proc")
    few = open_files_after(threads=1)
    assert open_files_after(threads=40) <= few + 4


@pytest.mark.sqlite
def test_processes_that_create_it_at_once_make_one(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kb_assistant.store import SQLiteStore\n"
        "sys.stdin.readline()\n"
        "SQLiteStore(Path(sys.argv[1]), create=True).close()"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "kb" / "kb.sqlite")], cwd=ROOT,
                         stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=PATIENCE)[1] for process in processes] == ["", "", "", ""]
    with SQLiteStore(tmp_path / "kb" / "kb.sqlite").read() as snapshot:
        assert snapshot.revision == 1


@pytest.mark.sqlite
def test_a_file_that_was_deleted_is_missed_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A valve.")
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(tmp_path / "a.md")
        for file in kb.settings.kb_dir.glob("kb.sqlite*"):
            file.unlink()
        with pytest.raises(StoreError):
            kb.search("valve")


def test_the_same_files_give_the_same_contents_on_any_number_of_readers(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(30):
        (docs / f"{number}.md").write_text(f"Valve {number}.\n\nIt belongs to circuit {number * 7}.")
    with small_kb(tmp_path / "one", readers=1) as one, small_kb(tmp_path / "four", readers=4) as four:
        one.ingest(docs)
        four.ingest(docs)
        assert contents(one) == contents(four)


def test_closing_waits_for_those_who_read_and_they_go_on(tmp_path: Path) -> None:
    """Closed under a reader's hands a connection ends the whole process."""
    (tmp_path / "a.md").write_text("A valve.")
    over = threading.Event()
    seen: list[int] = []

    def look(kb: KnowledgeBase) -> None:
        while not over.is_set():
            seen.append(kb.status()["sources"])

    with small_kb(tmp_path / "home") as kb:
        kb.ingest(tmp_path / "a.md")
        readers = [threading.Thread(target=look, args=(kb,)) for _ in range(3)]
        for reader in readers:
            reader.start()
        for _ in range(200):
            kb.close()
            time.sleep(0.002)
        over.set()
        for reader in readers:
            reader.join(PATIENCE)
    assert len(seen) > 10
    assert set(seen) == {1}


def test_sources_are_counted_filtered_and_paged(store: KnowledgeStore) -> None:
    with store.write() as transaction:
        for name, title, failed in (
            ("/b/Pump.md", "Valve", False), ("/a/x.md", "PUMP room", True), ("/c/100%_.md", "Straße", False),
        ):  # fmt: skip
            transaction.put_source(Source(name, "d", "r", title, "", failed, "now"), [], {})
    with store.read() as snapshot:

        def paths(*given: Any, **named: Any) -> list[str]:
            found = [one.path for one in snapshot.sources(*given, **named)]
            if not named:
                assert snapshot.count_sources(*given) == len(found)
            return found

        assert paths() == ["/a/x.md", "/b/Pump.md", "/c/100%_.md"]
        assert paths("pump") == ["/a/x.md", "/b/Pump.md"]
        assert paths("pump", True) == ["/a/x.md"]
        assert paths("pump", False) == ["/b/Pump.md"]
        assert paths("STRASSE") == paths("100%_") == ["/c/100%_.md"]
        assert paths("%") == ["/c/100%_.md"]
        assert paths("md valve") == ["/b/Pump.md"]
        assert paths("nowhere") == []
        assert paths(offset=1, limit=1) == ["/b/Pump.md"]
        assert paths(offset=2, limit=5) == ["/c/100%_.md"]
        assert paths(offset=3) == []


@pytest.mark.sqlite
def test_what_no_store_can_hold_is_taken_out_of_a_text_once() -> None:
    """Other stores refuse zero bytes, and half a surrogate pair is no UTF-8."""
    text = Text("nul \0 heading", "one\0 two\udc80")
    assert (text.heading, text.body) == ("nul  heading", "one two?")
    assert text.hash == Text("nul  heading", "one two?").hash


@pytest.mark.parametrize("order", [1, -1])
def test_the_words_of_a_shared_text_are_those_of_its_first_files(store: KnowledgeStore, order: int) -> None:
    names = (
        "amber",
        "birch",
        "cedar",
        "daisy",
        "elder",
        "fern",
        "grape",
        "hazel",
        "ivy",
        "juniper",
        "kale",
        "lime",
    )

    def require_fit() -> None:
        with store.read() as snapshot:
            [text_id] = snapshot._db.indexed_ids()
            [(_, line)] = snapshot.keyword_lines(snapshot.texts_by_id([text_id]))
            assert snapshot.document_terms([text_id]) == {text_id: line.split()}

    for name in names[::order]:
        put(store, f"/docs/{name}.md", "The same words stand everywhere.")
        require_fit()
    for name in names[:9]:
        with store.write() as transaction:
            transaction.remove_source(f"/docs/{name}.md")
        require_fit()


def test_sources_put_together_are_as_those_put_one_by_one(tmp_path: Path) -> None:
    """With texts that several share, new ones and those that were there, and sources that are replaced."""

    def parts(version: int) -> list[tuple[Source, list[NewChunk]]]:
        names = ("amber", "birch", "cedar", "daisy", "elder", "fern", "grape", "hazel", "ivy", "juniper")
        return [
            (source(f"/docs/{name}.md", 3), [NewChunk(Text("", body)) for body in ("shared", "shared", own)])
            for number, name in enumerate(names[version : version + 9])
            for own in [f"{name} {version if number % 2 else 0}"]
        ]

    with small_kb(tmp_path / "a") as alone, small_kb(tmp_path / "b") as together:
        for kb in (alone, together):
            with kb.writing_documents():
                pass
        for version in (0, 1):
            here = parts(version)
            vectors = {chunk.text.hash: b"\0" * 256 for _, chunks in here for chunk in chunks}
            for one, chunks in here:
                with alone.store.write(alone.embedder.fingerprint) as transaction:
                    transaction.put_source(one, chunks, vectors)
            with together.store.write(together.embedder.fingerprint) as transaction:
                transaction.put_sources(here[::-1], vectors)
            assert contents(alone) == contents(together)
            assert together.verify().faults == ()
