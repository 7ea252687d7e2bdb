"""Keeps the prompt's own sentences out of answers: very small models repeat what they were told to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kb_assistant.text.boundaries import STOPS, WIDE_STOPS
from kb_assistant.text.marks import BRACKET, BRACKETS
from kb_assistant.text.sentences import sentences

_LEAST_LETTERS = 6
"""Shorter sentences, such as "Yes.", may well be answers."""

_CUT_LETTERS = 20
"""Letters of an instruction's beginning that no answer has by chance."""

_CLAUSES = re.compile(r"[:：]\s*")
_ENDS = re.compile(rf"[{WIDE_STOPS}]+[”’」』）\"']*|[{STOPS}]+[”’)\"']*(?=\s)|\n")
_UNSETTLED = re.compile(rf"[{STOPS}]+[”’)\"']*\Z")
_OPEN_MARK = re.compile(r"[\[【][\d\s,，、]*\Z")
_MARKS = re.compile(rf"\A(?:{BRACKET})+")


def instructions_in(text: str, said: Iterable[str]) -> tuple[str, ...]:
    """The sentences of a prompt's instructions, and the parts before and after a colon; none that stands in a text
    of `said`, such as a passage or the question, because it may be quoted from there."""
    others = "\n".join(map(_letters, said))
    found: dict[str, None] = {}
    for sentence in (one for line in text.splitlines() for one in sentences(line)):
        for part in (sentence, *_CLAUSES.split(sentence)):
            letters = _letters(part)
            if len(letters) >= _LEAST_LETTERS and letters not in others:
                found[letters] = None
    return tuple(found)


class EchoFilter:
    """A filter of streaming text that leaves out sentences of the prompt's instructions.

    Text that can't be the beginning of one is let through as it comes.

    Args:
        instructions: Of `instructions_in`.

    Attributes:
        left_out: Whether a sentence was left out.
    """

    def __init__(self, instructions: Sequence[str]) -> None:
        self._instructions = frozenset(instructions)
        self._held = ""
        self._begun = False  # whether a part of the sentence was shown
        self._after_one = False  # whether the text before was left out
        self.left_out = False

    def feed(self, text: str) -> str:
        """The next text to show."""
        self._held += text
        shown = ""
        while end := _ENDS.search(self._held):
            shown += self._close(end.end())
        if self._begun or not self._may_be_one():
            unsettled = _UNSETTLED.search(self._held)
            settled = self._take(unsettled.start() if unsettled else len(self._held))
            self._begun = self._begun or bool(settled)
            shown += settled
        return shown

    def finish(self) -> str:
        """The text held back, at the end of the answer. The beginning of an instruction that was cut goes, too."""
        if not self._begun and self._may_be_one() and len(_letters(self._held)) >= _CUT_LETTERS:
            self._held, self.left_out = "", True
        return self._close(len(self._held))

    def _close(self, end: int) -> str:
        """The rest of a sentence; nothing if the whole is an instruction."""
        rest, begun, self._begun = self._take(end), self._begun, False
        if begun or _letters(rest) not in self._instructions:
            return rest
        self.left_out = self._after_one = True
        return ""

    def _take(self, length: int) -> str:
        """The first characters held back; the marks of a sentence that was left out go with it."""
        text, self._held = self._held[:length], self._held[length:]
        if self._after_one:
            text = _MARKS.sub("", text, count=1)
            self._after_one = not text
        return text

    def _may_be_one(self) -> bool:
        letters = _letters(_OPEN_MARK.sub("", self._held))
        return any(one.startswith(letters) for one in self._instructions)


def _letters(text: str) -> str:
    """Letters and digits alone, in one case: an echo may have other blanks, marks and punctuation."""
    return "".join(filter(str.isalnum, BRACKETS.sub("", text).casefold()))
