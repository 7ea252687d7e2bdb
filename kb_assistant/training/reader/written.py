"""Short documents with questions on them, written for the training of the reader, in a plain text format.

A file holds blocks. A block starts with a line `=== language | title > heading`; the document's text follows,
then a line `---`, then a line a question:

    ? question => answer             the answer stands so in the text
    ! question                       seems to be answered by the text, and isn't
    ~ question                       on the wider subject, which the text says nothing of
    > question || question => answer a question after another; the answer is `-` where the text holds none
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.datasets import EvalDocument, EvalSet, Question, read_set
from kb_assistant.messages import _
from kb_assistant.text.sentences import sentences
from kb_assistant.types import Turn

WIDER = {"subject": "wider"}
"""Labels of a question that the document isn't about."""


@dataclass(frozen=True, slots=True)
class WrittenSet:
    """Documents, and the questions on them."""

    texts: tuple[EvalDocument, ...]
    questions: tuple[Question, ...]

    def documents(self) -> Iterator[EvalDocument]:
        return iter(self.texts)


def open_set(folder: Path) -> EvalSet | WrittenSet:
    """The set in a folder: of text files in the form above, or in BEIR's form."""
    files = sorted(folder.glob("*.txt"))
    return read_written(files) if files else read_set(folder)


def read_written(files: Sequence[Path]) -> WrittenSet:
    """The documents of all files, and their questions.

    Raises:
        DatasetError: a block or a line has the wrong form, or an answer doesn't stand in the text.
    """
    documents, questions = list[EvalDocument](), list[Question]()
    for file in files:
        for number, block in enumerate(re.split(r"(?m)^=== ?", file.read_text("utf-8"))[1:], 1):
            head, _newline, rest = block.partition("\n")
            text, rule, lines = rest.partition("\n---\n")
            if not rule or "|" not in head:
                raise DatasetError(_("{path}: document {number} has the wrong form", path=file, number=number))
            heading = head.partition("|")[2].strip()
            document = EvalDocument(f"{file.stem}-{number}", heading, text.strip("\n"))
            documents.append(document)
            questions += _questions(document, [line.strip() for line in lines.splitlines() if line.strip()])
    return WrittenSet(tuple(documents), tuple(questions))


def _questions(document: EvalDocument, lines: list[str]) -> Iterator[Question]:
    asked = {
        line[1:].rpartition("=>")[0].strip(): line.rpartition("=>")[2].strip() for line in lines if line[0] == "?"
    }
    turns = [_turn(question, answer, document) for question, answer in asked.items()]
    for number, line in enumerate(lines):
        kind, said = line[0], line[1:].strip()
        name = f"{document.id}-{number}"
        if kind == "!":
            yield _unanswered(document, name, said)
        elif kind == "~":
            yield _unanswered(document, name, said, labels=WIDER)
            if turns:
                yield _unanswered(document, f"{name}-later", said, (turns[number % len(turns)],), WIDER)
        elif kind in "?>" and "=>" in said:
            yield _answered(document, name, said, asked)
        else:
            raise DatasetError(_("{path}: a line has the wrong form: {line}", path=document.id, line=line))


def _answered(document: EvalDocument, name: str, said: str, asked: dict[str, str]) -> Question:
    question, _arrow, answer = (part.strip() for part in said.rpartition("=>"))
    before, _bars, last = (part.strip() for part in question.rpartition("||"))
    history = (_turn(before, asked.get(before, ""), document),) if before else ()
    if answer == "-":
        return _unanswered(document, name, last, history)
    if answer not in document.text:
        raise DatasetError(_("{path}: a line has the wrong form: {line}", path=document.id, line=said))
    return Question(name, last, history, answers=(answer,), right={document.id: 1}, context=document.id)


def _unanswered(
    document: EvalDocument,
    name: str,
    text: str,
    history: tuple[Turn, ...] = (),
    labels: dict[str, str] | None = None,
) -> Question:
    return Question(name, text, history, labels=labels or {}, answerable=False, context=document.id)


def _turn(question: str, answer: str, document: EvalDocument) -> Turn:
    """The question, with the sentence that answers it."""
    said = next((one for one in sentences(document.text) if answer and answer in one), "")
    return Turn(question, said)
