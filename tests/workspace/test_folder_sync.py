"""Folders that were named: what changes in them is soon in the answers, with one thread for all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest import watch as watching
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.lock import writing
from kb_assistant.settings import Settings
from kb_assistant.workspace import folder_sync, folders
from kb_assistant.workspace.folder_sync import FolderSync, follow_folders
from kb_assistant.workspace.jobs import Jobs
from tests.fakes import HashEmbeddings
from tests.waiting import until


@pytest.fixture
def bases(tmp_path: Path) -> Iterator[list[KnowledgeBase]]:
    """Two, with a folder each."""
    embedder: Any = HashEmbeddings()
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pump.md").write_text(f"The pump of {name} is red.")
        base = KnowledgeBase(
            Settings(home=tmp_path / "home", kb=name, readers=1, lock_seconds=0.1), embedder=embedder
        )
        base.ingest([tmp_path / name / "pump.md"])
        folders.watch_folder(base.settings, str(tmp_path / name))
        made.append(base)
    yield made
    for base in made:
        base.close()


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FolderSync]]:
    """Those that a test begins; they end with it."""
    monkeypatch.setattr(folder_sync, "NAMED_S", 0.1)
    begun: list[FolderSync] = []
    yield begun
    for sync in begun:
        sync.stop()
    until(lambda: "folder-sync" not in {thread.name for thread in threading.enumerate()})


@pytest.fixture
def follow(bases: list[KnowledgeBase], syncs: list[FolderSync]) -> Callable[[], Jobs]:
    def begin() -> Jobs:
        jobs = Jobs()
        syncs.append(follow_folders(jobs, lambda: bases))
        return jobs

    return begin


def found(base: KnowledgeBase) -> set[str]:
    return {hit.text for hit in base.search("pump valve", 50)}


def test_changes_are_soon_in_the_answers_of_their_knowledge_base_alone(
    bases: list[KnowledgeBase], follow: Callable[[], Jobs], tmp_path: Path
) -> None:
    one, two = bases
    jobs = follow()
    (tmp_path / "one" / "valve.md").write_text("The valve of one is blue.")
    until(lambda: "The valve of one is blue." in found(one))
    (tmp_path / "one" / "valve.md").write_text("The valve of one is green.")
    until(lambda: found(one) == {"The pump of one is red.", "The valve of one is green."})
    (tmp_path / "one" / "pump.md").unlink()
    until(lambda: found(one) == {"The valve of one is green."})
    assert found(two) == {"The pump of two is red."}
    until(lambda: not jobs.busy(one))
    assert jobs.of(one)[0].result["removed"] == 1
    assert jobs.of(two) == []


def test_a_change_is_looked_at_without_reading_the_rest(
    bases: list[KnowledgeBase], follow: Callable[[], Jobs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within seconds, where a look at everything comes after minutes; and the look names that file alone."""
    monkeypatch.setattr(watching, "COMPARE_SECONDS", 3600.0)
    jobs = follow()
    for name in ("valve", "mast"):
        (tmp_path / "two" / f"{name}.md").write_text(f"The {name} is blue.")
        until(lambda now=name: f"The {now} is blue." in found(bases[1]))
        until(lambda: not jobs.busy(bases[1]))
    rows = jobs.of(bases[1])[0].result["files"]
    assert [Path(row["path"]).name for row in rows] == ["mast.md"]


