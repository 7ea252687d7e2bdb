"""Watching: what happens to files is soon in the answers, and a watcher can be stopped or killed at any time."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest import watch as watching
from kb_assistant.errors import StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.types import FileResult, Report
from tests.ingest.edits import Folder, edits, packed
from tests.law import contents, small_kb
from tests.processes import Command, another_writer
from tests.waiting import PATIENCE, until


class Watching:
    """A watcher in a thread, with all that it reported and said."""

    def __init__(self, kb: KnowledgeBase, *paths: Path, **choice: Any) -> None:
        self.kb, self.reports, self.said = kb, list[Report](), list[str]()
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=paths, kwargs=choice)
        self._thread.start()
        self.until(lambda: len(self.reports) > 0)

    def _run(self, *paths: Path, **choice: Any) -> None:
        try:
            for report in self.kb.watch(paths, stop=self._stopped.is_set, on_message=self.said.append, **choice):
                self.reports.append(report)
        except BaseException as error:
            self._error = error

    @property
    def news(self) -> list[FileResult]:
        """All rows since the first report."""
        return [row for report in self.reports[1:] for row in report]

    def until(self, holds: Callable[[], bool]) -> None:
        until(lambda: self._error is not None or holds())
        if self._error:
            raise self._error

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(PATIENCE)
        if self._error:
            raise self._error


@contextmanager
def watched(kb: KnowledgeBase, *paths: Path, **choice: Any) -> Iterator[Watching]:
    watcher = Watching(kb, *paths, **choice)
    try:
        yield watcher
    finally:
        watcher.stop()


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    with small_kb(tmp_path / "home", lock_seconds=0.2) as base:
        yield base


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "pump.md").write_text("The pump stands in the cellar.")
    return folder


def names(kb: KnowledgeBase, folder: Path) -> set[str]:
    return {str(Path(source.path).relative_to(folder)) for source in kb.sources()}


def test_what_happens_to_files_is_in_the_answers(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    """Seen by another reader of the same knowledge base, which has searched before."""
    with watched(kb, docs) as watcher, small_kb(tmp_path / "home") as reader:
        found = lambda: {hit.text for hit in reader.search("pump valve", 50)}  # noqa: E731
        assert found() == {"The pump stands in the cellar."}
        (docs / "valve.md").write_text("The valve is blue.")
        watcher.until(lambda: "The valve is blue." in found())
        (docs / "valve.md").write_text("The valve is green.")
        watcher.until(lambda: found() >= {"The valve is green."} and "The valve is blue." not in found())
        temporary = docs / "valve.tmp"  # as editors save
        temporary.write_text("The valve is red.")
        temporary.replace(docs / "valve.md")
        watcher.until(lambda: "The valve is red." in found() and len(found()) == 2)
        (docs / "pump.md").unlink()
        watcher.until(lambda: found() == {"The valve is red."})
    assert [(row.status, Path(row.path).name) for row in watcher.news] == [
        ("added", "valve.md"), ("updated", "valve.md"), ("updated", "valve.md"), ("removed", "pump.md"),
    ]  # fmt: skip
    assert kb.verify().faults == ()


def test_folders_that_are_made_moved_and_deleted(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "x.md").write_text("From outside.")
    with watched(kb, docs) as watcher:
        (docs / "a" / "b").mkdir(parents=True)
        (docs / "a" / "b" / "y.md").write_text("In a new folder.")
        watcher.until(lambda: names(kb, docs) == {"pump.md", "a/b/y.md"})
        (docs / "a").rename(docs / "c")
        watcher.until(lambda: names(kb, docs) == {"pump.md", "c/b/y.md"})
        (docs / "c" / "b" / "y.md").write_text("Changed where it was moved to.")
        watcher.until(lambda: any(row.status == "updated" for row in watcher.news))
        outside.rename(docs / "in")
        watcher.until(lambda: "in/deep/x.md" in names(kb, docs))
        (docs / "in" / "deep" / "z.md").write_text("Written where it was moved to.")
        watcher.until(lambda: "in/deep/z.md" in names(kb, docs))
        (docs / "c").rename(tmp_path / "away")
        watcher.until(lambda: names(kb, docs) == {"pump.md", "in/deep/x.md", "in/deep/z.md"})


@pytest.mark.parametrize("most", [1000, 20])
def test_a_burst_of_files_is_not_lost(
    kb: KnowledgeBase, docs: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few by name, many by comparing everything."""
    monkeypatch.setattr("kb_assistant.types.MOST_PATHS", most)
    with watched(kb, docs) as watcher:
        for number in range(150):
            folder = docs / str(number % 7)
            folder.mkdir(exist_ok=True)
            (folder / f"{number}.md").write_text(f"Valve {number}.")
        for number in range(0, 150, 3):
            (docs / str(number % 7) / f"{number}.md").unlink()
        watcher.until(lambda: len(kb.sources()) == 101)
    assert kb.ingest(docs).unchanged == 101


