"""A file is gone only if that is certain."""

from __future__ import annotations

import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from kb_assistant.store import presence
from kb_assistant.store.presence import FilePresence, file_states, mount_points
from kb_assistant.types import FileState
from tests.fakes import HashEmbeddings
from tests.law import small_kb


def look_at(monkeypatch: pytest.MonkeyPatch, *mounts: Path) -> None:
    """From now on only these are mount points."""
    monkeypatch.setattr(Path, "is_mount", lambda self: self in mounts)


@pytest.mark.parametrize("name", ["a.md", "文档/合同 张伟.md", "it's [1] & more/x.txt", "e\u0301te\u0301/y.md"])
def test_deleted_renamed_and_replaced_files_are_gone(tmp_path: Path, name: str) -> None:
    file = tmp_path / "docs" / name
    file.parent.mkdir(parents=True)
    file.write_text("text")
    assert FilePresence().state(str(file)) == "there"
    (tmp_path / "docs").rename(tmp_path / "papers")
    looked = FilePresence()
    assert looked.state(str(file)) == "gone"
    assert looked.missing_part(file) == tmp_path / "docs"
    assert looked.state(str(tmp_path / "papers" / name)) == "there"


def test_what_is_no_file_and_what_lies_in_an_archive_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK")
    there = ["document:报告.md", "document:/a/b.md", str(tmp_path / "a.zip" / "in" / "x.md")]
    assert [FilePresence().state(path) for path in there] == ["there"] * 3
    (tmp_path / "a.zip").unlink()
    assert FilePresence().state(there[-1]) == "gone"


def test_what_may_come_back_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usb, other = tmp_path / "usb", tmp_path / "other"
    looked = FilePresence([str(usb)])
    look_at(monkeypatch)
    assert looked.state(str(usb / "a.md")) == "unreachable", "the drive is taken out, and its folder with it"
    usb.mkdir()
    assert looked.state(str(usb / "a.md")) == "unreachable", "its folder is there, and empty"
    assert looked.state(str(other / "a.md")) == "gone"
    look_at(monkeypatch, usb)
    assert looked.state(str(usb / "a.md")) == "gone", "the drive is there, and the file isn't on it"
    (tmp_path / "link").symlink_to(tmp_path / "away")
    assert looked.state(str(tmp_path / "link" / "x" / "a.md")) == "unreachable"


@pytest.mark.parametrize("error", [PermissionError, TimeoutError, OSError])
def test_what_cant_be_looked_at_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    monkeypatch.setattr(Path, "stat", Mock(side_effect=error("Stale file handle")))
    assert FilePresence().state(str(tmp_path / "a.md")) == "unreachable"


def test_a_drive_that_doesnt_answer_holds_no_search_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs, silent, ended = tmp_path / "docs", tmp_path / "silent.md", threading.Event()
    docs.mkdir()
    (docs / "a.md").write_text("The tower is 34 metres high.")

    def state(_presence: FilePresence, source: str) -> FileState:
        if source == str(silent):
            ended.wait()
        return "there"

    monkeypatch.setattr(FilePresence, "state", state)
    monkeypatch.setattr(presence, "PATIENCE_S", 0.05)
    with small_kb(tmp_path / "home", HashEmbeddings()) as kb:
        kb.add([("a.md", b"x")])
        with kb.store.read() as snapshot:
            found = file_states(snapshot, [str(docs / "a.md"), str(silent)])
    ended.set()
    assert found == {str(docs / "a.md"): "there", str(silent): "unreachable"}


def test_mount_points_are_those_that_folders_lie_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "usb" / "docs").mkdir(parents=True)
    look_at(monkeypatch, tmp_path / "usb", Path("/"))
    assert mount_points([tmp_path / "usb" / "docs", tmp_path / "missing"]) == {tmp_path / "usb"}
    look_at(monkeypatch, Path("/"))
    assert mount_points([tmp_path / "usb" / "docs"]) == set(), "the system's own drive is always there"
