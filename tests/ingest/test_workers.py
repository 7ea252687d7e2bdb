"""Ingests by workers: each file is read once and stored once, whoever ends meanwhile."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import EmbedderMismatch, KBError, StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.store.work import Share
from kb_assistant.types import Report
from tests import stores
from tests.fakes import HashEmbeddings
from tests.law import contents, small_kb
from tests.postgres_server import PostgresServer
from tests.processes import Command
from tests.waiting import PATIENCE, until


@pytest.fixture
def server(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostgresServer]:
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    yield postgres_server
    stores.drop_databases()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    for number in range(12):
        (folder / f"{number}.md").write_text(f"# Valve {number}\n\nIt belongs to circuit {number * 7}.")
    (folder / "deep" / "阀门.txt").write_text("阀门由维修组检查。")
    return folder


@pytest.fixture
def kb(server: PostgresServer, tmp_path: Path) -> Iterator[KnowledgeBase]:  # noqa: ARG001 - it must run
    with small_kb(tmp_path / "home") as made:
        yield made


def another(kb: KnowledgeBase, tmp_path: Path, name: str = "other", **settings: Any) -> KnowledgeBase:
    """The same knowledge base, seen from another machine."""
    return small_kb(tmp_path / name, store=kb.settings.store, **settings)


def ordered(kb: KnowledgeBase, paths: Path | list[Path], **options: Any) -> Report:
    """Put an ingest on the table, and don't wait for it."""
    return kb.ingest(paths, workers=True, stop=lambda: True, **options)


@contextmanager
def worker(kb: KnowledgeBase) -> Iterator[None]:
    """Within it a thread works on the knowledge base."""
    over, done = threading.Event(), list[Share | Exception]()

    def work() -> None:
        try:
            done.append(kb.shared_work.work(stop=over.is_set))
        except Exception as error:
            done.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE)
    assert isinstance(done[0], Share), done


def rows(report: Report) -> dict[str, tuple[str, int, str]]:
    return {Path(row.path).name: (row.status, row.chunks, row.reason) for row in report}