def test_what_it_writes_in_its_own_home_is_no_change(tmp_path: Path) -> None:
    """The home lies in the watched folder."""
    (tmp_path / "a.md").write_text("The pump is red.")
    with small_kb(tmp_path / "home") as base, watched(base, tmp_path) as watching:
        assert names(base, tmp_path) == {"a.md"}
        ingests: list[str] = []
        sync = base._documents._sync

        def counted(*args: Any) -> Report:
            ingests.append("one")
            return sync(*args)

        base._documents._sync = counted  # type: ignore[method-assign]
        (tmp_path / "b.md").write_text("The valve is blue.")
        watching.until(lambda: names(base, tmp_path) == {"a.md", "b.md"})
        time.sleep(1.5)
        assert len(ingests) <= 2
        assert {row.path for row in watching.news} == {str(tmp_path / "b.md")}


def test_archives_in_a_watched_folder(kb: KnowledgeBase, docs: Path) -> None:
    with watched(kb, docs) as watcher:
        (docs / "box.zip").write_bytes(packed("box.zip", {"a.md": "In a box.", "b/c.md": "In a box, too."}))
        watcher.until(lambda: names(kb, docs) == {"pump.md", "box.zip", "box.zip/a.md", "box.zip/b/c.md"})
        (docs / "box.zip").write_bytes(packed("box.zip", {"a.md": "In another box."}))
        watcher.until(lambda: names(kb, docs) == {"pump.md", "box.zip", "box.zip/a.md"})
        (docs / "box.zip").unlink()
        watcher.until(lambda: names(kb, docs) == {"pump.md"})


def test_ignore_files_and_filters_hold_while_watching(kb: KnowledgeBase, docs: Path) -> None:
    with watched(kb, docs, include=["*.md"], prune=True) as watcher:
        (docs / "left-out.txt").write_text("Not wanted.")
        (docs / ".hidden").mkdir()
        (docs / ".hidden" / "x.md").write_text("Hidden.")
        (docs / "draft.md").write_text("A draft.")
        watcher.until(lambda: names(kb, docs) == {"pump.md", "draft.md"})
        (docs / ".kbignore").write_text("draft*\n")
        watcher.until(lambda: names(kb, docs) == {"pump.md"})


def test_what_fails_is_told_once_until_it_changes(
    kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is compared again and again here, and the broken file is read each time."""
    monkeypatch.setattr(watching, "COMPARE_SECONDS", 0.0)
    monkeypatch.setattr(watching, "_SHARE_COMPARING", 1.0)
    with watched(kb, docs) as watcher:
        (docs / "broken.docx").write_bytes(b"PK junk")
        watcher.until(lambda: len(watcher.news) > 0)
        time.sleep(1)
        (docs / "broken.docx").unlink()
        watcher.until(lambda: names(kb, docs) == {"pump.md"})
    assert [(row.status, Path(row.path).name) for row in watcher.news] == [
        ("failed", "broken.docx"), ("removed", "broken.docx"),
    ]  # fmt: skip


def test_where_not_even_looking_through_works_all_is_compared(
    kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As watchfiles says it: with its own class of RuntimeError, or an OSError."""
    errors = iter((RuntimeError("Error in underlying watcher"), OSError(28, "No space left on device")))

    def fails(*_: object, **__: object) -> Iterator[set[Any]]:
        raise next(errors)

    monkeypatch.setattr(watching, "watch", fails)
    monkeypatch.setattr(watching, "COMPARE_SECONDS", 0.1)
    monkeypatch.setattr(watching, "_SHARE_COMPARING", 1.0)
    with watched(kb, docs) as watcher:
        (docs / "valve.md").write_text("The valve is blue.")
        watcher.until(lambda: names(kb, docs) == {"pump.md", "valve.md"})
    assert ["looked through every second" in said for said in watcher.said] == [True, False]
    assert "No space left on device" in watcher.said[1]


def test_files_by_name_are_watched_too(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "other.md").write_text("Another one.")
    with watched(kb, docs / "pump.md") as watcher:
        (docs / "other.md").write_text("Not watched.")
        (docs / "pump.md").write_text("The pump was moved.")
        watcher.until(lambda: len(watcher.news) == 1)
        (docs / "pump.md").unlink()
        watcher.until(lambda: kb.sources() == [])


def test_a_folder_that_goes_away_keeps_its_sources_until_it_is_back(
    kb: KnowledgeBase, docs: Path, tmp_path: Path
) -> None:
    """A disk that is taken out must not empty the knowledge base."""
    with watched(kb, docs) as watcher:
        docs.rename(tmp_path / "away")
        watcher.until(lambda: any("isn't there any more" in text for text in watcher.said))
        assert names(kb, docs) == {"pump.md"}
        (tmp_path / "away" / "new.md").write_text("Written meanwhile.")
        (tmp_path / "away").rename(docs)
        watcher.until(lambda: names(kb, docs) == {"pump.md", "new.md"})
        (docs / "later.md").write_text("Written afterwards.")
        watcher.until(lambda: "later.md" in names(kb, docs))


def test_a_change_waits_while_another_process_writes(kb: KnowledgeBase, docs: Path) -> None:
    with watched(kb, docs) as watcher:
        with another_writer(kb.settings.kb_dir) as pid:
            (docs / "valve.md").write_text("The valve is blue.")
            watcher.until(lambda: any(f"process {pid}" in text for text in watcher.said))
            assert names(kb, docs) == {"pump.md"}
        watcher.until(lambda: names(kb, docs) == {"pump.md", "valve.md"})


def test_links_to_folders_are_compared_as_a_whole(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.md").write_text("Outside.")
    with watched(kb, docs) as watcher:
        (docs / "link").symlink_to(tmp_path / "outside")
        watcher.until(lambda: names(kb, docs) == {"pump.md", "link/x.md"})
        (docs / "link").unlink()
        watcher.until(lambda: names(kb, docs) == {"pump.md"})


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=4, max_size=14))
def test_edits_while_watched_equal_one_fresh_ingest(script: list[Any]) -> None:
    play_watched(script)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=10, max_size=40))
