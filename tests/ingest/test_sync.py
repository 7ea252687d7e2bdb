"""Ingest as a user sees it: one row a file, each with the right status, and no work done twice."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ingest import sync
from ingest.sandbox import process
from kb_assistant.errors import EmbedderMismatch, KBError, StoreError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.retrieval.passages import repeated
from kb_assistant.settings import Settings
from kb_assistant.types import Report
from kb_assistant.workspace.preview import pieces, surroundings
from tests.fakes import HashEmbeddings
from tests.law import contents, files_under, small_kb
from tests.real import RememberedEmbeddings
from tests.samples import SAMPLE_DOCS

pytestmark = pytest.mark.usefixtures("either_store")

STATION = "The station on the northern ridge was founded in 1957 by two meteorologists."
PUMP = "水泵由维修组每周检查一次，发现漏水时立即关闭阀门。"
BACKUP = "Nightly backups of the database run at two o'clock and are kept for ninety days."


@pytest.fixture
def embedder() -> HashEmbeddings:
    return HashEmbeddings()


@pytest.fixture
def kb(tmp_path: Path, embedder: HashEmbeddings) -> Iterator[KnowledgeBase]:
    with small_kb(tmp_path / "home", embedder) as base:
        yield base


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """Two documents in a folder."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "station.md").write_text(STATION)
    (folder / "pump.txt").write_text(PUMP)
    return folder


def rows(report: Report) -> dict[str, str]:
    return {Path(row.path).name: row.status for row in report}


def reason(report: Report, name: str) -> str:
    (found,) = [row.reason for row in report if Path(row.path).name == name]
    return found


def sources_found(kb: KnowledgeBase, question: str) -> set[str]:
    return {Path(hit.source).name for hit in kb.search(question, 50)}


def test_each_change_has_its_status(kb: KnowledgeBase, docs: Path) -> None:
    assert rows(kb.ingest(docs)) == {"station.md": "added", "pump.txt": "added"}
    (docs / "station.md").write_text(BACKUP)
    (docs / "copy.txt").write_text(PUMP)
    (docs / "broken.docx").write_bytes(b"PK junk")
    (docs / "new.html").write_text("<p>A page about valves.</p>")
    report = kb.ingest(docs)
    assert rows(report) == {
        "station.md": "updated",
        "pump.txt": "unchanged",
        "copy.txt": "duplicate",
        "broken.docx": "failed",
        "new.html": "added",
    }
    assert reason(report, "copy.txt") == f"same content as {docs / 'pump.txt'}"
    (docs / "copy.txt").unlink()
    assert rows(kb.ingest(docs))["copy.txt"] == "removed"


