"""What a text names with a number, whatever its form: dates, quantities, and names such as Halden 40 or ERR-1042.

`2026-03-04` is `4 March 2026`, `4.5kg` is `4.5 kg`, and `Halden40` is `Halden-40`; but `8MHz` isn't `16MHz`, and
`BAS16` isn't `BAS16J`, nor `5.2.4` `5.2`. Not told apart here: years alone, and plain numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kb_assistant.text.analyzer import STOPWORDS, fold, is_code
from kb_assistant.text.dates import Date, date_spans
from kb_assistant.text.quantities import quantities

_NAME = re.compile(
    r"(?<![A-Za-z0-9.])(?P<word>[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+|\.\d[A-Za-z0-9]*)*)"
    r"(?:\s(?P<number>\d{1,5}[A-Za-z]{0,2})(?![A-Za-z0-9]|[.,:/]\d|\s?%))?"
)
_LETTERS = re.compile(r"[a-z]+")
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){2,5}")
_YEAR = re.compile(r"(?:1\d|2[01])\d\d")


Kinded = frozenset[tuple[str, str]]
"""Pairs of a kind and what is of it: unit and number, or the letters that a name begins with and the name."""


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a text names.

    Attributes:
        dates: Days, and months of a year.
        names: Names with numbers, by their letters.
        quantities: Numbers by their units.
        codes: Those of both that are one word: see kb_assistant.text.analyzer.is_code.
    """

    dates: frozenset[Date] = frozenset()
    names: Kinded = frozenset()
    quantities: Kinded = frozenset()
    codes: Kinded = frozenset()

    def __bool__(self) -> bool:
        return bool(self.dates or self.names or self.quantities)

    def or_else(self, other: Mentions) -> Mentions:
        """These, and what the other names of kinds that there is none of."""
        return Mentions(
            self.dates or other.dates,
            _or_else(self.names, other.names),
            _or_else(self.quantities, other.quantities),
            _or_else(self.codes, other.codes),
        )

    def shares(self, other: Mentions) -> tuple[bool, bool, bool]:
        """Whether both name one date, one name, one quantity."""
        return _same_date(self, other), bool(self.names & other.names), bool(self.quantities & other.quantities)

    def is_met_by(self, other: Mentions) -> bool:
        """Whether the other names one of these of each sort that there is."""
        there = (self.dates, self.names, self.quantities)
        return all(met or not some for met, some in zip(self.shares(other), there, strict=True))

    def is_denied_by(self, other: Mentions) -> bool:
        """Whether the other names another date, or another code of the same kind, and not this one."""
        if self.dates and other.dates and not _same_date(self, other):
            return True
        others = other.names | other.quantities
        kinds = {kind for kind, _ in others}
        return not self.codes & others and any(kind in kinds for kind, _ in self.codes)


def mentioned_above(path: str) -> Mentions:
    """What names and headings above a text name, outermost first and joined by " > ": the nearest counts."""
    found = Mentions()
    for part in path.split(" > "):
        found = mentions(part).or_else(found)
    return found


def mentions(text: str) -> Mentions:
    """What a text names with a number."""
    folded = fold(text)
    if not any(map(str.isnumeric, folded)):
        return Mentions()
    spans = list(date_spans(folded))
    dates = frozenset(date for span in spans for date in span.dates if date.is_exact)
    rest = list(folded)
    for span in spans:
        rest[span.start : span.end] = "." * (span.end - span.start)
    # 一天多少钱 asks for a rate: its 一 names no quantity.
    measured = [one for one in quantities("".join(rest)) if rest[one.start] != "一" or one.number != "1"]
    for one in measured:
        rest[one.start : one.end] = "." * (one.end - one.start)
    named = [(match, _squeezed(match)) for match in _NAME.finditer("".join(rest))]
    names = {_with_kind(name): match["word"] for match, name in named if name}
    return Mentions(
        dates,
        frozenset(names),
        frozenset((one.unit, one.number) for one in measured),
        frozenset((one.unit, one.number) for one in measured if one.together)
        | frozenset(name for name, word in names.items() if is_code(word.casefold())),
    )


def _squeezed(match: re.Match[str]) -> str:
    """A name without hyphens and blanks, in small letters; "" for a word without a number."""
    word = re.sub(r"[-_]", "", match["word"]).casefold()
    if any(map(str.isdigit, word)):
        return word if is_code(word) or _VERSION.fullmatch(word) else ""
    number = match["number"]
    if not number or word in STOPWORDS or _YEAR.fullmatch(number):
        return ""
    return word + number.casefold()


def _with_kind(name: str) -> tuple[str, str]:
    letters = _LETTERS.match(name)
    return (letters[0] if letters else "", name)


def _or_else(some: Kinded, others: Kinded) -> Kinded:
    kinds = {kind for kind, _ in some}
    return some | {one for one in others if one[0] not in kinds}


def _same_date(one: Mentions, other: Mentions) -> bool:
    return any(mine.agrees(theirs) for mine in one.dates for theirs in other.dates)
