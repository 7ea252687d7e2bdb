"""Checked citations: marks `[n]` in an answer, while it streams, against the passages they point to.

A mark for a passage that doesn't exist is taken out. A sentence without a mark gets one where a passage plainly
holds its words. Each citation says whether the passage holds the words and numbers of every sentence that cites
it. `marks` and `evidence` say the same of a finished answer, mark by mark, for those who show it.

What this doesn't do: understand paraphrases or translations; those count as not supported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb_assistant.text import analyzer as keywords
from kb_assistant.text.sentences import sentences
from kb_assistant.types import Citation, Hit

SUPPORT = 0.5
"""Share of a sentence's words that its cited passage must hold."""

ATTRIBUTION = 0.6
"""Share of a sentence's words that a passage must hold to be cited unasked; at least ATTRIBUTION_WORDS of them."""

ATTRIBUTION_WORDS = 3

_BLANK = r"[^\S\n]"
_MARK = rf"{_BLANK}*[\[【]{_BLANK}*\d{{1,3}}(?:{_BLANK}*[,，、]{_BLANK}*\d{{1,3}})*{_BLANK}*[\]】]"
_CLOSERS = r"[”’」』）)\"']*"
# A full stop or newline ends a sentence; marks may follow a full stop.
_UNIT = re.compile(
    rf"(?P<mark>{_MARK})"
    rf"|(?P<stop>[。！？!?]+{_CLOSERS}|\.{_CLOSERS}(?=[\s\[【]))(?P<marks>(?:{_MARK})*)"
    r"|(?P<newline>\n)"
)
_MAYBE_MARK = rf"{_BLANK}*(?:[\[【](?:{_BLANK}|[\d,，、])*)?"
_MARK_MAY_FOLLOW = re.compile(_MAYBE_MARK)
_UNSETTLED = re.compile(rf"(?:\.{_CLOSERS}|{_MAYBE_MARK})\Z")


_SHOWN = re.compile(r" ?\[\d+\]")


def unmarked(answer: str) -> str:
    """A checked answer without its marks: in another prompt, or for a reader without the passages, they mean
    nothing."""
    return _SHOWN.sub("", answer)


class CitedStream:
    """A filter between the model's text and the reader's.

    Feed it text as it comes; what it returns may be shown at once and is never taken back.

    Args:
        hits: The passages of the prompt; mark [n] means hits[n - 1].
    """

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = tuple(hits)
        self._words = [set(keywords.tokens(f"{hit.locator.heading or ''}\n{hit.text}")) for hit in hits]
        self._numbers = [keywords.numbers(f"{hit.locator.heading or ''}\n{hit.text}") for hit in hits]
        self._pending = ""
        self._sentence = ""
        self._marks: list[int] = []
        self._supported: dict[int, bool] = {}
        self._held: list[bool] = []

    @property
    def held(self) -> tuple[bool, ...]:
        """For each sentence so far that cites: whether every passage it cites holds it."""
        return tuple(self._held)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The passages cited so far, in order of first mention."""
        return tuple(Citation(n, self._hits[n - 1], supported) for n, supported in self._supported.items())

    def feed(self, text: str) -> str:
        """The next text to show; some is held back while it may still become a mark or need one."""
        self._pending += text
        return self._drain(final=False)

    def finish(self) -> str:
        """What was held back, at the end of the answer."""
        return self._drain(final=True) + self._close_sentence()

    def _drain(self, final: bool) -> str:
        """Show what is pending, up to where more text could change how it reads."""
        shown = ""
        while unit := _UNIT.search(self._pending):
            if unit["stop"] and not final and _MARK_MAY_FOLLOW.fullmatch(self._pending, unit.end()):
                break
            shown += self._take(unit.start())
            if unit["newline"]:
                shown += self._close_sentence() + self._take(1)
                self._sentence = ""
            elif unit["stop"]:
                shown += self._take(len(unit["stop"])) + self._take_marks(unit["marks"]) + self._close_sentence()
            else:
                shown += self._take_marks(unit["mark"])
        if final:
            settled = len(self._pending)
        elif unit:
            settled = unit.start()
        else:
            unsettled = _UNSETTLED.search(self._pending)
            settled = unsettled.start() if unsettled else len(self._pending)
        return shown + self._take(settled)

    def _take(self, length: int) -> str:
        text, self._pending = self._pending[:length], self._pending[length:]
        self._sentence += text
        return text

    def _take_marks(self, marks: str) -> str:
        """Pass over marks; their valid numbers are shown, each once a sentence."""
        self._pending = self._pending[len(marks) :]
        numbers = dict.fromkeys(int(number) for number in re.findall(r"\d+", marks))
        fresh = [n for n in numbers if 1 <= n <= len(self._hits) and n not in self._marks]
        self._marks += fresh
        return "".join(self._shown(n) for n in fresh)

    def _shown(self, n: int) -> str:
        """A mark, after a space in text that is written with spaces."""
        last = self._sentence[-1:]
        return f" [{n}]" if last.isascii() and last.strip() else f"[{n}]"

    def _close_sentence(self) -> str:
        """Note what the sentence cites; cite for it where it doesn't and a passage plainly holds it."""
        words = _content_words(self._sentence)
        numbers = keywords.numbers(self._sentence)
        shares = [
            _share(words, passage) if numbers <= held else 0.0
            for passage, held in zip(self._words, self._numbers, strict=True)
        ]
        added = ""
        if not self._marks and len(words) >= ATTRIBUTION_WORDS and max(shares, default=0.0) >= ATTRIBUTION:
            self._marks = [shares.index(max(shares)) + 1]
            added = self._shown(self._marks[0])
        for n in self._marks:
            self._supported[n] = self._supported.get(n, True) and shares[n - 1] >= SUPPORT
        if self._marks:
            self._held.append(all(shares[n - 1] >= SUPPORT for n in self._marks))
        self._sentence, self._marks = "", []
        return added


