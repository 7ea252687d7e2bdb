"""Machines that fill and machines that answer, killed at any moment, with a server whose processes are killed and
that is started again: nothing is lost or double, no reader sees half a document, and work goes on by itself."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from kb_assistant.errors import LostConnection
from kb_assistant.knowledge import KnowledgeBase
from tests import stores
from tests.law import contents, small_kb
from tests.looking import document
from tests.namespaces import machines
from tests.postgres_server import PostgresServer
from tests.processes import Command
from tests.waiting import PATIENCE, until

FILES = 24


@dataclass
class Machine:
    """A program that is started again when it was killed."""

    command: Command
    arguments: tuple[object, ...]
    running: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.running = self.command.start(*self.arguments)

    def kill(self) -> None:
        assert self.running.poll() is None, self.running.communicate()
        self.command.kill(self.running)
        self.running = self.command.start(*self.arguments)

    def end(self) -> None:
        gone = self.running.poll()
        self.command.kill(self.running) if gone is None else None
        assert gone is None, "\n".join(self.running.communicate())


@dataclass
class Killings:
    """Kills at random moments, in any order, until all is done."""

    draw: random.Random
    looking: Machine
    workers: list[Machine]
    server: PostgresServer
    times: dict[str, int]
    pause: float
    error: BaseException | None = None

    @property
    def stuck(self) -> bool:
        """Whether no machine is there any more to go on."""
        return self.error is not None or all(worker.running.poll() is not None for worker in self.workers)

    def go_on(self) -> None:
        try:
            while any(self.times.values()):
                time.sleep(self.draw.uniform(self.pause / 2, self.pause))
                what = self.draw.choice([name for name, left in self.times.items() if left])
                self.times[what] -= 1
                self._one(what)
        except BaseException as error:
            self.error = error

    def _one(self, what: str) -> None:
        match what:
            case "worker":
                self.draw.choice(self.workers).kill()
            case "looker":
                self.looking.kill()
            case "backend":
                with suppress(psycopg.Error):  # it recovers from the last one
                    self.server.kill_backends()
            case _:
                self.server.restart()


@contextmanager
def in_the_background(killings: Killings) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=killings.go_on)
    thread.start()
    try:
        yield thread
    finally:
        killings.times = dict.fromkeys(killings.times, 0)
        thread.join(PATIENCE)
    assert killings.error is None, killings.error


def write(docs: Path, version: int, draw: random.Random) -> None:
    """Some documents have another version, some are gone, some come back."""
    docs.mkdir(exist_ok=True)
    for number in draw.sample(range(FILES), FILES // 2):
        file = docs / f"{number}.md"
        if version and draw.random() < 0.2:
            file.unlink(missing_ok=True)
        else:
            file.write_text(document(number, version))


def torture(
    server: PostgresServer,
    tmp_path: Path,
    workers: int,
    times: dict[str, int],
    pause: float,
    where: list[tuple[tuple[str, ...], str]],
) -> int:
    """Fill, edit and kill until all kills are done. Returns how often was looked."""
    draw, docs = random.Random(20), tmp_path / "docs"
    write(docs, 0, draw)
    address, counter = stores.store_of(tmp_path / "home"), tmp_path / "counter"

    def command(name: str, machine: int, module: str = "tests.kb_fake") -> Command:
        before, host = where[machine] if where else ((), "")
        seen = urlsplit(address)
        there = seen._replace(netloc=f"kb@{host}:{seen.port}").geturl() if host else address
        return Command(tmp_path / name, tmp_path / f"scratch {name}", 0.05, before, {"KB_STORE": there}, module)

    with small_kb(tmp_path / "home", store=address, lock_seconds=PATIENCE) as kb:
        kb.ingest(docs)
        filling = [
            Machine(command(f"worker {number}", 0), ("worker", "--lease", "2")) for number in range(workers)
        ]
        looker = Machine(command("looker", -1, "tests.looking"), (tmp_path / "looker", counter))
        killings = Killings(draw, looker, filling, server, times, pause)
        try:
            until(lambda: counter.exists() or looker.running.poll() is not None)
            assert counter.exists(), looker.running.communicate()
            with in_the_background(killings) as thread:
                version = 1
                while killings.error is None and (thread.is_alive() or version < 3):
                    write(docs, version, draw)
                    failed = ingested(kb, docs, lambda: killings.stuck)
                    assert not failed, failed
                    version += 1
            looks = counter.stat().st_size
            until(lambda: counter.stat().st_size > looks or looker.running.poll() is not None)
        finally:
            for machine in (*filling, looker):
                machine.end()
        assert not kb.shared_work.state().parked
        assert {one.state for one in kb.shared_work.state().ingests} == {"done"}
        assert kb.verify().faults == ()
        assert all(row.status == "unchanged" for row in kb.ingest(docs))
        with small_kb(tmp_path / "plain", store="sqlite") as plain:
            plain.ingest(docs)
            assert contents(kb) == contents(plain)
        with kb.store.read() as snapshot:
            chunks = [chunk.id for path in snapshot.paths() for chunk in snapshot.chunks_of_source(path)]
        assert len(chunks) == len(set(chunks))
    return counter.stat().st_size


def ingested(kb: KnowledgeBase, docs: Path, stop: Callable[[], bool]) -> list[str]:
    """An ingest by workers, asked for again where the server was lost. Returns what failed."""
    while True:
        with suppress(LostConnection):
            report = kb.ingest(docs, workers=True, stop=stop)
            return [f"{row.path}: {row.reason}" for row in report if row.status == "failed"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    made = PostgresServer.start(durable=True)
    monkeypatch.setenv(stores.SERVER, made.address)
    yield made
    made.remove()


def test_killed_machines_and_a_killed_server_lose_nothing(server: PostgresServer, tmp_path: Path) -> None:
    assert torture(server, tmp_path, 2, {"worker": 2, "looker": 1, "backend": 1, "server": 1}, 1.0, [])


@pytest.mark.slow
def test_two_machines_killed_twenty_times_each_lose_nothing(server: PostgresServer, tmp_path: Path) -> None:
    """In two network namespaces, where the system allows it; the server is on a third machine, this one."""
    with machines(2) as where:
        if where:
            server.listen_everywhere()
            server.restart()
        times = {"worker": 20, "looker": 20, "backend": 10, "server": 10}
        assert torture(server, tmp_path, 4, times, 3.0, where)
        assert where, "held, but on one machine: namespaces can't be made here"
