"""Documents are shown by pages, slides and sheets, with rows as rows; an overview tells what is in them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from kb_assistant.errors import ReadError
from kb_assistant.store import Source
from kb_assistant.types import Locator
from kb_assistant.workspace.document_view import (
    PIECES,
    document_overview,
    original,
    part_with,
    parts_of,
    rows_of,
)
from kb_assistant.workspace.preview import PreviewChunk


def piece(text: str, **place: object) -> PreviewChunk:
    return PreviewChunk(f"id-{text[:9]}", text, Locator(**place))  # type: ignore[arg-type]


def test_parts_follow_pages_sheets_and_attachments_and_long_texts_are_cut() -> None:
    parts = parts_of([piece("a", page=1), piece("b", page=1), piece("c", page=2), piece("d", attachment="x.pdf")])
    assert [(part.kind, part.name, len(part.pieces)) for part in parts] == [
        ("page", "1", 2), ("page", "2", 1), ("attachment", "x.pdf", 1),
    ]  # fmt: skip
    assert part_with(parts, "id-c") == 1
    assert part_with(parts, "elsewhere") == 0
    long = parts_of([piece(str(number)) for number in range(PIECES + 1)])
    assert [(part.kind, part.name) for part in long] == [("text", "1"), ("text", "2")]
    assert parts_of([]) == []


def test_rows_of_a_sheet_come_back_with_their_columns() -> None:
    sheet = [
        piece("Ship | Fuel | Litres\nShip: A | Fuel: diesel | marine | Litres: 900"),
        piece("Ship: B | Litres: 7: 8\nShip: Ship: C | Fuel: x | Litres: 1"),
    ]
    assert rows_of(sheet) == [
        {"Ship": "A", "Fuel": "diesel | marine", "Litres": "900"},
        {"Ship": "B", "Fuel": "", "Litres": "7: 8"},
        {"Ship": "Ship: C", "Fuel": "x", "Litres": "1"},
    ]


@pytest.mark.parametrize(
    "text", ["", "only a line", "Note\nfree text under it", "a: b\nc: d", " | \n | ", "(((\n((( x"]
)
def test_what_is_no_table_has_no_rows(text: str) -> None:
    assert rows_of([piece(text)]) == []


def test_a_table_of_many_columns_is_parsed_in_linear_time() -> None:
    names = [f"Column {number}" for number in range(300)]
    row = " | ".join(f"{name}: value" for name in names)
    assert len(rows_of([piece("\n".join([" | ".join(names), *(f"{row} {n}" for n in range(200))]))])) == 200


def test_an_overview_tells_headings_questions_and_what_the_document_tells_of_itself() -> None:
    source = Source("/a.md", "d", "r", "A", "", False, "now", 2, {"author": "Ann", "odd": {"x": 1}})
    found = document_overview(source, [piece("a", heading="Pump > Service interval"), piece("b", heading=None)])
    assert found.facts == {"author": "Ann"}
    assert found.headings == ("Pump > Service interval",)
    assert len(found.questions) == 1


def test_the_file_is_given_unless_it_is_gone_or_too_large(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_bytes(b"x" * 1_000_001)
    source = Source(str(file), hashlib.sha256(file.read_bytes()).hexdigest(), "r", "A", "", False, "now")
    assert len(original(source, 2)) == 1_000_001
    with pytest.raises(ReadError, match="too large"):
        original(source, 1)
    file.unlink()
    with pytest.raises(ReadError) as gone:
        original(source, 2)
    assert str(tmp_path) not in gone.value.message


def test_what_has_taken_the_files_place_is_not_given(tmp_path: Path) -> None:
    file, secret = tmp_path / "a.md", tmp_path / "secret.md"
    file.write_text("The pump is red.")
    secret.write_text("The key is 4471.")
    source = Source(str(file), hashlib.sha256(file.read_bytes()).hexdigest(), "r", "A", "", False, "now")
    file.unlink()
    for put in (lambda: file.symlink_to(secret), lambda: os.mkfifo(file)):
        put()
        with pytest.raises(ReadError, match="has changed"):
            original(source, 2)
        file.unlink()
