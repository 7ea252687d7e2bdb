"""Long work in threads: progress, report, stop, and what a restart finds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.messages import translate
from kb_assistant.settings import Settings
from kb_assistant.workspace.jobs import Jobs, Reading
from tests.fakes import HashEmbeddings
from tests.law import small_kb
from tests.stores import home_of, store_of

pytestmark = pytest.mark.usefixtures("either_store")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.md").write_text(f"# Note {number}\n\nThe tide of day {number} was high.\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 this is none")
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    embedder: Any = HashEmbeddings()
    with KnowledgeBase(
        Settings(home=tmp_path / "home", readers=1, store=store_of(tmp_path / "home")), embedder=embedder
    ) as opened:
        yield opened


def written(base: KnowledgeBase) -> str:
    found = home_of(base.settings.home).text("kbs/default/jobs.json")
    return found.text if found else ""


def write(base: KnowledgeBase, text: str) -> None:
    home_of(base.settings.home).update("kbs/default/jobs.json", lambda _: text, what="")


def test_an_ingest_reports_every_file_and_is_kept(base: KnowledgeBase, docs: Path) -> None:
    jobs = Jobs()
    job = jobs.ingest(base, [docs])
    assert jobs.busy(base)
    jobs.wait(job.id)
    assert not jobs.busy(base)
    assert (job.state, job.result["added"], job.result["failed"]) == ("done", 3, 1)
    assert job.note["files"] == job.note["all_files"] == 4
    (again,) = Jobs().of(base)
    assert again == job


def test_what_is_said_stays_a_message_from_the_reader_to_the_store_and_the_list_of_jobs(
    base: KnowledgeBase, docs: Path
) -> None:
    jobs = Jobs()
    jobs.wait(jobs.ingest(base, [docs]).id)
    chinese = "PDF 已损坏。请重新保存或下载。"
    (stored,) = [source for source in base.sources() if source.failed]
    assert stored.reason == "The PDF is damaged. Save or download it anew."
    assert translate(stored.reason, "zh") == chinese
    (again,) = Jobs().of(base)
    (row,) = [row for row in again.result["files"] if row["status"] == "failed"]
    assert translate(row["reason"], "zh") == chinese
    missing = jobs.ingest(base, [docs / "nowhere"])
    jobs.wait(missing.id)
    latest = Jobs().of(base)[0]
    assert translate(latest.error, "zh") == f"{docs / 'nowhere'} 不存在。"
    assert translate(latest.hint, "zh") == "请检查路径。"


def test_a_failed_file_is_read_again_alone(base: KnowledgeBase, docs: Path) -> None:
    jobs = Jobs()
    job = jobs.ingest(base, [docs])
    jobs.wait(job.id)
    failed = [row["path"] for row in job.result["files"] if row["status"] == "failed"]
    assert failed == [str(docs / "broken.pdf")]
    again = jobs.ingest(base, failed)
    jobs.wait(again.id)
    assert [row["path"] for row in again.result["files"]] == failed
    assert [one.id for one in jobs.of(base)] == [again.id, job.id]


def test_jobs_of_one_knowledge_base_follow_each_other_and_can_be_stopped(base: KnowledgeBase, docs: Path) -> None:
    jobs = Jobs()
    first = jobs.ingest(base, [docs])
    second = jobs.verify(base)
    third = jobs.rebuild(base)
    jobs.stop(third.id)
    for job in (first, second, third):
        jobs.wait(job.id)
    assert (first.state, second.state, third.state) == ("done", "done", "stopped")
    assert second.result["faults"] == []


def test_an_error_is_said_in_words(base: KnowledgeBase, tmp_path: Path) -> None:
    jobs = Jobs()
    job = jobs.ingest(base, [tmp_path / "nowhere"])
    jobs.wait(job.id)
    assert job.state == "failed"
    assert "nowhere" in job.error


def test_a_restart_says_that_work_was_broken_off(base: KnowledgeBase, docs: Path) -> None:
    jobs = Jobs()
    jobs.wait(jobs.ingest(base, [docs]).id)
    kept = json.loads(written(base))
    kept[0]["state"] = "running"
    write(base, json.dumps(kept))
    assert Jobs().of(base)[0].state == "interrupted"
    del kept[0]["process"]  # as earlier versions wrote it
    write(base, json.dumps(kept))
    assert Jobs().of(base)[0].state == "interrupted"
    write(base, "[{")
    assert Jobs().of(base) == []


def test_work_that_has_begun_is_kept_as_such_and_tells_how_far_it_is(
    base: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, seen = Jobs(), []
    base.ingest(docs / "0.md")
    ingest = base.ingest

    def watched(*given: Any, **named: Any) -> Any:
        seen.append((json.loads(written(base))[0]["state"], jobs.reading(base)))
        report = ingest(*given, **named)
        seen.append(("", jobs.reading(base)))
        return report

    monkeypatch.setattr(base, "ingest", watched)
    jobs.wait(jobs.ingest(base, [docs]).id)
    assert seen[0] == ("running", Reading())
    assert seen[1][1].to_json() == {"files": 3, "all_files": 3}
    assert seen[1][1].left == 0
    assert jobs.reading(base) is None


def test_a_quiet_look_is_forgotten_where_nothing_changed(base: KnowledgeBase, docs: Path) -> None:
    (docs / "broken.pdf").unlink()
    jobs = Jobs()
    jobs.wait(jobs.ingest(base, [docs], quiet=True).id)
    assert len(jobs.of(base)) == 1
    jobs.wait(jobs.ingest(base, [docs], quiet=True).id)
    assert len(jobs.of(base)) == 1
    (docs / "1.md").write_text("# Note 1\n\nIt was low.\n")
    jobs.wait(jobs.ingest(base, [docs], quiet=True).id)
    assert jobs.of(base)[0].result["updated"] == 1


def test_nothing_is_left_of_finished_work_but_what_is_written(tmp_path: Path) -> None:
    jobs, before = Jobs(), threading.active_count()
    for number in range(5):
        with small_kb(tmp_path, kb=f"kb{number}") as base:
            base.add(["A text."])
            done = [jobs.verify(base), jobs.ingest(base, [], quiet=True), jobs.verify(base)]
            for job in done:
                jobs.wait(job.id)
            assert [job.id for job in jobs.of(base)] == [done[2].id, done[0].id]
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
    assert not any(vars(jobs)[name] for name in ("_live", "_ends", "_stops", "_queues"))
