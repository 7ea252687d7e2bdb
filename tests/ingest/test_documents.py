"""Documents that programs hand in: split like files, known by id, brought in step."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from ingest.documents import Given
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.store import NewChunk, Source, Text
from tests.law import contents, small_kb

STORY = "The pump stands in the cellar.\n\nIt was built in 1904 by Ann Fell.\n\n" + "\n\n".join(
    f"Valve {number} opens at {number * 3} bar and closes at {number * 2} bar." for number in range(1, 30)
)


def filled(home: Path, *documents: Document) -> KnowledgeBase:
    kb = small_kb(home)
    kb.add(documents)
    return kb


def test_a_long_document_is_split_and_each_piece_stands_under_the_title(tmp_path: Path) -> None:
    kb = filled(
        tmp_path, Document(f"The pump\n\n{STORY}", id="pump", metadata={"title": "The pump", "year": 1904})
    )
    assert [(source.path, source.metadata["year"]) for source in kb.sources()] == [("document:pump", 1904)]
    with kb.store.read() as snapshot:
        chunks = snapshot.chunks_of_source("document:pump")
    assert len(chunks) > 5
    assert {chunk.locator.heading for chunk in chunks} == {"The pump"}
    assert chunks[0].text.body.startswith("The pump stands"), "the title isn't said twice"
    assert "Valve 29" in chunks[-1].text.body


def test_the_same_again_changes_nothing_and_another_text_replaces(tmp_path: Path) -> None:
    kb = filled(tmp_path, Document("Blue.", id="a"), Document("Green.", id="b"))
    before = contents(kb)
    again = kb.add([Document("Blue.", id="a"), Document("Green.", id="b")])
    assert (again.unchanged, again.embedded) == (2, 0)
    assert contents(kb) == before
    changed = kb.add([Document("Red.", id="a")])
    assert (changed.updated, changed.embedded) == (1, 1)
    with kb.store.read() as snapshot:
        assert [chunk.text.body for chunk in snapshot.chunks_of_source("document:a")] == ["Red."]
        assert snapshot.source("document:b")


def test_without_an_id_the_text_names_it_and_files_are_left_alone(tmp_path: Path) -> None:
    kb = small_kb(tmp_path / "home")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("A file.")
    kb.ingest(tmp_path / "docs")
    kb.add([Document("No name.")])
    kb.add([Document("No name.")])
    assert len(kb.sources()) == 2
    assert kb.ingest(tmp_path / "docs", prune=True).removed == 0
    assert [hit.text for hit in kb.search("No name.", 1)] == ["No name."]


def test_it_stops_where_it_is_told_and_says_so(tmp_path: Path) -> None:
    kb = small_kb(tmp_path)
    report = kb.add([Document(f"Number {n}.", id=str(n)) for n in range(5)], stop=lambda: True)
    assert report.stopped
    assert kb.add([Document(f"Number {n}.", id=str(n)) for n in range(5)]).added == 5


def test_empty_and_odd_documents_are_rows(tmp_path: Path) -> None:
    kb = small_kb(tmp_path)
    report = kb.add(
        [Document("  \n", id="empty"), Document("a//../b \ud800 \x00", id="x/../y", metadata={"title": "\n"})]
    )
    assert [(row.path, row.chunks) for row in report] == [("document:empty", 0), ("document:x/../y", 1)]


@given(title=st.text(max_size=20), text=st.text(max_size=80))
def test_no_letter_is_lost(title: str, text: str) -> None:
    content = Given("document:a", title, text, {}).content
    held = "".join([content.title, *(block.text for block in content.blocks)])
    assert not {letter for letter in text if letter.isalnum()} - set(held)


def test_a_title_is_left_out_as_a_line_of_its_own_only() -> None:
    """ "Pumping" begins with "Pump", too."""
    (block,) = Given("document:a", "Pump", "Pumping is work.\nAlways.", {}).content.blocks
    assert block.text == "Pumping is work.\nAlways."


def test_metadata_that_json_does_not_know_become_text(tmp_path: Path) -> None:
    kb = filled(tmp_path, Document("The pump.", id="a", metadata={"date": date(2024, 5, 17), "tags": ("x",)}))
    assert kb.sources()[0].metadata == {"date": "2024-05-17", "tags": ["x"]}
    assert kb.search("pump", where=["date>=2024-05"])


def test_bytes_are_read_as_a_file_of_that_name_would_be(tmp_path: Path) -> None:
    kb = small_kb(tmp_path)
    page = b"<title>Pumps</title><h1>The pump</h1><p>It was built in 1904.</p>"
    report = kb.add([("manual/pump.html", page), ("plain.txt", "水泵".encode("gb18030")), "A plain text."])
    assert (report.added, report.failed) == (3, 0)
    (hit, *_) = kb.search("When was the pump built?", where=["type=html"])
    assert (hit.source, hit.locator.heading) == ("document:manual/pump.html", "Pumps > The pump")
    assert kb.add([("manual/pump.html", page)]).unchanged == 1
    assert kb.add([("manual/pump.html", page.replace(b"1904", b"1905"))]).updated == 1
    assert "1905" in kb.search("When was the pump built?", 1)[0].text
    assert kb.verify().faults == ()


def test_bytes_that_cant_be_read_are_rows_with_the_reason(tmp_path: Path) -> None:
    kb = small_kb(tmp_path, file_megabytes=1)
    report = kb.add(
        [("a.pdf", b"%PDF-1.4 no"), ("b.xyz", b"\0"), ("c.txt", b"x" * 1_000_001), ("d.txt", b"Fine.")]
    )
    reasons = {row.path: row.reason for row in report if row.status == "failed"}
    assert reasons["document:a.pdf"] == "The PDF is damaged. Save or download it anew."
    assert "can't be read" in reasons["document:b.xyz"]
    assert reasons["document:c.txt"] == "It is larger than 1 MB. Split it, or raise file_megabytes."
    assert report.added == 1


@pytest.mark.parametrize("wrong", [b"bytes without a name", ("a.txt", "no bytes"), ("", b"x"), ("a.txt",), 7])
def test_what_is_no_document_is_refused_before_anything_is_written(tmp_path: Path, wrong: Any) -> None:
    kb = small_kb(tmp_path / "home")
    with pytest.raises(TypeError, match="handed in"):
        kb.add(["A text.", wrong])
    assert not (tmp_path / "home").exists()


def test_nul_characters_and_lone_surrogates_are_taken_out(tmp_path: Path) -> None:
    odd = "The\0 pump\ud800 is\0 red."
    with small_kb(tmp_path) as kb:
        kb.add([odd, ("a.txt", b"The heron\0 nests.")])
        kb.as_vectorstore().add_texts([odd + "\0"], ids=["odd"])
        kb.add([Document(odd, id="by", metadata={"author \ud800": ["\ud800"]})])
        for source in kb.sources():
            assert "\0" not in source.title
        texts = {hit.text for hit in kb.search("heron pump red", 9)}
        assert texts == {"The pump? is red.", "The heron nests."}
        assert kb.as_vectorstore().get_by_ids(["odd"])[0].page_content == "The pump? is red."
        assert kb.sources("by")[0].metadata == {"author ?": ["?"]}
        assert kb.verify().faults == ()


def test_nul_characters_that_an_older_version_stored_are_no_damage(tmp_path: Path) -> None:
    with small_kb(tmp_path) as kb:
        kb.add(["The heron nests."])
        text = Text.stored("", "The\0 pump.")
        source = Source("/old", "", "", "", "", False, "", 1)
        fingerprint = kb.embedder.fingerprint
        vector = kb.embedder.encode_passages([text.embedded])[0].astype("<f4").tobytes()
        with kb.store.write(fingerprint) as transaction:
            transaction.put_source(source, [NewChunk(text)], {text.hash: vector})
        assert kb.verify().faults == ()
        assert "pump" in kb.search("pump")[0].text


NAMES = [
    "note.txt", "会议记录.md", "會議 記錄（一）.md", 'it\'s [1]; & "x".md', "a/b/c.md", "../up.md", "-dash.md",
    " lead.md ", "e\u0301te\u0301.md", "x\ny.md", "*?.md", "~home.md", "C:\\x\\y.md", "/abs/path.md", "日本語.md",
    "no suffix", ".",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_documents_without_a_file_are_listed_replaced_and_removed_by_any_name(tmp_path: Path, name: str) -> None:
    with small_kb(tmp_path / "home") as kb:
        for told, status in ((name, "added"), (f"document:{name}", "updated")):
            (row,) = kb.add([Document(f"The tower, {status}.", id=told)])
            assert (row.path, row.status) == (f"document:{name}", status)
        kb.add([Document("Another.", id=f"not {name}")])
        listed = [source.path for source in kb.sources(name)]
        assert listed == sorted([f"document:{name}", f"document:not {name}"])
        assert kb.remove([name]) == [f"document:{name}"]
        assert kb.remove([f"document:not {name}"]) == [f"document:not {name}"]


def test_a_name_in_another_normal_form_or_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    with small_kb(tmp_path / "home") as kb:
        kb.add([("e\u0301.md", b"One."), ("\udcff.md", b"Two.")])
        assert kb.remove(["\u00e9.md"]) == ["document:e\u0301.md"]
        assert [source.path for source in kb.sources()] == ["document:?.md"]


def test_a_file_is_removed_before_a_document_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.md").write_text("A file.")
    monkeypatch.chdir(tmp_path)
    with small_kb(tmp_path / "home") as kb:
        kb.ingest("a.md")
        kb.add([("a.md", b"A document.")])
        assert kb.remove(["a.md"]) == [str(tmp_path / "a.md")]
        assert kb.remove(["a.md"]) == ["document:a.md"]


def test_documents_are_forgotten_by_their_name_and_files_by_any_spelling(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.md").write_text("The heron nests.")
    with small_kb(tmp_path / "home") as kb:
        kb.ingest(tmp_path / "a" / ".." / "b")
        kb.add([Document("The pump is red.", id="pump"), Document("The tide turns.", id="tide/1")])
        assert kb.remove(["document:pump"]) == ["document:pump"]
        assert kb.remove(["document:tide"]) == []
        assert kb.remove([Path("document:tide/1")]) == ["document:tide/1"]
        assert kb.remove([f"{tmp_path}/a/../b"]) == [str(tmp_path / "b" / "x.md")]
        assert kb.sources() == []
