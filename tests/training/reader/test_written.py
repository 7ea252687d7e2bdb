"""Documents written for the reader's training: their form, and what examples are made of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.training.reader.examples import examples, tfidf_nearest
from kb_assistant.training.reader.written import WIDER, open_set, read_written

ITEMS = Path(__file__).parents[3] / "kb_assistant" / "training" / "reader" / "items"

CLINIC = """=== en | Clinic > Hours
Monday to Friday from 8 to 18. Dr. Varga sees children. No dogs.
---
? who sees children => Dr. Varga
! who sees adults
~ how do I treat a cold
> who sees children || on which days? => Monday to Friday
> are dogs allowed || and cats => -
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.txt").write_text(CLINIC, "utf-8")
    return tmp_path


def test_each_kind_of_line_is_a_question_on_the_document(folder: Path) -> None:
    read = open_set(folder)
    (document,) = read.documents()
    assert (document.title, document.text.split(".")[0]) == ("Clinic > Hours", "Monday to Friday from 8 to 18")
    asked = {(one.text, bool(one.history)): one for one in read.questions}
    assert {(text, later): (one.answerable, one.answers) for (text, later), one in asked.items()} == {
        ("who sees children", False): (True, ("Dr. Varga",)),
        ("who sees adults", False): (False, ()),
        ("how do I treat a cold", False): (False, ()),
        ("how do I treat a cold", True): (False, ()),
        ("on which days?", True): (True, ("Monday to Friday",)),
        ("and cats", True): (False, ()),
    }
    assert asked["on which days?", True].history[0].answer == "Dr. Varga sees children."
    assert asked["how do I treat a cold", False].labels == WIDER


@pytest.mark.parametrize(
    "text",
    [
        CLINIC.replace("=> Dr. Varga", "=> Dr. Beck"),
        CLINIC.replace("---\n", ""),
        CLINIC.replace("! who", "who"),
        CLINIC.replace(" => -", ""),
    ],
)
def test_a_wrong_form_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.txt").write_text(text, "utf-8")
    with pytest.raises(DatasetError, match="form"):
        open_set(tmp_path)


def test_the_written_documents_are_whole() -> None:
    read = read_written(sorted(ITEMS.glob("*.txt")))
    assert len(read.texts) > 800
    assert len(read.questions) > 15_000


def test_examples_mark_answers_and_know_what_is_off_the_subject(folder: Path) -> None:
    groups = list(examples([folder], tfidf_nearest, random.Random(1), lambda *_: True))
    pairs = [group[0] for group in groups]
    marked = {pair.body[slice(*pair.span)] for pair in pairs if pair.span}
    assert marked == {"Dr. Varga", "Monday to Friday"}
    assert all(not pair.relevant and pair.answered is False for pair in pairs if "cold" in pair.question)
    assert any(pair.relevant and pair.answered is False for pair in pairs)
