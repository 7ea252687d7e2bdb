"""What stands around a passage, and the page of a PDF."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from kb_assistant.answering.citations import evidence, marks
from kb_assistant.errors import ReadError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.types import Hit, Locator
from kb_assistant.workspace.preview import page_image, pieces, surroundings
from tests.samples import SAMPLE_DOCS

MANUAL = SAMPLE_DOCS / "en" / "pump-manual.pdf"


def test_neighbours_are_those_of_the_source(sample_kb: KnowledgeBase) -> None:
    hit = sample_kb.search("Who founded the Aldersea Station?", 1)[0]
    known = [piece.text for piece in pieces(sample_kb, hit.source)]
    around = surroundings(sample_kb, hit)
    assert around is not None
    assert around.after in known
    assert around.after not in hit.text
    assert "".join(known).index(hit.text[:40]) < "".join(known).index(around.after)


def test_a_passage_that_is_gone_has_none(sample_kb: KnowledgeBase) -> None:
    hit = Hit("0" * 32, "Gone.", "/nowhere.md", Locator(), 1.0)
    assert surroundings(sample_kb, hit) is None


def test_a_page_is_drawn_and_the_quote_is_marked() -> None:
    from PIL import Image

    plain, marked = page_image(str(MANUAL), 1), page_image(str(MANUAL), 1, ["pump"])
    image = Image.open(io.BytesIO(plain))
    assert image.format == "PNG"
    assert image.width == 900
    yellow = (255, 221, 87)
    colours = [set(Image.open(io.BytesIO(one)).get_flattened_data()) for one in (plain, marked)]
    assert yellow not in colours[0]
    assert yellow in colours[1]


@pytest.mark.parametrize("data", [b"%PDF-1.7 broken", b"", b"\x00" * 1000])
def test_what_cannot_be_drawn_is_an_error_in_words(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x.pdf"
    file.write_bytes(data)
    with pytest.raises(ReadError, match="can't be drawn"):
        page_image(str(file), 1)
    with pytest.raises(ReadError, match="isn't there"):
        page_image(str(tmp_path / "none.pdf"), 1)
    with pytest.raises(ReadError, match="can't be drawn"):
        page_image(str(MANUAL), 99)


def test_marks_know_their_own_sentence() -> None:
    hits = [
        Hit("1", "The pump is red and weighs nine kilograms.", "/a.md", Locator(), 1),
        Hit("2", "茶园建于1962年，面积四十亩。", "/b.md", Locator(), 1),
    ]
    answer = "The pump is red. [1] It was bought in Lyon for 900 euros. [1]\n茶园建于1962年。[2] See [7]."
    found = marks(answer, hits)
    assert [(mark.n, mark.supported) for mark in found] == [(1, True), (1, False), (2, True)]
    assert [answer[mark.start : mark.end] for mark in found] == ["[1]", "[1]", "[2]"]
    assert found[0].sentence == "The pump is red."


def test_evidence_is_the_sentence_that_says_it() -> None:
    passage = "- The boat is old.\n- The pump is red and\n  weighs nine kilograms.\n\nTea grows here."
    place = evidence("The pump weighs nine kilograms.", passage)
    assert place is not None
    assert "nine kilograms" in passage[slice(*place)]
    assert "boat" not in passage[slice(*place)]
    assert evidence("Quantum chromodynamics", passage) is None
