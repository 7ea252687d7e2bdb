"""A set made from the user's knowledge base: from a file of questions, or else from its headings."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

from kb_assistant.errors import DatasetError
from kb_assistant.evaluate.datasets import EvalSet, Question, parse_question, rows
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.messages import _

HEADINGS_NOTE = (
    "Questions were made of headings, which the passages carry themselves: recall is higher than for questions "
    "that people ask. Use it to compare settings and to notice what can't be found, not as a measure of quality."
)
FILE_NOTE = "A file counts as found where any passage of it is, even if the answer stands in another one."


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
    found = [path for path in known if path == end or path.endswith(f"/{end.removeprefix('./')}")]
    if not found:
        raise DatasetError(
            _("{place}: no file {file!r} is known.", place=place, file=end),
            _("`kb sources` lists the files that are."),
        )
    return found
