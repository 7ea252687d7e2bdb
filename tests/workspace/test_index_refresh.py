"""A machine that answers follows what others write, as soon as the server tells of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.workspace.index_refresh import follow_changes
from tests import stores
from tests.law import small_kb
from tests.postgres_server import PostgresServer
from tests.waiting import PATIENCE, until


@pytest.fixture
def server(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    yield postgres_server
    stores.drop_databases()


def indexed(kb: KnowledgeBase) -> int:
    """How many texts its index in memory holds, as it is now."""
    built = kb._index._built
    return len(built.held.ids) if built else -1


def test_an_index_follows_before_the_next_question(server: PostgresServer, tmp_path: Path) -> None:
    address, over = stores.store_of(tmp_path), list[bool]()
    with (
        small_kb(tmp_path / "one", store=address) as writing,
        small_kb(tmp_path / "two", store=address) as serving,
        small_kb(tmp_path / "three", store=address) as idle,
    ):
        writing.add([("a.txt", b"Valve 1.")])
        serving.search("valve")
        machines = [serving, idle]
        following = [
            follow_changes(address, lambda kb=kb: {"default": kb}, lambda: bool(over))  # type: ignore[misc]
            for kb in machines
        ]
        writing.add([("c.txt", b"Valve 2.")])
        until(lambda: indexed(serving) == 2)
        assert indexed(idle) == -1, "it was never asked"
        server.restart()
        writing.add([("d.txt", b"Valve 3.")])
        until(lambda: indexed(serving) == 3)
        over.append(True)
        for thread in following:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        writing.add([("e.txt", b"Valve 4.")])
        time.sleep(0.2)
        assert indexed(serving) == 3
        assert len(serving.search("valve", 9)) == 4, "without being told, at the next question"


def test_files_need_no_following(tmp_path: Path) -> None:
    with small_kb(tmp_path, store="sqlite") as kb:
        thread = follow_changes("sqlite", lambda: {"default": kb})
        thread.join(PATIENCE)
        assert not thread.is_alive()
