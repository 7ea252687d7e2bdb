"""Verify and repair beside other programs: a lock is no damage, and a kill of a repair loses nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from kb_assistant.errors import StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.lock import writing
from kb_assistant.maintenance import sqlite_check
from tests.fakes import HashEmbeddings
from tests.law import small_kb
from tests.processes import ROOT, in_a_fork
from tests.waiting import PATIENCE


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    with small_kb(tmp_path / "home") as base:
        base.add(["The heron nests.", "The pump is red."])
        yield base


def test_a_long_transaction_of_another_program_is_no_fault(kb: KnowledgeBase) -> None:
    with closing(sqlite3.connect(kb.settings.kb_dir / "kb.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        report = kb.verify()
        assert report.faults == ()
        assert ["in use by another program" in part for part in report.unchecked] == [True]
        assert report.to_json()["unchecked"] == list(report.unchecked)
        assert kb.verify(repair=True).sound
    assert kb.verify().unchecked == ()
    assert not (kb.settings.kb_dir / "kb.sqlite.damaged").exists()


def test_a_file_that_another_program_holds_alone_is_said_to_be_in_use(
    kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb_assistant.store.sqlite_store.BUSY_SECONDS", 0.1)
    kb.close()
    with closing(sqlite3.connect(kb.settings.kb_dir / "kb.sqlite", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        for repair in (False, True):
            with pytest.raises(StoreError, match="in use by another program"):
                kb.verify(repair=repair)
    assert kb.verify().faults == ()


def test_a_home_that_may_not_be_written_is_no_fault(kb: KnowledgeBase, tmp_path: Path) -> None:
    """Another's home: here the superuser's, looked at by nobody."""
    kb.close()
    folder = kb.settings.kb_dir
    for path in (folder, *folder.iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for place in (tmp_path, *tmp_path.parents):
        if place.is_relative_to(tempfile.gettempdir()) and place.stat().st_mode & 0o005 != 0o005:
            place.chmod(0o755)

    def child() -> str:
        if not os.geteuid():
            os.setuid(65534)
        try:
            return str(kb.verify().faults)
        except StoreError as error:
            return f"StoreError: {error.message}"

    try:
        said = in_a_fork(child)
    finally:
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert "damaged" not in said
    assert said == "()" or "can't be" in said
    assert kb.verify().faults == ()


def test_of_two_repairs_at_once_the_second_keeps_the_damaged_file_of_the_first(
    kb: KnowledgeBase, tmp_path: Path
) -> None:
    path = kb.settings.kb_dir / "kb.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE vectors SET crc = 1")
        db.commit()
    with small_kb(tmp_path / "home", lock_seconds=PATIENCE) as other, ThreadPoolExecutor(2) as pool:
        with writing(kb.settings.kb_dir, 0):
            repairs = [pool.submit(other.verify, True) for _ in range(2)]
            time.sleep(0.5)  # both have seen the damage, and wait to repair it
        reports = [repair.result() for repair in repairs]
    assert sorted(report.repaired for report in reports) == [False, True]
    assert all(report.sound for report in reports)
    with closing(sqlite3.connect(path.with_name("kb.sqlite.damaged"))) as db:
        assert db.execute("SELECT count(*) FROM vectors WHERE crc = 1").fetchone() == (2,)


def test_a_rebuild_that_ends_meanwhile_is_no_fault(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The length of the vectors was read later than the vectors."""
    kb.search("heron")
    with small_kb(tmp_path / "home", HashEmbeddings("b", dimension=32)) as other:
        check = sqlite_check.meta_faults
        monkeypatch.setattr(sqlite_check, "meta_faults", lambda db: other.rebuild() and check(db))
        assert kb.verify().faults == ()
        assert other.verify().faults == ()


@pytest.mark.parametrize("links", [True, False])
def test_without_the_name_of_the_embedder_all_sources_are_named_and_the_old_file_is_kept(
    kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Also on disks without hard links."""

    def refuse(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    names = tuple(source.path for source in kb.sources())
    path = kb.settings.kb_dir / "kb.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE meta SET crc = 1 WHERE key = 'embedder'")
        db.commit()
    report = kb.verify(repair=True)
    assert report.repaired
    assert sorted(report.to_reingest) == sorted(names)
    with closing(sqlite3.connect(path.with_name("kb.sqlite.damaged"))) as db:
        assert db.execute("SELECT count(*) FROM sources").fetchone() == (2,)


# Repairs, and ends itself at the n-th of the steps that change files.
DYING = """
import os, sys
from pathlib import Path
import kb_assistant.maintenance.sqlite_check as verify
left = [int(sys.argv[2])]
def dying(call):
    def one(*given, **more):
        left[0] -= 1
        left[0] or os._exit(7)
        return call(*given, **more)
    return one
for name in ("link", "replace", "unlink", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
verify._move_log_into = dying(verify._move_log_into)
verify._repair(Path(sys.argv[1]))
"""

# Adds a text and dies, so that it stands in the write-ahead log alone.
LATE = """
import os, sys
from pathlib import Path
from tests.law import small_kb
kb = small_kb(Path(sys.argv[1]))
kb.search("heron")
kb.add(["Late news."])
os._exit(0)
"""


def test_a_repair_that_is_killed_at_any_step_loses_nothing_sound(tmp_path: Path) -> None:
    home = tmp_path / "home"
    steps = 0
    while True:
        steps += 1
        with small_kb(home, kb=f"kb{steps}") as kb:
            kb.add(["The heron nests.", "The pump is red."])
            path = kb.settings.kb_dir / "kb.sqlite"
        (path.parent / "index.cache").unlink()
        late = LATE.replace("(Path(sys.argv[1]))", f"(Path(sys.argv[1]), kb='kb{steps}')")
        subprocess.run([sys.executable, "-c", late, str(home)], cwd=ROOT, check=True)
        assert path.with_name("kb.sqlite-wal").stat().st_size
        done = subprocess.run([sys.executable, "-c", DYING, str(path), str(steps)], cwd=ROOT).returncode
        with small_kb(home, kb=f"kb{steps}") as kb:
            texts = {hit.text for hit in kb.search("news heron pump", 9)}
            assert texts == {"The heron nests.", "The pump is red.", "Late news."}, f"killed at step {steps}"
            assert kb.verify().faults == ()
        if done == 0:
            break
        assert done == 7
    assert steps > 5
