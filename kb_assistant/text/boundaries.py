"""Places where a text may be cut, in Chinese and English, and their quality.

A cut is an offset and its kind; smaller is better. Closing quotes belong to the sentence, white space to the text
before it. The end of a sentence is defined here for all uses: chunks, quotes, citations.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from kb_assistant.types import BlockKind

PARAGRAPH, ENTRY, SENTENCE, LINE, CLAUSE, WORD, FORCED = range(7)
"""Kinds of cut: between blocks and paragraphs; between lines, where the first ends a sentence or the second begins
an item or a dated entry; between sentences of a line; between lines of code and tables; and, if a single sentence
or line is too long, between clauses, words, and anywhere."""

_CLOSERS = r"[\"'”’»」』）】》〉\)\]]"
WIDE_STOPS = "。！？；…．"
"""Characters that always end a sentence."""

STOPS = ".!?"
"""Characters that end a sentence before white space, unless goes_on() says otherwise."""

_STOP = rf"(?:[{WIDE_STOPS}]++|(?<![{STOPS}])[{STOPS}]++(?={_CLOSERS}*+(?:\s|\Z))){_CLOSERS}*+"
_ITEM = r"(?=[^\S\n]*+(?:[-*+•]\s|\d{1,3}(?:[.)]\s|、)|[（(]?[一二三四五六七八九十]{1,3}[)）、]))"
_STOPS = re.compile(
    rf"{_STOP}\s*+"  # end of a sentence
    r"|\n[^\S\n]*+\n\s*+"  # blank line
    rf"|\n{_ITEM}"  # list item
)
_DATED = re.compile(
    r"[\[(（]?(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)|\d{4}\s?年\s?\d{1,2}\s?月(?:\s?\d{1,2}\s?[日号])?|\d{1,2}[./]\d{1,2}[./]\d{2,4}(?!\d))"
)
_LINE_START = re.compile(r"^[^\S\n]*", re.MULTILINE)
_SENTENCE_END = re.compile(rf"{_STOP}\Z")
_LIST_ITEM = re.compile(_ITEM)
_BLANK_LINE = re.compile(r"\n[^\S\n]*\n")
_CLAUSES = re.compile(r"[，、：]\s*|[,;:](?!\d)\s*|\n\s*")
_ABBREVIATIONS = frozenset(
    "e.g i.e cf vs al dr mr mrs ms prof st fig figs eq vol pp p ed eds inc ltd co approx dept est sec ch".split()
)
_NUMBERED = frozenset(("no", "nos"))  # abbreviations before a number, otherwise words
_UNITS = frozenset("ACFGHJKLMNTVW")
_AMOUNT = re.compile(r"(?<!\d)(?!(?:1[5-9]|20)\d\d\Z)[\d.,]*\d\Z")
"""A number before a unit. One that may be a year may also stand before an initial: `in 1923 A. Ross came`."""
LOOK_BACK = 13
"""Number of characters before a stop that goes_on() needs."""
_LONGEST_END = 12  # most marks and quotes considered at the end of a sentence
_MOST_MARKS = 32  # accents on one letter: a text can consist of nothing else


def cuts_of(text: str, kind: BlockKind) -> list[tuple[int, int]]:
    """Offsets inside the text, in order, each with its kind of cut."""
    cuts = _prose_cuts(text) if kind == "prose" else ((match.end(), LINE) for match in re.finditer("\n", text))
    return [(offset, rank) for offset, rank in cuts if 0 < offset < len(text)]


def is_list_item(text: str) -> bool:
    """Whether it begins with a list marker."""
    return bool(_LIST_ITEM.match(text.lstrip("\n")))


def is_dated(line: str) -> bool:
    """Whether it begins with a date, as an entry of a log does."""
    return bool(_DATED.match(line.lstrip()))


def ends_sentence(text: str) -> bool:
    """Whether it ends with a stop, which headings and captions mostly don't."""
    return bool(_SENTENCE_END.search(text.rstrip()[-_LONGEST_END:]))


def cell_cuts(text: str) -> list[int]:
    """Places between the values of a row: `Item: Pump | Price: 42`."""
    return [match.end() for match in re.finditer(r" \| ", text)]


def clause_cuts(text: str) -> list[int]:
    return [match.end() for match in _CLAUSES.finditer(text)]


def word_cuts(text: str) -> list[int]:
    return [match.end() for match in re.finditer(r"\s+", text)]


def forced_cuts(text: str, window: int) -> list[int]:
    """The middle; in a very long text every `window` characters, so that few halvings remain."""
    step = window if len(text) > 2 * window else (len(text) + 1) // 2
    return sorted({_whole(text, cut) for cut in range(step, len(text), step)})


def goes_on(before: str, stop: str, after: str) -> bool:
    """Whether the sentence continues after a stop: a lower-case letter follows, or a full stop belongs to an
    abbreviation, an initial or the number of a list item.

    Args:
        before: At least the last LOOK_BACK characters before it; all if there are fewer.
        stop: One or several of STOPS.
        after: The text after the stop and the white space, at least one character.
    """
    if stop[0] not in STOPS:
        return False
    if after[:1].islower():
        return True
    if stop[0] != ".":
        return False
    words = before[1 - LOOK_BACK :].split()
    word = words[-1].lstrip("(（[\"'“") if words else ""
    if word.isdigit():
        line = before[-LOOK_BACK:].rpartition("\n")[2]
        return line.strip() == word and len(line) < LOOK_BACK
    if word.lower() in _NUMBERED:
        return after[:1].isdigit()
    if len(word) == 1 and word.isupper():
        return not (word in _UNITS and words[-2:-1] and _AMOUNT.search(words[-2]))
    return word.lower() in _ABBREVIATIONS


def _prose_cuts(text: str) -> Iterator[tuple[int, int]]:
    cuts = dict.fromkeys(_entries(text), ENTRY)
    for match in _STOPS.finditer(text):
        if _BLANK_LINE.search(match[0]):
            cuts[match.end()] = PARAGRAPH
        elif not goes_on(
            text[max(0, match.start() - LOOK_BACK) : match.start()], match[0], text[match.end() : match.end() + 1]
        ):
            cuts[match.end()] = ENTRY if "\n" in match[0] else SENTENCE
    return iter(sorted(cuts.items()))


def _entries(text: str) -> list[int]:
    """Where lines begin with a date, if several do: one alone may be the rest of a sentence."""
    dated = [match.end() for match in _LINE_START.finditer(text) if _DATED.match(text, match.end())]
    return dated if len(dated) > 1 else []


def _whole(text: str, cut: int) -> int:
    """The next offset that doesn't split a letter from its accents or an emoji into parts."""
    for offset in range(cut, min(cut + _MOST_MARKS, len(text))):
        joined = "\u200d" in text[offset - 1 : offset + 1] or text[offset] == "\ufe0f"
        if not joined and not unicodedata.combining(text[offset]):
            return offset
    return cut