def test_unchanged_files_are_not_parsed(kb: KnowledgeBase, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kb.ingest(docs)
    monkeypatch.setattr(process, "_spawn", lambda *_: pytest.fail("a reader was started"))
    assert rows(kb.ingest(docs)) == {"station.md": "unchanged", "pump.txt": "unchanged"}


def test_a_moved_file_is_not_embedded_again(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "sub").mkdir()
    (docs / "station.md").rename(docs / "sub" / "ridge.md")
    report = kb.ingest(docs)
    assert rows(report) == {"station.md": "removed", "ridge.md": "added", "pump.txt": "unchanged"}
    assert reason(report, "ridge.md") == f"moved from {docs / 'station.md'}"
    assert report.embedded == 0
    assert sources_found(kb, "northern station") >= {"ridge.md"}


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_move_between_two_folders_is_seen_in_either_order(
    kb: KnowledgeBase, tmp_path: Path, names: tuple[str, str]
) -> None:
    """It said "duplicate" of a file that the same ingest removed."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    (tmp_path / names[0] / "x.md").write_text(STATION)
    kb.ingest(folders)
    (tmp_path / names[0] / "x.md").rename(tmp_path / names[1] / "y.md")
    report = kb.ingest(folders)
    assert rows(report) == {"x.md": "removed", "y.md": "added"}
    assert reason(report, "y.md").startswith("moved from")


def test_a_copy_of_what_a_file_held_before_is_no_duplicate_of_it(kb: KnowledgeBase, docs: Path) -> None:
    """It said "same content as" a file whose content the same ingest replaced."""
    kb.ingest(docs)
    (docs / "station.md").rename(docs / "old.md")
    (docs / "station.md").write_text(BACKUP)
    report = kb.ingest(docs)
    assert rows(report) == {"old.md": "added", "station.md": "updated", "pump.txt": "unchanged"}
    assert reason(report, "old.md") == ""


def test_a_paragraph_at_the_head_embeds_few_chunks(
    kb: KnowledgeBase, docs: Path, embedder: HashEmbeddings
) -> None:
    draw = random.Random(7)
    words = [f"word{i}" for i in range(400)]
    paragraphs = [" ".join(draw.choices(words, k=25)).capitalize() + "." for _ in range(80)]
    (docs / "long.md").write_text("\n\n".join(paragraphs))
    assert kb.ingest(docs).embedded >= 60
    (docs / "long.md").write_text("\n\n".join(["A new first paragraph stands here now.", *paragraphs]))
    before = embedder.embedded
    report = kb.ingest(docs)
    assert rows(report)["long.md"] == "updated"
    assert embedder.embedded - before == report.embedded <= 6


def test_another_folder_leaves_the_first_alone(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    kb.ingest(docs)
    other = tmp_path / "docs2"
    other.mkdir()
    (other / "backup.md").write_text(BACKUP)
    assert rows(kb.ingest(other)) == {"backup.md": "added"}
    assert {Path(source.path).name for source in kb.sources()} == {"station.md", "pump.txt", "backup.md"}


def test_one_file_by_name_leaves_the_rest_of_its_folder_alone(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "pump.txt").unlink()
    (docs / "station.md").write_text(BACKUP)
    assert rows(kb.ingest(docs / "station.md")) == {"station.md": "updated"}
    assert len(kb.sources()) == 2


def test_an_emptied_file_stays_known_without_text(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "station.md").write_text(" \n")
    report = kb.ingest(docs)
    assert (rows(report)["station.md"], reason(report, "station.md")) == ("updated", "no text in it")
    assert "station.md" not in sources_found(kb, "northern station")
    assert rows(kb.ingest(docs))["station.md"] == "unchanged"


def test_junk_in_place_of_text_takes_the_old_text_away(kb: KnowledgeBase, docs: Path) -> None:
    from docx import Document

    document = Document()
    document.add_paragraph(STATION)
    document.save(str(docs / "report.docx"))
    kb.ingest(docs)
    assert "report.docx" in {Path(p).name for hit in kb.search("station") for p in (hit.source, *hit.also_in)}
    (docs / "report.docx").write_bytes(b"PK\x03\x04 junk")
    report = kb.ingest(docs)
    assert rows(report)["report.docx"] == "failed"
    assert "report.docx" not in {Path(p).name for hit in kb.search("station") for p in (hit.source, *hit.also_in)}
    (source,) = [source for source in kb.sources() if source.failed]
    assert (source.chunks, source.reason) == (0, reason(report, "report.docx"))


def test_a_failed_file_is_read_again_each_time(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "broken.docx").write_bytes(b"PK junk")
    assert rows(kb.ingest(docs))["broken.docx"] == "failed"
    before = contents(kb)
    assert rows(kb.ingest(docs)) == {"broken.docx": "failed", "station.md": "unchanged", "pump.txt": "unchanged"}
    assert contents(kb) == before
    from docx import Document

    document = Document()
    document.add_paragraph(BACKUP)
    document.save(str(docs / "broken.docx"))
    assert rows(kb.ingest(docs))["broken.docx"] == "updated"
    assert "broken.docx" in sources_found(kb, "nightly backups")


@pytest.mark.parametrize("target", ["loop.md", "/proc/self/mem", "nowhere.md"])
def test_a_file_unreadable_for_now_keeps_its_old_text(kb: KnowledgeBase, docs: Path, target: str) -> None:
    """A link to itself, a file whose bytes the system refuses, a link to nothing: none says the text has gone."""
    kb.ingest(docs)
    path = docs / ("loop.md" if target == "loop.md" else "station.md")
    (docs / "station.md").rename(path)
    kb.ingest(docs)
    path.unlink()
    path.symlink_to(target)
    report = kb.ingest(docs)
    assert rows(report)[path.name] == "failed"
    assert reason(report, path.name).endswith("; its last version stays in the index")
    assert sources_found(kb, "northern station") >= {path.name}
    assert report.chunks == 2
    assert kb.verify().sound


def test_a_file_that_breaks_its_reader_keeps_only_text_it_still_holds(docs: Path, tmp_path: Path) -> None:
    """Too large for the limit, read again for other reasons: unchanged content keeps its chunks."""
    page = f"<p>Valve 7 is blue.</p><!--{'x' * 1_500_000}-->"
    (docs / "large.html").write_text(page)
    with small_kb(tmp_path / "home", file_megabytes=2) as kb:
        assert rows(kb.ingest(docs))["large.html"] == "added"
    with small_kb(tmp_path / "home", chunk_tokens=64, file_megabytes=1) as kb:
        report = kb.ingest(docs)
        assert rows(report)["large.html"] == "failed"
        assert reason(report, "large.html").endswith("; its last version stays in the index")
        assert "large.html" in sources_found(kb, "valve 7")
        (docs / "large.html").write_text(page + "<p>One more.</p>")
        assert rows(kb.ingest(docs))["large.html"] == "failed"
        assert "large.html" not in sources_found(kb, "valve 7")


def test_a_missing_path_is_the_users_mistake(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    kb.ingest(docs)
    for gone in (tmp_path / "nowhere", tmp_path / ("x" * 300), Path("nul\0byte"), docs / "pump.txt" / "x"):
        with pytest.raises(KBError, match="doesn't exist"):
            kb.ingest(gone)
    (docs / "pump.txt").unlink()
    with pytest.raises(KBError) as caught:
        kb.ingest(docs / "pump.txt")
    assert "1 sources stay" in caught.value.hint
    assert len(kb.sources()) == 2
    assert rows(kb.ingest(docs / "pump.txt", prune=True)) == {"pump.txt": "removed"}


def test_a_folder_whose_name_is_no_utf8_is_the_users_mistake(kb: KnowledgeBase, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    with pytest.raises(KBError, match="UTF-8"):
        kb.ingest(folder)


def test_include_and_exclude_leave_what_is_known_until_prune(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs)
    (docs / "backup.md").write_text(BACKUP)
    report = kb.ingest(docs, include=["*.md"], exclude=["station*"])
    assert rows(report) == {"backup.md": "added", "station.md": "unchanged", "pump.txt": "unchanged"}
    assert "--prune removes it" in reason(report, "pump.txt")
    report = kb.ingest(docs, include=["*.md"], prune=True)
    assert rows(report) == {"backup.md": "unchanged", "station.md": "unchanged", "pump.txt": "removed"}
    assert reason(report, "pump.txt") == "left out by filters or ignore files"


def test_gitignore_is_honoured(kb: KnowledgeBase, docs: Path) -> None:
    (docs / ".gitignore").write_text("build/\n*.tmp.md\n")
    (docs / "build").mkdir()
    (docs / "build" / "made.md").write_text(BACKUP)
    (docs / "x.tmp.md").write_text(BACKUP)
    assert rows(kb.ingest(docs)) == {"station.md": "added", "pump.txt": "added"}
    (docs / ".gitignore").write_text("pump.txt\n")
    assert rows(kb.ingest(docs)) == {
        "station.md": "unchanged",
        "pump.txt": "unchanged",
        "made.md": "added",
        "x.tmp.md": "duplicate",
    }
    assert rows(kb.ingest(docs, prune=True))["pump.txt"] == "removed"


def test_a_dry_run_writes_nothing_at_all(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    report = kb.ingest(docs, dry_run=True)
    assert (rows(report), report.dry_run, report.embedded) == (
        {"station.md": "added", "pump.txt": "added"},
        True,
        0,
    )
    assert files_under(tmp_path / "home") == {}
    kb.ingest(docs)
    kb.close()
    before = files_under(tmp_path / "home")
    (docs / "station.md").write_text(BACKUP)
    (docs / "copy.txt").write_text(PUMP)
    (docs / "pump.txt").unlink()
    report = kb.ingest(docs, dry_run=True)
    assert rows(report) == {"station.md": "updated", "copy.txt": "added", "pump.txt": "removed"}
    kb.close()
    assert files_under(tmp_path / "home") == before
    assert rows(kb.ingest(docs)) == rows(report)


def test_a_dry_run_tells_of_another_embedder(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    kb.ingest(docs)
    with small_kb(tmp_path / "home", HashEmbeddings("other")) as other, pytest.raises(EmbedderMismatch):
        other.ingest(docs, dry_run=True)


def test_a_text_in_two_files_is_kept_once_and_both_are_named(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "twin.html").write_text(f"<p>{STATION}</p>")
    report = kb.ingest(docs)
    assert report.embedded == 2
    assert kb.status()["texts"] == 2
    hits = [hit for hit in kb.search("northern station", 50) if hit.text == STATION]
    assert [(Path(hit.source).name, [Path(p).name for p in hit.also_in]) for hit in hits] == [
        ("station.md", ["twin.html"])
    ]
    for gone, left in (("station.md", "twin.html"), ("twin.html", None)):
        (docs / gone).unlink()
        assert kb.ingest(docs).embedded == 0
        hits = [hit for hit in kb.search("northern station", 50) if hit.text == STATION]
        assert [(Path(hit.source).name, hit.also_in) for hit in hits] == ([(left, ())] if left else [])
    assert kb.verify().faults == ()


def test_a_kept_source_doesnt_name_a_twin_that_has_gone(kb: KnowledgeBase, docs: Path) -> None:
    """The report's reason "same content as …" was stored and came back for ever."""
    (docs / "zz.txt").write_text(PUMP)
    assert rows(kb.ingest(docs))["zz.txt"] == "duplicate"
    (docs / "pump.txt").unlink()
    report = kb.ingest(docs)
    assert (rows(report)["zz.txt"], reason(report, "zz.txt")) == ("unchanged", "")


def test_files_of_no_known_suffix_are_counted_and_named_ones_read(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "film.MP4").write_bytes(b"\xff\xd8")
    (docs / "music.mp3").write_bytes(b"ID3\x03\0\0")
    (docs / "Makefile").write_text("all: pump")
    report = kb.ingest(docs)
    assert rows(report) == {"station.md": "added", "pump.txt": "added"}
    assert report.skipped == {".mp4": 1, ".mp3": 1, "no suffix": 1}
    named = kb.ingest([docs / "music.mp3", docs / "Makefile"])
    assert rows(named) == {"music.mp3": "failed", "Makefile": "added"}
    assert "Files named .mp3 can't be read." in reason(named, "music.mp3")
    (docs / "Makefile").write_text("all: valve")
    report = kb.ingest(docs)
    assert rows(report)["Makefile"] == "updated"
    assert report.skipped == {".mp4": 1, ".mp3": 1}
    (docs / "Makefile").unlink()
    assert rows(kb.ingest(docs))["Makefile"] == "removed"


def test_other_white_space_changes_no_chunk(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs)
    before = contents(kb)["chunks"][str(docs / "station.md")]
    (docs / "station.md").write_text(STATION + "\n\n\n")
    report = kb.ingest(docs)
    assert (rows(report)["station.md"], report.embedded) == ("updated", 0)
    assert contents(kb)["chunks"][str(docs / "station.md")] == before


def test_other_settings_read_files_again_but_embed_only_new_texts(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "long.md").write_text("\n\n".join(f"{STATION} Number {i} of many." for i in range(6)))
    kb.ingest(docs)
    with small_kb(kb.settings.home, chunk_tokens=64) as other:
        report = other.ingest(docs)
        assert rows(report) == {"station.md": "unchanged", "pump.txt": "unchanged", "long.md": "updated"}
        assert 0 < report.embedded == next(row.chunks for row in report if row.path.endswith("long.md"))
        assert rows(other.ingest(docs))["long.md"] == "unchanged"


@pytest.mark.sqlite
def test_an_overlap_in_kb_toml_splits_unchanged_files_anew_and_readers_see_no_sentence_twice(
    kb: KnowledgeBase, docs: Path
) -> None:
    sentences = [f"Pump {name} was seen by crew {name}." for name in "abcdefghijkl"]
    (docs / "long.md").write_text(" ".join(sentences))
    kb.ingest(docs)
    plain = {hit.text for hit in kb.search("pump crew", 50)}
    home = kb.settings.home
    (home / "kb.toml").write_text("chunk_tokens = 40\noverlap = 1\nreaders = 1\n")
    with KnowledgeBase(Settings.load(home=home), embedder=HashEmbeddings()) as other:
        assert rows(other.ingest(docs))["long.md"] == "updated"
        assert rows(other.ingest(docs))["long.md"] == "unchanged"
        known = [piece.text for piece in pieces(other, str(docs / "long.md"))]
        assert len(known) > 2
        assert all(
            one.endswith(repeated(one, two)) and repeated(one, two) in sentences for one, two in pairwise(known)
        )
        hits = [hit for hit in other.search("pump crew", 50) if hit.source.endswith("long.md")]
        assert any(hit.text not in known for hit in hits), "neighbours are joined"
        for hit in hits:
            around = surroundings(other, hit)
            assert around
            shown = " ".join((around.before, hit.text, around.after))
            assert all(shown.count(sentence) <= 1 for sentence in sentences)
            assert shown.strip() in " ".join(sentences)
    (home / "kb.toml").write_text("")
    kb.ingest(docs)
    assert {hit.text for hit in kb.search("pump crew", 50)} == plain


def test_a_stop_keeps_what_is_committed_and_the_next_ingest_goes_on(
    kb: KnowledgeBase, tmp_path: Path, embedder: HashEmbeddings
) -> None:
    docs = many_files(tmp_path / "docs", 300)
    kb.ingest(docs / "000.md")
    (docs / "000.md").unlink()
    first = kb.ingest(docs, stop=lambda: embedder.embedded > 150)
    assert first.stopped
    assert 0 < first.added < 299
    assert all(row.status == "added" for row in first)
    assert {row.path for row in first} == {source.path for source in kb.sources()} - {str(docs / "000.md")}
    assert kb.verify().faults == ()
    already = embedder.embedded
    second = kb.ingest(docs)
    assert not second.stopped
    assert (second.unchanged, second.added, second.removed) == (first.added, 299 - first.added, 1)
    assert second.embedded == embedder.embedded - already == second.added


def test_a_stop_before_the_start_does_nothing(kb: KnowledgeBase, docs: Path, embedder: HashEmbeddings) -> None:
    report = kb.ingest(docs, stop=lambda: True)
    assert (report.stopped, report.files, embedder.embedded) == (True, (), 0)
    assert kb.ingest(docs).added == 2


def test_a_stop_keeps_vectors_of_texts_that_are_on_their_way_to_another_file(
    kb: KnowledgeBase, tmp_path: Path
) -> None:
    """Texts that one file had lost and another not yet taken over were embedded again after a stop."""
    docs = many_files(tmp_path / "docs", 200)
    kb.ingest(docs)
    for number in range(100):  # each takes over the text of its partner, with another heading around the file
        here, there = docs / f"{number:03}.md", docs / f"{199 - number:03}.md"
        mine, yours = here.read_text(), there.read_text()
        here.write_text(yours + "\n")
        there.write_text(mine + "\n")
    asked = iter(range(10_000))
    stopped = kb.ingest(docs, stop=lambda: next(asked) > 120)
    assert stopped.stopped
    assert 0 < stopped.updated < 200
    assert kb.ingest(docs).embedded == stopped.embedded == 0


def test_progress_tells_of_every_file(kb: KnowledgeBase, docs: Path) -> None:
    told: list[tuple[int, int, int]] = []
    report = kb.ingest(docs, on_progress=lambda now: told.append((now.files, now.bytes, now.embedded)))
    size = sum(path.stat().st_size for path in docs.iterdir())
    assert told[-1] == (2, size, report.embedded)
    assert told == sorted(told)


def test_rm_forgets_files_and_folders_and_the_next_ingest_brings_them_back(kb: KnowledgeBase, docs: Path) -> None:
    kb.ingest(docs)
    before = contents(kb)
    assert kb.remove([docs]) == [str(docs / "pump.txt"), str(docs / "station.md")]
    assert (kb.search("northern station"), kb.verify().faults) == ((), ())
    assert kb.remove([docs]) == []
    assert kb.ingest(docs).added == 2
    assert contents(kb) == before


def test_an_emptied_knowledge_base_takes_an_embedder_of_another_dimension(
    kb: KnowledgeBase, docs: Path, tmp_path: Path
) -> None:
    """Its index in memory was of the old dimension, and the ingest broke."""
    kb.ingest(docs)
    assert kb.search("station")
    kb.remove([docs])
    with small_kb(tmp_path / "home", HashEmbeddings("wide", dimension=96)) as wide:
        assert wide.ingest(docs).added == 2
        assert wide.search("station")
        assert wide.verify().faults == ()
    with pytest.raises(EmbedderMismatch):
        kb.search("station")


def test_nothing_is_made_by_asking_for_what_isnt_there(kb: KnowledgeBase, tmp_path: Path) -> None:
    for ask in (kb.sources, kb.status, kb.verify, kb.rebuild, lambda: kb.search("x"), lambda: kb.remove(["x"])):
        with pytest.raises(StoreError, match="no knowledge base"):
            ask()
    assert not (tmp_path / "home").exists()


def many_files(folder: Path, count: int) -> Path:
    """Files of one chunk each, all different."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}.md").write_text(f"Valve {number} belongs to circuit {number * 7}.")
    return folder


NAMES = {
    "case": ("Report.md", "report.md"),
    "NFC and NFD": ("caf\u00e9.md", "cafe\u0301.md"),
    "full width": ("Ａ.md", "A.md"),
    "dots and spaces": ("a .md", "a..md"),
}


@pytest.mark.parametrize("pair", NAMES.values(), ids=NAMES)
def test_names_that_look_alike_are_two_files_where_the_system_has_two(
    kb: KnowledgeBase, docs: Path, pair: tuple[str, str]
) -> None:
    (docs / pair[0]).write_text(STATION.replace("northern", "western"))
    if (docs / pair[1]).exists():
        pytest.skip("this file system takes one for the other")
    (docs / pair[1]).write_text(BACKUP)
    assert kb.ingest(docs).added == 4
    assert kb.ingest(docs).unchanged == 4
    (docs / pair[0]).unlink()
    assert rows(kb.ingest(docs)) == {
        pair[0]: "removed", pair[1]: "unchanged", "station.md": "unchanged", "pump.txt": "unchanged",
    }  # fmt: skip


@pytest.mark.parametrize("pair", NAMES.values(), ids=NAMES)
def test_a_file_renamed_to_a_name_that_looks_alike_was_moved(
    kb: KnowledgeBase, docs: Path, pair: tuple[str, str]
) -> None:
    (docs / pair[0]).write_text(BACKUP)
    kb.ingest(docs)
    (docs / pair[0]).rename(docs / pair[1])
    report = kb.ingest(docs)
    assert {name: status for name, status in rows(report).items() if name in pair} == {
        pair[0]: "removed", pair[1]: "added",
    }  # fmt: skip
    assert reason(report, pair[0]) == "no longer there"
    assert (reason(report, pair[1]), report.embedded) == (f"moved from {docs / pair[0]}", 0)


def test_paths_of_300_letters_and_names_as_long_as_they_come(kb: KnowledgeBase, docs: Path) -> None:
    deep = docs / ("folder" * 20) / ("水" * 60) / ("x" * 120)
    deep.mkdir(parents=True)
    (deep / f"{'n' * 252}.md").write_text(BACKUP)
    assert len(str(deep)) > 300
    assert kb.ingest(docs).added == 3
    assert kb.search("nightly backups", 1)[0].source.startswith(str(deep))


def test_files_that_vanish_while_they_are_read_are_told(kb: KnowledgeBase, docs: Path) -> None:
    """One was known before, one wasn't; the others go on."""
    kb.ingest(docs)
    (docs / "new.md").write_text(BACKUP)
    (docs / "pump.txt").write_text(BACKUP * 2)
    (docs / "stays.md").write_text("Valve 7 stays.")
    real = sync.make_plan

    def plan_and_vanish(*arguments: Any) -> Any:
        plan = real(*arguments)
        (docs / "new.md").unlink()
        (docs / "pump.txt").unlink()
        return plan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync, "make_plan", plan_and_vanish)
        report = kb.ingest(docs)
    assert rows(report) == {
        "new.md": "failed",
        "pump.txt": "removed",
        "stays.md": "added",
        "station.md": "unchanged",
    }
    assert reason(report, "new.md") == "The file vanished while it was being read."
    assert {Path(source.path).name for source in kb.sources()} == {"station.md", "stays.md"}


