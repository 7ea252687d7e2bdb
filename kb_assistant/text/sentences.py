"""Splits text into sentences, in Chinese and English, from prose, lists, tables, code and wrapped PDF lines.

A sentence is a unit that can be quoted by itself. Not done here: ranking, repair of broken text.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from kb_assistant.text.boundaries import ENTRY, SENTENCE, cuts_of, is_dated

_OWN_LINE = re.compile(
    r"\s*(?:[-*+•·‣▪]\s|\d{1,3}[.)、]\s*\D|[（(]?[一二三四五六七八九十]{1,3}[)）、]|#{1,6}\s|.*\|\s)"
)
_MARKER = re.compile(r"\A\s*(?:[-*+•·‣▪]\s+|#{1,6}\s+)")
_QUOTED = re.compile(r"\s{0,3}(?:>\s?)+")
_TABLE_RULE = re.compile(r"[\s|:+=-]*")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_STANDS_ALONE = re.compile(r"\s*[|#]|.* \| |.*[;{}]\s*$")
# What PDF readers leave where a word was broken at a line's end.
_SOFT_HYPHENS = ("\xad", "\x02", "\ufffe")
# Narrower lines count as separate lines, not as wrapped prose; so do those that would be narrower than this share
# of the next line even with its first word.
_WRAPPED_COLUMNS = 40
_WRAPPED_SHARE = 0.75


def sentences(text: str) -> list[str]:
    """The sentences of `text` in order. List items, dated entries, table rows, lines of code and headings count as
    sentences.

    >>> sentences("The pump\\nfailed. 水泵坏了。换新的！")
    ['The pump failed.', '水泵坏了。', '换新的！']
    """
    found: list[str] = []
    for unit, is_code in _units(text):
        found += [unit.strip()] if is_code else _split(_MARKER.sub("", unit, count=1))
    return [sentence for sentence in found if any(map(str.isalnum, sentence))]


def _units(text: str) -> list[tuple[str, bool]]:
    """Paragraphs, list items, rows and lines of code; wrapped lines are joined."""
    units: list[tuple[str, bool]] = []
    fenced = open_end = False
    before = ""  # the line before
    depth = 0  # of quotes, as of a mail in its answer
    for whole in text.expandtabs(4).splitlines():
        quoted = None if fenced else _QUOTED.match(whole)
        line = whole[quoted.end() :] if quoted else whole
        if (now := quoted[0].count(">") if quoted else 0) != depth:
            depth, open_end = now, False
        if _FENCE.match(line):
            fenced, open_end = not fenced, False
        elif not line.strip():
            open_end = False
        elif fenced or (line.startswith("    ") and not open_end and not _OWN_LINE.match(line)):
            units.append((line, True))
            open_end = False
        elif not _TABLE_RULE.fullmatch(line):
            if open_end and not _OWN_LINE.match(line) and _goes_on(before, line) and not _are_entries(units, line):
                units[-1] = (_join(units[-1][0], line), False)
            else:
                units.append((line, False))
            open_end = _columns(line) >= _WRAPPED_COLUMNS and not _STANDS_ALONE.match(line)
            before = line
    return units


def _are_entries(units: list[tuple[str, bool]], line: str) -> bool:
    """Whether a line and the unit before it are entries of a log."""
    return is_dated(line) and is_dated(units[-1][0])


def _goes_on(before: str, line: str) -> bool:
    """Whether a line was broken because the first word of the next one didn't fit."""
    first = line.split(maxsplit=1)[0]
    first = first[0] if _is_wide(first[0]) else first
    return _columns(before) + 1 + _columns(first) >= _WRAPPED_SHARE * _columns(line)


def _join(before: str, after: str) -> str:
    before, after = before.rstrip(), after.strip()
    if before.endswith(_SOFT_HYPHENS):
        return before[:-1] + after
    tight = before.endswith("-") or _is_wide(before[-1]) or _is_wide(after[0])
    return before + ("" if tight else " ") + after


def _split(paragraph: str) -> list[str]:
    cuts = [
        0,
        *(offset for offset, rank in cuts_of(paragraph, "prose") if rank in (ENTRY, SENTENCE)),
        len(paragraph),
    ]
    return [sentence for start, end in pairwise(cuts) if (sentence := paragraph[start:end].strip())]


def _columns(text: str) -> int:
    return sum(2 if _is_wide(character) else 1 for character in text.strip())


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
