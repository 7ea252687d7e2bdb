"""A follow-up is answered by the line that was just told, where that answers it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kb_assistant.embedding.base import TextEmbeddings
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.reader.reader import Reading
from kb_assistant.retrieval.told import Line, read_told, told_lines
from kb_assistant.settings import Settings
from kb_assistant.types import Hit, Locator
from tests.homes import link_models
from tests.waiting import PATIENCE

FEES = """# Mooring fees

| Berth | A night | A week | Deposit |
| --- | --- | --- | --- |
| Inner quay | 18 euros | 95 euros | 60 euros |
| Outer quay | 14 euros | 75 euros | 40 euros |
| Swing mooring | 9 euros | 48 euros | 20 euros |
"""
HARBOUR = """# Harbour office

The harbour master is Solveig Brandt (extension 417), who is there from 8 to 12. The crane is run by Matti
Ojala; he has to be called a day ahead.

The laundry is behind the chandlery. Its key hangs in the office.

# Regatta

The regatta starts on 12 July at 14:00 off the lighthouse. Boats longer than nine metres sail a second round.
"""
DISHES = """# 砂锅

## 菌菇砂锅

材料:香菇8朵,嫩豆腐一块,粉丝50克,冰糖5克,高汤600毫升。小火炖25分钟。

## 酸菜砂锅

材料:酸菜200克,糖10克,五花肉150克,清水800毫升。大火烧开后炖40分钟。
"""
# Of these, each answers one of the follow-ups better than what was told, but nobody talks of them.
OTHERS = {
    "clinic.md": """# Health centre

## Phone

The number of the front desk is 555-0188. In the evening call her deputy, Dr Ilse Moreau, at 555-0190.

## How long does a visit take?

A visit takes about twenty minutes, a first one forty minutes.

## Why is there a fee?

There is a fee of 5 euros because the insurance doesn't pay for certificates.
""",
    "canoes.md": """# Canoe hire

How much deposit is there? A deposit of 150 euros is due for each canoe. It is paid back the same day.

Where do we start? Canoes start at the weir in Ostheim, behind the sawmill.
""",
    "keys.md": "# Keys of the school\n\nWhat is with the key? The caretaker has the key of the gym.",
}


@pytest.fixture(scope="module")
def harbour(
    models_home: Path, real_embedder: TextEmbeddings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("told")
    home, documents = link_models(models_home, folder / "home"), folder / "documents"
    documents.mkdir()
    for name, text in ({"fees.md": FEES, "harbour.md": HARBOUR, "砂锅.md": DISHES} | OTHERS).items():
        (documents / name).write_text(text, "utf-8")
    with KnowledgeBase(
        Settings(home=home, model="extract", answer_reader_seconds=PATIENCE), embedder=real_embedder
    ) as base:
        base.ingest([documents])
        yield base


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        (("what does a night at the outer quay cost", "and how much deposit"), "40 euros"),
        (("who is the harbour master", "how can i reach her"), "417"),
        (("where is the laundry", "whats with the key"), "in the office"),
        (("when does the regatta start", "and where"), "off the lighthouse"),
        (("who runs the crane", "why do i call him"), "a day ahead"),
        (("菌菇砂锅放几朵香菇", "糖呢"), "冰糖5克"),
    ],
)
def test_it_keeps_to_what_was_told(harbour: KnowledgeBase, turns: tuple[str, ...], told: str) -> None:
    history = [harbour.ask(turns[0]).turn]
    reply = harbour.ask(turns[1], history=history)
    assert told in reply.answer, reply.answer
    assert {one.hit.source for one in reply.citations} == {history[0].hits[0].source}


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        (("what does a night at the outer quay cost", "and at the inner quay"), "18 euros"),
        (("who is the harbour master", "who runs the crane"), "Ojala"),
        (("菌菇砂锅放几朵香菇", "酸菜砂锅炖多久"), "40分钟"),
    ],
)
def test_what_is_on_another_thing_is_told_of_that(
    harbour: KnowledgeBase, turns: tuple[str, ...], told: str
) -> None:
    assert told in harbour.ask(turns[1], history=[harbour.ask(turns[0]).turn]).answer


def test_what_is_off_the_subject_stays_refused(harbour: KnowledgeBase) -> None:
    history = [harbour.ask("who is the harbour master").turn]
    assert harbour.ask("who won the chess olympiad", history=history).refused


def test_a_quote_is_found_in_its_line_and_a_told_row_in_its_table() -> None:
    texts = ("One. Two, and\nthree. Four.\nFive.", "| A | B |\n| --- | --- |\n| x | y |\n| v | w |", "One. Two.")
    hits = [
        Hit(id=str(n), text=text, source=f"/{n}.md", locator=Locator(), score=1.0) for n, text in enumerate(texts)
    ]
    lines = told_lines("Two, and three. [1]\nA: v | B: w [2]\nSix. [1]", hits, {"/0.md", "/1.md"})
    assert [(line.hit, texts[line.hit][line.start : line.end], line.text) for line in lines] == [
        (0, "One. Two, and\nthree. Four.", "One. Two, and\nthree. Four."),
        (1, "| v | w |", "A: v | B: w"),
    ]


def test_a_question_that_names_nothing_is_also_read_alone() -> None:
    """Beside the turns before, "when?" may have no answer that the reader sees; of the line alone it has one."""
    line = Line(0, 0, 30, "The inner quay was dredged in May.")

    def read(_question: str, told: object, earlier: Sequence[str], _seconds: float) -> list[Reading | None]:
        del told
        return [Reading(0.0, -2.0 if earlier else -1.0, (26, 32), -6.0 if earlier else 2.0)]

    answered = read_told(read, "when?", ["what was done at the quay"], [line], [""], -0.5, 1.0)
    assert answered
    assert answered.span == (26, 32)
