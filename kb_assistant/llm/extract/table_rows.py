"""Rows of a passage's tables as quotes: with the names of their columns; and which row is asked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate

from kb_assistant.text.analyzer import analyze, analyze_query
from kb_assistant.text.rows import Row, row_of, tables_and_lists

_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
_ORDINALS = dict(
    zip("first second third fourth fifth sixth seventh eighth ninth tenth".split(), range(1, 11), strict=True)
)
_CHINESE = re.compile(
    r"(?:第|周|星期)([一二三四五六七八九十])|([一二三四五六七八九十])(?:季度|月|号|班|组|期|区|层|楼)"
)
_DIGITS = "一二三四五六七八九十"


@dataclass(frozen=True)
class Table:
    """A table of a passage that has names of its columns.

    Attributes:
        start: Its place in the passage.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    start: int

    def told(self, row: Sequence[str]) -> str:
        """
        >>> Table(["Day", "Dish"], [["Monday", "Soup"]], 0).told(["Monday", "Soup"])
        'Day: Monday | Dish: Soup'
        """
        named = [f"{name}: {cell}" if name else cell for name, cell in zip(self.names, row, strict=False) if cell]
        return " | ".join(named)


def tables(passage: str) -> list[Table]:
    """The tables with a row of names."""
    return [
        Table(first.texts, [_values(row, first.texts) for row in rows], first.start)
        for first, *rows in tables_and_lists(passage)
        if first.kind == "names"
    ]


def _values(row: Row, names: Sequence[str]) -> Sequence[str]:
    """The cells of a row, without names that it repeats."""
    named = {name: row.text[start - row.start : end - row.start] for name, (start, end) in row.named}
    return [named.get(name, "") for name in names] if named else row.texts


def row_told(sentence: str, passage: str, question: str, characters: int) -> list[str]:
    """A sentence that is a row of a table with the names of its columns, once; in place of the names themselves
    the row that is asked for, else as many as there is room for. Any other sentence as it is."""
    if "|" not in sentence:
        return [sentence]
    row = row_of(sentence)
    if row.kind == "named":
        return [" | ".join(row.texts)]
    for table in tables(passage):
        if row.texts == table.names and table.rows:
            return _asked(table, question) or _fitting(table, characters)
        if row.texts in table.rows:
            return [table.told(row.texts)]
    return [sentence]


def rows_under(sentence: str, passage: str, question: str, characters: int) -> list[str]:
    """The row that is asked for in the table right under a sentence that announces one; if none stands out, all
    rows if there is room for them."""
    for table in tables(passage):
        above = passage[: table.start].rstrip().rpartition("\n")[2]
        if not above.rstrip(" *_").endswith(sentence.rstrip(" *_")) or not table.rows:
            continue
        every = [table.told(row) for row in table.rows]
        return _asked(table, question) or (every if sum(map(len, every)) <= characters else [])
    return []


def _asked(table: Table, question: str) -> list[str]:
    """The row with most of the question's words and numbers, if it is the only one."""
    words, numbers = set(analyze_query(question)), _numbers(question)
    scores = [_matches(row, words, numbers) for row in table.rows]
    best = max(scores)
    return [table.told(table.rows[scores.index(best)])] if best and scores.count(best) == 1 else []


def _fitting(table: Table, characters: int) -> list[str]:
    """The first rows that fit, one at least."""
    every = [table.told(row) for row in table.rows]
    lengths = list(accumulate(map(len, every)))
    return every[: max(1, sum(length <= characters for length in lengths))]


def _matches(row: Sequence[str], words: Collection[str], numbers: Collection[str]) -> int:
    """How many of the question's words and numbers a row holds; its first cell counts twice."""
    held = [len(set(words) & set(analyze(cell))) + (cell.strip(" .") in numbers) for cell in row]
    return sum(held) + sum(held[:1])


def _numbers(question: str) -> set[str]:
    """The numbers of a question, also those of Q4, of "third" and of 第三."""
    found = set(_NUMBERS.findall(question))
    found |= {str(_ORDINALS[word]) for word in re.findall(r"[a-z]+", question.lower()) if word in _ORDINALS}
    found |= {str(_DIGITS.index(one or other) + 1) for one, other in _CHINESE.findall(question)}
    return found
