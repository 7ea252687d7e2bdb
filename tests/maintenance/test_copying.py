"""A knowledge base is copied from its file to a server, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant import KnowledgeBase, Settings
from kb_assistant.errors import EmbedderMismatch, StoreError
from kb_assistant.retrieval.result import Thresholds
from kb_assistant.store.opening import open_store
from tests import stores
from tests.fakes import HashEmbeddings
from tests.postgres_server import PostgresServer
from tests.shell import kb

TEXTS = {
    "boat.md": "# Boat\n\nThe boat leaves at nine.\n\n## Prices\n\n| Who | Cost |\n| --- | --- |\n| all | 9 € |\n",
    "sub/船.md": "# 船\n\n船九点开。成人9元。\n",
    "twice.txt": "The boat leaves at nine.",
    "broken.pdf": "%PDF-1.4 nothing",
}


@pytest.fixture
def server(postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a database of its own."""
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    yield stores.store_of(tmp_path)
    stores.drop_databases()


def opened(home: Path, store: str = "sqlite", embedder: Any = None) -> KnowledgeBase:
    return KnowledgeBase(Settings(home=home, store=store), embedder=embedder or HashEmbeddings())


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "docs"


def content(base: KnowledgeBase) -> list[Any]:
    """Everything that a reader of a knowledge base may see, vectors bit by bit."""
    with base.store.read() as snapshot:
        found: list[Any] = [snapshot.meta("embedder"), snapshot.counts()]
        for source in snapshot.sources():
            chunks = snapshot.chunks_of_source(source.path)
            vectors = snapshot.vectors([chunk.text_id for chunk in chunks]).tobytes()
            found.append((source, [(chunk.id, chunk.text, chunk.locator) for chunk in chunks], vectors))
    return found


def filled(home: Path, docs: Path) -> KnowledgeBase:
    base = opened(home)
    base.ingest(docs)
    base.add(["A text without a file."])
    return base


def test_it_is_the_same_there_and_when_it_comes_back(tmp_path: Path, docs: Path, server: str) -> None:
    with filled(tmp_path / "home", docs) as base:
        base.set_readers([docs / "sub"], ["group:staff"])
        base.keep_thresholds(Thresholds(0.3, 0.6))
        assert base.copy(server).copied == len(TEXTS) + 1
        before, hits = content(base), base.search("When does the boat leave?")
    with opened(tmp_path / "other", server) as there:
        assert content(there) == before
        assert there.thresholds == Thresholds(0.3, 0.6)
        found = there.search("When does the boat leave?")
        assert [hit.id for hit in found] == [hit.id for hit in hits]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in hits], abs=1e-5)
        assert there.reader_rules.readers_of(str(docs / "sub" / "船.md")) == ("group:staff",)
        assert there.verify().sound
        there.copy("sqlite")
    with opened(tmp_path / "other") as back:
        assert content(back) == before
        assert back.reader_rules.readers_of(str(docs / "sub" / "船.md")) == ("group:staff",)
        assert back.verify().sound


def test_a_copy_goes_on_and_brings_what_has_changed(tmp_path: Path, docs: Path, server: str) -> None:
    with filled(tmp_path / "home", docs) as base:
        asked: list[int] = []
        done = base.copy(server, on_progress=lambda now, _: asked.append(now), stop=lambda: len(asked) == 2)
        assert (done.copied, done.stopped) == (2, True)
        done = base.copy(server)
        assert (done.copied, done.stopped) == (len(TEXTS) + 1 - 2, False)
        assert base.copy(server).copied == 0
        (docs / "twice.txt").write_text("The boat leaves at ten.", encoding="utf-8")
        (docs / "boat.md").unlink()
        base.ingest(docs)
        base.remove([docs / "boat.md"])
        base.set_readers([docs / "sub"], ["group:staff"])
        base.copy(server)
        base.set_readers([docs / "sub"], None)
        done = base.copy(server)
        assert (done.copied, done.removed) == (0, 0)
        with opened(tmp_path / "home", server) as there:
            assert content(there) == content(base)
            assert not there.reader_rules


def test_what_was_never_filled_and_what_failed_are_copied_too(tmp_path: Path, docs: Path, server: str) -> None:
    with opened(tmp_path / "home") as base:
        base.ingest(docs / "broken.pdf")
        base.copy(server)
        with opened(tmp_path / "home", server) as there:
            assert [(one.path, one.failed) for one in there.sources()] == [(str(docs / "broken.pdf"), True)]
            assert there.sources()[0].reason == base.sources()[0].reason


def test_another_embedders_knowledge_base_is_not_overwritten(tmp_path: Path, docs: Path, server: str) -> None:
    with filled(tmp_path / "home", docs) as base:
        base.copy(server)
    with opened(tmp_path / "more", embedder=HashEmbeddings("other")) as second:
        second.ingest(docs)
        with pytest.raises(EmbedderMismatch):
            second.copy(server, replace=True)


def test_documents_of_another_knowledge_base_stay_unless_they_may_go(
    tmp_path: Path, docs: Path, server: str
) -> None:
    with opened(tmp_path / "colleague", server) as theirs:
        theirs.add(["What a colleague wrote."])
    with filled(tmp_path / "home", docs) as base:
        with pytest.raises(StoreError, match="another knowledge base") as caught:
            base.copy(server)
        assert "--replace" in caught.value.hint
        with opened(tmp_path / "home", server) as there:
            assert there.count_sources() == 1
        assert base.copy(server, replace=True).removed == 1
        with opened(tmp_path / "home", server) as there:
            there.add(["Written on the server since."])
            assert there.copy("sqlite").copied == 1, "what it is a copy of is no other one"
        assert base.count_sources() == len(TEXTS) + 2


def test_nothing_is_copied_onto_itself(tmp_path: Path, docs: Path) -> None:
    with filled(tmp_path / "home", docs) as base, pytest.raises(StoreError, match="already"):
        base.copy("sqlite")


def test_kb_copy(home: Path, docs: Path, server: str) -> None:
    assert kb("ingest", docs / "twice.txt", home=home).code == 0
    ended = kb("copy", "--to", server, "--json", home=home)
    assert ended.code == 0, ended.stderr
    assert ended.json == {"sources": 1, "copied": 1, "removed": 0, "stopped": False}
    assert "0 of 1 sources copied" in kb("copy", "--to", server, home=home).stdout
    assert kb("copy", "--to", "nowhere", home=home).code == 2
    store = open_store(server, home / "kbs" / "default", "default")
    with store.read() as snapshot:
        assert snapshot.counts()["sources"] == 1
    store.close()
