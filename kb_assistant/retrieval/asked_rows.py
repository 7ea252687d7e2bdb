"""Moves the reader's mark to the row of a table, or the item of a list, that a question names.

Rows are alike but for a word or a number, and a small reader easily takes one for another. They are compared by
the question's words that some of them have and others haven't, the rarer the heavier. The reader's own row stays
unless another one has more of them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from kb_assistant.text.analyzer import analyze, analyze_query
from kb_assistant.text.rows import Row, Span, tables_and_lists

_BOTH = 2
"""So many rows with the same words are told together: the primers of a mixture, the two shifts of a role."""


def asked_row(question: str, passage: str, answer: Span, before: str = "") -> Span:
    """The first of asked_rows.

    >>> passage = "| Day | Dish |\\n| --- | --- |\\n| Monday | Soup |\\n| Friday | Pie |"
    >>> passage[slice(*asked_row("dish on friday?", passage, (40, 44)))]
    'Pie'
    """
    return asked_rows(question, passage, answer, before)[0]


def asked_rows(question: str, passage: str, answer: Span, before: str = "") -> list[Span]:
    """The answer that the reader marked; or, where it lies in a row or an item though another one has more of the
    question's words, the same cell of that one; of two rows that have as many, if it has none, of both. From among
    the names of the columns it moves to the row as well.

    Args:
        answer: Start and end in characters of the passage.
        before: The question of the turn before, which tells the row where this one has no word that does: "and
            for members?", "who runs it?".
    """
    for lines in tables_and_lists(passage):
        held = next((line for line in lines if line.start <= answer[0] < line.end), None)
        if held is None:
            continue
        rows = [line for line in lines if line.kind != "names"]
        asked = question
        scores = _scores(asked, rows)
        if before and not any(scores):
            asked, scores = before, _scores(before, rows)
        best = [row for row in _best(scores, rows, held) if not row.is_item or _named(asked, row)]
        return [_same_cell(passage, held, row, answer) for row in best] or [answer]
    return [answer]


def in_rows(passage: str, place: int) -> bool:
    """Whether a place is in a table or a list, where what is alike isn't a second answer."""
    return any(lines[0].start <= place < lines[-1].end for lines in tables_and_lists(passage))


def _scores(question: str, rows: Sequence[Row]) -> list[float]:
    """What each row has of the question's words that not all rows have, the rarer the heavier."""
    asked = set(analyze_query(question))
    terms = [asked & set(analyze(row.text)) for row in rows]
    spread = Counter(term for row in terms for term in row)
    return [math.fsum(math.log(len(rows) / spread[term]) for term in row) for row in terms]


def _named(question: str, row: Row) -> bool:
    """Whether a row has a third of the question's words: an item is about much, and may have one by chance."""
    asked = set(analyze_query(question))
    return 3 * len(asked & set(analyze(row.text))) >= len(asked)


def _best(scores: Sequence[float], rows: Sequence[Row], held: Row) -> list[Row]:
    """The row that has most, if it has more than the one that is held; two, if that one has nothing."""
    most = max(scores, default=0.0)
    own = scores[rows.index(held)] if held in rows else 0.0
    best = [row for row, score in zip(rows, scores, strict=True) if score == most]
    if own >= most or (held.is_item and 2 * own > most):
        return []
    if held.kind == "names":
        return best[:1]
    return best if len(best) == 1 or (len(best) == _BOTH and not own and not held.is_item) else []


def _same_cell(passage: str, held: Row, best: Row, answer: Span) -> Span:
    """The cell in the column of the answer. A row that repeats its columns' names may lack cells before that, so
    the answer is looked for among them."""
    cells, places = best.cells, held.cells
    words = passage[slice(*answer)]
    inside = [n for n, (start, end) in enumerate(places) if start <= answer[0] < end]
    told = [n for n, (start, end) in enumerate(places) if words in passage[start:end]]
    behind = [n for n, (_, end) in enumerate(places) if answer[0] < end]
    place = (inside or told or behind or [0])[0]
    return cells[min(place, len(cells) - 1)]
