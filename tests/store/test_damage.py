"""Disks that are full, closed or not there, and index files that lie: clear errors, exit codes, no traceback."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from kb_assistant.errors import StoreError
from tests.law import answers, contents, small_kb
from tests.processes import Command
from tests.samples import ROOT
from tests.shell import is_told, kb_here
from tests.waiting import PATIENCE

QUESTIONS = ["valve circuit", "paragraph 7"]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    draw = random.Random(3)
    for number in range(40):
        text = "\n\n".join(f"Valve {number} of circuit {draw.random()} in paragraph {i}." for i in range(8))
        (folder / f"{number}.md").write_text(text)
    return folder


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "home", tmp_path / "scratch")


def test_a_limit_on_file_sizes_is_told_and_nothing_is_torn(command: Command, docs: Path) -> None:
    """The nearest to a full disk that anybody may make: the system refuses to let a file grow."""
    limit = (200_000, resource.RLIM_INFINITY)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    try:
        process = command.start("ingest", docs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    out, err = process.communicate(timeout=PATIENCE)
    is_told(subprocess.CompletedProcess("", process.returncode, out, err), "can't be read or written")
    goes_on(command, docs)


def test_a_full_disk_is_told_and_nothing_is_torn(command: Command, docs: Path) -> None:
    """A real one, of 400 KB, in a mount namespace of its own."""
    disk = command.home / "kbs"
    disk.mkdir(parents=True)
    script = (
        f"mount -t tmpfs -o size=400k none '{disk}' && "
        f"'{sys.executable}' -m tests.kb_fake ingest '{docs}' --json; code=$?; "
        f"cp -a '{disk}' '{command.home}/copy'; exit $code"
    )
    namespace = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "mount", "-t", "tmpfs", "x", str(disk)],
                                                         capture_output=True, check=False).returncode:  # fmt: skip
        pytest.skip("this system allows no mount namespace; the limit on file sizes is tested above")
    done = subprocess.run(
        [*namespace, "sh", "-c", script],
        cwd=ROOT,
        env=os.environ | {"KB_HOME": str(command.home), "KB_CHUNK_TOKENS": "32", "KB_READERS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    is_told(done, "is full")
    assert json.loads(done.stdout).keys() == {"error", "hint", "id", "values"}
    shutil.copytree(command.home / "copy", disk, dirs_exist_ok=True)
    goes_on(command, docs)


def goes_on(command: Command, docs: Path) -> None:
    """What was committed stands, and the next ingest completes it."""
    with small_kb(command.home) as kb, small_kb(command.scratch / "fresh") as fresh:
        assert kb.verify().faults == ()
        committed = len(kb.sources())
        assert 0 < committed < 40
        report = kb.ingest(docs)
        assert (report.unchanged, report.added) == (committed, 40 - committed)
        fresh.ingest(docs)
        assert contents(kb) == contents(fresh)


@pytest.mark.parametrize("home", ["a file", "below a file", "/proc/kb", "/dev/null/kb"])
def test_a_home_that_cant_be_written_is_told(
    tmp_path: Path, docs: Path, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Places where nobody can make a folder, root included."""
    (tmp_path / "file").write_text("")
    folder = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "home"}.get(home, Path(home))
    is_told(kb_here(monkeypatch, folder, "ingest", docs), "can't be made")
    is_told(kb_here(monkeypatch, folder, "search", "valve"), "no knowledge base")


def test_a_store_that_cant_be_written_is_told(tmp_path: Path, docs: Path) -> None:
    """A folder where the file should be; a folder where the lock should be."""
    with small_kb(tmp_path / "home") as kb:
        (kb.settings.kb_dir / "kb.sqlite").mkdir(parents=True)
        with pytest.raises(StoreError, match="can't be written"):
            kb.ingest(docs)
    with small_kb(tmp_path / "home2") as kb:
        (kb.settings.kb_dir / "writer.lock").mkdir(parents=True)
        with pytest.raises(StoreError, match="can't be written"):
            kb.ingest(docs)


def test_an_index_cache_that_cant_be_written_costs_time_and_nothing_else(tmp_path: Path, docs: Path) -> None:
    with small_kb(tmp_path / "home") as kb:
        (kb.settings.kb_dir / "index.cache").mkdir(parents=True)
        kb.ingest(docs)
        assert kb.search("valve circuit")
        assert kb.verify().faults == ()
    with small_kb(tmp_path / "home") as kb:
        assert kb.search("valve circuit")


def test_a_damaged_index_cache_changes_no_result(tmp_path: Path, docs: Path) -> None:
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(docs / "1.md")
        cache = kb.settings.kb_dir / "index.cache"
        early = cache.read_bytes()
        kb.ingest(docs)
        good, wanted = cache.read_bytes(), answers(kb, QUESTIONS)
    head = good.index(b"\n") + 1
    draw = random.Random(5)
    bad = {
        "empty": b"",
        "garbage": draw.randbytes(len(good)),
        "earlier state": early,
        "truncated": good[: len(good) // 2],
        "longer": good + b"\0",
        "no body": good[: head + 4],
        "another state's body": good[:head] + early[early.index(b"\n") + 1 :],
        "more ids than there are": good[: head + 4] + b"\xff" * 8 + good[head + 12 :],
    }
    for offset in [*range(head - 3, head + 14, 3), *draw.sample(range(len(good)), 6)]:
        bad[f"byte {offset}"] = good[:offset] + bytes([good[offset] ^ 0x11]) + good[offset + 1 :]
    for what, data in bad.items():
        cache.write_bytes(data)
        with small_kb(tmp_path / "home") as kb:
            assert answers(kb, QUESTIONS[:1]) == {QUESTIONS[0]: wanted[QUESTIONS[0]]}, what
            assert kb.verify().faults == (), what
        assert cache.read_bytes() == good, f"{what}: not written anew"


def test_an_index_of_lost_commits_is_not_taken_for_the_present_one(tmp_path: Path, docs: Path) -> None:
    """A power cut takes the last commits back; counted again, the same number stood for other texts."""
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(docs / "1.md")
        database = kb.settings.kb_dir / "kb.sqlite"
    before = database.read_bytes()
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(docs / "2.md")
    database.write_bytes(before)
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(docs / "3.md")
        assert kb.verify().faults == ()
    with small_kb(tmp_path / "home") as kb, small_kb(tmp_path / "fresh") as fresh:
        assert kb.verify().faults == ()
        fresh.ingest([docs / "1.md", docs / "3.md"])
        assert answers(kb, QUESTIONS) == answers(fresh, QUESTIONS)


def test_the_command_line_tells_of_damage_and_mends_it(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = partial(kb_here, monkeypatch, tmp_path / "home")
    assert kb("ingest", docs).returncode == 0
    database = tmp_path / "home" / "kbs" / "default" / "kb.sqlite"
    data = database.read_bytes()
    database.write_bytes(b"\0" * 100 + data[100:])
    for arguments in (["search", "valve"], ["ingest", docs], ["status"], ["sources"], ["rm", docs]):
        is_told(kb(*arguments), "damaged")
    seen = kb("verify")
    assert (seen.returncode, "damaged" in seen.stdout) == (1, True)
    assert kb("verify", "--repair").returncode == 0
    assert kb("ingest", docs).returncode == 0
    assert kb("verify").returncode == 0