@pytest.mark.skipif(os.name == "nt", reason="pipes, sockets and devices in folders are POSIX")
def test_pipes_sockets_and_devices_are_told_and_the_others_go_on(kb: KnowledgeBase, docs: Path) -> None:
    os.mkfifo(docs / "pipe.md")
    (docs / "zero.txt").symlink_to("/dev/zero")
    (docs / "endless.txt").symlink_to("/dev/urandom")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(docs / "sock.md"))
        report = kb.ingest(docs)
    assert (report.added, report.failed) == (2, 4)
    assert {row.reason for row in report if row.status == "failed"} == {"not a regular file"}


def test_front_matter_is_searched_by(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "tagged.md").write_text(f"---\ntitle: Ridge\ndate: 2024-05-31\ntags: [north, ridge]\n---\n{STATION}\n")
    kb.ingest(docs)
    for condition in ("tags=ridge", "date>=2024-05", "title=ridge"):
        assert {Path(hit.source).name for hit in kb.search(STATION, 50, where=[condition])} == {"tagged.md"}
    assert not kb.search(STATION, where=["date>=2025"])


def test_a_locked_file_is_read_once_its_password_is_given(kb: KnowledgeBase, tmp_path: Path) -> None:
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    file = tmp_path / "locked.pdf"
    sheet = Canvas(str(file), encrypt=StandardEncryption("geheim", strength=128))
    sheet.drawString(72, 700, STATION)
    sheet.save()
    refused = kb.ingest(file)
    assert rows(refused) == {"locked.pdf": "failed"}
    assert "--password" in reason(refused, "locked.pdf")
    assert rows(kb.ingest(file, passwords=["wrong", "geheim"])) == {"locked.pdf": "updated"}
    assert sources_found(kb, STATION) == {"locked.pdf"}


