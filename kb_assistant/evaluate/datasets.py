"""Sets of documents, questions and judgements, in BEIR's format (Thakur et al., NeurIPS 2021) with conversations.

A set is a folder with corpus.jsonl (id, text, perhaps title), queries.jsonl (id, text, perhaps history, rewrite,
answers, labels, answerable) and qrels.tsv (question, document, score; a header line). BEIR's own names, `_id` and
qrels/test.tsv, are accepted too. unjudged.jsonl, if present, holds questions that the documents don't answer.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from kb_assistant.answering.history import turns
from kb_assistant.errors import DatasetError, QuestionError
from kb_assistant.messages import _
from kb_assistant.types import Turn

Expected = Literal["courtesy", "off-topic", "about", "document", "more", "answer", "unclear"]
"""What the last turn of a dialogue should bring: see everyday.py."""

EXPECTED: tuple[Expected, ...] = get_args(Expected)

_Asked = TypeVar("_Asked")

_LATER = 4
"""Turns from this one on form one group."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a set.

    Attributes:
        history: The turns before it, oldest first.
        rewrite: The question as a person rewrote it to be understood without earlier turns; "" if nobody did.
        answers: Reference answers.
        labels: The set's labels of it, such as its type.
        right: Relevance, above 0, of the documents that answer it, by id.
        answerable: False if the set says that no document answers it.
        context: Id of the document that it was written for, if the set tells; "" otherwise.
        conversation: Equal for all questions of one conversation.
    """

    id: str
    text: str
    history: tuple[Turn, ...] = ()
    rewrite: str = ""
    answers: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    right: Mapping[str, int] = field(default_factory=dict)
    answerable: bool = True
    context: str = ""
    conversation: str = ""

    @property
    def turn(self) -> int:
        """Its position in its conversation, from 1."""
        return 1 + sum(bool(turn.question) for turn in self.history)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups in which it counts: its turn and each label, as "turn 2", "multi_turn: Follow-up"."""
        turn = f"turn {self.turn}" if self.turn < _LATER else f"turn {_LATER} and later"
        return (turn, *(f"{label}: {value}" for label, value in self.labels.items()))


@dataclass(frozen=True, slots=True)
class EvalDocument:
    """One document of a set."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns to be asked one after another; the reply to the last is judged.

    Attributes:
        holds: What the reply holds, or the document that it is about, in one of these forms.
    """

    id: str
    turns: tuple[str, ...]
    expect: Expected
    holds: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvalSet:
    """A set in a folder. Documents are read from disk on every request, because there may be many.

    Attributes:
        everyday: Whether the questions' `answers` are facts that the answer must hold, not reference answers.
    """

    folder: Path
    questions: tuple[Question, ...]
    dialogues: tuple[Dialogue, ...] = ()
    everyday: bool = False

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def corpus(self) -> Path:
        return self.folder / "corpus.jsonl"

    def documents(self) -> Iterator[EvalDocument]:
        """The documents in file order.

        Raises:
            DatasetError: a line has the wrong form.
        """
        for number, row in rows(self.corpus):
            place = _("{path}, line {line}", path=self.corpus, line=number)
            yield EvalDocument(_id(row, place), str(row.get("title") or ""), _text(row, place))

    @cached_property
    def judged(self) -> tuple[Question, ...]:
        """The questions with a right document."""
        return tuple(question for question in self.questions if question.right)

    @cached_property
    def answered(self) -> tuple[Question, ...]:
        """The questions that the documents answer and that have a reference answer."""
        return tuple(question for question in self.questions if question.answers and question.answerable)

    @cached_property
    def unanswerable(self) -> tuple[Question, ...]:
        """The questions that no document answers."""
        return tuple(question for question in self.questions if not question.answerable)


