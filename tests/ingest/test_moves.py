"""Folders that vanish or change their names: what is known of them moves along, or it stays and that is told."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from kb_assistant.errors import KBError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.store import Snapshot
from kb_assistant.store.presence import MOUNTS, FilePresence
from kb_assistant.types import FileState, MissingFiles, Report
from tests.law import small_kb

FEE = "The mooring fee is 12 crowns."
TIDE = "High tide comes at noon on Mondays."
CRANE = "起重机每周检查一次，发现异常立即停用。"


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    with small_kb(tmp_path / "home") as base:
        yield base


def make(folder: Path, **texts: str) -> Path:
    """A folder with a file for each text; `__` in a name is a folder."""
    for name, text in texts.items():
        file = folder / f"{name.replace('__', '/')}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def known(kb: KnowledgeBase) -> list[str]:
    return [source.path for source in kb.sources()]


def reasons(report: Report) -> dict[str, str]:
    return {row.path: row.reason for row in report}


@pytest.mark.parametrize(("old", "new"), [("f", "g"), ("合同 2025", "合同 2026"), ("my docs", "my 'docs' [new]")])
def test_a_renamed_folder_is_followed_and_nothing_is_embedded(
    kb: KnowledgeBase, tmp_path: Path, old: str, new: str
) -> None:
    folder = make(tmp_path / old, fee=FEE, deep__tide=TIDE)
    kb.ingest(folder)
    now = folder.rename(tmp_path / new)
    report = kb.ingest(now)
    assert known(kb) == [str(now / "deep" / "tide.md"), str(now / "fee.md")]
    assert (report.added, report.removed, report.duplicate, report.embedded) == (2, 2, 0, 0)
    assert reasons(report)[str(folder / "fee.md")] == f"moved to {now / 'fee.md'}"
    assert reasons(report)[str(now / "fee.md")] == f"moved from {folder / 'fee.md'}"
    assert not report.missing


def test_a_gone_file_stays_where_its_copy_was_edited(kb: KnowledgeBase, tmp_path: Path) -> None:
    gone, copy = make(tmp_path / "f", a=FEE), make(tmp_path / "g", b=FEE)
    kb.ingest([gone, copy])
    shutil.rmtree(gone)
    make(copy, b=TIDE)
    report = kb.ingest(copy)
    assert known(kb) == [str(gone / "a.md"), str(copy / "b.md")]
    assert report.missing.gone == (str(gone / "a.md"),)


def test_files_edited_after_the_rename_replace_what_they_said_and_others_stay(
    kb: KnowledgeBase, tmp_path: Path
) -> None:
    folder = make(tmp_path / "f", fee=FEE, tide=TIDE, crane=CRANE)
    kb.ingest(folder)
    now = folder.rename(tmp_path / "g")
    make(now, fee=FEE.replace("12", "18"), crane=CRANE.replace("每周", "每月"))
    (now / "tide.md").unlink()
    report = kb.ingest(now)
    kept = str(folder / "tide.md")
    assert known(kb) == [kept, str(now / "crane.md"), str(now / "fee.md")]
    assert report.missing.gone == (kept,), "it was found nowhere"
    assert {row.reason for row in report if row.status == "removed"} == {f"its folder is {now} now"}
    assert kb.search("mooring fee crowns")[0].text == FEE.replace("12", "18")


def test_a_folder_within_another_is_followed_from_a_sibling_and_from_above(
    kb: KnowledgeBase, tmp_path: Path
) -> None:
    top = make(tmp_path / "top", a__x=FEE, b__y=TIDE)
    kb.ingest([top / "a", top / "b"])
    (top / "a").rename(top / "c")
    make(top / "c", x=FEE.replace("12", "18"))
    kb.ingest(top / "c")
    assert known(kb) == [str(top / "b" / "y.md"), str(top / "c" / "x.md")]
    (top / "b").rename(top / "d")
    assert kb.ingest(top).removed == 1
    assert known(kb) == [str(top / "c" / "x.md"), str(top / "d" / "y.md")]


def test_a_file_of_another_name_is_followed_by_its_bytes_wherever_it_is(kb: KnowledgeBase, tmp_path: Path) -> None:
    file = make(tmp_path / "f", fee=FEE) / "fee.md"
    kb.ingest(file)
    (tmp_path / "far" / "away").mkdir(parents=True)
    file.rename(tmp_path / "far" / "away" / "fees.md")
    kb.ingest(tmp_path / "far" / "away")
    assert known(kb) == [str(tmp_path / "far" / "away" / "fees.md")]


def test_a_folder_above_that_was_renamed_is_followed_from_within(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.ingest(make(tmp_path / "2025" / "f", fee=FEE, deep__tide=TIDE))
    (tmp_path / "2025").rename(tmp_path / "2026")
    make(tmp_path / "2026" / "f", fee=FEE.replace("12", "18"), deep__tide=TIDE.replace("noon", "one"))
    report = kb.ingest(tmp_path / "2026" / "f")
    assert known(kb) == [str(tmp_path / "2026" / "f" / name) for name in ("deep/tide.md", "fee.md")]
    assert {row.reason for row in report if row.status == "removed"} == {f"its folder is {tmp_path / '2026'} now"}


def test_what_vanished_elsewhere_isnt_told_by_every_ingest(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.ingest(make(tmp_path / "a" / "f", fee=FEE))
    shutil.rmtree(tmp_path / "a")
    assert kb.ingest(make(tmp_path / "b" / "g", tide=TIDE)).missing == MissingFiles()
    assert len(kb.missing_files().gone) == 1


def test_a_folder_that_vanished_is_told_by_a_sibling_and_stays(kb: KnowledgeBase, tmp_path: Path) -> None:
    folder, other = make(tmp_path / "f", fee=FEE, tide=TIDE), make(tmp_path / "other", crane=CRANE)
    kb.ingest([folder, other])
    shutil.rmtree(folder)
    gone = (str(folder / "fee.md"), str(folder / "tide.md"))
    for paths in (other, [other / "crane.md", other]):
        report = kb.ingest(paths)
        assert (report.removed, report.missing) == (0, MissingFiles(gone=gone))
    assert kb.missing_files() == kb.verify().missing == MissingFiles(gone=gone)
    assert kb.verify().sound
    (hit, *_) = kb.search("mooring fee crowns")
    assert (hit.source, hit.file) == (gone[0], "gone")
    make(tmp_path / "f", fee=FEE, tide=TIDE)
    assert kb.ingest(other).missing == kb.missing_files() == MissingFiles()


@pytest.mark.parametrize("place", ["other", "far/away"])
def test_other_files_of_the_same_names_are_no_sign_of_a_rename(
    kb: KnowledgeBase, tmp_path: Path, place: str
) -> None:
    known_before = make(tmp_path / "before", README="Sails.", fee="None.")
    folder = make(tmp_path / "f", README="Boats.", fee=FEE, tide=TIDE)
    small = make(tmp_path / "x" / "small", README="Ropes.")
    kb.ingest([folder, known_before, small])
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "x" / "small")
    report = kb.ingest([make(tmp_path / place, README="Cranes.", crane=CRANE), known_before])
    assert report.removed == 0
    assert len(report.missing.gone) >= 3


def test_a_copy_that_is_there_is_cited_for_one_that_is_gone(kb: KnowledgeBase, tmp_path: Path) -> None:
    first, second = make(tmp_path / "a", fee=FEE), make(tmp_path / "b", fees=FEE)
    kb.ingest([first, second])
    shutil.rmtree(first)
    (hit,) = kb.search("mooring fee crowns")
    assert (hit.source, hit.file, hit.also_in) == (str(second / "fees.md"), "there", (str(first / "fee.md"),))
    kb.ingest(second)
    assert known(kb) == [str(second / "fees.md")], "nothing is lost: its content stays"


def test_a_renamed_archive_is_followed(kb: KnowledgeBase, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("in/fee.md", FEE)
        archive.writestr("tide.md", TIDE)
    kb.ingest(tmp_path / "a.zip")
    (tmp_path / "a.zip").rename(tmp_path / "b.zip")
    report = kb.ingest(tmp_path / "b.zip")
    assert (report.embedded, report.missing) == (0, MissingFiles())
    assert known(kb) == [str(tmp_path / "b.zip" / name) for name in ("", "in/fee.md", "tide.md")]


def test_a_dry_run_tells_it_and_a_stop_loses_nothing(kb: KnowledgeBase, tmp_path: Path) -> None:
    folder = make(tmp_path / "f", fee=FEE)
    kb.ingest(folder)
    now = folder.rename(tmp_path / "g")
    assert kb.ingest(now, dry_run=True).removed == 1
    kb.ingest(now, stop=lambda: True)
    assert str(folder / "fee.md") in known(kb)
    kb.ingest(now)
    assert known(kb) == [str(now / "fee.md")]


def test_a_drive_that_isnt_mounted_keeps_its_documents(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb = make(tmp_path / "media" / "usb", fee=FEE, deep__tide=TIDE)
    mounted = {usb, Path("/")}
    monkeypatch.setattr(Path, "is_mount", lambda self: self in mounted)
    kb.ingest(usb.parent)
    sources = tuple(known(kb))
    mounted.remove(usb)
    shutil.rmtree(usb)
    for empty in (False, True):
        if empty:
            usb.mkdir()
        report = kb.ingest(usb.parent)
        assert (report.removed, report.missing) == (0, MissingFiles(unreachable=sources))
        assert kb.missing_files() == MissingFiles(unreachable=sources)
    assert {hit.file for hit in kb.search("mooring fee crowns")} == {"unreachable"}
    other = make(tmp_path / "other", fee=FEE)
    assert kb.ingest(other).duplicate == 1, "a copy of a file that may come back"
    make(usb, fee=FEE)
    mounted.add(usb)
    assert kb.ingest(usb.parent).removed == 1, "the drive is back, and one file isn't on it"
    mounted.remove(usb)
    shutil.rmtree(usb)
    assert kb.ingest(usb.parent, prune=True).removed == 1, "asked for, it is forgotten"


def test_a_missing_path_is_still_the_users_mistake(kb: KnowledgeBase, tmp_path: Path) -> None:
    folder = make(tmp_path / "f", fee=FEE)
    kb.ingest(folder)
    shutil.rmtree(folder)
    with pytest.raises(KBError, match="doesn't exist"):
        kb.ingest(folder)
    assert known(kb) == [str(folder / "fee.md")]


def test_watched_changes_look_at_nothing_else(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path / "f", fee=FEE)
    kb.ingest(folder)
    monkeypatch.setattr(
        "ingest.plan.removals.gone_files", lambda *_: pytest.fail("all known files were looked for")
    )
    make(folder, tide=TIDE)
    assert kb.ingest(folder, changed=[folder / "tide.md"]).added == 1


@pytest.mark.parametrize("edited", ["", "<p>One more.</p>"])
def test_what_cant_be_read_where_it_moved_to_stays_where_it_was(tmp_path: Path, edited: str) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    page = f"<p>{FEE}</p><!--{'x' * 1_500_000}-->"
    (folder / "fee.html").write_text(page)
    with small_kb(tmp_path / "home", file_megabytes=2) as kb:
        kb.ingest(folder)
    now = folder.rename(tmp_path / "g")
    (now / "fee.html").write_text(page + edited)
    old = str(folder / "fee.html")
    with small_kb(tmp_path / "home", file_megabytes=1) as kb:
        report = kb.ingest(now)
        assert (report.failed, report.removed, report.missing.gone) == (1, 0, (old,))
        assert kb.search("mooring fee crowns")[0].source == old
    with small_kb(tmp_path / "home", file_megabytes=2) as kb:
        report = kb.ingest(now)
        assert report.failed == 0
        assert report.removed == (not edited), "with the same bytes it is followed now"


def test_another_project_with_files_of_the_same_names_isnt_where_it_moved_to(
    kb: KnowledgeBase, tmp_path: Path
) -> None:
    old = make(tmp_path / "a" / "boats", README="Boats.", LICENSE="Take it.", fee=FEE)
    half = make(tmp_path / "b" / "sails", README="Sails.", tide=TIDE)
    kb.ingest([old, half])
    shutil.rmtree(old)
    shutil.rmtree(half)
    report = kb.ingest(make(tmp_path / "c" / "cranes", README="Cranes.", LICENSE="Don't.", crane=CRANE))
    assert report.removed == 0
    assert len(known(kb)) == 8


def test_a_folder_that_moved_far_is_followed_if_one_file_is_the_same(kb: KnowledgeBase, tmp_path: Path) -> None:
    old = make(tmp_path / "a" / "boats", README="Boats.", fee=FEE, tide=TIDE)
    kb.ingest(old)
    now = make(tmp_path / "b" / "ships", README="Boats!", fee=FEE.replace("12", "18"), tide=TIDE)
    shutil.rmtree(old)
    kb.ingest(now)
    assert known(kb) == [str(now / name) for name in ("README.md", "fee.md", "tide.md")]


def test_many_copies_that_moved_are_looked_up_once(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path / "f", **{f"n{n}": FEE for n in range(12)})
    kb.ingest(folder)
    now = folder.rename(tmp_path / "g")
    asked = Mock(side_effect=Snapshot.holders_of)
    monkeypatch.setattr(Snapshot, "holders_of", lambda self, digest: asked(self, digest))
    report = kb.ingest(now)
    assert (report.removed, len(known(kb))) == (12, 12)
    assert asked.call_count <= 3


def test_mount_points_are_known_after_an_ingest_that_was_stopped(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb = make(tmp_path / "media" / "usb", fee=FEE, deep__tide=TIDE)
    mounted = {usb, Path("/")}
    monkeypatch.setattr(Path, "is_mount", lambda self: self in mounted)
    kb.ingest(usb, stop=lambda: True)
    with kb.store.read() as snapshot:
        assert snapshot.meta(MOUNTS) == [str(usb)]


def test_another_drive_at_the_same_mount_point_takes_nothing_away(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb = make(tmp_path / "media" / "usb", fee=FEE, deep__tide=TIDE)
    mounted = {usb, Path("/")}
    monkeypatch.setattr(Path, "is_mount", lambda self: self in mounted)
    kb.ingest(usb)
    sources = tuple(known(kb))
    shutil.rmtree(usb)
    make(usb, crane=CRANE)
    report = kb.ingest(usb)
    assert (report.added, report.removed, report.missing) == (1, 0, MissingFiles(unreachable=sources))
    (usb / "crane.md").unlink()
    assert kb.ingest(usb).removed == 0
    assert kb.ingest(usb, prune=True).removed == 3


def test_all_files_of_the_drive_with_the_store_can_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = {tmp_path, Path("/")}
    monkeypatch.setattr(Path, "is_mount", lambda self: self in mounted)
    folder = make(tmp_path / "f", fee=FEE)
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(folder)
        (folder / "fee.md").unlink()
        assert kb.ingest(folder).removed == 1


def test_a_drive_elsewhere_isnt_looked_at(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nas, docs = make(tmp_path / "nas", fee=FEE), make(tmp_path / "docs", tide=TIDE)
    mounted = {nas, Path("/")}
    monkeypatch.setattr(Path, "is_mount", lambda self: self in mounted)
    kb.ingest([nas, docs])
    state = FilePresence.state

    def look(presence: FilePresence, source: str) -> FileState:
        assert not source.startswith(str(nas)), "it may not answer"
        return state(presence, source)

    monkeypatch.setattr(FilePresence, "state", look)
    make(docs, fee=FEE, tide=TIDE)
    assert kb.ingest(docs).duplicate == 1


@pytest.mark.parametrize("error", [PermissionError, TimeoutError])
def test_a_known_file_that_cant_be_looked_at_stays(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    folder = make(tmp_path / "f", fee=FEE, tide=TIDE)
    kb.ingest(folder)
    (folder / "fee.md").unlink()
    stat = Path.stat

    def refused(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.name == "fee.md":
            raise error("not now")
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", refused)
    report = kb.ingest(folder)
    assert (report.removed, report.missing.unreachable) == (0, (str(folder / "fee.md"),))
