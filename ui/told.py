"""What the engine says, in the session's language. It speaks English; the page knows its texts by their templates.

A text may be several of them in a row, as a reason and what to do about it are, parted by a space or by "; ".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from ui.said_zh import FINDINGS, MESSAGES, SYSTEM
from ui.strings import language

_BETWEEN = re.compile(r"(?<=[.?!])\s+|;\s+")
_ENDED = tuple("。？！；")
_MOST_ENDS = 16
"""Ends of sentences within one template and its values; keeps the time linear for texts of very many."""

_START = 4
"""Signs by which templates are sorted."""


class _Value(str):
    """A value that, where the Chinese template says {0:told}, is itself something said."""

    catalogue: Catalogue

    def __format__(self, how: str) -> str:
        return self.catalogue.chinese(self) if how == "told" else str(self)


@dataclass(frozen=True)
class Template:
    """A text with holes, {} each, and what it is in Chinese, with the same holes numbered or in order.

    Attributes:
        english: "{} is damaged."; literal braces are doubled. "" stands for what isn't known.
    """

    english: str
    chinese: str

    @cached_property
    def words(self) -> list[str]:
        """What stands before, between and behind the holes."""
        return [part.replace("{{", "{").replace("}}", "}") for part in self.english.split("{}")]

    @cached_property
    def weight(self) -> int:
        return sum(map(len, self.words))

    @cached_property
    def longest(self) -> str:
        return max(self.words, key=len)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Atomic groups: the first place where the next words stand is as good as any; nothing is tried twice."""
        first, *between = map(re.escape, self.words)
        last = f"(.*){between.pop()}" if between else ""
        return re.compile(first + "".join(f"(?>(.*?){words})" for words in between) + last, re.DOTALL)

    def values(self, text: str) -> tuple[str, ...] | None:
        """What stands in the holes; None where the text wasn't made from this."""
        if not (text.startswith(self.words[0]) and text.endswith(self.words[-1])):
            return None
        found = self._pattern.fullmatch(text)
        return found.groups() if found else None


UNKNOWN = Template("", "")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text: the template it was made from, the values in its holes, what parts it from the next."""

    text: str
    template: Template
    values: tuple[str, ...]
    after: str


@dataclass(frozen=True, slots=True, order=True)
class _Way:
    """How a text can be told from a place on: how many signs are known, less how many pieces, and what comes
    first."""

    known: int
    pieces: int
    end: int = field(default=0, compare=False)
    template: Template = field(default=UNKNOWN, compare=False)
    values: tuple[str, ...] = field(default=(), compare=False)


class Catalogue:
    """Templates by what they are in English. Texts are looked up case and all, but for those of the system."""

    def __init__(self, *entries: Mapping[str, str]) -> None:
        self.templates = [Template(*entry) for part in entries for entry in part.items()]
        self._by_start: dict[str, list[Template]] = {}
        self._others: list[Template] = []
        for template in self.templates:
            start = template.words[0][:_START]
            (self._by_start.setdefault(start, []) if len(start) == _START else self._others).append(template)
        self._system = {key.lower(): value for key, value in SYSTEM.items()}
        self.chinese = lru_cache(maxsize=4096)(self._chinese)

    def _chinese(self, text: str) -> str:
        said = ""
        for piece in self.pieces(text):
            said += self._piece(piece)
            if piece.after.startswith(";"):
                said = said.removesuffix("。") + "；"
            elif not said.endswith(_ENDED):
                said += piece.after
        return said

    def _piece(self, piece: Piece) -> str:
        if piece.template is UNKNOWN:
            return self._system.get(piece.text.lower(), piece.text)
        values = [_Value(value) for value in piece.values]
        for value in values:
            value.catalogue = self
        return piece.template.chinese.format(*values)

    def pieces(self, text: str) -> list[Piece]:
        """The text cut so that as much of it as can be is the words of templates, as little as can be values."""
        cuts = [(0, 0), *(cut.span() for cut in _BETWEEN.finditer(text)), (len(text), len(text))]
        last = len(cuts) - 1
        best: list[_Way] = [_Way(0, 0)] * len(cuts)
        for start in reversed(range(last)):
            best[start] = max(
                _Way(template.weight + best[end].known, best[end].pieces - 1, end, template, values)
                for end in range(start + 1, min(start + _MOST_ENDS, last) + 1)
                for template, values in self._fitting(text[cuts[start][1] : cuts[end][0]])
            )
        found, start = [], 0
        while start < last:
            way = best[start]
            part = text[cuts[start][1] : cuts[way.end][0]]
            found.append(Piece(part, way.template, way.values, text[slice(*cuts[way.end])]))
            start = way.end
        return found

    def _fitting(self, text: str) -> Iterator[tuple[Template, tuple[str, ...]]]:
        yield UNKNOWN, ()
        for template in self._by_start.get(text[:_START], ()):
            if (values := template.values(text)) is not None:
                yield template, values
        for template in self._others:
            if template.longest in text and (values := template.values(text)) is not None:
                yield template, values


ENGINE = Catalogue(MESSAGES)
"""Errors, hints, reasons, notes, faults."""

MACHINE = Catalogue(MESSAGES, FINDINGS)
"""Also what `examine` finds, which is told in so few words that other texts would fit them."""


def told(text: str, catalogue: Catalogue = ENGINE) -> str:
    """What the engine said. What isn't known stays as it is."""
    return catalogue.chinese(text) if language() == "zh" else text