def test_long_histories_while_watched_equal_one_fresh_ingest(script: list[Any]) -> None:
    play_watched(script)


def play_watched(script: list[Any]) -> None:
    """Edit while it is watched, resting where the script says "ingest"; in the end compare with a fresh ingest."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Folder(Path(scratch) / "docs")
        folder.root.mkdir()
        with small_kb(Path(scratch) / "home") as kb, small_kb(Path(scratch) / "fresh") as fresh:
            with watched(kb, folder.root) as watcher:
                for kind, name, other, texts in script:
                    if kind.startswith("ingest"):
                        time.sleep(0.3)
                    else:
                        folder.edit(kind, name, other, texts)
                fresh.ingest(folder.root)
                wanted = contents(fresh)["sources"]
                watcher.until(lambda: contents(kb)["sources"] == wanted)
            assert kb.verify().faults == ()
            assert contents(kb) == contents(fresh)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "home", tmp_path / "scratch")


@pytest.mark.skipif(sys.platform == "win32", reason="process groups and their signals are POSIX")
def test_a_killed_watcher_catches_up_and_ctrl_c_ends_it(command: Command, docs: Path) -> None:
    """In the middle of its work killed with -9; what changed meanwhile is found at the next start."""
    command.delay = 0.05
    first = command.start("ingest", docs, "--watch")
    until(lambda: committed(command) == 1 or first.poll() is not None)
    for number in range(60):
        (docs / f"{number}.md").write_text(f"Valve {number} belongs to circuit {number * 7}.")
    (docs / "box.zip").write_bytes(packed("box.zip", {f"{n}.md": f"Box {n} of the valves." for n in range(60)}))
    until(lambda: len(command.embedded()) > 20 or first.poll() is not None)
    command.kill(first)
    with small_kb(command.home) as kb:
        assert kb.verify().faults == ()
    (docs / "3.md").unlink()
    (docs / "4.md").write_text("Written while nobody watched.")
    second = command.start("ingest", docs, "--watch", "--json")
    assert second.stdout is not None
    assert json.loads(second.stdout.readline())["failed"] == 0
    (docs / "after.md").write_text("Written while it watches again.")
    report = json.loads(second.stdout.readline())
    assert [Path(row["path"]).name for row in report["files"]] == ["after.md"]
    with small_kb(command.home) as kb, small_kb(command.scratch / "fresh") as fresh:
        fresh.ingest(docs)
        assert contents(kb) == contents(fresh)
    os.killpg(second.pid, signal.SIGINT)
    _, err = second.communicate(timeout=PATIENCE)
    assert (second.returncode, "Traceback" in err) == (0, False), err
    until(lambda: not command.left_over())


def committed(command: Command) -> int:
    try:
        with small_kb(command.home) as kb:
            return len(kb.sources())
    except StoreError:
        return 0