def _share(words: set[str], passage: set[str]) -> float:
    """Share of the words that the passage holds."""
    return len(words & passage) / len(words) if words else 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One `[n]` in a finished answer.

    Attributes:
        n: The passage it points to, from 1.
        start, end: Where it stands in the answer, as for slices.
        supported: Whether the passage holds the words and numbers of this very sentence.
        sentence: What it is said of, without marks.
    """

    n: int
    start: int
    end: int
    supported: bool
    sentence: str


def marks(answer: str, hits: Sequence[Hit]) -> list[Mark]:
    """The marks of an answer, in order. Numbers without a passage are text like any other."""
    found: list[Mark] = []
    for start, end in _sentence_spans(answer):
        text = answer[start:end]
        said = " ".join(re.sub(_MARK, "", text).split())
        for mark in re.finditer(r"[\[【](\d{1,3})[\]】]", text):
            if 1 <= (n := int(mark[1])) <= len(hits):
                supported = _holds(hits[n - 1], said)
                found.append(Mark(n, start + mark.start(), start + mark.end(), supported, said))
    return found


def evidence(sentence: str, passage: str) -> tuple[int, int] | None:
    """Where in the passage the sentence stands that shares most words with another, as for slices.

    None where no sentence shares any.
    """
    words = _content_words(sentence)
    candidates = [(_overlap(words, _content_words(one)), one) for one in sentences(passage)]
    score, best = max(candidates, key=lambda pair: pair[0], default=(0.0, ""))
    if score == 0:
        return None
    # Sentences come with their line breaks joined and their list markers taken off.
    letters = r"\s*".join(re.escape(character) for character in best if not character.isspace())
    place = re.search(letters, passage)
    return place.span() if place else None


def _sentence_spans(answer: str) -> Iterator[tuple[int, int]]:
    """Sentences with the marks that follow them."""
    start = 0
    for unit in _UNIT.finditer(answer):
        if unit["stop"] or unit["newline"]:
            yield start, unit.end()
            start = unit.end()
    yield start, len(answer)


def _holds(hit: Hit, sentence: str) -> bool:
    """Whether a passage, with its headings, holds a sentence's words and numbers."""
    passage = f"{hit.locator.heading or ''}\n{hit.text}"
    if not keywords.numbers(sentence) <= keywords.numbers(passage):
        return False
    return _share(_content_words(sentence), set(keywords.tokens(passage))) >= SUPPORT


def _content_words(text: str) -> set[str]:
    return {token for token in keywords.tokens(text) if token not in keywords.STOPWORDS}


def _overlap(words: set[str], others: set[str]) -> float:
    """Words in common, weighed against those of both (Dice)."""
    return 2 * len(words & others) / (len(words) + len(others)) if words and others else 0.0
