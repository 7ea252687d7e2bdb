"""Many readers and one writer, in threads and in processes: no error, nothing stale after a commit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kb_assistant.errors import BusyError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.lock import writing
from tests.law import small_kb
from tests.processes import another_writer
from tests.samples import ROOT
from tests.waiting import PATIENCE

ROUNDS = 6

# Searches until its input ends; says a JSON line for each search: when it began, and what it found.
READER = """
import json, select, sys, time
from pathlib import Path
from tests.law import small_kb
with small_kb(Path(sys.argv[1])) as kb:
    while not select.select([sys.stdin], [], [], 0)[0]:
        began = time.monotonic()
        print(json.dumps([began, [hit.text for hit in kb.search("marker", 50)]]), flush=True)
        time.sleep(0.01)
"""


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(20):
        (folder / f"still{number}.md").write_text(f"Valve {number} stays as it is in circuit {number * 7}.")
    (folder / "changing.md").write_text("The marker is 0.")
    return folder


def write_rounds(kb: KnowledgeBase, docs: Path) -> list[tuple[float, str]]:
    """Change the file again and again. Returns when each text was surely in, and the one before surely out."""
    done = []
    for number in range(1, ROUNDS):
        text = f"The marker is {number}."
        (docs / "changing.md").write_text(text)
        assert kb.ingest(docs).updated == 1
        done.append((time.monotonic(), text))
    return done


def check(searches: list[tuple[float, list[str]]], commits: list[tuple[float, str]]) -> None:
    """Each search found one marker, and none older than the last that was in when it began."""
    assert len(searches) > ROUNDS
    for began, texts in searches:
        (marker,) = [text for text in texts if text.startswith("The marker is ")]
        number = int(marker.removeprefix("The marker is ").removesuffix("."))
        assert number >= max((int(text[14:-1]) for when, text in commits if when < began), default=0)


def test_threads_search_while_a_writer_ingests(tmp_path: Path, docs: Path) -> None:
    done = threading.Event()
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "home") as writer:
        writer.ingest(docs)

        def search() -> list[tuple[float, list[str]]]:
            found = []
            while not done.is_set():
                began = time.monotonic()
                found.append((began, [hit.text for hit in kb.search("marker", 50)]))
                time.sleep(0.01)  # else the writer starves, and nothing changes
            return found

        with ThreadPoolExecutor(8) as pool:
            running = [pool.submit(search) for _ in range(8)]
            try:
                commits = write_rounds(writer, docs)
            finally:
                done.set()
            check([search for future in running for search in future.result()], commits)
        assert kb.verify().faults == ()


@pytest.mark.usefixtures("either_store")
def test_one_object_serves_a_writer_and_its_readers(tmp_path: Path, docs: Path) -> None:
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(docs)
        with ThreadPoolExecutor(4) as pool:
            writer = pool.submit(write_rounds, kb, docs)
            while not writer.done():
                assert len(pool.submit(kb.search, "marker").result()) == 5
            assert len(writer.result()) == ROUNDS - 1


def start_reader(home: Path, out: Path) -> subprocess.Popen[str]:
    with out.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-c", READER, str(home)],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.PIPE,
        )


def test_processes_search_while_a_writer_ingests(tmp_path: Path, docs: Path) -> None:
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(docs)
        readers = [start_reader(tmp_path / "home", tmp_path / f"out{i}") for i in range(2)]
        while not all((tmp_path / f"out{i}").stat().st_size for i in range(2)):
            assert all(reader.poll() is None for reader in readers)
            time.sleep(0.05)
        commits = write_rounds(kb, docs)
        for reader in readers:
            _, errors = reader.communicate("stop\n", timeout=PATIENCE)
            assert (reader.returncode, errors) == (0, "")
        searches = [tuple(json.loads(line)) for i in range(2) for line in (tmp_path / f"out{i}").open()]
        check(searches, commits)


@pytest.mark.usefixtures("either_store")
def test_what_was_removed_is_not_found_and_what_is_new_is(tmp_path: Path, docs: Path) -> None:
    """In a process that has searched before, whichever process writes."""
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "home") as writer:
        writer.ingest(docs)
        assert kb.search("marker 0")[0].text == "The marker is 0."
        (docs / "changing.md").unlink()
        (docs / "fresh.md").write_text("A lighthouse stands here.")
        writer.ingest(docs)
        texts = [hit.text for hit in kb.search("marker lighthouse", 50)]
        assert texts[0] == "A lighthouse stands here."
        assert "The marker is 0." not in texts


def test_a_second_writer_waits_then_says_who_is_writing(tmp_path: Path, docs: Path) -> None:
    with small_kb(tmp_path / "home", lock_seconds=0.3) as kb:
        kb.ingest(docs)
        (docs / "changing.md").unlink()
        with another_writer(kb.settings.kb_dir) as pid:
            for write in (
                lambda: kb.ingest(docs),
                lambda: kb.remove([docs]),
                kb.rebuild,
            ):
                began = time.monotonic()
                with pytest.raises(BusyError, match=f"process {pid}") as caught:
                    write()
                assert time.monotonic() - began >= 0.3
                assert "searching works meanwhile" in caught.value.hint
            assert kb.search("marker")
            assert kb.ingest(docs, dry_run=True).removed == 1
            assert kb.verify().faults == ()
        assert kb.ingest(docs).removed == 1


@pytest.mark.usefixtures("either_store")
def test_a_second_writer_goes_on_as_soon_as_the_first_is_done(tmp_path: Path, docs: Path) -> None:
    with small_kb(tmp_path / "home", lock_seconds=PATIENCE) as kb:
        kb.ingest(docs / "still1.md")
        with ThreadPoolExecutor(1) as pool:
            with another_writer(kb.settings.kb_dir):
                waiting = pool.submit(kb.ingest, docs)
                time.sleep(0.3)
                assert not waiting.done()
            assert waiting.result(timeout=PATIENCE).added == 20


def test_threads_of_one_process_write_one_after_the_other(tmp_path: Path, docs: Path) -> None:
    with small_kb(tmp_path / "home", lock_seconds=PATIENCE) as kb, ThreadPoolExecutor(3) as pool:
        reports = list(pool.map(lambda _: kb.ingest(docs), range(3)))
        assert sorted((report.added, report.unchanged) for report in reports) == [(0, 21), (0, 21), (21, 0)]
        assert kb.verify().faults == ()


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    tmp_path.joinpath("writer.json").write_text('{"pid": 1, "since": "00:00:00"}')
    tmp_path.joinpath("writer.lock").write_text("")
    with writing(tmp_path, 0.1):
        assert json.loads(tmp_path.joinpath("writer.json").read_text())["pid"] == os.getpid()
    assert not tmp_path.joinpath("writer.json").exists()
