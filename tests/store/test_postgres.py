"""A knowledge base on a server: what is only so there, and what a lost client, backend or server leaves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant.errors import BusyError, LostConnection, SettingsError, StoreError
from kb_assistant.settings import Settings
from kb_assistant.store import KnowledgeStore, NewChunk, Source, SourceQuery, Text
from kb_assistant.store.opening import exists, names
from tests import stores
from tests.law import contents, small_kb
from tests.postgres_server import PostgresServer
from tests.samples import ROOT
from tests.waiting import PATIENCE

MODEL = {"name": "none", "dimension": 4}
CHUNKS = 20
GROUP = 3
"""Sources that are written together."""


@pytest.fixture
def server(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    yield postgres_server
    stores.drop_databases()


@pytest.fixture
def store(server: PostgresServer, tmp_path: Path) -> KnowledgeStore:  # noqa: ARG001 - it must run
    made = stores.opened(tmp_path, create=True)
    with made.write() as transaction:
        transaction.put_meta("embedder", MODEL)
    return made


def put(store: KnowledgeStore, *paths: str, version: int = 0) -> None:
    """Sources of CHUNKS chunks that name their version, in one transaction; one text is in all sources."""
    sources, texts = list[tuple[Source, list[NewChunk]]](), list[Text]()
    for path in paths:
        own = [Text("", f"{path} {version} {number}") for number in range(CHUNKS - 1)] + [Text("", "shared")]
        source = Source(path, "d", "r", str(version), "", False, "now", CHUNKS)
        sources.append((source, [NewChunk(text) for text in own]))
        texts += own
    with store.write(MODEL) as transaction:
        transaction.put_sources(sources, {text.hash: bytes(16) for text in texts})


def check_whole(store: KnowledgeStore) -> tuple[int, int]:
    """Every source in the view is complete and of one version, as are those written together. Returns their number
    and the generation."""
    with store.read() as snapshot:
        sources = snapshot.sources()
        groups = {source.path.rpartition("/")[0]: source.title for source in sources}
        assert all(source.title == groups[source.path.rpartition("/")[0]] for source in sources)
        for source in sources:
            bodies = [chunk.text.body for chunk in snapshot.chunks_of_source(source.path)]
            assert len(bodies) == CHUNKS
            assert all(body == "shared" or body.split()[1] == source.title for body in bodies)
        counts = snapshot.counts()
        assert counts["chunks"] == CHUNKS * len(sources)
        assert len(snapshot.live_ids()) == len(list(snapshot.database.indexed_ids()))
        return len(sources), snapshot.revision


def test_both_stores_hold_the_same(server: PostgresServer, tmp_path: Path) -> None:  # noqa: ARG001
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(12):
        (docs / f"{number}.md").write_text(
            f"# Valve {number}\n\nCircuit {number * 7}.\n\n阀门{number}由维修组检查。"
        )
    with small_kb(tmp_path / "a") as served, small_kb(tmp_path / "b", store="sqlite") as file:
        for kb in (served, file):
            kb.ingest(docs)
            (docs / "3.md").write_text("Something else.")
            kb.ingest(docs)
            (docs / "3.md").write_text("# Valve 3\n\nCircuit 21.")
            kb.ingest(docs)
        assert contents(served) == contents(file)
        for question in ("circuit 14", "维修组检查什么", "valve"):
            hits = [
                [(hit.id, hit.source, round(hit.score, 6)) for hit in kb.search(question)] for kb in (served, file)
            ]
            assert hits[0] == hits[1]


def test_long_paths_and_words_and_zero_bytes(store: KnowledgeStore) -> None:
    draw = random.Random(7)
    long = "/a/" + "".join(chr(draw.randint(0x4E00, 0x9FFF)) for _ in range(8000))
    word = "".join(draw.choice("abcdefghij0123456789") for _ in range(9000))
    text = Text("", f"before {word} after")
    with store.write(MODEL) as transaction:
        source = Source(long, "d", "r", "T\0itle", "no\0thing", False, "now", 1)
        transaction.put_source(source, [NewChunk(text)], {text.hash: bytes(16)})
    with store.read() as snapshot:
        assert snapshot.paths("/a") == [long]
        [text_id] = snapshot.live_ids().tolist()
        tokens = snapshot.document_terms([text_id])[text_id]
        assert max(map(len, tokens)) > 2700, "longer than what an index of PostgreSQL takes"
        assert all(snapshot.postings(token).tolist() == [text_id] for token in tokens)
        assert snapshot.source("/a\0") is None
        assert snapshot.find_sources(SourceQuery(contains="\0")) == []
        assert snapshot.postings("\0").tolist() == []
        (kept,) = snapshot.sources()
        assert (kept.title, kept.reason) == ("Title", "nothing")


def test_paths_are_in_the_order_of_their_bytes(store: KnowledgeStore) -> None:
    paths = ["/a/B", "/a/a", "/a/ä", "/a.b", "/a/水", "/A", "/a/a/b", "/a/_"]
    with store.write() as transaction:
        for path in paths:
            transaction.put_source(Source(path, "d", "r", "", "", False, "now"), [], {})
    with store.read() as snapshot:
        assert snapshot.paths() == sorted(paths, key=str.encode)
        assert snapshot.paths("/a") == sorted((p for p in paths if p.startswith("/a/")), key=str.encode)


def test_names_of_any_length_are_bases_of_their_own(server: PostgresServer, tmp_path: Path) -> None:  # noqa: ARG001
    address = stores.store_of(tmp_path)
    long = ["n" * 63 + "a", "n" * 63 + "b", "知" * 60]
    for name in long:
        with small_kb(tmp_path, kb=name, store=address) as kb:
            kb.add([("a.txt", f"valve {long.index(name)}".encode())])
    assert names(address, tmp_path / "kbs") == sorted(long)
    for name in long:
        with small_kb(tmp_path, kb=name, store=address) as kb:
            assert [hit.text for hit in kb.search("valve", 9)] == [f"valve {long.index(name)}"]
    assert not exists(address, tmp_path, "n" * 63)


def test_a_password_in_the_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for address in ("postgresql://kb:geheim@h/d", "postgresql://h/d?user=kb&password=geheim"):
        with pytest.raises(SettingsError) as caught:
            Settings(home=tmp_path, store=address)
        assert "geheim" not in caught.value.full_message
        assert "PGPASSFILE" in caught.value.hint
    with pytest.raises(SettingsError):
        Settings(home=tmp_path, store="mysql://h/d")


def test_a_server_that_isnt_there_is_said_so(tmp_path: Path) -> None:
    with (
        small_kb(tmp_path, store="postgresql://kb@127.0.0.1:1/x") as kb,
        pytest.raises(StoreError, match="reached"),
    ):
        kb.sources()


def test_a_second_machine_is_told_who_writes(store: KnowledgeStore, tmp_path: Path) -> None:
    address = stores.store_of(tmp_path)
    from kb_assistant.store.opening import open_store

    other = open_store(address, tmp_path / "other machine", "kb")
    with store.writing(0), pytest.raises(BusyError, match="Another machine"), other.writing(0):
        pass
    with other.writing(0), other.writing(0):
        pass


# Writes sources, some in each transaction, for ever; says each after its commit.
WRITER = """
import itertools, sys
from pathlib import Path
from tests import stores
from tests.store.test_postgres import GROUP, put
store = stores.opened(Path(sys.argv[1]))
for version in itertools.count(1):
    put(store, *(f"/{sys.argv[2]}/{version % 5}/{number}" for number in range(GROUP)), version=version)
    print(version, flush=True)
