"""The lines of passages that the answer before quotes. A follow-up goes on about these: "and where?", "what is
his number?", "and the deposit?" are answered in the row or paragraph that was just told, if anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kb_assistant.text.analyzer import analyze, fold
from kb_assistant.text.conversation import names_nothing, points_back, telling, without_pronouns
from kb_assistant.text.marks import unmarked
from kb_assistant.text.rows import Row, tables_and_lists
from kb_assistant.types import Hit

if TYPE_CHECKING:
    from kb_assistant.reader.reader import Reading

MOST = 3
"""Most lines that are read again."""

_LEAST_SPAN, _LEAST_HELD = -5.0, -8.0
"""The least score of an answer's span in a line that was told, and in one that has what the question names."""

_HELD, _POINTING = 3.0, 1.5
"""See nearness."""

_HAN = re.compile(r"[\u3400-\u9fff]+")
_ANOTHER = re.compile(r"\b(?:ones?|others?|another|else)\b|[另别]|其[他它]", re.IGNORECASE)


class Line(NamedTuple):
    """A line of a passage.

    Attributes:
        hit: The place of its passage.
        start: Where it begins in the passage.
        text: What is read: the line; for a row of a table the row as it was told, with the names of its columns.
        as_it_is: Whether it is the line.
    """

    hit: int
    start: int
    end: int
    text: str
    as_it_is: bool = True


class Told(NamedTuple):
    """An answer in a line that was told."""

    line: Line
    span: tuple[int, int]
    reading: Reading


Read = Callable[[str, Sequence[tuple[str, str]], Sequence[str], float], "list[Reading | None]"]


def told_lines(answer: str, hits: Sequence[Hit], sources: Collection[str]) -> list[Line]:
    """The lines that an answer quotes, in its order.

    Args:
        answer: With or without marks.
        sources: Those that it cites.
    """
    found: dict[Line, None] = {}
    for quote in unmarked(answer).splitlines():
        places = ((n, hit) for n, hit in enumerate(hits) if hit.source in sources)
        if line := next((line for n, hit in places if (line := _line(quote, n, hit.text))), None):
            found[line] = None
    return list(found)[:MOST]


def nearness(question: str, line: str) -> float:
    """How much surer an answer elsewhere must be than one in a line that was told, as a logit: most if the line
    has all that the question names, if anything; less if it points back; 0 if it isn't about the line.

    >>> line = "Sheds need a permit and may not exceed 6 square metres."
    >>> [nearness(one, line) for one in ("why?", "do I need a permit", "who grants it?", "and the bees?")]
    [3.0, 3.0, 1.5, 0.0]
    """
    held, text = set(analyze(line)), fold(line)
    named = without_pronouns(question)
    pieces = [run[place : place + 2] for run in _HAN.findall(named) for place in range(0, len(run), 2)]
    if all(word in held for word in telling(_HAN.sub(" ", named))) and all(piece in text for piece in pieces):
        return _HELD
    return _POINTING if points_back(question) and not _ANOTHER.search(question) else 0.0


def read_told(
    read: Read,
    question: str,
    earlier: Sequence[str],
    lines: Sequence[Line],
    headings: Sequence[str],
    others: float,
    seconds: float,
) -> Told | None:
    """The told line that answers a follow-up; None if none seems to.

    Args:
        read: The reader's function.
        earlier: The turns before.
        headings: Of the passages.
        others: The reader's largest logit for an answer in a passage.
        seconds: After this time nothing more is read.
    """
    lines = [line for line in lines if nearness(question, line.text)]
    if not lines or seconds <= 0:
        return None
    told = [(headings[line.hit], line.text) for line in lines]
    readings = [*read(question, told, earlier, seconds)]
    nothing = names_nothing(question)
    if not points_back(question):  # it may stand for itself, or ask about the line alone
        readings += read(question, told, (), seconds)
    found = [(reading, line) for reading, line in zip(readings, [*lines, *lines], strict=False) if reading]
    reading, line = max(found, key=lambda one: one[0].answer)
    near = nearness(question, line.text)
    least = _LEAST_HELD if near == _HELD and not nothing else _LEAST_SPAN
    if reading.span_score < least or reading.answer < others - near:
        return None
    return Told(line, _span(reading, line), reading)


def _span(reading: Reading, line: Line) -> tuple[int, int]:
    """Where the answer is in the passage; the whole line, if it was read in other words."""
    start, end = (line.start + place for place in reading.span)
    return (start, end) if line.as_it_is else (line.start, line.end)


def _line(quote: str, place: int, passage: str) -> Line | None:
    """The line of a passage that holds a quote, or the row that it tells."""
    if (found := _found(quote, passage)) is not None:
        start = passage.rfind("\n", 0, found[0]) + 1
        end = passage.find("\n", found[1])
        end = len(passage) if end < 0 else end
        return Line(place, start, end, passage[start:end])
    row = _row(quote, passage) if " | " in quote else None
    return Line(place, row.start, row.end, quote, as_it_is=False) if row else None


def _row(quote: str, passage: str) -> Row | None:
    """The row of a table whose cells are all in a quote."""
    rows = (row for lines in tables_and_lists(passage) for row in lines if row.kind == "row")
    return next((row for row in rows if all(cell in quote for cell in row.texts)), None)


def _found(quote: str, passage: str) -> tuple[int, int] | None:
    """Where a passage holds a quote, whatever blanks and signs are between its letters."""
    wanted = "".join(filter(str.isalnum, quote))
    places = [place for place, sign in enumerate(passage) if sign.isalnum()]
    at = "".join(passage[place] for place in places).find(wanted) if wanted else -1
    return (places[at], places[at + len(wanted) - 1] + 1) if at >= 0 else None
