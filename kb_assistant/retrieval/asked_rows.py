"""Moves the reader's mark to the row of a table, or the item of a list, that a question names.

Rows are alike but for a word or a number, and a small reader easily takes one for another. They are compared by
the question's words that some of them have and others haven't, the rarer the heavier. The reader's own row stays
unless another one has more of them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from kb_assistant.text.analyzer import analyze, analyze_query

_IN_A_RULE = frozenset(" \t|:+-")
_ITEM = re.compile(r"\s*(?:[-*+•·‣▪]|\d{1,3}[.)、])\s")
_PIPE, _BAR = re.compile(r"(?<!\\)\|"), re.compile(r" \| ")

Span = tuple[int, int]


@dataclass(frozen=True)
class _Line:
    """A line of a passage.

    Attributes:
        kind: "row" of a Markdown table, "names" of its columns, "rule" below them, "named" for a row that repeats
            the names of its columns, "item" of a list, or "".
        start: Its place in the passage.
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def cells(self) -> list[Span]:
        """The places of its cells in the passage; of an item its own."""
        if self.kind == "named" and (named := _told_in_brackets(self.text)):
            first, last = named
            return list(_parted(self.text[first:last], self.start + first, _BAR))
        if self.kind in ("row", "names"):
            first = len(self.text) - len(self.text.lstrip().removeprefix("|"))
            return list(_parted(self.text[first:].rstrip().removesuffix("|"), self.start + first, _PIPE))
        return [(self.start, self.end)]


def asked_row(question: str, passage: str, answer: Span) -> Span:
    """The answer that the reader marked; or, where it lies in a row or an item though another one has more of the
    question's words, the same cell of that one. From among the names of the columns it moves to the row as well.

    >>> passage = "| Day | Dish |\\n| --- | --- |\\n| Monday | Soup |\\n| Friday | Pie |"
    >>> passage[slice(*asked_row("dish on friday?", passage, (40, 44)))]
    'Pie'

    Args:
        answer: Start and end in characters of the passage.
    """
    for lines in _alike(passage):
        held = next((line for line in lines if line.start <= answer[0] < line.end), None)
        if held is None:
            continue
        rows = [line for line in lines if line.kind != "names"]
        best = _best(question, rows, held)
        return answer if best is None else _same_cell(passage, held, best, answer)
    return answer


def in_rows(passage: str, place: int) -> bool:
    """Whether a place is in a table or a list, where what is alike isn't a second answer."""
    return any(lines[0].start <= place < lines[-1].end for lines in _alike(passage))


def _best(question: str, rows: Sequence[_Line], held: _Line) -> _Line | None:
    """The row with most of the question's telling words, if it has more than the one that is held."""
    asked = set(analyze_query(question))
    terms = [asked & set(analyze(row.text)) for row in rows]
    spread = Counter(term for row in terms for term in row)
    scores = [math.fsum(math.log(len(rows) / spread[term]) for term in row) for row in terms]
    most = max(scores, default=0.0)
    if not most or (held.kind != "names" and scores.count(most) > 1):
        return None
    own = scores[rows.index(held)] if held in rows else 0.0
    if own >= most or (held.kind == "item" and own):
        return None
    return rows[scores.index(most)]


def _same_cell(passage: str, held: _Line, best: _Line, answer: Span) -> Span:
    """The cell in the column of the answer. A row that repeats its columns' names may lack cells before that, so
    the answer is looked for among them."""
    cells, places = best.cells, held.cells
    words = passage[slice(*answer)]
    inside = [n for n, (start, end) in enumerate(places) if start <= answer[0] < end]
    told = [n for n, (start, end) in enumerate(places) if words in passage[start:end]]
    behind = [n for n, (_, end) in enumerate(places) if answer[0] < end]
    place = (inside or told or behind or [0])[0]
    return cells[min(place, len(cells) - 1)]


def _alike(passage: str) -> Iterator[list[_Line]]:
    """The tables and lists of a passage, as their lines; the names of a table's columns come with it."""
    for kind, group in groupby(_lines(passage), key=lambda line: "row" if line.kind == "rule" else line.kind):
        lines = list(group)
        if kind == "row" and len(lines) > 1 and lines[1].kind == "rule":
            lines = [_Line("names", lines[0].text, lines[0].start), *lines[2:]]
        if kind:
            yield [line for line in lines if line.kind != "rule"]


def _lines(passage: str) -> Iterator[_Line]:
    start = 0
    for whole in passage.splitlines(keepends=True):
        text = whole.rstrip("\r\n")
        yield _Line(_kind(text), text, start)
        start += len(whole)


def _kind(line: str) -> str:
    if "|" in line and "-" in line and _IN_A_RULE.issuperset(line):
        return "rule"
    if _told_in_brackets(line):
        return "named"
    if _ITEM.match(line):
        return "item"
    return "row" if "|" in line else ""


def _told_in_brackets(line: str) -> Span | None:
    """Where a line tells its cells with the names of their columns, in the brackets that end it: `(Day: Monday |
    Dish: Soup)`. Read from the end, once: documents are anybody's."""
    last, depth = len(line.rstrip()) - 1, 0
    for place in range(last, -1, -1):
        depth += (line[place] == ")") - (line[place] == "(")
        if not depth:
            told = line[place + 1 : last]
            return (place + 1, last) if place < last and ": " in told.partition(" | ")[0] else None
    return None


def _parted(text: str, start: int, by: re.Pattern[str]) -> Iterator[Span]:
    """The places of the parts of a text, without the space around them."""
    place = 0
    for mark in [*by.finditer(text), None]:
        end = mark.start() if mark else len(text)
        part = text[place:end]
        first = place + len(part) - len(part.lstrip())
        yield start + first, start + max(first, place + len(part.rstrip()))
        place = mark.end() if mark else end