def read_set(folder: Path) -> EvalSet:
    """The set in a folder.

    Raises:
        DatasetError: a file is missing, or a line has the wrong form; the message says which.
    """
    if not (folder / "corpus.jsonl").is_file():
        raise DatasetError(
            _("{folder} holds no corpus.jsonl.", folder=folder),
            _("`kb eval --help` tells what a set consists of."),
        )
    right = _judgements(folder)
    questions = [
        parse_question(
            row, _("{path}, line {line}", path=folder / "queries.jsonl", line=number), right.get(_name(row), {})
        )
        for number, row in rows(folder / "queries.jsonl")
    ]
    extra = folder / "unjudged.jsonl"
    if extra.is_file():
        questions += [
            parse_question({**row, "answerable": False}, _("{path}, line {line}", path=extra, line=n), {})
            for n, row in rows(extra)
        ]
    return EvalSet(folder.resolve(), tuple(questions))


def spread(questions: Sequence[_Asked], limit: int | None) -> tuple[_Asked, ...]:
    """At most `limit` of them, evenly spread; all without a limit."""
    count = len(questions) if limit is None else min(limit, len(questions))
    return tuple(questions[place * len(questions) // count] for place in range(count))


def _judgements(folder: Path) -> dict[str, dict[str, int]]:
    files = [folder / "qrels.tsv", folder / "qrels" / "test.tsv"]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise DatasetError(
            _("{folder} holds no qrels.tsv.", folder=folder),
            _("It has a line for each right document of a question."),
        )
    right: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for number, line in enumerate(lines(file), start=1):
        cells = line.split("\t")
        try:
            question, document, score = cells[0], cells[-2], float(cells[-1])
        except (IndexError, ValueError):
            if number > 1:  # the first line is the header
                raise DatasetError(
                    _("{path}, line {line} isn't a question, a document and a score.", path=file, line=number),
                    _("Part them by tabs."),
                ) from None
            continue
        if score > 0:
            right[question][document] = max(1, round(score))
    return dict(right)


def parse_question(row: Mapping[str, Any], place: str, right: Mapping[str, int]) -> Question:
    """A question from its line; `place` is the line's position.

    Raises:
        DatasetError: it has the wrong form.
    """
    name, text = _id(row, place), _text(row, place)
    messages = row.get("history") or []
    answers = row.get("answers") or []
    try:
        history = turns(messages)
        labels = {str(key): str(value) for key, value in (row.get("labels") or {}).items()}
        opening = messages[0]["text"] if messages else text
    except (QuestionError, AttributeError, TypeError, KeyError) as error:
        raise DatasetError(
            _("{place}: {reason}", place=place, reason=error),
            _('Labels are an object, history is [{{"role", "text"}}, …].'),
        ) from error
    return Question(
        id=name,
        text=text,
        history=history,
        rewrite=str(row.get("rewrite") or ""),
        answers=tuple(answers) if isinstance(answers, list) else (str(answers),),
        labels=labels,
        right=right,
        answerable=bool(row.get("answerable", True)),
        context=str(row.get("context_id") or ""),
        conversation=opening,
    )


def _id(row: Mapping[str, Any], place: str) -> str:
    name = _name(row)
    if not name:
        raise DatasetError(_("{place} has no id.", place=place), _("Give each line an id of its own."))
    return name


def _name(row: Mapping[str, Any]) -> str:
    name = row.get("id", row.get("_id"))
    return str(name) if isinstance(name, str | int) else ""


def _text(row: Mapping[str, Any], place: str) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise DatasetError(_("{place} has no text.", place=place), _('Each line is {{"id": …, "text": …}}.'))
    return text


def rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lines of JSON objects with their numbers, from 1."""
    for number, line in enumerate(lines(file), start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise DatasetError(
                _("{path}, line {line} isn't a JSON object.", path=file, line=number),
                _("Write one object a line."),
            )
        yield number, row


def lines(file: Path) -> Iterator[str]:
    """The lines of a text file that aren't empty, without their ends."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            yield from (line.rstrip("\n") for line in opened if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            _("{path} can't be read: {reason}.", path=file, reason=error), _("It must be a text file in UTF-8.")
        ) from error
