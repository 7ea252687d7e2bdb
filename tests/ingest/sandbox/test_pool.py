"""The sandbox: a file that breaks its reader is one failed row, and the others go on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ingest.sandbox import pool as sandbox
from ingest.sandbox import process as reader_process
from ingest.sandbox.pool import Item, Outcome, ReaderPool, hash_file
from ingest.sandbox.protocol import decode
from kb_assistant.errors import KBError
from tests.samples import ROOT
from tests.waiting import until

CRASHED = "The reader crashed on this file, or ran out of memory. Save the file anew, or in another format."
# Stands in for the readers: what the file says is what they do.
BAD_READERS = """
import os, time
from ingest.sandbox import worker
from ingest.readers.blocks import Block, Content

def read(name, data, *more, **named):
    text = data.decode()
    if text == "hang":
        time.sleep(3600)
    if text == "spin":
        while True:
            pass
    if text == "crash":
        os.abort()
    if text == "hog":
        hoard = bytearray(2_000_000_000)
    if text == "bug":
        raise IndexError("no such thing")
    if text == "long":
        text = "x" * 2_000_000
    if text == "print":
        os.write(1, b"noise"); print("more noise", flush=True)
        text = os.read(0, 10).decode() + "quiet"
    return Content("", (Block(text),))

worker.read = read
"""


def started_with(code: str) -> str:
    """What starts a process, with this code run before its work begins."""
    before, name, after = reader_process._START.partition("from ingest.sandbox.worker")
    assert name, "or the real readers would stay, and the tests prove nothing"
    return f"{before}{code}; {name}{after}"


@pytest.fixture
def bad_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_process, "_START", started_with(f"exec({BAD_READERS!r})"))


def pool(workers: int = 1, seconds: float = 20, text_megabytes: int = 1) -> ReaderPool:
    return ReaderPool(workers, seconds, 512, 1, text_megabytes)


def write(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"{number}-{text[:10]}.txt" for number, text in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def read(pool: ReaderPool, paths: Iterable[Path]) -> Iterator[Outcome]:
    return pool.read(Item(str(path), str(path)) for path in paths)


def by_text(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    return {Path(outcome.source).stem.partition("-")[2]: outcome for outcome in outcomes}


def test_reads_many_files(tmp_path: Path) -> None:
    paths = write(tmp_path, *(f"文字 {number}" for number in range(20)))
    with pool(workers=2) as readers:
        outcomes = {Path(outcome.source): outcome for outcome in read(readers, paths)}
    assert set(outcomes) == set(paths)
    for path, outcome in outcomes.items():
        assert outcome.content is not None
        assert outcome.content.blocks[0].text == path.read_text()
        assert outcome.content.blocks[0].lines == (1, 1)
        assert outcome.sha256 == hash_file(path)[0] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.usefixtures("bad_readers")
def test_files_that_break_their_reader(tmp_path: Path) -> None:
    paths = write(tmp_path, "crash", "bug", "long", "print", "hang", "fine", "hog", "spin", "last")
    with pool(seconds=3) as readers:
        outcomes = by_text(read(readers, paths))
    errors = {text: outcome.error for text, outcome in outcomes.items()}
    assert errors.pop("hog") in (
        "Reading took more than 512 MB of memory. Split the file, or raise read_megabytes.",
        "" if sys.platform != "linux" else "limits hold on Linux",
    )
    assert errors == {
        "crash": CRASHED,
        "bug": "The reader failed on this file (IndexError). Save it in another format.",
        "long": "There is more than 1 MB of text in it. Split it.",
        "print": "",
        "hang": "Reading took longer than 3 s. Split the file, or raise read_seconds.",
        "fine": "",
        "spin": "Reading took longer than 3 s. Split the file, or raise read_seconds.",
        "last": "",
    }
    assert outcomes["bug"].sha256
    assert outcomes["print"].content is not None
    assert outcomes["print"].content.blocks[0].text == "quiet"


def test_files_that_are_refused(tmp_path: Path) -> None:
    big, damaged = tmp_path / "big.txt", tmp_path / "damaged.pdf"
    big.write_bytes(b"x" * 1_000_001)
    damaged.write_bytes(b"%PDF-1.4 no")
    with pool() as readers:
        outcomes = {Path(o.source): o for o in read(readers, [big, damaged, tmp_path / "gone.txt", tmp_path])}
    assert outcomes[big].error == "The file is larger than 1 MB. Split it, or raise file_megabytes."
    assert outcomes[damaged].error == "The PDF is damaged. Save or download it anew."
    assert outcomes[damaged].sha256 == hash_file(damaged)[0]
    assert replace(outcomes[tmp_path / "gone.txt"], seconds=0.0) == Outcome(
        str(tmp_path / "gone.txt"), "", None, "The file vanished while it was being read.", gone=True
    )
    assert outcomes[tmp_path].error == "This isn't a regular file."


@pytest.mark.skipif(os.name == "nt", reason="pipes in folders are POSIX")
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pool() as readers:
        (outcome,) = read(readers, [tmp_path / "pipe.txt"])
    assert outcome.error == "This isn't a regular file."


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes such names")
def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xd6\xd0.txt")
    path.write_text("text")
    with pool() as readers:
        (outcome,) = read(readers, [path])
    assert outcome.content is not None


def test_paths_are_drawn_lazily_and_reading_may_stop_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "AHEAD", 3)
    drawn = 0

    def paths() -> Iterator[Path]:
        nonlocal drawn
        for path in write(tmp_path, *(str(number) for number in range(50))):
            drawn += 1
            yield path

    with pool(workers=1) as readers:
        outcomes = read(readers, paths())
        next(outcomes)
        assert drawn <= 3
        outcomes.close()  # type: ignore[attr-defined]
        assert len(list(read(readers, write(tmp_path, "again")))) == 1


def test_readers_go_on_while_nobody_takes_what_they_read(tmp_path: Path) -> None:
    """As while texts are embedded: the files are gone by the time that they are asked for."""
    paths = write(tmp_path, *(f"file {number}" for number in range(30)))
    with pool() as readers:
        outcomes = read(readers, paths)
        first = next(outcomes)
        while not all(future.done() for future in outcomes.gi_frame.f_locals["running"]):  # type: ignore[attr-defined]
            time.sleep(0.01)
        for path in paths:
            path.unlink()
        assert all(outcome.content for outcome in [first, *outcomes])


def test_what_is_read_ahead_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_AHEAD_BYTES", 1500)
    paths = write(tmp_path, *(f"{number} " + "x" * 1000 for number in range(20)))
    with pool() as readers:
        outcomes = read(readers, paths)
        first = next(outcomes)
        time.sleep(1)
        for path in paths:
            path.unlink()
        left = list(outcomes)
        assert first.content
        assert 15 < sum(outcome.gone for outcome in left) < 20


@pytest.mark.usefixtures("bad_readers")
def test_closing_ends_a_worker_in_the_middle_of_a_file(tmp_path: Path) -> None:
    readers = pool(workers=2, seconds=0)
    outcomes = read(readers, write(tmp_path, "fine", "hang", "hang"))
    next(outcomes)
    processes = [one._process for one in readers._processes if one._process]
    readers.close()
    assert processes
    assert all(process.returncode is not None for process in processes)


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
def test_ctrl_c_does_not_reach_workers(tmp_path: Path) -> None:
    (first, second) = write(tmp_path, "one", "two")
    with pool() as readers:
        list(read(readers, [first]))
        process = readers._processes[0]._process
        assert process is not None
        process.send_signal(signal.SIGINT)
        (outcome,) = read(readers, [second])
        assert not outcome.error
        assert readers._processes[0]._process is process


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (path,) = write(tmp_path, "text")
    code = (
        "import sys, os; from ingest.sandbox.pool import Item, ReaderPool\n"
        "pool = ReaderPool(1, 20, 512, 1); list(pool.read([Item('a', sys.argv[1])]))\n"
        "print(pool._processes[0]._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT)
    worker = Path("/proc", out.stdout.strip(), "stat")
    until(lambda: not worker.exists() or ") Z " in worker.read_text())


def test_a_worker_that_can_not_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reader_process, "_START", "raise SystemExit(3)")
    with pool() as readers, pytest.raises(KBError, match="exit code 3"):
        list(read(readers, write(tmp_path, "x")))


def test_workers_get_no_proxies_and_no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    tell = "worker.read = lambda name, data, *more, **named: Content('', (Block(repr(dict(os.environ))),))"
    monkeypatch.setattr(reader_process, "_START", started_with(f"exec({BAD_READERS!r}); {tell}"))
    with pool() as readers:
        (outcome,) = read(readers, write(tmp_path, "x"))
    assert outcome.content is not None
    assert "proxy" not in outcome.content.blocks[0].text
    assert "secret" not in outcome.content.blocks[0].text


GOOD_REPLY = {"sha256": "0" * 64, "error": "", "gone": False, "title": "", "blocks": []}


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": 1},
        {"sha256": "00"},
        {"title": None},
        {"blocks": [["x", "prose", None, None]]},
        {"blocks": [["x", "picture", None, None, ""]]},
        {"blocks": [["x", "prose", "1", None, ""]]},
        {"blocks": [["x", "prose", None, [1], ""]]},
        {"blocks": 3},
    ],
)
def test_malformed_replies_are_refused(change: dict[str, object]) -> None:
    assert decode(json.dumps(GOOD_REPLY).encode())[1] is not None
    with pytest.raises((TypeError, ValueError, KeyError)):
        decode(json.dumps(GOOD_REPLY | change).encode())


def test_a_large_parent_is_not_taken_for_a_large_reader(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("text")
    code = f"""
from ingest.sandbox.pool import Item, ReaderPool
weight = bytearray(600_000_000)
for place in range(0, len(weight), 4096):
    weight[place] = 1
with ReaderPool(1, 20, 512, 1) as readers:
    (outcome,) = readers.read([Item({str(file)!r}, {str(file)!r})])
assert outcome.content is not None, outcome.error
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
