"""Marks `[n]` in a text: finds the numbered brackets that point to a passage, and removes them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from kb_assistant.text.analyzer import is_cjk
from kb_assistant.text.code_mask import masked

MOST_PASSAGES = 99
"""Largest number that may name a passage if the number of passages is unknown."""

BLANK = r"[^\S\n]"
BRACKET = rf"{BLANK}*[\[【]{BLANK}*\d{{1,3}}(?:{BLANK}*[,，、]{BLANK}*\d{{1,3}})*{BLANK}*[\]】]"
"""One or more numbers in brackets, with the preceding blanks."""

BRACKETS = re.compile(BRACKET)


def unmarked(answer: str, cited: Collection[int] | None = None) -> str:
    """A checked answer without its marks, which are meaningless in another prompt or without the passages.

    Args:
        cited: The numbers of its citations; None if unknown: then any number up to MOST_PASSAGES may be one.
    """
    kept, last = "", 0
    for start, end, _ in marks_in(masked(answer), range(1, MOST_PASSAGES + 1) if cited is None else cited):
        kept, last = kept + answer[last:start], end
    return kept + answer[last:]


def marks_in(mask: str, passages: Collection[int]) -> Iterator[tuple[int, int, list[int]]]:
    """Start, end and numbers of each mark of a masked text; preceding blanks belong to the mark."""
    last = -1
    for bracket in BRACKETS.finditer(mask):
        before = "" if bracket.start() == last else mask[bracket.start() - 1 : bracket.start()]
        if numbers := numbers_of(bracket[0], before, passages):
            last = bracket.end()
            yield bracket.start(), last, numbers


def numbers_of(bracket: str, before: str, passages: Collection[int]) -> list[int]:
    """The passages that a bracket with numbers cites; none if it is text.

    If a model names one passage too many, the others are cited; a bracket with an impossible number, such as [0,
    1], is an interval.

    Args:
        before: The character before it; "" at the beginning, and after another mark.
        passages: The numbers of passages.
    """
    numbers = list(dict.fromkeys(map(int, re.findall(r"\d+", bracket))))
    if (bracket[0] == "[" and binds(before)) or not all(0 < n <= MOST_PASSAGES or n in passages for n in numbers):
        return []
    return [n for n in numbers if n in passages]


def binds(before: str) -> bool:
    """Whether a bracket directly after the character belongs to it, as in `rows[0]` or `f(x)[1]`. Chinese,
    Japanese and Korean have no blank before a mark."""
    return before in (")", "]", "_") or (before.isalnum() and not is_cjk(before))
