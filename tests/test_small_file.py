"""Small files of this program: whole or not at all, and no change is lost."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kb_assistant.errors import StoreError
from kb_assistant.small_file import update_json, update_text, write_whole
from tests.samples import ROOT
from tests.waiting import PATIENCE

ADDS = """
import sys
from pathlib import Path
from kb_assistant.small_file import update_json
for number in range(20):
    update_json(Path(sys.argv[1]), lambda old: [*(old or []), f"{sys.argv[2]} {number}"], what="the list")
"""


def test_eight_threads_and_three_processes_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    others = [subprocess.Popen([sys.executable, "-c", ADDS, str(file), f"p{i}"], cwd=ROOT) for i in range(3)]

    def add(name: int) -> None:
        for number in range(20):
            update_json(file, lambda old, line=f"{name} {number}": [*(old or []), line], what="the list")  # type: ignore[misc]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert [other.wait(PATIENCE) for other in others] == [0, 0, 0]
    kept = json.loads(file.read_text())
    names = [*range(8), "p0", "p1", "p2"]
    assert sorted(kept) == sorted(f"{name} {number}" for name in names for number in range(20))
    for name in names:
        assert [one for one in kept if one.startswith(f"{name} ")] == [f"{name} {n}" for n in range(20)]
    assert {path.name for path in tmp_path.iterdir()} == {"list.json", ".list.lock", ".list.next"}


def test_a_kill_at_any_step_leaves_the_old_text_or_the_new_one(tmp_path: Path) -> None:
    """The steps are seen by the system calls of the child, which ends itself at the n-th of them."""
    file = tmp_path / "kb.json"
    code = (
        "import os, sys, kb_assistant.small_file as s\nfrom pathlib import Path\nleft = [int(sys.argv[2])]\n"
        "def dying(call):\n"
        "    def one(*given, **more):\n"
        "        left[0] -= 1\n"
        "        left[0] or os._exit(7)\n"
        "        return call(*given, **more)\n"
        "    return one\n"
        "for name in ('open', 'fdopen', 'fsync', 'replace', 'close'):\n"
        "    setattr(os, name, dying(getattr(os, name)))\n"
        "s.write_whole(Path(sys.argv[1]), 'new' * 10000)\n"
    )
    found = set()
    for step in range(1, 12):
        file.write_text("old")
        ended = subprocess.run([sys.executable, "-c", code, str(file), str(step)], cwd=ROOT).returncode
        found.add((ended, file.read_text()))
    assert found == {(7, "old"), (7, "new" * 10000), (0, "new" * 10000)}


def test_an_error_of_the_change_leaves_the_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("[1]")
    with pytest.raises(ZeroDivisionError):
        update_json(file, lambda _: [1 / 0], what="the list")
    assert file.read_text() == "[1]"


def test_a_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("[1")
    with pytest.raises(ValueError):
        update_json(file, lambda _: [2], what="the list")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="can't be read"):
        update_text(file, lambda _: "", what="the list")


def test_permissions_are_kept_and_a_new_file_gets_those_it_was_given(tmp_path: Path) -> None:
    secret, shared = tmp_path / "secret", tmp_path / "shared"
    write_whole(secret, "a", 0o600)
    assert secret.stat().st_mode & 0o777 == 0o600
    shared.write_text("a")
    shared.chmod(0o664)
    write_whole(shared, "b", 0o600)
    assert (shared.read_text(), shared.stat().st_mode & 0o777) == ("b", 0o664)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("a")
    link.symlink_to(real)
    write_whole(link, "b")
    assert link.is_symlink()
    assert real.read_text() == "b"


def test_a_place_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't be written"):
        write_whole(tmp_path / "file" / "a", "b")


def test_a_full_disk_is_told_as_one_and_keeps_the_old_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "kb.toml").write_text("k = 5")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError) as told:
        write_whole(tmp_path / "kb.toml", "k = 6")
    assert told.value.hint == "Free some space and run the command again."
    assert (tmp_path / "kb.toml").read_text() == "k = 5"
    assert [path.name for path in tmp_path.iterdir()] == ["kb.toml"]
