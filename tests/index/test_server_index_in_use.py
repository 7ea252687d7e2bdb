"""Knowledge bases whose vectors are searched on the server: the same answers, filters, rights and commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import SettingsError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.settings import Settings, write_setting
from kb_assistant.workspace.bases import delete_base, rename_base
from tests import stores
from tests.fakes import HashEmbeddings
from tests.law import contents, small_kb
from tests.postgres_server import PostgresServer

QUESTIONS = ["circuit 14", "维修组检查什么", "valve", "pay"]


@pytest.fixture(autouse=True)
def server(pgvector_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    monkeypatch.setenv(stores.SERVER, pgvector_server.address)
    yield pgvector_server
    stores.drop_databases()


def documents() -> list[tuple[str, bytes]]:
    valves = [
        (f"valve{number}.md", f"# Valve {number}\n\nCircuit {number * 7}.\n\n阀门{number}由维修组检查。".encode())
        for number in range(12)
    ]
    return [*valves, ("pay.txt", b"The pay is 7."), ("menu.txt", b"The menu is soup.")]


def found(kb: KnowledgeBase, **options: Any) -> list[list[tuple[str, float]]]:
    """Scores to four digits: the numbers of texts differ between stores, and with them the order of sums."""
    return [[(hit.id, round(hit.score, 4)) for hit in kb.search(one, 9, **options)] for one in QUESTIONS]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[KnowledgeBase, KnowledgeBase]]:
    """The same knowledge base in a file, and on the server that searches it."""
    with (
        small_kb(tmp_path / "file", store="sqlite") as local,
        small_kb(tmp_path / "home", index="server") as served,
    ):
        for kb in (local, served):
            kb.add(documents())
            kb.set_readers(["document:pay.txt"], ["user:ann"])
        yield local, served


def test_hits_filters_and_rights_are_those_of_a_file(pair: tuple[KnowledgeBase, KnowledgeBase]) -> None:
    local, served = pair
    assert served.status()["index"] == {"kind": "pgvector-exact", "vectors": local.status()["index"]["vectors"]}
    for options in ({}, {"where": ["type=md"]}, {"where": ["path=*valve3*"]}, {"audience": {"user:bob"}}):
        assert found(served, **options) == found(local, **options)
    assert not any("pay" in hit.source for hit in served.search("pay", 9, audience={"user:bob"}))
    assert not (served.settings.kb_dir / "index.cache").exists()
    for kb in (local, served):
        kb.remove(["document:valve3.md"])
        kb.add([("new.txt", b"Valve 99 is new.")])
    assert found(served) == found(local)
    assert contents(served) == contents(local)
    assert served.verify().faults == ()


def test_a_graph_finds_the_same_where_all_is_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb_assistant.index.server_index.FEW", 4)
    with (
        small_kb(tmp_path / "file", store="sqlite") as local,
        small_kb(tmp_path / "home", index="server") as served,
    ):
        for kb in (local, served):
            kb.add(documents())
        assert served.status()["index"]["kind"] == "pgvector-hnsw"
        assert served.status()["index"]["recall@10"] == 1
        assert found(served) == found(local)


def test_a_rebuild_with_vectors_of_another_length(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with small_kb(home, index="server") as kb:
        kb.add(documents())
    with small_kb(home, HashEmbeddings(dimension=32), index="server") as kb:
        assert kb.rebuild()
        assert "not_held" not in kb.status()["index"]
        assert kb.search("circuit 14", 3)[0].text
        assert kb.verify().faults == ()


def test_names_ends_and_copies(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with small_kb(home, kb="a", index="server") as first, small_kb(home, kb="b", index="server") as second:
        first.add(documents())
        second.add(documents()[:3])
        before, settings = found(first), first.settings
        first.copy("sqlite")
        with small_kb(home, kb="a", store="sqlite") as copied:
            assert found(copied) == before
            there = stores.store_of(tmp_path / "elsewhere")
            copied.copy(there)
    rename_base(settings, "c")
    with small_kb(home, kb="c", index="server") as renamed:
        assert found(renamed) == before
        assert "not_held" not in renamed.status()["index"]
    delete_base(settings.but(kb="c"))
    with (
        small_kb(home, kb="b", index="server") as second,
        small_kb(home, kb="a", store=there, index="server") as back,
    ):
        assert len(second.search("valve", 99)) > 0
        second.add(documents())
        assert found(second) == before
        back.add([])
        assert found(back) == before


def test_a_machine_with_an_index_of_its_own_keeps_the_servers(tmp_path: Path) -> None:
    with small_kb(tmp_path / "home", index="server") as served:
        served.add(documents()[:3])
        with small_kb(tmp_path / "home") as local:
            local.add(documents())
            assert local.status()["index"]["kind"] == "exact"
            assert served.status()["index"] == {
                "kind": "pgvector-exact", "vectors": local.status()["index"]["vectors"]
            }  # fmt: skip
            assert found(served) == found(local)


def test_a_file_cant_have_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs a store on a PostgreSQL server") as caught:
        Settings(home=tmp_path, index="server")
    assert "kb settings index local" in caught.value.hint
    with pytest.raises(SettingsError, match="needs a store"):
        write_setting(tmp_path, "index", "server")
    write_setting(tmp_path, "store", "postgresql://kb@h/d")
    write_setting(tmp_path, "index", "server")
    with pytest.raises(SettingsError, match="needs a store"):
        write_setting(tmp_path, "store", "sqlite")
