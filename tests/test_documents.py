"""Documents that programs hand in: split like files, known by id, brought in step."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from ingest.documents import Given
from kb_assistant.knowledge import KnowledgeBase
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
