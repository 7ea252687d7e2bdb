"""Ingests of objects by workers, against a real S3-compatible server (SeaweedFS): each object is fetched by one of
them, whoever ends, and whichever of them may not read the bucket."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest import objects
from kb_assistant.knowledge import KnowledgeBase
from tests import stores
from tests.law import contents, small_kb
from tests.object_server import bucket_at, needs_objects, object_server
from tests.postgres_server import PostgresServer
from tests.processes import Command
from tests.waiting import PATIENCE, until

pytestmark = needs_objects

SEA = "s3://docs/sea"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with object_server(tmp_path_factory.mktemp("weed")) as address:
        yield address


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with bucket_at(endpoint, monkeypatch) as store:
        for number in range(12):
            put(store, f"{number}.md", f"# Valve {number}\n\nIt belongs to circuit {number * 7}.")
        put(store, "deep/阀门.txt", "阀门由维修组检查。")
        yield store


def put(store: Any, name: str, text: str) -> None:
    import obstore

    obstore.put(store, f"sea/{name}", text.encode())


@pytest.fixture
def kb(
    postgres_server: PostgresServer, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KnowledgeBase]:
    del bucket  # it must be there
    monkeypatch.setenv(stores.SERVER, postgres_server.address)
    monkeypatch.setenv("KB_STORE", stores.store_of(tmp_path / "home"))
    with small_kb(tmp_path / "home") as made:
        yield made
    stores.drop_databases()


def machine(tmp_path: Path, name: str, delay: float = 0.0, **more: str) -> Command:
    return Command(tmp_path / name, tmp_path / f"scratch {name}", delay, more=more)


def ordered(kb: KnowledgeBase) -> None:
    """Put an ingest of the objects on the table, and don't wait for it."""
    kb.ingest(SEA, workers=True, stop=lambda: True)


def test_workers_do_what_an_ingest_of_objects_does(kb: KnowledgeBase, bucket: Any, tmp_path: Path) -> None:
    """On the command line: new, edited, sent again, removed, too large, damaged."""
    import obstore

    one, two = (machine(tmp_path, name).start("worker", "--json") for name in ("one", "two"))
    asking = machine(tmp_path, "asking")
    with small_kb(tmp_path / "plain", store="sqlite") as plain:
        for step in range(3):
            if step == 1:
                put(bucket, "0.md", "Something else.")
                put(bucket, "1.md", "# Valve 1\n\nIt belongs to circuit 7.")
                put(bucket, "new.md", "A new one.")
                put(bucket, "damaged.pdf", "%PDF-1.7 and no more")
                obstore.delete(bucket, "sea/2.md")
            told = asking.run("ingest", SEA, "--workers", "--json")
            expected = plain.ingest(SEA)
            assert told.returncode == bool(expected.failed), told.stderr
            report = json.loads(told.stdout)
            for outcome in ("added", "updated", "unchanged", "removed", "failed"):
                assert report[outcome] == getattr(expected, outcome), (step, outcome, report)
            assert contents(kb) == contents(plain)
    for worker in (one, two):
        worker.send_signal(signal.SIGINT)
        _out, err = worker.communicate(timeout=PATIENCE)
        assert worker.returncode == 0, err
    assert len(kb.search("维修组")) > 0
    assert kb.verify().faults == ()
    assert kb.ingest(SEA, exclude=["*.md", "*.pdf"], prune=True, workers=True).removed == 13


def test_an_object_that_vanishes_or_changes_while_a_worker_has_it(
    kb: KnowledgeBase, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its last version until the next ingest compares; another is read as it is then."""
    import obstore

    kb.ingest(SEA)
    for number in range(2):
        put(bucket, f"{number}.md", "It says something else.")
    ordered(kb)
    read = objects.Bucket.read

    def late(self: Any, one: Any, megabytes: int) -> bytes:
        """The object, whose worker was slow."""
        if one.key == "sea/0.md":
            obstore.delete(bucket, one.key)
        else:
            put(bucket, "1.md", "It was edited once more.")
        return read(self, one, megabytes)

    monkeypatch.setattr(objects.Bucket, "read", late)
    done = kb.shared_work.work("empty")
    assert (done.files, done.failed, done.lost) == (2, 1, 0)
    monkeypatch.setattr(objects.Bucket, "read", read)
    assert kb.search("circuit 0", 1)[0].source == f"{SEA}/0.md"
    assert kb.search("It was edited once more.", 1)[0].source == f"{SEA}/1.md"
    report = kb.ingest(SEA)
    assert (report.removed, report.updated, report.unchanged) == (1, 0, 12)
    assert kb.verify().faults == ()


def test_of_a_killed_worker_others_take_over_the_objects(kb: KnowledgeBase, tmp_path: Path) -> None:
    ordered(kb)
    slow = machine(tmp_path, "slow", 0.5)
    size = slow.log_size
    dying = slow.start("worker", "--lease", "1")
    until(lambda: slow.has_gone_on(dying, size))
    os.kill(dying.pid, signal.SIGKILL)
    dying.communicate(timeout=PATIENCE)
    rest = machine(tmp_path, "rest").run("worker", "--until-empty", "--json")
    assert rest.returncode == 0, rest.stderr
    assert len(kb.sources(failed=False)) == 13
    assert kb.ingest(SEA).unchanged == 13
    assert kb.verify().faults == ()


@pytest.mark.parametrize(
    "wrong", [{"AWS_SECRET_ACCESS_KEY": "not-this-one"}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}]
)
def test_a_worker_that_may_not_read_the_bucket_says_so_and_takes_nothing(
    kb: KnowledgeBase, tmp_path: Path, wrong: dict[str, str]
) -> None:
    ordered(kb)
    refused = machine(tmp_path, "refused", **wrong).run("worker", "--until-empty", "--json")
    assert (refused.returncode, refused.stdout) == (0, "")
    assert f"{SEA} can't be read" in refused.stderr
    assert "not-this-one" not in refused.stderr
    (waiting,) = kb.shared_work.state().ingests
    assert (waiting.done, waiting.waiting, waiting.lost) == (0, 13, 0)
    assert kb.shared_work.work("empty").files == 13
    assert kb.sources(failed=True) == []


def test_a_worker_whose_keys_end_gives_back_the_rest(kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an attempt counted; what it has read stays. With new keys it goes on."""
    from obstore.store import S3Store

    monkeypatch.setattr(objects, "AT_ONCE", 4)
    ordered(kb)
    read, reads = objects.Bucket.read, itertools.count()

    def ending(self: Any, one: Any, megabytes: int) -> bytes:
        """The object; after four of them this bucket's keys aren't valid any more."""
        if next(reads) >= 4:
            self._store = S3Store("docs", secret_access_key="ended", client_options={"allow_http": True})
        return read(self, one, megabytes)

    monkeypatch.setattr(objects.Bucket, "read", ending)
    told = list[str]()
    done = kb.shared_work.work("empty", on_message=told.append)
    assert (done.files, done.failed, done.lost) == (4, 0, 3)
    assert f"{SEA} can't be read: " in told[0]
    (left,) = kb.shared_work.state().ingests
    assert (left.done, left.waiting, left.lost, left.reading) == (4, 9, 0, 0)
    monkeypatch.setattr(objects.Bucket, "read", read)
    assert kb.shared_work.work("empty").files == 9
    assert len(kb.sources(failed=False)) == 13
