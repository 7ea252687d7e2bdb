"""Checked citations: checks the marks `[n]` of a streaming answer against the passages they point to.

Not every `[n]` is a mark: a number without a passage is text, and so is anything in code or directly after a
letter, a digit, `)` or `]`, as in `argv[1]`. A sentence without a mark gets one if a passage clearly contains its
words. Each citation says whether the passage contains the words and numbers of every sentence that cites it.
`marks` and `evidence` give the same for a finished answer, mark by mark, for display.

Paraphrases and translations aren't recognised; they count as not supported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb_assistant.text import analyzer as keywords
from kb_assistant.text.boundaries import LOOK_BACK, STOPS, WIDE_STOPS, goes_on
from kb_assistant.text.code_mask import FENCED, CodeMask, masked
from kb_assistant.text.marks import BLANK, BRACKET, BRACKETS, binds, marks_in, numbers_of
from kb_assistant.text.sentences import sentences
from kb_assistant.types import Citation, Hit

SUPPORT = 0.5
"""Share of a sentence's words that its cited passage must contain."""

ATTRIBUTION = 0.6
"""Share of a sentence's words, at least ATTRIBUTION_WORDS, that a passage must contain to get a citation added."""

ATTRIBUTION_WORDS = 3

_CLOSERS = r"[”’」』）)\"']*"
# A full stop or newline ends a sentence; marks may follow a stop. The sign before a picture's bracket is no stop.
_UNIT = re.compile(
    rf"(?P<mark>{BRACKET})|(?P<stop>[{WIDE_STOPS}]+{_CLOSERS}|[{STOPS}]+{_CLOSERS}(?=\s|[\[【]{BLANK}*\d))"
    r"|(?P<newline>\n)"
)
_BLANKS = re.compile(rf"{BLANK}*")
_MAYBE_MARK = rf"{BLANK}*(?:[\[【](?:{BLANK}|[\d,，、])*)?"
_MARK_MAY_FOLLOW = re.compile(_MAYBE_MARK)
_UNSETTLED = re.compile(rf"(?:[{STOPS}]+{_CLOSERS})?{_MAYBE_MARK}\Z")


class CitedStream:
    """A filter between the model's text and the reader's.

    Feed it text as it comes; its output may be shown at once and is never withdrawn.

    Args:
        hits: The passages of the prompt; mark [n] means hits[n - 1].
    """

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = tuple(hits)
        self._words = [set(keywords.analyze(f"{hit.locator.heading or ''}\n{hit.text}")) for hit in hits]
        self._numbers = [keywords.numbers(f"{hit.locator.heading or ''}\n{hit.text}") for hit in hits]
        self._passages = range(1, len(self._hits) + 1)
        self._code = CodeMask()
        self._pending = self._mask = ""
        self._sentence = self._before = ""
        self._marks: list[int] = []
        self._supported: dict[int, bool] = {}
        self._held: list[bool] = []

    @property
    def held(self) -> tuple[bool, ...]:
        """For each citing sentence so far: whether every cited passage supports it."""
        return tuple(self._held)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The passages cited so far, in order of first mention."""
        return tuple(Citation(n, self._hits[n - 1], supported) for n, supported in self._supported.items())

    def feed(self, text: str) -> str:
        """The next text to show; text that may become a mark or code, or need a mark, is held back."""
        return self._drain(text, final=False)

    def finish(self) -> str:
        """The text held back, at the end of the answer."""
        return self._drain("", final=True) + self._close_sentence()

    def _drain(self, text: str, final: bool) -> str:
        """Show the pending text, up to the point where more text could change its meaning."""
        text, mask = self._code.feed(text, final)
        self._pending, self._mask = self._pending + text, self._mask + mask
        shown = ""
        while unit := _UNIT.search(self._mask):
            end = self._end_of_marks(unit.end()) if unit["stop"] else unit.end()
            if unit["stop"] and not final and _MARK_MAY_FOLLOW.fullmatch(self._mask, end):
                break
            before, after = self._sentence + self._mask[: unit.start()], _behind(self._mask, end)
            shown += self._take(unit.start())
            if unit["newline"]:
                shown += self._close_sentence() + self._take(1)
                self._sentence = ""
            elif unit["stop"] and goes_on(before[-LOOK_BACK:], unit["stop"], after):
                shown += self._take(len(unit["stop"]))
            elif unit["stop"]:
                shown += (
                    self._take(len(unit["stop"])) + self._take_marks(end - unit.end()) + self._close_sentence()
                )
            elif numbers_of(unit["mark"], self._before, self._passages):
                shown += self._take_marks(len(unit["mark"]))
            else:
                shown += self._take(len(unit["mark"]))
        if final:
            settled = len(self._pending)
        elif unit:
            settled = unit.start()
        else:
            unsettled = _UNSETTLED.search(self._mask)
            settled = unsettled.start() if unsettled else len(self._pending)
        return shown + self._take(settled)

    def _end_of_marks(self, start: int) -> int:
        """The end of the consecutive marks that begin here."""
        before = self._mask[start - 1]
        while bracket := BRACKETS.match(self._mask, start):
            if not numbers_of(bracket[0], before, self._passages):
                break
            start, before = bracket.end(), ""
        return start

    def _pass(self, length: int) -> str:
        text, self._pending, self._mask = self._pending[:length], self._pending[length:], self._mask[length:]
        return text

    def _take(self, length: int) -> str:
        """Show text unchanged. Fenced code belongs to no sentence."""
        if length:
            self._before = self._mask[length - 1]
            signs = zip(self._pending[:length], self._mask, strict=False)
            self._sentence += "".join(sign for sign, masked in signs if masked != FENCED)
        return self._pass(length)

    def _take_marks(self, length: int) -> str:
        """Consume marks; each number is shown once per sentence."""
        fresh: list[int] = []
        for _, _, numbers in marks_in(self._pass(length), self._passages):
            fresh += [n for n in numbers if n not in self._marks and n not in fresh]
        self._before = "" if length else self._before
        self._marks += fresh
        return "".join(self._shown(n) for n in fresh)

    def _shown(self, n: int) -> str:
        """A mark, after a space in text written with spaces."""
        last = self._sentence[-1:]
        spaced = (last.isascii() and bool(last.strip())) or binds(last) or _is_narrow(last)
        return f" [{n}]" if spaced else f"[{n}]"

    def _close_sentence(self) -> str:
        """Record the sentence's citations; add one if it has none and a passage clearly supports it."""
        said = BRACKETS.sub("", self._sentence)  # a number without a passage isn't a fact to check
        words, numbers = _content_words(said), keywords.numbers(said)
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