"""


def writer(folder: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_killed_writers_leave_whole_sources_and_no_lock(store: KnowledgeStore, tmp_path: Path) -> None:
    """Three at a time, and a reader that looks all the while."""
    over, seen = threading.Event(), list[int]()

    def look() -> None:
        while not over.is_set():
            seen.append(check_whole(store)[1])

    reader = threading.Thread(target=look)
    reader.start()
    committed = 0
    try:
        running = [writer(tmp_path, name) for name in "abc"]
        for process in running:
            assert process.stdout
            assert [process.stdout.readline() for _ in range(7)][-1]
            os.kill(process.pid, signal.SIGKILL)
            committed += 7
        for process in running:
            process.communicate(timeout=PATIENCE)
    finally:
        over.set()
        reader.join(PATIENCE)
    put(store, "/last")  # nobody holds the lock
    sources, revision = check_whole(store)
    assert sources == 15 * GROUP + 1
    assert seen == sorted(seen)
    assert revision >= committed


def test_a_killed_backend_and_a_server_started_again_undo_one_transaction(
    server: PostgresServer, store: KnowledgeStore
) -> None:
    put(store, "/a", version=1)
    for lose in (server.kill_backends, server.restart):
        with pytest.raises(LostConnection), store.write(MODEL) as transaction:  # noqa: PT012
            transaction.remove_source("/a")
            lose()
            transaction.counts()
        assert check_whole(store)[0] == 1  # the next one waits until the server is back
        put(store, "/a", version=2)
    server.kill_backends()
    put(store, "/b/b", version=1)
    assert check_whole(store)[0] == 2


def test_an_ingest_goes_on_when_the_server_starts_again(server: PostgresServer, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(30):
        (docs / f"{number}.md").write_text(f"Valve {number} belongs to circuit {number * 7}.")
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "other", store="sqlite") as plain:
        restarted = threading.Event()

        def restart(_: object) -> None:
            if not restarted.is_set():
                restarted.set()
                server.restart()

        kb.ingest(docs, on_progress=restart)
        assert restarted.is_set()
        plain.ingest(docs)
        assert contents(kb) == contents(plain)
        assert kb.verify().faults == ()


def test_rights_said_on_one_machine_hold_on_the_other(server: PostgresServer, tmp_path: Path) -> None:  # noqa: ARG001
    address = stores.store_of(tmp_path)
    with small_kb(tmp_path / "one", store=address) as one, small_kb(tmp_path / "two", store=address) as two:
        one.add([("pay.txt", b"The salary is 7."), ("menu.txt", b"The menu is soup.")])
        assert len(two.search("the", audience={"user:bob"})) == 2
        one.set_readers(["document:pay.txt"], ["user:ann"])
        assert [hit.text for hit in two.search("the", audience={"user:bob"})] == ["The menu is soup."]
        assert len(two.search("the", audience={"user:ann"})) == 2
        two.add([("note.txt", b"The note is secret.")], readers=["ann"])
        assert [hit.text for hit in one.search("the", audience={"user:bob"})] == ["The menu is soup."]
        one.set_readers(["document:pay.txt"], None)
        assert len(two.search("the", audience={"user:bob"})) == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE texts SET body = body || '!' WHERE id = 1",
        "UPDATE vectors SET crc = crc + 1 WHERE text_id = 1",
        "UPDATE chunks SET seq = seq + 1 WHERE text_id = 1",
        "UPDATE sources SET title = 'x' WHERE id = 1",
        "UPDATE sources SET folded = 'x'",
        "UPDATE keywords SET line = 'x' WHERE text_id = 1",
        "UPDATE keywords SET tokens = '{x}' WHERE text_id = 1",
        "DELETE FROM keywords",
        "DELETE FROM vectors WHERE text_id = 1",
        "UPDATE meta SET value = '1' WHERE key = 'generation'",
        "UPDATE meta SET value = '{}' WHERE key = 'embedder'",
    ],
)
def test_damage_is_named_and_repaired(server: PostgresServer, tmp_path: Path, damage: str) -> None:  # noqa: ARG001
    documents = [(f"{number}.txt", f"Valve {number}.".encode()) for number in range(3)]
    with small_kb(tmp_path) as kb:
        kb.add(documents)
        before = contents(kb)
        assert kb.verify().faults == ()
        with kb.store.write() as transaction:
            assert transaction.database.run(damage)
        assert kb.verify().faults != ()
        report = kb.verify(repair=True)
        assert report.repaired
        kb.add(documents)
        assert contents(kb) == before
        assert kb.verify().faults == ()
        assert len(kb.search("valve", 9)) == 3
