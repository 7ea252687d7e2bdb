"""Finds dates in text, however they are written: `2026-03-04`, `4 March 2026`, `March 4th`, `4.3.2026`, `3月4日`.

The forms of one date agree with one another, so that a question finds it in another form. Own expressions, because
libraries such as dateparser take milliseconds a sentence and see dates in plain numbers. Not found: relative dates
("yesterday"), days of the week, quarters, years alone, lunar dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kb_assistant.text.quantities import quantities

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_NAME = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?![a-z])\.?"
)
_YEAR = r"(?:1\d|2[01])\d\d"
_MONTH, _DAY = r"(?:1[0-2]|0?[1-9])", r"(?:3[01]|[12]\d|0?[1-9])"
_TH = r"(?:st|nd|rd|th)?(?![a-z\d])"
_TO = r"(?:\s?[-–—~]\s?|\s(?:to|until)\s)"
_HAN = "一二三四五六七八九十"
_HAN_DAY = r"(?:[二三]?十[一二三四五六七八九]?|[一二三四五六七八九])"
_DIGITS = {sign: str(value) for value, sign in enumerate("〇一二三四五六七八九")} | {"零": "0", "○": "0"}
_PATTERNS = (
    # 2026-03-04, 2026/3/4, 2026.3.4, 2026_03_04; the month alone: 2025.12
    rf"(?<![a-z\d.])(?P<y1>{_YEAR})(?P<sep>[-/._])(?P<m1>{_MONTH})"
    rf"(?:(?P=sep)(?P<d1>{_DAY})(?!\d|\.\d)|(?![-/._]?\d))",
    r"(?<!\d)(?P<y2>(?:19|20)\d\d)(?P<m2>0[1-9]|1[0-2])(?P<d2>0[1-9]|[12]\d|3[01])(?!\d)",  # 20260304
    rf"(?<![\d.])(?P<d3>{_DAY})\.\s?(?P<m3>{_MONTH})\.\s?(?P<y3>{_YEAR})(?!\d|\.\d)",  # 4.3.2026
    # 3/4/2026 is the fourth of March or the third of April
    rf"(?<![\d/.-])(?P<a4>\d\d?)(?P<sep4>[-/])(?P<b4>\d\d?)(?P=sep4)(?P<y4>{_YEAR}|(?<=/)\d\d)(?![\d/-])",
    rf"(?<![\d/.])(?P<m5>{_MONTH})/(?P<y5>{_YEAR})(?![\d/])",  # 12/2025
    # 2026年3月4日, 3月4日至8日, 二〇二六年三月四日, 民国115年3月4日
    rf"(?<!农历)(?<!阴历)(?<![\d{_HAN}])(?:(?:(?P<era>民国)\s?(?P<y6e>\d{{2,3}})|(?P<y6>{_YEAR}|[〇零○一二三四五六七八九]{{4}}))\s?年\s?)?"
    rf"(?P<m6>{_MONTH}|十[一二]?|[一二三四五六七八九])\s?月(?:份|\s?(?P<d6>{_DAY}|{_HAN_DAY})\s?"
    rf"(?:[日号](?!线))?(?:\s?[-–—~至到]\s?(?P<e6>{_DAY}|{_HAN_DAY})\s?[日号])?(?<=[日号]))?",
    # 4 March 2026, the 4th of March, 4–8 March
    rf"(?<![\w.])(?P<d7>{_DAY}){_TH}(?:{_TO}(?P<e7>{_DAY}){_TH})?(?:\s?-\s?|\s+(?:of\s+)?)(?P<n7>{_NAME})"
    rf"(?:(?:,?\s+|-|\s+of\s+)(?P<y7>{_YEAR})(?!\d))?",
    # March 4th, 2026; March 4-8; March 2026; March
    rf"(?<![a-z\d])(?P<n8>{_NAME})(?:\s+(?:the\s+)?(?P<d8>{_DAY}){_TH}(?:{_TO}(?P<e8>{_DAY}){_TH})?(?!\.\d|:\d))?"
    rf"(?:(?:,?\s+|,?\s+of\s+)(?P<y8>{_YEAR})(?!\d))?",
)
# Without these a search takes three times as long.
_FIRST_SIGN = rf"(?-i:(?=[\d〇零○{_HAN}民JFMASONDjfmasond]))"
_FIRST = rf"{_FIRST_SIGN}(?=[\d〇零○{_HAN}民]|(?<![a-z\d])(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))"
_DATE = re.compile(f"{_FIRST}(?:{'|'.join(_PATTERNS)})", re.IGNORECASE)
_THIS_CENTURY = 70
"""Two figures of a year below this are of the years from 2000."""

_IN = re.compile(
    r"\b(?:in|of|on|by|since|until|till|from|during|before|after|early|late|last|next|this)\s+\Z", re.I
)


@dataclass(frozen=True, slots=True)
class Date:
    """A day, a month of a year, or a day or month of any year; None is unknown."""

    year: int | None
    month: int
    day: int | None = None

    def agrees(self, other: Date) -> bool:
        """Whether both may mean the same day or month."""
        pairs = ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        return all(one is None or two is None or one == two for one, two in pairs)

    @property
    def is_exact(self) -> bool:
        """Whether it is more than a month of any year."""
        return self.year is not None or self.day is not None

    @property
    def forms(self) -> tuple[str, ...]:
        """Keywords of the date in a text, in ISO 8601's form: what questions for it, or for its month, ask for.

        >>> Date(2026, 3, 4).forms, Date(None, 3).forms
        (('2026-03-04', '--03-04', '2026-03', '2026', '--03'), ('--03',))
        """
        return tuple(dict.fromkeys([*self.asked, f"--{self.month:02}"]))

    @property
    def asked(self) -> tuple[str, ...]:
        """Keywords of the date in a question: a text that names only its month, or no year, holds some of them."""
        month, found = f"{self.month:02}", list[str]()
        if self.day is not None:
            found = [f"{self.year}-{month}-{self.day:02}"] if self.year else []
            found.append(f"--{month}-{self.day:02}")
        if self.year is not None:
            found += [f"{self.year}-{month}", str(self.year)]
        return tuple(found if self.day and self.year else [*found, f"--{month}"])


@dataclass(frozen=True, slots=True)
class DateSpan:
    """Where a text names a date: all days of a range, and both readings of 3/4/2026."""

    start: int
    end: int
    dates: tuple[Date, ...]


def date_spans(text: str) -> Iterator[DateSpan]:
    """The dates of a text in order.

    Args:
        text: Folded text: see kb_assistant.text.analyzer.fold.
    """
    for match in _DATE.finditer(text):
        if dates := _read(match, text):
            yield DateSpan(match.start(), len(match[0].rstrip()) + match.start(), dates)


def _read(match: re.Match[str], text: str) -> tuple[Date, ...]:
    part = match.groupdict()
    if part["n8"]:
        if not _is_month(match, text):
            return ()
        return _days(part["y8"], _month(part["n8"]), part["d8"], part["e8"])
    if part["n7"]:
        return _days(part["y7"], _month(part["n7"]), part["d7"], part["e7"])
    if part["m6"]:
        year = str(int(part["y6e"]) + 1911) if part["era"] else part["y6"] and _arabic(part["y6"])
        return _days(year, _number(part["m6"]), part["d6"], part["e6"])
    if part["y1"]:
        year, month = int(part["y1"]), int(part["m1"])
        if part["d1"] is None and part["sep"] == "-" and month == (year + 1) % 100:
            return ()  # 2010-11 is a season
        if part["d1"] is None and part["sep"] in "./" and not _is_month_of_year(match, text):
            return ()
        return _days(part["y1"], month, part["d1"])
    if part["y4"]:
        year = (
            part["y4"]
            if len(part["y4"]) == 4
            else f"{'19' if int(part['y4']) >= _THIS_CENTURY else '20'}{part['y4']}"
        )
        one, other = int(part["a4"]), int(part["b4"])
        readings = dict.fromkeys([(one, other), (other, one)])
        return tuple(Date(int(year), month, day) for month, day in readings if _is_day(month, day))
    for place in "235":
        if part[f"y{place}"]:
            return _days(part[f"y{place}"], int(part[f"m{place}"]), part.get(f"d{place}"))
    return ()


def _days(year: str | None, month: int, day: str | None, last: str | None = None) -> tuple[Date, ...]:
    """The days of a range, or the one day or month."""
    given = int(year) if year else None
    if day is None:
        return (Date(given, month),)
    first = _number(day)
    end = max(first, _number(last)) if last else first
    return tuple(Date(given, month, one) for one in range(first, end + 1) if _is_day(month, one))


def _is_day(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _is_month(match: re.Match[str], text: str) -> bool:
    """Whether the name of a month is one: may and march are words, too, and so are short names."""
    name = match["n8"].rstrip(".")
    if match["y8"] or (match["d8"] and (name[0].isupper() or name.lower() not in ("may", "mar", "march"))):
        return True
    full = len(name) > 3 and name.lower() != "march" and not match["n8"].endswith(".")
    return full or name in ("May", "March") or bool(_IN.search(text, max(0, match.start() - 12), match.start()))


def _is_month_of_year(match: re.Match[str], text: str) -> bool:
    """Whether 2025.12 is one: 1500.5 kg and 2010.10 MB aren't."""
    if not 1900 <= int(match["y1"]) < 2100 or len(match["m1"]) < 2:
        return False
    measured = next(quantities(text[match.start() : match.end() + 16]), None)
    return measured is None or measured.start > 0


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1


def _number(written: str) -> int:
    """3, 03 or 三; 二十三."""
    if written.isdecimal():
        return int(written)
    tens, ten, ones = written.partition("十")
    if not ten:
        return int(_arabic(written))
    return 10 * int(_arabic(tens or "一")) + int(_arabic(ones or "〇"))


def _arabic(written: str) -> str:
    return "".join(_DIGITS.get(sign, sign) for sign in written)
