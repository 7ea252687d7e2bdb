"""A set for the user's documents: everyday questions and dialogues, a file of questions, or else the headings."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.datasets import EXPECTED, Dialogue, EvalSet, Question, lines, parse_question, rows
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.messages import _

QUESTIONS, DIALOGUES, DOCUMENTS = "questions.tsv", "dialogues.jsonl", "documents"
"""The files of a folder with everyday questions and dialogues, and perhaps the folder of their documents."""

HEADINGS_NOTE = _(
    "Questions were made of headings, which the passages carry themselves: recall is higher than for questions "
    "that people ask. Use it to compare settings and to notice what can't be found, not as a measure of quality."
)
FILE_NOTE = _("A file counts as found where any passage of it is, even if the answer stands in another one.")


def own_set(kb: KnowledgeBase, file: Path | None) -> EvalSet:
    """Questions to the files of a knowledge base.

    Args:
        file: Lines of {"text": question, "source": path or list of paths}, with any other field of queries.jsonl.
            The end of a path is enough. None makes a question of each heading.

    Raises:
        DatasetError: a line has the wrong form or names a file that isn't known, or there are no headings.
        StoreError: there is no such knowledge base.
    """
    questions = _asked(kb, file) if file else _headings(kb)
    if not questions:
        raise DatasetError(
            _("The files in {name!r} have no headings to make questions of.", name=kb.settings.kb),
            _('Give a file of questions: lines of {{"text": …, "source": …}}.'),
        )
    return EvalSet(kb.settings.kb_dir, questions)


def is_everyday(folder: Path) -> bool:
    """Whether a folder holds everyday questions or dialogues."""
    return (folder / QUESTIONS).is_file() or (folder / DIALOGUES).is_file()


def everyday_set(kb: KnowledgeBase, folder: Path) -> EvalSet:
    """Everyday questions and dialogues with the documents of a knowledge base.

    Args:
        folder: Holds questions.tsv (columns question, must_hold, source; "|" parts what is as good),
            dialogues.jsonl (lines of {"id", "turns", "expect", "holds"}), or both. A source is the end of a path,
            or part of a file's name; a question with neither source nor must_hold should be refused.

    Raises:
        DatasetError: a line has the wrong form or names a file that isn't known.
    """
    known = [source.path for source in kb.sources()]
    questions = tuple(_everyday_questions(folder / QUESTIONS, known)) if (folder / QUESTIONS).is_file() else ()
    dialogues = tuple(_dialogues(folder / DIALOGUES)) if (folder / DIALOGUES).is_file() else ()
    return EvalSet(folder.resolve(), questions, dialogues, everyday=True)


def _everyday_questions(file: Path, known: list[str]) -> Iterator[Question]:
    table = csv.DictReader(lines(file), delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
    if not {"question", "must_hold", "source"} <= set(table.fieldnames or ()):
        raise DatasetError(
            _("{path} doesn't begin with question, must_hold and source.", path=file),
            _("Part them by tabs; a question follows on each line."),
        )
    for number, row in enumerate(table, start=2):
        place = _("{path}, line {line}", path=file, line=number)
        facts, ends = _either(row["must_hold"]), _either(row["source"])
        right = {path: 1 for end in ends for path in _ending(known, end, place)}
        parsed = {"id": str(number), "text": row["question"], "answers": facts, "answerable": bool(facts or ends)}
        yield parse_question(parsed, place, right)


def _dialogues(file: Path) -> Iterator[Dialogue]:
    for number, row in rows(file):
        turns, held = row.get("turns"), row.get("holds") or ""
        expect = next((kind for kind in EXPECTED if kind == row.get("expect")), None)
        if expect is None or not isinstance(held, str) or not isinstance(turns, list) or not _are_texts(turns):
            raise DatasetError(
                _("{path}, line {line} isn't a dialogue.", path=file, line=number),
                _('It is {{"turns": [text, …], "expect": one of {kinds}, "holds": text}}.',
                  kinds=", ".join(EXPECTED)),
            )  # fmt: skip
        yield Dialogue(str(row.get("id", number)), tuple(turns), expect, tuple(_either(held)))


def _are_texts(turns: list[Any]) -> bool:
    return bool(turns) and all(isinstance(turn, str) and turn.strip() for turn in turns)


def _either(cell: str) -> list[str]:
    return [part.strip() for part in cell.split("|") if part.strip()]


def _headings(kb: KnowledgeBase) -> tuple[Question, ...]:
    """Each heading with its path, and the files that contain it."""
    right: defaultdict[str, dict[str, int]] = defaultdict(dict)
    with kb.store.read() as snapshot:
        for source in snapshot.sources():
            for chunk in snapshot.chunks_of_source(source.path):
                if chunk.locator.heading:
                    right[" ".join(chunk.locator.heading.split(" > ")[-2:])][source.path] = 1
    return tuple(
        Question(id=text, text=text, right=files, conversation=text) for text, files in sorted(right.items())
    )


def _asked(kb: KnowledgeBase, file: Path) -> tuple[Question, ...]:
    known = [source.path for source in kb.sources()]
    questions = []
    for number, row in rows(file):
        place = _("{path}, line {line}", path=file, line=number)
        named = row.get("source") or []
        ends = [named] if isinstance(named, str) else named
        if not isinstance(ends, list) or not all(isinstance(end, str) for end in ends):
            raise DatasetError(
                _("{place}: source is {value}.", place=place, value=json.dumps(named)),
                _("It is a path or a list of paths."),
            )
        right = {path: 1 for end in ends for path in _ending(known, end, place)}
        questions.append(parse_question({"id": str(number), "answerable": bool(right), **row}, place, right))
    return tuple(questions)


def _ending(known: list[str], end: str, place: str) -> list[str]:
    """The files that are meant by the end of a path, or else by a part of their names."""
    found = [path for path in known if path == end or path.endswith(f"/{end.removeprefix('./')}")]
    found = found or [path for path in known if end in Path(path).stem]
    if not found:
        raise DatasetError(
            _("{place}: no file {file!r} is known.", place=place, file=end),
            _("`kb sources` lists the files that are."),
        )
    return found
