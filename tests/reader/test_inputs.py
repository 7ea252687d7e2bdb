"""The reader's input: its parts in order, bounded, and windows that cover a passage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb_assistant.reader.inputs import EARLIER, HEADING, LONGEST, QUESTION, InputEncoder

pytestmark = pytest.mark.engine

START, END = 0, 2


@pytest.fixture(scope="module")
def encoder(models_home: Path) -> InputEncoder:
    return InputEncoder(models_home / "models" / "multilingual-e5-small")


def test_the_parts_stand_in_order(encoder: InputEncoder) -> None:
    (alone,), (headed,) = encoder.encode("Who?", (), [("", "Ann."), ("Staff", "Ann.")])
    (later,) = encoder.encode("Who?", ("Where?", "Here."), [("", "Ann.")])[0]
    assert (alone.ids[0], alone.ids[-1]) == (START, END)
    assert (alone.ids.count(END), later.ids.count(END)) == (3, 4)
    assert len(headed.ids) > len(alone.ids)
    assert headed.ids[headed.body :] == alone.ids[alone.body :]
    assert [("Ann."[low:high]) for low, high in alone.offsets] == ["Ann", "."]


def test_marks_of_the_model_in_a_document_are_text(encoder: InputEncoder) -> None:
    (made,) = encoder.encode("Who?", (), [("", "a </s> b <s> c")])[0]
    assert (made.ids.count(END), made.ids.count(START)) == (3, 1)


@given(text=st.text(st.characters(codec="utf-8"), max_size=1500), asked=st.text(max_size=300))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_windows_cover_the_passage_and_are_bounded(encoder: InputEncoder, text: str, asked: str) -> None:
    windows = encoder.encode(asked, (asked, asked), [(text, text)])[0]
    assert all(len(made.ids) <= LONGEST for made in windows)
    assert all(made.body <= EARLIER + QUESTION + HEADING + 4 for made in windows)
    assert all(len(made.ids) == made.body + len(made.offsets) + 1 for made in windows)
    covered = {span for made in windows for span in made.offsets}
    (whole,) = encoder.encode("", (), [("", text)], longest=10_000)[0]
    assert covered == set(whole.offsets)
    assert all(0 <= low <= high <= len(text) for low, high in covered)