def _is_narrow(character: str) -> bool:
    """Whether it is a letter or a sign of text written with spaces, such as é or €."""
    return (
        unicodedata.category(character or " ")[0] in "LNS" and unicodedata.east_asian_width(character) not in "WF"
    )


def _share(words: set[str], passage: set[str]) -> float:
    """Share of the words that the passage contains."""
    return len(words & passage) / len(words) if words else 0.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One `[n]` in a finished answer.

    Attributes:
        n: The passage it points to, from 1.
        start, end: Its slice of the answer.
        supported: Whether the passage contains the words and numbers of this sentence.
        sentence: The citing sentence, without marks.
    """

    n: int
    start: int
    end: int
    supported: bool
    sentence: str


def marks(answer: str, hits: Sequence[Hit]) -> list[Mark]:
    """The marks of an answer, in order. Numbers without a passage are ordinary text."""
    found: list[Mark] = []
    mask, passages = masked(answer), range(1, len(hits) + 1)
    placed = list(marks_in(mask, passages))
    for start, end in _sentence_spans(mask, placed):
        inside = [mark for mark in placed if start <= mark[0] < end]
        said = " ".join(_without(answer, start, end, inside).split())
        for first, last, numbers in inside:
            first += len(answer[first:last]) - len(answer[first:last].lstrip())
            found += [Mark(n, first, last, _holds(hits[n - 1], said), said) for n in numbers]
    return found


def evidence(sentence: str, passage: str) -> tuple[int, int] | None:
    """The slice of the passage's sentence that shares most words with the given one.

    None if no sentence shares any.
    """
    words = _content_words(sentence)
    candidates = [(_overlap(words, _content_words(one)), one) for one in sentences(passage)]
    score, best = max(candidates, key=lambda pair: pair[0], default=(0.0, ""))
    if score == 0:
        return None
    # Sentences have their line breaks joined and their list markers removed.
    letters = r"\s*".join(re.escape(character) for character in best if not character.isspace())
    place = re.search(letters, passage)
    return place.span() if place else None


def _behind(mask: str, place: int) -> str:
    """The first non-blank character from here; empty at the end."""
    blanks = _BLANKS.match(mask, place)
    return mask[blanks.end() :][:1] if blanks else ""


def _sentence_spans(mask: str, placed: Sequence[tuple[int, int, list[int]]]) -> Iterator[tuple[int, int]]:
    """Sentences with the marks that follow them."""
    ends = {start: end for start, end, _ in placed}
    start = 0
    for unit in _UNIT.finditer(mask):
        end = unit.end()
        while unit["stop"] and end in ends:
            end = ends[end]
        before = mask[max(start, unit.start() - LOOK_BACK) : unit.start()]
        if unit["newline"] or (unit["stop"] and not goes_on(before, unit["stop"], _behind(mask, end))):
            yield start, end
            start = end
    yield start, len(mask)


def _without(answer: str, start: int, end: int, placed: Sequence[tuple[int, int, list[int]]]) -> str:
    """A part of an answer without the marks in it."""
    kept = ""
    for first, last, _ in placed:
        kept, start = kept + answer[start:first], last
    return kept + answer[start:end]


def _holds(hit: Hit, sentence: str) -> bool:
    """Whether a passage, with its headings, contains a sentence's words and numbers."""
    passage = f"{hit.locator.heading or ''}\n{hit.text}"
    sentence = BRACKETS.sub("", sentence)
    if not keywords.numbers(sentence) <= keywords.numbers(passage):
        return False
    return _share(_content_words(sentence), set(keywords.analyze(passage))) >= SUPPORT


def _content_words(text: str) -> set[str]:
    return {token for token in keywords.analyze(text) if token not in keywords.STOPWORDS}


def _overlap(words: set[str], others: set[str]) -> float:
    """The Dice coefficient of the two sets of words."""
    return 2 * len(words & others) / (len(words) + len(others)) if words and others else 0.0
