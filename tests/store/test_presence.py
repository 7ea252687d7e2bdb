"""A file is gone only if that is certain."""

from __future__ import annotations

import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from kb_assistant.store import presence
from kb_assistant.store.presence import FilePresence, file_states, missing_files, mount_points
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


def test_a_path_through_a_link_to_a_drive_that_is_away_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nas, docs, other = tmp_path / "nas", tmp_path / "home" / "docs", tmp_path / "other"
    (nas / "deep").mkdir(parents=True)
    docs.parent.mkdir()
    other.mkdir()
    (other / "link").symlink_to(tmp_path / "home" / ".." / "home" / "docs")
    docs.symlink_to("../nas")
    mounts = (nas, other, Path("/"))
    look_at(monkeypatch, *mounts)
    assert mount_points([docs / "deep"]) == {nas}
    through = [docs / "a.md", docs / "deep" / "b.md", other / "link" / "c.md"]
    assert [FilePresence([str(nas), str(other)]).state(str(path)) for path in through] == ["gone"] * 3
    assert FilePresence([str(nas)]).drive_of(docs / "deep") == nas
    (nas / "deep").rmdir()
    look_at(monkeypatch, other, Path("/"))
    looked = FilePresence([str(nas), str(other)])
    assert [looked.state(str(path)) for path in through] == ["unreachable"] * 3


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    looked = FilePresence([str(tmp_path / "usb")])
    assert looked.drive_of(tmp_path / "a") is None
    assert looked.state(str(tmp_path / "a" / "x.md")) == "unreachable"
    assert mount_points([tmp_path / "a"]) == set()


def test_two_mount_points_of_one_drive_are_both_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "docs").mkdir(parents=True)
    two.mkdir()
    look_at(monkeypatch, one, two, Path("/"))
    assert mount_points([one / "docs", one, two]) == {one, two}


@pytest.mark.parametrize("place", ["mnt/nas", "media/usb", "media/me/usb", "run/media/me/usb"])
def test_where_drives_are_mounted_nothing_is_gone_while_none_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(presence, "DRIVES_IN", (tmp_path / "mnt", tmp_path / "media"))
    monkeypatch.setattr(presence, "DRIVES_OF_USERS_IN", (tmp_path / "media", tmp_path / "run" / "media"))
    drive = tmp_path / place
    file = str(drive / "docs" / "a.md")
    drive.parent.mkdir(parents=True)
    assert FilePresence().state(file) == "unreachable"
    drive.mkdir()
    assert FilePresence().state(file) == "unreachable", "its folder is there, and empty"
    look_at(monkeypatch, drive)
    assert FilePresence().state(file) == "gone", "mounted, and empty"
    look_at(monkeypatch)
    (drive / "docs").mkdir()
    (drive / "docs" / "b.md").write_text("x")
    assert FilePresence().state(file) == "gone", "a folder like any other"


@pytest.mark.parametrize("known", [True, False])
def test_a_drive_that_hangs_says_nothing_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    nas, docs, ended = tmp_path / "nas", tmp_path / "docs", threading.Event()
    hung = [str(nas / "a.md"), str(nas / "b.md")] if known else [str(nas / "a.md")]
    sources = [*hung, str(docs / "gone.md"), str(docs / "gone too.md")]

    def state(_presence: FilePresence, source: str) -> FileState:
        if source in hung:
            ended.wait()
        return "gone"

    monkeypatch.setattr(FilePresence, "state", state)
    snapshot = Mock(**{"paths.return_value": sources, "meta.return_value": [str(nas)] if known else None})
    found, all_missing = file_states(snapshot, sources), missing_files(snapshot)
    ended.set()
    rest = "gone" if known else "there"
    assert found == {path: "unreachable" if path in hung else rest for path in sources}
    assert all_missing.unreachable == tuple(hung)
    assert all_missing.gone == (tuple(sources[2:]) if known else ())
