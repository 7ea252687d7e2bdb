"""Marks the characters of a streaming Markdown text that are code.

Code is text between fences of backticks or tildes, and between two backtick runs of equal length within a
paragraph (CommonMark 0.31, sections 4.5 and 6.1). Indented code is not recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCED, INLINE = "\x00", "\x01"
"""Mask values for characters of fenced and of inline code."""

_OPENING = re.compile(r"[^\S\n]*+(?P<fence>`{3,}+(?=[^`\n]*+(?:\n|\Z))|~{3,}+)[^\n]*+\n?")
_MAY_OPEN = re.compile(r"[^\S\n]*+(?:`{0,2}|`{3,}+[^`\n]*+|~{1,2}|~{3,}+[^\n]*+)\Z")
_PLAIN = re.compile(r"(?:[^`\n\\]|\\[^\n])++")
_RUN = re.compile(r"`++")
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*+(?:\n|```|~~~|[-*+•]\s|\d{1,3}[.)]\s|#|>)")


class CodeMask:
    """A filter that passes text on as soon as its code is determined."""

    def __init__(self) -> None:
        self._text = ""
        self._fence = ""
        self._line_starts = True

    def feed(self, text: str, final: bool = False) -> tuple[str, str]:
        """The text determined so far, and its mask of equal length, with FENCED and INLINE for code.

        Args:
            final: No more text follows, so everything is determined.
        """
        self._text += text
        shown, mask = "", ""
        while self._text and (step := self._step(final)):
            length, sign = step
            part, self._text = self._text[:length], self._text[length:]
            shown += part
            mask += sign * length if sign else part
            self._line_starts = part.endswith("\n")
        return shown, mask

    def _step(self, final: bool) -> tuple[int, str] | None:
        """Length of the next part and its mask value, "" for prose; None if more text is needed."""
        if self._fence:
            return self._fenced(final)
        if self._line_starts:
            if not final and _MAY_OPEN.match(self._text):
                return None
            if opening := _OPENING.match(self._text):
                self._fence = opening["fence"]
                return opening.end(), FENCED
        if plain := _PLAIN.match(self._text):
            return plain.end(), ""
        if self._text[0] == "`":
            return self._inline(final)
        return None if self._text == "\\" and not final else (1, "")

    def _fenced(self, final: bool) -> tuple[int, str] | None:
        line, newline, _ = self._text.partition("\n")
        if self._line_starts:
            closes = _closes(line, self._fence)
            if not newline and not final and (closes or _closes(f"{line}{self._fence}", self._fence)):
                return None
            if closes:
                self._fence = ""
        return len(line) + len(newline), FENCED

    def _inline(self, final: bool) -> tuple[int, str] | None:
        """A run of backticks: code if another run of its length follows in the paragraph, else text."""
        run = _RUN.match(self._text)
        assert run
        end = _PARAGRAPH_END.search(self._text, run.end())
        limit = end.start() if end else len(self._text)
        whole = final or end is not None
        for other in _RUN.finditer(self._text, run.end(), limit):
            if len(other[0]) == len(run[0]) and (whole or other.end() < limit):
                return other.end(), INLINE
        return (run.end(), "") if whole else None


def _closes(line: str, fence: str) -> bool:
    """Whether a line ends a fenced block."""
    return line.strip().startswith(fence) and not line.strip().strip(fence[0])


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Code between fences.

    Attributes:
        start, end: Its place in the text, fences included.
        inside: Start and end of its lines without the fences.
    """

    start: int
    end: int
    inside: tuple[int, int]


def code_blocks(text: str) -> Iterator[CodeBlock]:
    """The code between fences. Of a part of a document: a fence with a language begins a block, so one without
    before it has ended what the part doesn't show; and only such a block may lack its end."""
    start = inner = at = 0
    fence, named = "", False
    for line in text.splitlines(keepends=True) if "```" in text or "~~~" in text else ():
        opening = _OPENING.match(line)
        names = opening is not None and bool(line.strip().strip("`~"))
        if fence and _closes(line, fence):
            yield CodeBlock(start, at + len(line), (inner, at))
            fence = ""
        elif opening and (not fence or (names and not named)):
            start, inner, fence, named = at, at + len(line), opening["fence"], names
        at += len(line)
    if fence and named:
        yield CodeBlock(start, at, (inner, at))


def masked(text: str) -> str:
    """A whole text with FENCED and INLINE for its code."""
    return CodeMask().feed(text, final=True)[1]
