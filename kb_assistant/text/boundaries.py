"""Where a text may be cut, in Chinese and English, and how good each place is.

A cut is an offset and its kind, smaller is better. Closing quotes go with the sentence, white space with the text
before it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from kb_assistant.types import Kind

PARAGRAPH, SENTENCE, LINE, CLAUSE, WORD, FORCED = range(6)
"""Kinds of cut: between blocks and paragraphs, sentences or list items, lines of code and tables; and where a
sentence or line alone is too long, between clauses, words, and anywhere."""

_CLOSERS = r"[\"'”’»」』）】》〉\)\]]"
_STOP = rf"(?:[。！？；…．]++|(?<![.!?])[.!?]++(?={_CLOSERS}*+(?:\s|\Z))){_CLOSERS}*+"
_ITEM = r"(?=[^\S\n]*+(?:[-*+•]\s|\d{1,3}(?:[.)]\s|、)|[（(]?[一二三四五六七八九十]{1,3}[)）、]))"
_STOPS = re.compile(
    rf"{_STOP}\s*+"  # end of a sentence
    r"|\n[^\S\n]*+\n\s*+"  # blank line
    rf"|\n{_ITEM}"  # list item
)
_SENTENCE_END = re.compile(rf"{_STOP}\Z")
_LIST_ITEM = re.compile(_ITEM)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_CLAUSES = re.compile(r"[，、：]\s*|[,;:](?!\d)\s*|\n\s*")
_ABBREVIATIONS = frozenset(
    "e.g i.e cf vs al dr mr mrs ms prof st no nos fig figs eq vol pp p ed eds inc ltd co approx dept est sec "
    "ch".split()
)
_LONGEST_WORD = 12  # characters before a full stop that are looked at
_LONGEST_END = 12  # marks and quotes at the end of a sentence that are looked at
_MOST_MARKS = 32  # accents on one letter: text can be made of nothing else


def cuts_of(text: str, kind: Kind) -> list[tuple[int, int]]:
    """Offsets inside the text, in order, each with its kind of cut."""
    cuts = _prose_cuts(text) if kind == "prose" else ((match.end(), LINE) for match in re.finditer("\n", text))
    return [(offset, rank) for offset, rank in cuts if 0 < offset < len(text)]


def is_list_item(text: str) -> bool:
    """Whether it begins with the mark of one."""
    return bool(_LIST_ITEM.match(text.lstrip("\n")))


def ends_sentence(text: str) -> bool:
    """Whether a stop is its end, as a heading or a caption mostly has none."""
    return bool(_SENTENCE_END.search(text.rstrip()[-_LONGEST_END:]))


def clause_cuts(text: str) -> list[int]:
    return [match.end() for match in _CLAUSES.finditer(text)]


def word_cuts(text: str) -> list[int]:
    return [match.end() for match in re.finditer(r"\s+", text)]


def forced_cuts(text: str, window: int) -> list[int]:
    """The middle; in a very long text, every `window` characters, so that few halvings are left to do."""
    step = window if len(text) > 2 * window else (len(text) + 1) // 2
    return sorted({_whole(text, cut) for cut in range(step, len(text), step)})


def _prose_cuts(text: str) -> Iterator[tuple[int, int]]:
    for match in _STOPS.finditer(text):
        if _BLANK_LINE.search(match[0]):
            yield match.end(), PARAGRAPH
        elif not (match[0][0] == "." and _goes_on(text, match)):
            yield match.end(), SENTENCE


def _goes_on(text: str, stop: re.Match[str]) -> bool:
    """True where a full stop ends no sentence: an abbreviation, an initial, a list number, a small letter next."""
    if "a" <= text[stop.end() : stop.end() + 1] <= "z":
        return True
    start = max(0, stop.start() - _LONGEST_WORD)
    before = text[start : stop.start()]
    words = before.split()
    word = words[-1].lstrip("(（[\"'“") if words else ""
    if word.isdigit():
        line = before.rpartition("\n")[2]
        return line.strip() == word and (start == 0 or "\n" in before)
    return word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isupper())


def _whole(text: str, cut: int) -> int:
    """The next offset that doesn't part a letter from its accents or an emoji from its parts."""
    for offset in range(cut, min(cut + _MOST_MARKS, len(text))):
        joined = "\u200d" in text[offset - 1 : offset + 1] or text[offset] == "\ufe0f"
        if not joined and not unicodedata.combining(text[offset]):
            return offset
    return cut
