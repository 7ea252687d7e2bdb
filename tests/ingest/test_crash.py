"""Stops, kills and disks that fail: what is committed stays, and the next ingest does only the rest."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from kb_assistant.errors import StoreError
from kb_assistant.knowledge import KnowledgeBase
from tests.law import answers, contents, known_texts, small_kb
from tests.processes import Command
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and their signals are POSIX")

TOPICS = ["valve", "pump", "filter", "水泵", "阀门", "circuit", "ridge", "station"]
QUESTIONS = ["valve filter", "水泵", "station 17"]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "home", tmp_path / "scratch")


def write_file(docs: Path, number: int, draw: random.Random) -> None:
    """One of three formats, with one to five paragraphs that no other file has."""
    paragraphs = [
        " ".join(draw.choices(TOPICS, k=20)) + f", item {number} of {draw.random()}."
        for _ in range(draw.randint(1, 5))
    ]
    folder = docs / f"part{number % 5}"
    folder.mkdir(parents=True, exist_ok=True)
    match number % 3:
        case 0:
            (folder / f"{number}.md").write_text(f"# File {number}\n\n" + "\n\n".join(paragraphs))
        case 1:
            (folder / f"{number}.txt").write_text("\n\n".join(paragraphs))
        case _:
            (folder / f"{number}.html").write_text("".join(f"<p>{text}</p>" for text in paragraphs))


def holds_something(kb: KnowledgeBase) -> bool:
    """False where it was killed before the first transaction."""
    try:
        kb.sources()
    except StoreError as error:
        if "no knowledge base" not in error.message:
            raise
        return False
    return True


def check_after_kill(command: Command, docs: Path) -> set[str]:
    """Nothing contradicts itself, a search works, no process is left. Returns the texts that are safe."""
    known: set[str] = set()
    with small_kb(command.home) as kb:
        if holds_something(kb):
            known = known_texts(kb)
            assert kb.verify().faults == ()
            assert all(Path(hit.source).is_relative_to(docs) for hit in kb.search("valve filter 水泵"))
    until(lambda: not command.left_over())
    return known


def kill_often(command: Command, docs: Path, files: int, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    for number in range(files):
        write_file(docs, number, draw)
    safe: set[str] = set()
    for _ in range(kills):
        seen = len(command.embedded())
        asked = command.log_size
        process = command.start("ingest", docs)
        if draw.random() < 0.8:  # else while it starts
            until(partial(command.has_gone_on, process, asked))
        time.sleep(draw.uniform(0, 1.0))
        command.kill(process)
        assert not safe & set(command.embedded()[seen:]), "what was committed was embedded again"
        safe = check_after_kill(command, docs)
        for number in draw.sample(range(files), files // 10):
            write_file(docs, number, draw)
    seen = len(command.embedded())
    last = command.run("ingest", docs)
    assert last.returncode == 0, last.stderr
    assert not safe & set(command.embedded()[seen:])
    with small_kb(command.home) as kb, small_kb(command.scratch / "fresh") as fresh:
        fresh.ingest(docs)
        assert contents(kb) == contents(fresh)
        assert answers(kb, QUESTIONS).keys() == answers(fresh, QUESTIONS).keys()
        assert {path.name for path in kb.settings.kb_dir.iterdir()} <= {
            "kb.sqlite", "kb.sqlite-wal", "kb.sqlite-shm", "index.cache", "writer.lock", "writer.next",
        }, "a killed process left something behind for ever"  # fmt: skip


def test_three_kills_leave_what_is_committed(command: Command, tmp_path: Path) -> None:
    command.delay = 0.05
    kill_often(command, tmp_path / "docs", files=40, kills=3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_forty_kills_at_any_moment_leave_what_is_committed(command: Command, tmp_path: Path) -> None:
    command.delay = 0.05
    kill_often(command, tmp_path / "docs", files=200, kills=40, seed=2)


def test_ctrl_c_ends_an_ingest_with_a_report_and_the_next_one_goes_on(command: Command, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for number in range(80):
        write_file(docs, number, random.Random(number))
    command.delay = 0.1
    process = command.start("ingest", docs, "--json")
    until(lambda: len(command.embedded()) > 130 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the readers as well
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    report = json.loads(out)
    assert report["stopped"]
    assert 0 < report["added"] < 80
    assert report["embedded"] == len(command.embedded())
    assert "Stopping" in err
    assert "Traceback" not in err
    safe = check_after_kill(command, docs)
    command.delay = 0.0
    seen = len(command.embedded())
    after = command.run("ingest", docs, "--json")
    assert after.returncode == 0, after.stderr
    assert json.loads(after.stdout)["unchanged"] == report["added"]
    assert not safe & set(command.embedded()[seen:])


@pytest.mark.parametrize("moment", [0.04, *(pytest.param(i / 50, marks=pytest.mark.slow) for i in range(10))])
def test_ctrl_c_while_the_readers_start_is_a_stop_and_no_error(
    command: Command, tmp_path: Path, moment: float
) -> None:
    """A terminal tells the readers too; one that died of it was taken for a broken installation."""
    docs = tmp_path / "docs"
    for number in range(5):
        write_file(docs, number, random.Random(number))
    process = command.start("ingest", docs)
    lock = command.home / "kbs" / "default" / "writer.json"
    until(lambda: lock.exists() or process.poll() is not None)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_the_second_ctrl_c_breaks_off_at_once(command: Command, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    for number in range(5):
        write_file(docs, number, random.Random(number))
    command.delay = 2 * PATIENCE
    process = command.start("ingest", docs)
    until(lambda: command.log.exists() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    assert any("Stopping" in line for line in process.stderr), "two signals at the same moment would be one"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    check_after_kill(command, docs)
