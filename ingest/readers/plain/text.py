"""Plain text, in blocks with exact lines, under its headings. The splitter finds its paragraphs.

Nothing marks a heading in plain text, so only what can hardly be anything else counts: short lines of capitals, or
such as 一、总则 and 第二章 入学, that stand behind a blank line, where the file has two of the kind; and above
them a short first line that stands alone, the title.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from ingest.readers.blocks import Content, Context, Outline
from ingest.readers.encoding import decode

_LONGEST = 60
"""Most characters of a heading."""

_CAPITALS = re.compile(r"[^\W\d_]{2}")
_NUMBERED = re.compile(r"[一二三四五六七八九十]{1,3}、\S|第[一二三四五六七八九十百\d]{1,4}[章节編编篇部]")
_ENDS = re.compile(r"[.,;:!?。！？，；：、…]\Z")


def read(data: bytes, context: Context) -> Content:
    """Blocks from the first line with text to the last one."""
    lines = decode(data).split("\n")
    outline, headings, begun = Outline(), _headings(lines), 0
    title = _title(lines) if headings else None
    for number in [*sorted({*headings, *([] if title is None else [title])}), len(lines)]:
        _add(outline, lines, begun, number)
        if number < len(lines):
            outline.heading(1 if number == title else 2, lines[number].strip(), (number + 1, number + 1))
        begun = number + 1
    return Content("" if title is None else lines[title].strip(), tuple(outline.finish()))


def _title(lines: Sequence[str]) -> int | None:
    """The place of the first line, if it is short, without a number and stands alone."""
    first = next((place for place, line in enumerate(lines) if line.strip()), 0)
    line, alone = lines[first].strip(), not any(map(str.strip, lines[first + 1 : first + 2]))
    other = len(line) > _LONGEST or _ENDS.search(line) or _NUMBERED.match(line)
    return first if alone and not other else None


def _add(outline: Outline, lines: Sequence[str], first: int, end: int) -> None:
    """A block of the lines from the first with text to the last."""
    filled = [number for number in range(first, end) if lines[number].strip()]
    if filled:
        first, end = filled[0], filled[-1] + 1
        outline.add("\n".join(lines[first:end]).rstrip(), lines=(first + 1, end))


def _headings(lines: Sequence[str]) -> list[int]:
    """The places of the headings."""
    found = {place: kind for place, line in enumerate(lines) if (kind := _kind(lines, place, line.strip()))}
    counts = Counter(found.values())
    return [place for place, kind in found.items() if counts[kind] > 1]


def _kind(lines: Sequence[str], place: int, line: str) -> str:
    """The kind of heading that a line may be; "" if none."""
    behind = next(filter(str.strip, lines[place + 1 : place + 3]), "")
    if not line or len(line) > _LONGEST or _ENDS.search(line) or (place and lines[place - 1].strip()):
        return ""
    if _NUMBERED.match(line):
        return "numbered"
    goes_on = behind and (not behind.isupper() or not any(map(str.strip, lines[:place])))
    return "capitals" if goes_on and line.isupper() and _CAPITALS.search(line) else ""