def test_what_a_reader_notes_is_in_the_report_and_a_sheet_in_the_hit(kb: KnowledgeBase, tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Prices"
    for row in (["Item", "Price"], ["Pump", 42], ["Valve", 7]):
        book.active.append(row)
    book.create_sheet("Secret").append(["hidden", "words"])
    book["Secret"].sheet_state = "hidden"
    book.save(tmp_path / "a.xlsx")
    report = kb.ingest(tmp_path / "a.xlsx")
    assert rows(report) == {"a.xlsx": "added"}
    assert "“Secret” is hidden" in reason(report, "a.xlsx")
    hit = kb.search("Item: Pump | Price: 42", 1)[0]
    assert (hit.locator.sheet, hit.locator.lines) == ("Prices", (1, 3))
    assert str(hit.locator) == "sheet Prices, rows 1–3"


@pytest.mark.sqlite
def test_with_overlap_chunks_are_no_longer_and_are_found(
    tmp_path: Path, real_embedder: RememberedEmbeddings
) -> None:
    settings = Settings(home=tmp_path, chunk_tokens=64, overlap=2, readers=1)
    with KnowledgeBase(settings, embedder=real_embedder) as base:
        base.ingest(SAMPLE_DOCS / "zh")
        shared = 0
        for source in base.sources():
            known = [piece.text for piece in pieces(base, source.path)]
            assert all(tokens <= 64 for tokens in real_embedder.count_tokens(known))
            shared += sum(bool(repeated(*pair)) for pair in pairwise(known))
        assert shared > 10
        found = base.search("南坡的霜冻损失大吗？", 1)[0].text
        assert "明前茶占三成。南坡有两块地受到霜冻，损失不大。" in found, "with the sentence before, and that once"
        assert found.count("明前茶占三成。") == 1


@pytest.mark.sqlite
@pytest.mark.engine
def test_pages_beyond_the_limit_of_ocr_are_named_and_read_when_it_is_raised(
    docs: Path, tmp_path: Path, embedder: HashEmbeddings
) -> None:
    from PIL import Image, ImageDraw, ImageFont

    pages = [Image.new("RGB", (600, 120), "white") for _ in range(3)]
    for number, page in enumerate(pages, 1):
        ImageDraw.Draw(page).text(
            (30, 30), f"Sheet {number} of the plan", "black", font=ImageFont.load_default(40)
        )
    pages[0].save(docs / "plan.tif", save_all=True, append_images=pages[1:])
    with small_kb(tmp_path / "home", embedder, ocr_pages=1) as base:
        first = base.ingest(docs)
        assert rows(first)["plan.tif"] == "added"
        assert "p. 2-3 weren't read. Set ocr_pages = 3" in reason(first, "plan.tif")
        assert (first.ocr_pages, first.ocr_seconds > 0) == (1, True)
        again = base.ingest(docs)
        assert (rows(again)["plan.tif"], again.ocr_pages) == ("unchanged", 0)
        assert "p. 2-3" in reason(again, "plan.tif")
    with small_kb(tmp_path / "home", embedder, ocr_seconds=0.001) as base:
        late = base.ingest(docs)
        assert (rows(late)["plan.tif"], late.ocr_pages) == ("unchanged", 1)  # read again, for the same page
        assert "p. 2-3 weren't read. Set ocr_seconds = " in reason(late, "plan.tif")
        assert late.to_json()["ocr_pages_per_s"] == pytest.approx(1 / late.ocr_seconds, abs=1e-3)
        assert rows(base.ingest(docs))["plan.tif"] == "unchanged"
    with small_kb(tmp_path / "home", embedder, ocr_pages=3) as base:
        raised = base.ingest(docs)
        assert rows(raised) == {"station.md": "unchanged", "pump.txt": "unchanged", "plan.tif": "updated"}
        assert (reason(raised, "plan.tif"), raised.ocr_pages) == ("", 3)
        assert rows(base.ingest(docs))["plan.tif"] == "unchanged"


REFUSAL = {
    "sqlite": (
        "CREATE TRIGGER refusal BEFORE INSERT ON sources WHEN NEW.path LIKE '%/m.txt'"
        " BEGIN SELECT RAISE (ABORT, 'refused'); END",
        "DROP TRIGGER refusal",
    ),
    "postgresql": (
        "ALTER TABLE sources ADD CONSTRAINT refusal CHECK (right(path, 6) <> '/m.txt')",
        "ALTER TABLE sources DROP CONSTRAINT refusal",
    ),
}


def test_a_file_that_the_store_refuses_takes_none_before_it_along(
    kb: KnowledgeBase, tmp_path: Path, either_store: str
) -> None:
    """They are committed together, yet each as a whole."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in "bcmxz":
        (folder / f"{name}.txt").write_text(f"Valve {name} belongs to circuit {name * 3}.")
    refuse, accept = REFUSAL[either_store]
    with kb.writing_documents() as store, store.write() as transaction:
        transaction.database.run(refuse)
    with pytest.raises(StoreError, match="refus"):
        kb.ingest(folder)
    stored = {Path(source.path).name for source in kb.sources()}
    assert {"b.txt", "c.txt"} <= stored
    assert "m.txt" not in stored
    assert kb.verify().faults == ()
    with kb.store.write() as transaction:
        transaction.database.run(accept)
    kb.ingest(folder)
    with small_kb(tmp_path / "fresh") as fresh:
        fresh.ingest(folder)
        assert contents(kb) == contents(fresh)