def test_workers_do_what_an_ingest_does(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    (docs / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    with small_kb(tmp_path / "plain", store="sqlite") as plain:
        for step in range(3):
            if step == 1:
                (docs / "0.md").write_text("Something else.")
                (docs / "1.md").unlink()
                (docs / "2.md").rename(docs / "deep" / "two.md")
                (docs / "new.md").write_text("A new one.")
            with worker(kb):
                report = kb.ingest(docs, workers=True)
            expected = plain.ingest(docs)
            assert rows(report) == rows(expected)
            assert (report.embedded, report.stopped) == (expected.embedded, False)
            assert contents(kb) == contents(plain)
    assert kb.verify().faults == ()
    assert {one.state for one in kb.shared_work.state().ingests} == {"done"}


def test_a_worker_of_another_machine_reads_what_is_ordered(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    waiting = ordered(kb, docs)
    assert waiting.stopped
    assert waiting.chunks == 0
    shares: list[Share] = []
    with another(kb, tmp_path) as other:
        done = other.shared_work.work("empty", on_share=shares.append)
        assert (done.files, done.failed, done.embedded) == (13, 0, 13)
        assert sum(shares, Share()) == done
        assert len(other.search("维修组")) > 0
    (ingest,) = kb.shared_work.state().ingests
    assert (ingest.state, ingest.done, ingest.waiting, ingest.chunks) == ("done", 13, 0, 13)
    assert kb.verify().faults == ()
    assert kb.shared_work.work("once") == Share()


def test_a_worker_waits_where_nothing_was_ever_ordered(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs / "0.md")
    with worker(kb):
        assert kb.ingest(docs, workers=True).added == 12


def test_texts_of_removed_files_go_where_no_worker_has_anything_to_read(kb: KnowledgeBase, docs: Path) -> None:
    with worker(kb):
        kb.ingest(docs, workers=True)
    (docs / "0.md").unlink()
    assert kb.ingest(docs, workers=True).removed == 1
    with kb.store.read() as snapshot:
        kept, live = snapshot.last_text_id, snapshot.live_ids()
        assert len(snapshot.texts_by_id(range(1, kept + 1))) == len(live)


def test_a_file_that_changes_before_it_is_read_is_read_as_it_is_then(kb: KnowledgeBase, docs: Path) -> None:
    ordered(kb, docs)
    (docs / "0.md").write_text("It says something else.")
    ordered(kb, docs)
    (docs / "1.md").write_text("And this, too.")
    kb.shared_work.work("empty")
    assert {hit.text for hit in kb.search("It says something else. And this, too.", 2)} == {
        "It says something else.",
        "And this, too.",
    }
    first, second = reversed(kb.shared_work.state().ingests)
    assert (first.state, first.files, second.files) == ("done", 0, 13), "passed over to the second"
    assert kb.ingest(docs).unchanged == 13


def test_a_file_that_isnt_there_for_a_worker_isnt_taken_for_deleted(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "0.md").write_text("It says something else.")
    ordered(kb, docs)
    (docs / "0.md").unlink()
    assert kb.shared_work.work("empty").failed == 1
    assert kb.search("circuit 0", 1)[0].source.endswith("/0.md")
    assert kb.ingest(docs).removed == 1


def test_a_worker_takes_no_part_where_it_cant(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    ordered(kb, docs)
    heard: list[str] = []
    with another(kb, tmp_path, chunk_tokens=64) as other:
        assert other.shared_work.work("empty", on_message=heard.append) == Share()
    assert "settings" in heard[0]
    docs.rename(tmp_path / "elsewhere")
    assert kb.shared_work.work("empty", on_message=heard.append) == Share()
    assert "doesn't see" in heard[1]
    (tmp_path / "elsewhere").rename(docs)
    kb.shared_work.work("empty")
    with small_kb(tmp_path / "third", HashEmbeddings("another"), store=kb.settings.store) as third:
        for act in (lambda: third.ingest(docs, workers=True), lambda: third.ingest(docs)):
            with pytest.raises(EmbedderMismatch):
                act()


def test_cancelled_work_is_read_by_the_next_ingest(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs / "0.md")
    ordered(kb, docs)
    assert kb.shared_work.cancel() == 12
    assert kb.shared_work.work("empty") == Share()
    assert kb.shared_work.state().ingests[0].state == "cancelled"
    assert kb.ingest(docs).added == 12


def test_who_writes_alone_and_workers_wait_for_each_other(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    ordered(kb, docs)
    with another(kb, tmp_path, lock_seconds=0.2) as other:
        heard: list[str] = []
        with kb.store.writing(0):
            assert other.shared_work.work("once", on_message=heard.append) == Share()
        assert "Another machine" in heard[0]
        with kb.shared_work._store().writing_beside_others(0), pytest.raises(KBError):
            other.ingest(docs)
        assert other.shared_work.work("empty").files == 13


def test_who_writes_alone_has_its_turn_between_the_files_of_workers_at_work(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for none of them to have nothing more to do, and they go on afterwards."""
    docs = tmp_path / "many"
    docs.mkdir()
    for number in range(60):
        text = "\n\n".join(f"Note {number} has line {line} on valve {number}." for line in range(40))
        (docs / f"{number}.md").write_text(text)
    ordered(kb, docs)
    monkeypatch.setenv("KB_STORE", kb.settings.store)
    busy = [Command(tmp_path / f"{one}", tmp_path / f"scratch {one}", delay=0.2) for one in range(3)]
    workers = [one.start("worker", "--until-empty", "--lease", "2") for one in busy]
    try:
        with another(kb, tmp_path, lock_seconds=PATIENCE) as patient:
            for added in range(2):
                for one, running in zip(busy, workers, strict=True):
                    size = one.log_size
                    until(lambda one=one, running=running, size=size: one.has_gone_on(running, size))  # type: ignore[misc]
                assert patient.add([(f"{added}.md", b"Pump %d is red." % added)]).added == 1
                (ingest,) = kb.shared_work.state().ingests
                assert (ingest.state, ingest.lost, ingest.parked) == ("running", 0, 0)
                assert 0 < ingest.done < 60
    finally:
        for one, running in zip(busy, workers, strict=True):
            one.kill(running)
    assert kb.shared_work.work("empty").failed == 0
    assert kb.ingest(docs).unchanged == 60
    assert kb.verify().faults == ()


def test_a_file_whose_reader_always_ends_is_parked(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    """The second and third time it comes alone; then no more, until it changes or is asked for."""
    with another(kb, tmp_path, read_seconds=0.001) as hasty:
        ordered(hasty, [docs / "0.md", docs / "1.md"])
        done = hasty.shared_work.work("empty")
        assert (done.files, done.failed, done.lost) == (2, 2, 4)
        parked = hasty.shared_work.state().parked
        assert [Path(one.path).name for one in parked] == ["0.md", "1.md"]
        assert all(one.attempts == 3 and "longer than" in one.reason for one in parked)
        assert [source.failed for source in hasty.sources()] == [True, True]
    again = ordered(kb, docs / "0.md")
    assert again.failed == 1
    assert kb.shared_work.work("empty").files == 0
    (docs / "1.md").write_text("It says something else.")
    ordered(kb, docs / "1.md")
    assert kb.shared_work.work("empty").failed == 0
    assert kb.shared_work.retry() == 1
    assert kb.shared_work.work("empty").failed == 0
    assert kb.shared_work.state().parked == ()
    assert kb.verify().faults == ()


def test_workers_need_a_server_and_passwords_of_their_own(tmp_path: Path, docs: Path, kb: KnowledgeBase) -> None:
    with small_kb(tmp_path / "plain", store="sqlite") as plain:
        for act in (plain.shared_work.work, plain.shared_work.retry, lambda: plain.ingest(docs, workers=True)):
            with pytest.raises(StoreError, match="server"):
                act()
        assert plain.shared_work.state().to_json() == {"ingests": [], "workers": [], "parked": []}
    with pytest.raises(KBError, match="Passwords"):
        kb.ingest(docs, workers=True, passwords=["x"])
    assert kb.shared_work.work("empty") == Share(), "nothing is there yet"


@pytest.fixture
def command(kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("KB_STORE", kb.settings.store)
    return Command(tmp_path / "home", tmp_path / "scratch")


def test_on_the_command_line(command: Command, docs: Path) -> None:
    busy = command.start("worker", "--json")
    done = command.run("ingest", docs, "--workers", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["added"] == 13
    os.kill(busy.pid, signal.SIGINT)
    out, err = busy.communicate(timeout=PATIENCE)
    assert busy.returncode == 0, err
    assert sum(json.loads(line)["files"] for line in out.splitlines()) == 13
    state = json.loads(command.run("jobs", "--json").stdout)
    assert state["ingests"][0]["done"] == 13
    assert state["workers"] == []
    assert "13 done of 13" in command.run("jobs").stdout
    assert json.loads(command.run("status", "--json").stdout)["work"]["ingests"][0]["state"] == "done"
    assert command.run("worker", "--once", "--until-empty").returncode == 2
    assert command.run("ingest", docs, "--workers", "--watch").returncode == 2


def test_a_file_that_kills_its_workers_is_parked_and_costs_no_other(
    command: Command, kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "poison.md").write_text("This is hemlock.")
    ordered(kb, docs)
    monkeypatch.setenv("KB_FAKE_POISON", "hemlock")
    ends = list[int]()
    while not ends or ends[-1]:
        ends.append(command.run("worker", "--until-empty", "--lease", "1").returncode)
        assert len(ends) < 9
    assert ends == [-signal.SIGKILL] * 3 + [0]
    (parked,) = kb.shared_work.state().parked
    assert Path(parked.path).name == "poison.md"
    assert "3 workers ended" in parked.reason
    assert [Path(one.path).name for one in kb.sources(failed=True)] == ["poison.md"]
    assert len(kb.sources(failed=False)) == 13
    assert kb.verify().faults == ()


def test_a_worker_that_was_taken_for_dead_stores_nothing_any_more(
    command: Command, kb: KnowledgeBase, docs: Path, tmp_path: Path
) -> None:
    """It was stopped while it held an older version of a file."""
    ordered(kb, docs)
    slow = Command(tmp_path / "third", tmp_path / "scratch3", delay=1.5)
    size = slow.log_size
    sleeper = slow.start("worker", "--until-empty", "--lease", "1")
    until(lambda: slow.has_gone_on(sleeper, size))
    os.kill(sleeper.pid, signal.SIGSTOP)
    taken = next(one for one in docs.glob("*.md"))
    for file in docs.glob("*.md"):
        file.write_text(f"{file.name} says something else.")
    time.sleep(1.1)
    assert command.run("worker", "--until-empty").returncode == 0
    before = contents(kb)
    os.kill(sleeper.pid, signal.SIGCONT)
    _out, err = sleeper.communicate(timeout=PATIENCE)
    assert sleeper.returncode == 0, err
    assert contents(kb) == before
    assert kb.search(f"{taken.name} says something else.", 1)[0].source == str(taken)
    assert kb.ingest(docs).unchanged == 13