def test_where_the_system_tells_nothing_a_comparison_finds_it(
    bases: list[KnowledgeBase], follow: Callable[[], Jobs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a network drive."""
    monkeypatch.setattr(watching, "COMPARE_SECONDS", 0.5)
    monkeypatch.setattr(watching, "_concern", lambda *_: watching.Changes())
    follow()
    (tmp_path / "one" / "valve.md").write_text("The valve of one is blue.")
    until(lambda: "The valve of one is blue." in found(bases[0]))


def test_folders_named_and_let_go_later_are_followed_and_not(
    bases: list[KnowledgeBase], follow: Callable[[], Jobs], tmp_path: Path
) -> None:
    one = bases[0]
    jobs = follow()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mast.md").write_text("The mast is tall.")
    folders.unwatch_folder(one.settings, tmp_path / "one")
    folders.watch_folder(one.settings, str(tmp_path / "new"))
    until(lambda: "The mast is tall." in found(one))  # so the watcher has heard of both
    until(lambda: not jobs.busy(one))
    (tmp_path / "one" / "valve.md").write_text("The valve of one is blue.")
    (tmp_path / "new" / "mast.md").write_text("The mast is short.")
    until(lambda: "The mast is short." in found(one))
    assert "The valve of one is blue." not in found(one)


def test_threads_do_not_pile_up_and_a_folder_that_goes_away_keeps_its_sources(
    bases: list[KnowledgeBase], follow: Callable[[], Jobs], tmp_path: Path
) -> None:
    jobs = follow()
    for number in range(5):
        (tmp_path / "one" / f"{number}.md").write_text(f"The pump {number} is red.")
        until(lambda n=number: f"The pump {n} is red." in found(bases[0]))
    until(lambda: not jobs.busy(bases[0]))
    (tmp_path / "one").rename(tmp_path / "away")
    (tmp_path / "two" / "valve.md").write_text("The valve of two is blue.")
    until(lambda: "The valve of two is blue." in found(bases[1]))
    until(lambda: not any(map(jobs.busy, bases)))
    assert len(found(bases[0])) == 6
    assert all(not job.error for base in bases for job in jobs.of(base))
    ours = [thread.name for thread in threading.enumerate() if thread.name.startswith(("folder-sync", "job-"))]
    assert len([name for name in ours if name == "folder-sync"]) == 1
    assert len(jobs._queues) <= 2


def test_what_fails_while_another_process_writes_is_done_later(
    bases: list[KnowledgeBase], follow: Callable[[], Jobs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_sync, "RETRY_S", 0.3)
    one = bases[0]
    jobs = follow()
    until(lambda: not jobs.busy(one))
    with writing(one.settings.kb_dir, 10):
        (tmp_path / "one" / "valve.md").write_text("The valve of one is blue.")
        until(lambda: any(job.state == "failed" for job in jobs.of(one)))
        time.sleep(2)
        assert len([job for job in jobs.of(one) if job.state == "failed"]) == 1
    until(lambda: "The valve of one is blue." in found(one))


def test_a_list_or_folder_that_cannot_be_read_is_said_and_the_others_are_followed(
    bases: list[KnowledgeBase], syncs: list[FolderSync], tmp_path: Path
) -> None:
    one, two = bases
    listed = one.settings.kb_dir / "folders.json"
    for broken, said in (
        ("[{", "can't be read"),
        ('{"uploads": "x", "kept": ["/a\\u0000b"]}', "can't be read: embedded null"),
    ):
        listed.write_text(broken)
        jobs = Jobs()
        syncs.append(sync := follow_folders(jobs, lambda: bases))
        until(lambda now=sync, text=said: any(text in str(one) for one in now.problems(bases[0])))
        (tmp_path / "two" / "valve.md").write_text(f"The valve says {said}.")
        until(lambda text=said: f"The valve says {text}." in found(two))
        assert sync.problems(two) == []
        sync.stop()


def test_what_cannot_be_listed_now_ends_nothing(
    bases: list[KnowledgeBase], syncs: list[FolderSync], tmp_path: Path
) -> None:
    failing = threading.Event()

    def listed() -> list[KnowledgeBase]:
        if failing.is_set():
            raise PermissionError("not now")
        return bases

    syncs.append(follow_folders(Jobs(), listed))
    until(lambda: "The pump of two is red." in found(bases[1]))
    failing.set()
    (tmp_path / "one" / "valve.md").write_text("The valve of one is blue.")
    until(lambda: "The valve of one is blue." in found(bases[0]))
    assert "not now" in str(syncs[0].problems(bases[0])[0])
    failing.clear()
    until(lambda: syncs[0].problems(bases[0]) == [])


def test_where_neither_the_system_nor_polling_works_folders_are_compared_and_the_page_can_say_so(
    bases: list[KnowledgeBase], syncs: list[FolderSync], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "COMPARE_SECONDS", 0.5)

    def fail(*_: Any, **__: Any) -> Iterator[Any]:
        raise OSError("no watch, no polling")
        yield

    monkeypatch.setattr(watching, "watch", fail)
    syncs.append(sync := follow_folders(Jobs(), lambda: bases))
    until(lambda: any("no watch, no polling" in str(one) for one in sync.problems(bases[0])))
    for name in ("valve", "mast"):
        (tmp_path / "one" / f"{name}.md").write_text(f"The {name} of one is blue.")
        until(lambda now=name: f"The {now} of one is blue." in found(bases[0]))


def test_where_the_watcher_fails_folders_are_compared_until_it_works(
    bases: list[KnowledgeBase], syncs: list[FolderSync], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_sync, "UNWATCHED_S", 0.3)

    def fail(_: Any) -> Iterator[Any]:
        raise OSError("a disk that is gone")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(watching.Watcher, "changes", fail)
        syncs.append(sync := follow_folders(Jobs(), lambda: bases))
        (tmp_path / "one" / "valve.md").write_text("The valve of one is blue.")
        until(lambda: "The valve of one is blue." in found(bases[0]))
        assert "a disk that is gone" in str(sync.problems(bases[0])[0])
    until(lambda: sync.problems(bases[0]) == [])


def test_a_look_that_cannot_begin_is_said_and_tried_again(
    bases: list[KnowledgeBase], syncs: list[FolderSync], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_sync, "RETRY_S", 0.3)
    jobs, failing = Jobs(), threading.Event()
    failing.set()
    ingest = jobs.ingest

    def refuse(base: KnowledgeBase, *given: Any, **named: Any) -> Any:
        if base is bases[0] and failing.is_set():
            raise RuntimeError("can't start new thread")
        return ingest(base, *given, **named)

    monkeypatch.setattr(jobs, "ingest", refuse)
    syncs.append(sync := follow_folders(jobs, lambda: bases))
    (tmp_path / "two" / "valve.md").write_text("The valve of two is blue.")
    (tmp_path / "one" / "valve.md").write_text("The valve of one is blue.")
    until(lambda: "The valve of two is blue." in found(bases[1]))
    assert "can't start new thread" in str(sync.problems(bases[0])[0])
    failing.clear()
    until(lambda: "The valve of one is blue." in found(bases[0]))
    assert sync.problems(bases[0]) == []


def test_a_folder_that_is_gone_is_said(
    bases: list[KnowledgeBase], syncs: list[FolderSync], tmp_path: Path
) -> None:
    syncs.append(sync := follow_folders(Jobs(), lambda: bases))
    (tmp_path / "one").rename(tmp_path / "away")
    until(lambda: any("isn't there" in str(one) for one in sync.problems(bases[0])))
    (tmp_path / "away").rename(tmp_path / "one")
    until(lambda: sync.problems(bases[0]) == [])
