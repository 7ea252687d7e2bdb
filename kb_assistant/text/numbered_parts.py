"""References to numbered parts of a document, such as "clause 3.2", "Article IV" or 第二条, or to versions, such
as "Halden 3.2", and the numbers that such parts begin with.

Not told apart here: whether a plain number, such as the 3.2 of "3.2 Breach", counts clauses or sections. Tables,
figures and pages aren't parts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from kb_assistant.text.analyzer import fold
from kb_assistant.text.quantities import han_number, quantities

_ANY = ""
"""The kind of a part where a text doesn't say it."""

VERSION = "version"
"""The kind of a dotted number behind a word: a version, if a part begins with it, as in a list of changes."""

_ENGLISH = {
    "chapter": "chapter", "ch": "chapter", "chap": "chapter", "section": "section", "sect": "section",
    "sec": "section", "subsection": "section", "article": "article", "art": "article", "clause": "article",
    "paragraph": "paragraph", "para": "paragraph", "part": "part", "item": "item", "point": "item",
    "step": "item", "rule": "article", "regulation": "article", "annex": "annex", "appendix": "annex",
    "schedule": "annex", "exhibit": "annex", "version": VERSION, "release": VERSION,
}  # fmt: skip
_CHINESE = {
    "条": "article", "章": "chapter", "节": "section", "款": "paragraph", "项": "item", "编": "part", "篇": "part",
    "部": "part", "点": "item", "步": "item", "条款": _ANY, "条文": "article", "章节": _ANY, "附件": "annex",
    "附录": "annex", "附表": "annex", "步骤": "item",
}  # fmt: skip
_HAN = r"[零〇一二两三四五六七八九十百千]{1,9}"
_FIGURES = r"\d{1,4}(?:\.\d{1,3}){0,6}"
# "the step I need": a pronoun or an article, unless "Article I of the treaty" goes on like this.
_WORD = r"(?![IA]\s+(?!(?:of|and|or|in|on|to|says?|states?|means?)\b)[a-z])"
_NUMBER = rf"(?:{_FIGURES}(?![\d.]*\d)|{_WORD}(?:[IVXLC]{{1,7}}|[A-Z])(?![A-Za-z\d]))"
_UNIT = rf"(?i:{'|'.join(sorted(_ENGLISH, key=len, reverse=True))})"
_REFERENCE = re.compile(
    rf"(?<![A-Za-z])(?:(?P<unit>{_UNIT})s?(?![A-Za-z])\.?|§{{1,2}})\s{{0,3}}"
    rf"(?P<numbers>{_NUMBER}(?:\s{{0,3}}(?:,|and|&|or)\s{{0,3}}{_NUMBER}){{0,8}})(?:\s?\((?P<sub>[a-z]{{1,4}}|\d{{1,3}})\))?"
    rf"|第\s?(?P<counted>{_FIGURES}|{_HAN})\s?(?P<counter>[条章节款项编篇部点步])"
    rf"|(?<![\d.])(?P<levels>\d{{1,3}}(?:\.\d{{1,3}})+)\s?(?P<kind>[条章节款项])"
    rf"|(?P<name>条款|条文|章节|附件|附录|附表|步骤)\s?(?P<named>{_FIGURES}|{_HAN}|[A-Z](?![A-Za-z]))"
)
_DOTTED = re.compile(r"(?:[A-Za-z]{3}\s|\bv|[一-鿿]\s?)(?P<number>\d{1,3}(?:\.\d{1,3}){1,3})(?!\.?\d)")
_ONE_NUMBER = re.compile(_NUMBER)
_DOES = re.compile(r"\b(?:i|to|we|you|they|please|can|could|shall|should|must|may|will)\s+\Z", re.I)
_LABEL = re.compile(
    rf"[\s#*_\[-]*(?:(?P<unit>{_UNIT})\s{{1,3}}(?P<number>{_NUMBER})"
    rf"|(?:[^\s:|\d]{{1,12}}:\s?)?第\s?(?P<counted>{_FIGURES}|{_HAN})\s?(?P<counter>[条章节款项编篇部点步])"
    rf"|(?P<name>附件|附录|附表|步骤)\s?(?P<named>{_FIGURES}|{_HAN}|[A-Z](?![A-Za-z]))"
    r"|v?(?P<plain>\d{1,3}(?:\.\d{1,3}){1,6}(?=[\s.、:\]]|[^\x00-\x7f]|\Z)|\d{1,3}(?=[.)、:](?!\d)|\s+[A-Z一-鿿])"
    rf"|[IVXLC]{{1,7}}(?=[.)、:]\s)|[A-Za-z](?=[.)]\s)|{_HAN}(?=[、.)]))"
    rf"|\((?P<inner>\d{{1,3}}|[a-z]{{1,4}}|[A-Z]{{1,4}}|{_HAN})\))"
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_LONGEST_QUESTION = 2000  # characters
_HEAD = 80  # characters of a text in which its number stands


class Part(NamedTuple):
    """A numbered part: its kind, if it is said, and its number in all the forms that it may be meant in: "c" is
    the letter and a hundred."""

    kind: str
    numbers: frozenset[str]

    def is_meant_by(self, asked: Part) -> bool:
        """Whether a reference is to this part."""
        return bool(self.numbers & asked.numbers) and (_ANY in (self.kind, asked.kind) or self.kind == asked.kind)


def asked_parts(question: str) -> list[Part]:
    """The parts that a question refers to, or else the versions that it may name.

    >>> [sorted(part.numbers) for part in asked_parts("What do clause 3.2 and 第十二条 say?")]
    [['3.2'], ['12']]
    """
    found: list[Part] = []
    asked = fold(question[:_LONGEST_QUESTION])
    for match in _REFERENCE.finditer(asked):
        if (match["unit"] or "").casefold() == "schedule" and _DOES.search(asked, 0, match.start()):
            continue
        if numbers := match["numbers"]:
            kind = _ENGLISH[match["unit"].casefold()] if match["unit"] else _ANY
            found += [Part(kind, _forms(one)) for one in _ONE_NUMBER.findall(numbers)]
            found += [Part(_ANY, _forms(match["sub"]))] if match["sub"] else []
        else:
            found.append(_chinese(match) or Part(_CHINESE[match["kind"]], _forms(match["levels"])))
    return found or _asked_versions(asked)


def _asked_versions(asked: str) -> list[Part]:
    """The dotted numbers behind words that measure nothing."""
    measured = [range(one.start, one.end) for one in quantities(asked)]
    numbers = (
        match for match in _DOTTED.finditer(asked) if not any(match.start("number") in one for one in measured)
    )
    return [Part(VERSION, frozenset((match["number"],))) for match in numbers]


def part_at(text: str) -> Part | None:
    """The part that a heading or a paragraph begins, by its number; None if it has none.

    >>> part_at("第二条 考勤") == part_at("第2条")
    True
    """
    found = _begun(text)
    return found[1] if found else None


def _begun(text: str) -> tuple[str, Part] | None:
    """The form of the number that a text begins with, and the part: "0.0" for 3.2, "(a)" for (b)."""
    match = _LABEL.match(fold(text[:_HEAD]))
    if match is None:
        return None
    label = match[0].strip(" \t#*_-")
    form = re.sub(_HAN, "一", re.sub(r"[a-z]{1,4}(?=\))", "a", re.sub(r"\d+", "0", label)))
    if match["number"]:
        return form, Part(_ENGLISH[match["unit"].casefold()], _forms(match["number"]))
    return form, _chinese(match) or Part(_ANY, _forms(match["plain"] or match["inner"]))


class PartsAround:
    """The parts that a sentence is in, in a passage whose sentences are told one after the other.

    Args:
        path: The headings above the passage, joined by " > ".
    """

    def __init__(self, path: str = "") -> None:
        self._above = [part for heading in path.split(" > ") if (part := part_at(heading))]
        self._open: list[tuple[str, Part]] = []  # by the form of their numbers, outermost first

    def then(self, text: str) -> list[Part]:
        """The parts that the next sentence is in."""
        if begun := _begun(text):
            forms = [form for form, _ in self._open]
            self._open = self._open[: forms.index(begun[0])] if begun[0] in forms else self._open
            self._open.append(begun)
        return [*self._above, *(part for _, part in self._open)]


def count_met(asked: Sequence[Part], parts: Sequence[Part]) -> int:
    """How many of the parts that are asked for are among these; one whose kind is said, too, counts twice."""
    met = ([part.kind == one.kind != _ANY for part in parts if part.is_meant_by(one)] for one in asked)
    return sum(1 + any(said) for said in met if said)


def _chinese(match: re.Match[str]) -> Part | None:
    if match["counted"]:
        return Part(_CHINESE[match["counter"]], _forms(match["counted"]))
    return Part(_CHINESE[match["name"]], _forms(match["named"])) if match["named"] else None


def _forms(written: str) -> frozenset[str]:
    """The number as figures, and, where it is letters, as these."""
    lower = written.casefold()
    if re.fullmatch("[ivxlc]+", lower):
        return frozenset((lower, str(_roman(lower))))
    return frozenset((han_number(written) if re.fullmatch(_HAN, written) else lower,))


def _roman(letters: str) -> int:
    values = [_ROMAN[letter] for letter in letters]
    return sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))
