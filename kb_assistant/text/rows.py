"""The tables and lists of a passage: their rows and items, and the cells of these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from kb_assistant.text.code_mask import code_blocks

_IN_A_RULE = frozenset(" \t|:+-")
_ITEM = re.compile(r"\s*(?:[-*+•·‣▪]|\d{1,3}[.)、])\s")
_LABELLED = re.compile(r"\s*[^\s:：|。，,.]{1,24}(?: [^\s:：|。，,.]{1,24}){0,3}\s?[:：](?!//)\s*\S")
_PIPE, _BAR = re.compile(r"(?<!\\)\|"), re.compile(r" \| ")

LONGEST_NAME = 60
"""Most characters of a column's name."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """A line of a table or a list.

    Attributes:
        kind: "row" of a table, "names" of its columns, "rule" below them, "named" for a row that repeats
            the names of its columns, "item" of a list, "label" for a line that begins with some words and a colon,
            or "" for any other line.
        start: Its place in the passage.
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def is_item(self) -> bool:
        """Whether it is an item of a list, or a line with a label, which are about much."""
        return self.kind in ("item", "label")

    @property
    def cells(self) -> list[Span]:
        """The places of its cells in the passage; of an item its own."""
        if self.kind == "named" and (named := _told_in_brackets(self.text)):
            first, last = named
            return list(_parted(self.text[first:last], self.start + first, _BAR))
        if self.kind in ("row", "names"):
            first = len(self.text) - len(self.text.lstrip().removeprefix("|"))
            return list(_parted(self.text[first:].rstrip().removesuffix("|"), self.start + first, _PIPE))
        return [(self.start, self.end)]

    @property
    def named(self) -> list[tuple[str, Span]]:
        """Of a row that names each of its cells, such as `Day: Monday | Dish: Soup`, the names and the places of
        what they name; none of another."""
        found: list[tuple[str, Span]] = []
        for start, end in self.cells if self.kind in ("row", "named") else ():
            name, colon, value = f"{self.text[start - self.start : end - self.start]} ".partition(": ")
            if not colon and not found:  # the first column may have no name
                name, value = "", name
            elif not colon or len(name) > LONGEST_NAME:
                return []
            found.append((name.strip(), (end - len(value.strip()), end)))
        return found if any(name for name, _ in found[1:]) else []

    @property
    def texts(self) -> list[str]:
        """The texts of its cells; in a Markdown table `\\|` is a bar."""
        found = [self.text[start - self.start : end - self.start] for start, end in self.cells]
        return [one.replace("\\|", "|") for one in found] if self.kind in ("row", "names") else found


def row_of(line: str) -> Row:
    """A single line."""
    return Row(_kind(line), line, 0)


def tables_and_lists(passage: str) -> Iterator[list[Row]]:
    """Each as its lines; the names of a table's columns come first where it has them, and its rules not at all."""
    for kind, group in groupby(_lines(passage), key=lambda line: "row" if line.kind == "rule" else line.kind):
        lines = list(group)
        if kind == "row" and len(lines) > 1 and (lines[1].kind == "rule" or _names(lines[0], lines[1])):
            lines = [Row("names", lines[0].text, lines[0].start), *lines[1 + (lines[1].kind == "rule") :]]
        if kind and (kind != "label" or len(lines) > 1):  # a single one is a sentence like any other
            yield [line for line in lines if line.kind != "rule"]


def _names(line: Row, row: Row) -> bool:
    """Whether a line holds the names that the row below it repeats."""
    names = [name for name, _ in row.named if name]
    return bool(names) and not line.named and set(names) <= set(line.texts)


def _lines(passage: str) -> Iterator[Row]:
    start, code = 0, code_blocks(passage)
    block = next(code, None)
    for whole in passage.splitlines(keepends=True):
        text = whole.rstrip("\r\n")
        while block and block.end <= start:
            block = next(code, None)
        in_code = block is not None and block.start <= start
        yield Row("" if in_code else _kind(text), text, start)
        start += len(whole)


def _kind(line: str) -> str:
    if "|" in line and "-" in line and _IN_A_RULE.issuperset(line):
        return "rule"
    if _told_in_brackets(line):
        return "named"
    if _ITEM.match(line):
        return "item"
    if "|" in line:
        return "row"
    return "label" if _LABELLED.match(line) else ""


def _told_in_brackets(line: str) -> Span | None:
    """Where a line tells its cells with the names of their columns, in the brackets that end it: `(Day: Monday |
    Dish: Soup)`. Read from the end, once: documents are anybody's."""
    last, depth = len(line.rstrip()) - 1, 0
    for place in range(last, -1, -1):
        depth += (line[place] == ")") - (line[place] == "(")
        if not depth:
            told = line[place + 1 : last]
            named = any(": " in part for part in told.split(" | ", 2)[:2])  # the first column may have no name
            return (place + 1, last) if place < last and named else None
    return None


def _parted(text: str, start: int, by: re.Pattern[str]) -> Iterator[Span]:
    """The places of the parts of a text, without the space around them."""
    place = 0
    for mark in [*by.finditer(text), None]:
        end = mark.start() if mark else len(text)
        part = text[place:end]
        first = place + len(part) - len(part.lstrip())
        yield start + first, start + max(first, place + len(part.rstrip()))
        place = mark.end() if mark else end
