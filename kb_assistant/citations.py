"""Checked citations: marks `[n]` in an answer, while it streams, against the passages they point to.

A mark for a passage that doesn't exist is taken out. A sentence without a mark gets one where a passage plainly
holds its words. Each citation says whether the passage holds the words and numbers of every sentence that cites
it. What this doesn't do: understand paraphrases or translations; those count as not supported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb_assistant import keywords
from kb_assistant.types import Citation, Hit

SUPPORT = 0.5
"""Share of a sentence's words that its cited passage must hold."""

ATTRIBUTION = 0.7
"""Share of a sentence's words that a passage must hold to be cited unasked; at least ATTRIBUTION_WORDS of them."""

ATTRIBUTION_WORDS = 3

_MARK = re.compile(r"\s?[\[【]\s*(\d{1,3}(?:\s*[,，、]\s*\d{1,3})*)\s*[\]】]")
_PARTIAL_MARK = re.compile(r"\s?[\[【][\d\s,，、]*$")
_CLOSERS = r"[”’」』）)\"']*"
_END = re.compile(rf"(?:[。！？!?]+{_CLOSERS}|\.{_CLOSERS}(?=[\s\[【]))|(?P<newline>\n+)")
_MAYBE_MARK = re.compile(r"[ \t]*(?:[\[【][\d\s,，、]*)?")
_UNSETTLED = " \t.。！？!?\"'”’」』）)"


class CitedStream:
    """A filter between the model's text and the reader's.

    Feed it text as it comes; what it returns may be shown at once and is never taken back.

    Args:
        hits: The passages of the prompt; mark [n] means hits[n - 1].
    """

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = tuple(hits)
        self._words = [set(keywords.tokens(f"{hit.locator.heading or ''}\n{hit.text}")) for hit in hits]
        self._pending = ""
        self._sentence = ""
        self._marks: list[int] = []
        self._supported: dict[int, bool] = {}

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
        shown = ""
        while self._pending:
            mark, end = _MARK.search(self._pending), _END.search(self._pending)
            if mark and (not end or mark.start() < end.start()):
                shown += self._take(mark.start()) + self._take_mark(mark)
            elif end and end["newline"]:
                shown += self._take(end.start()) + self._close_sentence() + self._take(len(end["newline"]))
                self._sentence = ""
            elif end:
                if not final and _MAYBE_MARK.fullmatch(self._pending, end.end()):
                    break  # a mark may follow the full stop: wait until it can be told
                shown += self._take(end.end()) + self._take_marks_ahead() + self._close_sentence()
            else:
                return shown + self._take(len(self._pending) if final else self._settled())
        return shown

    def _settled(self) -> int:
        """How much of the pending text may go: nothing that may yet be a mark, or a sentence's end."""
        partial = _PARTIAL_MARK.search(self._pending)
        return len(self._pending[: partial.start()] if partial else self._pending.rstrip(_UNSETTLED))

    def _take_marks_ahead(self) -> str:
        shown = ""
        while mark := _MARK.match(self._pending.lstrip(" \t")):
            self._pending = self._pending.lstrip(" \t")
            shown += self._take_mark(mark)
        return shown

    def _take(self, length: int) -> str:
        text, self._pending = self._pending[:length], self._pending[length:]
        self._sentence += text
        return text

    def _take_mark(self, mark: re.Match[str]) -> str:
        """Pass over a mark; its valid numbers are shown, each once a sentence."""
        self._pending = self._pending[len(mark[0]) :]
        numbers = [int(number) for number in re.findall(r"\d+", mark[1])]
        fresh = [n for n in dict.fromkeys(numbers) if 1 <= n <= len(self._hits) and n not in self._marks]
        self._marks += fresh
        return "".join(self._shown(n) for n in fresh)

    def _shown(self, n: int) -> str:
        """A mark, after a space in text that is written with spaces."""
        return f" [{n}]" if self._sentence[-1:].isascii() else f"[{n}]"

    def _close_sentence(self) -> str:
        """Note what the sentence cites; cite for it where it doesn't and a passage plainly holds it."""
        words = {token for token in keywords.tokens(self._sentence) if token not in keywords.STOPWORDS}
        shares = [_share(words, passage) for passage in self._words]
        added = ""
        if not self._marks and len(words) >= ATTRIBUTION_WORDS and max(shares, default=0.0) >= ATTRIBUTION:
            self._marks = [shares.index(max(shares)) + 1]
            added = self._shown(self._marks[0])
        for n in self._marks:
            self._supported[n] = self._supported.get(n, True) and shares[n - 1] >= SUPPORT
        self._sentence, self._marks = "", []
        return added


def _share(words: set[str], passage: set[str]) -> float:
    """Share of the words that the passage holds; 0 where a number isn't among them."""
    if not words or any(word not in passage for word in words if word[0].isdigit()):
        return 0.0
    return len(words & passage) / len(words)
