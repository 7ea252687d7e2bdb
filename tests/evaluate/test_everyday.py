"""Everyday questions and dialogues: judging by hand, the folder through the command, floors of the figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.datasets import EXPECTED, Dialogue, Expected
from kb_assistant.evaluate.everyday import as_expected, holds, measure_everyday
from kb_assistant.evaluate.mine import everyday_set
from kb_assistant.evaluate.report import page
from kb_assistant.evaluate.run import evaluate
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.types import Citation, Hit, Locator
from tests.law import small_kb
from tests.real import RememberedEmbeddings
from tests.samples import DATA
from tests.shell import kb

DOCS = {
    "north-gate.md": "# North gate\n\nThe north gate is open from six. It closes at noon. Ann Fell painted it.",
    "south-gate.md": "# South gate\n\nThe south gate is open from eight. It closes at dusk.",
    "吊车.txt": "暴风雨时任何人不得使用吊车。吊车有120米高。",
}


@dataclass(frozen=True)
class Said:
    """A reply as `kb ask` returns it."""

    answer: str
    sources: tuple[str, ...] = ()
    refused: bool = False
    searched: bool = True

    @property
    def citations(self) -> tuple[Citation, ...]:
        return tuple(Citation(n, _hit(source), True) for n, source in enumerate(self.sources, start=1))

    @property
    def hits(self) -> tuple[Hit, ...]:
        return (_hit("/docs/north-gate.md"),) if self.searched else ()


def _hit(source: str) -> Hit:
    return Hit("", "", source, Locator(), 1.0)


@pytest.fixture
def base(tmp_path: Path) -> KnowledgeBase:
    made = small_kb(tmp_path / "home", model="extract")
    made.ingest(_written(tmp_path / "docs"))
    return made


def _written(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, text in DOCS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _asked(folder: Path, questions: str, dialogues: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "questions.tsv").write_text(f"question\tmust_hold\tsource\n{questions}", encoding="utf-8")
    if dialogues:
        (folder / "dialogues.jsonl").write_text(dialogues, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "facts", "wanted"),
    [
        ("It costs 6 euros.", ["6 Euros"], True),
        ("It costs 16 euros.", ["6 euros"], False),
        ("It costs 1.6 euros, or 2,6 euros.", ["6 euros"], False),
        ("Call 8017.", ["8017"], True),
        ("Call 80170.", ["8017"], False),
        ("門票每張 15 元", ["15元"], True),
        ("It closes\nat noon.", ["closes at noon"], True),
        ("It closes at noon.", ["dusk", "noon"], True),
        ("It closes at noon.", [], False),
    ],
)
def test_a_fact_is_held_whatever_its_writing_but_not_within_a_number(
    text: str, facts: list[str], wanted: bool
) -> None:
    assert holds(text, facts) is wanted


NORTH, SOUTH = "/docs/north-gate.md", "/docs/south-gate.md"
FIRST = Said("It closes at noon. [1]", (NORTH,))
REFUSED = Said("The documents don't hold an answer to this.", refused=True)


@pytest.mark.parametrize(
    ("expect", "good", "wrong"),
    [
        (
            "courtesy",
            [Said("You're welcome.", searched=False)],
            [
                REFUSED,
                FIRST,
                Said("You're welcome."),
                Said("不客气。", searched=False),
                Said("So " * 99, searched=False),
                Said("", searched=False),
            ],
        ),
        ("off-topic", [REFUSED], [FIRST]),
        (
            "about",
            [Said("North-gate, south-gate and one more."), Said("I know 3 documents.")],
            [REFUSED, Said("North-gate."), Said("It opens at 3. [1]", (NORTH,))],
        ),
        (
            "document",
            [FIRST, Said("Open from six. [1] It closes. [2] And so on. [3]", (NORTH, NORTH, SOUTH))],
            [REFUSED, Said("Noon."), Said("From eight. [1]", (SOUTH,)), Said("Both. [1] [2]", (NORTH, SOUTH))],
        ),
        (
            "more",
            [Said("It was painted by Ann Fell. [1]", (NORTH,))],
            [REFUSED, FIRST, Said("Red. It closes at noon. [1]", (NORTH,)), Said("Eight. [1]", (SOUTH,))],
        ),
        ("answer", [Said("By north-gate keepers.")], [REFUSED, Said("By keepers.")]),
        (
            "unclear",
            [REFUSED, Said("Which gate do you mean?"), Said("Please name the gate.", searched=False)],
            [FIRST, Said("At six?! [1]", (NORTH,)), Said("At six.")],
        ),
    ],
)  # fmt: skip
def test_each_kind_of_turn_is_judged_by_its_reply(
    base: KnowledgeBase, expect: Expected, good: list[Any], wrong: list[Any]
) -> None:
    facts = () if expect in ("courtesy", "off-topic", "about", "unclear") else ("north-gate",)
    dialogue = Dialogue("1", ("When does the north gate close?", "and then?"), expect, facts)
    with base:
        sources = base.sources()
        first: Any = FIRST
        assert [as_expected(dialogue, [first, reply], sources) for reply in good] == [True] * len(good)
        assert [as_expected(dialogue, [first, reply], sources) for reply in wrong] == [False] * len(wrong)


def test_what_is_named_about_the_base_is_enough(base: KnowledgeBase) -> None:
    newest = Dialogue("1", ("Which document is the newest?",), "about", ("south-gate",))
    with base:
        replies: list[Any] = [Said("It is south-gate.md."), Said("North-gate and crane, 3 in all.")]
        assert [as_expected(newest, [reply], base.sources()) for reply in replies] == [True, False]


def test_questions_and_dialogues_are_asked_and_misses_listed(base: KnowledgeBase, tmp_path: Path) -> None:
    folder = _asked(
        tmp_path / "everyday",
        "when is the north gate open\tfrom six\tnorth-gate\n"
        "painter of the north gate\tBob\tnorth-gate.md|south\n"
        "吊车多高\t120米|百米\t\n"
        "who won the cup\t\t\n",
        '{"turns": ["When does the south gate close?", "When is the north gate open?"],'
        ' "expect": "answer", "holds": "from six"}\n{"turns": ["gate?"], "expect": "courtesy"}\n',
    )
    with base:
        data = everyday_set(base, folder)
        painted, crane = data.questions[1:3]
        assert sorted(Path(path).name for path in painted.right) == ["north-gate.md", "south-gate.md"]
        assert (crane.right, crane.answers) == ({}, ("120米", "百米"))
        assert [question.text for question in data.unanswerable] == ["who won the cup"]
        assert [dialogue.expect for dialogue in data.dialogues] == ["answer", "courtesy"]
        found = evaluate(data, base, depths=(1,))
    (everyday,) = found.everyday
    assert (everyday.model, found.answers) == ("extract", ())
    assert everyday.shares["refused"].count == 3
    assert everyday.shares["holds the fact"].mean == pytest.approx(2 / 3), everyday.misses
    assert everyday.shares["right passage among 5"].mean == pytest.approx(2 / 3)
    assert everyday.shares["dialogues"].mean == 0.5
    assert everyday.shares["dialogues: answer"].mean == 1
    assert [(miss.turns, miss.expected) for miss in everyday.misses] == [
        (("painter of the north gate",), "Bob"),
        (("gate?",), "courtesy"),
    ]
    assert "painter of the north gate" in page([found])


@pytest.mark.parametrize(
    ("questions", "dialogues", "said"),
    [
        ("q\tf\tnobody.md\n", "", "questions.tsv, line 2: no file 'nobody.md'"),
        ("\tf\t\n", '{"turns": [], "expect": "answer"}\n', "dialogues.jsonl, line 1"),
        ("", '{"turns": ["Hi"], "expect": "joy"}\n', "dialogues.jsonl, line 1"),
        ("", '{"turns": "Hi", "expect": "courtesy"}\n', "dialogues.jsonl, line 1"),
    ],
)
def test_a_wrong_line_is_said_with_its_place(
    base: KnowledgeBase, tmp_path: Path, questions: str, dialogues: str, said: str
) -> None:
    with base, pytest.raises(DatasetError, match=said):
        everyday_set(base, _asked(tmp_path / "everyday", questions, dialogues))


def test_columns_without_names_are_said(base: KnowledgeBase, tmp_path: Path) -> None:
    folder = _asked(tmp_path / "everyday", "")
    (folder / "questions.tsv").write_text("when does it close\tnoon\tnorth-gate\n", encoding="utf-8")
    with base, pytest.raises(DatasetError, match="doesn't begin with question"):
        everyday_set(base, folder)


def test_kb_eval_of_a_folder_with_its_documents(
    tmp_path: Path, home: Path, remembering: RememberedEmbeddings
) -> None:
    del remembering
    folder = _asked(tmp_path / "mine", "when does the north gate close\tnoon\tnorth-gate\n")
    _written(folder / "documents")
    ended = kb("eval", folder, "--json", home=home)
    assert ended.code == 0, ended.stderr
    (found,) = ended.json
    (everyday,) = found["everyday"]
    assert everyday["shares"]["holds the fact"]["mean"] == 1
    assert not (home / "kbs" / "default").exists(), "one's own knowledge base is left alone"
    assert "everyday questions and dialogues answered by extract" in kb("eval", folder, home=home).stdout


FLOORS = {
    "right passage first": 0.86,
    "right passage among 5": 0.97,
    "holds the fact": 0.86,
    "dialogues": 0.93,
}
MOST_REFUSED = 0.09
"""A little under what quotes reach over sample_docs, and a little over. Raise the floors with what is reached."""


def test_everyday_figures_do_not_fall(sample_kb: KnowledgeBase) -> None:
    data = everyday_set(sample_kb, DATA / "everyday")
    assert len(data.answered) >= 24
    assert {dialogue.expect for dialogue in data.dialogues} == set(EXPECTED)
    found = measure_everyday(data.answered, data.dialogues, sample_kb, "extract")
    reached = {name: round(found.shares[name].mean, 3) for name in FLOORS}
    misses = "\n".join(f"{miss.turns} → {miss.expected}: {miss.answer}" for miss in found.misses)
    assert all(reached[name] >= floor for name, floor in FLOORS.items()), f"{reached}\n{misses}"
    assert found.shares["refused"].mean <= MOST_REFUSED, misses
