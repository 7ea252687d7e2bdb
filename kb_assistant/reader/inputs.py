"""The reader's input: `<s> earlier </s> question </s></s> heading and passage </s>` as token ids.

The order is that of pairs in RoBERTa (Liu et al., 2019); `earlier </s>` is left out for a first question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kb_assistant.embedding.tokenizer import Encoded, load_tokenizer

EARLIER, QUESTION, HEADING = 48, 48, 24
"""Most tokens of the earlier turns (the last ones), of the question and of the heading (the first ones)."""

LONGEST = 224
"""Most tokens of an input."""

_SPECIAL = re.compile(r"<(?=/?s>|pad>|unk>|mask>)")


@dataclass(frozen=True, slots=True)
class ReaderInput:
    """One input: a passage, or a window of a longer one.

    Attributes:
        ids: Token ids.
        body: Position of the first token of the passage.
        offsets: Start and end, in characters of the passage, of each of its tokens.
        shared: Number of the question's tokens that the window contains.
    """

    ids: list[int]
    body: int
    offsets: list[tuple[int, int]]
    shared: int


class InputEncoder:
    """Makes inputs with the embedder's tokenizer."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._start, self._end = self._tokenizer.encode_batch([""])[0].ids

    def encode(
        self, question: str, earlier: Sequence[str], passages: Sequence[tuple[str, str]], longest: int = LONGEST
    ) -> list[list[ReaderInput]]:
        """The windows of each (heading, passage) in the passage's order; they overlap by a quarter.

        Args:
            earlier: The texts of the turns before, oldest first.
        """
        texts = [" ".join(earlier), question, *(text for passage in passages for text in passage)]
        before, asked, *rest = self._tokenizer.encode_batch(list(map(_plain, texts)), add_special_tokens=False)
        head = [self._start, *before.ids[-EARLIER:], self._end] if before.ids else [self._start]
        head += [*asked.ids[:QUESTION], self._end, self._end]
        return [
            self._windows([*head, *heading.ids[:HEADING]], body, frozenset(asked.ids), longest)
            for heading, body in zip(rest[::2], rest[1::2], strict=True)
        ]

    def _windows(self, head: list[int], body: Encoded, asked: frozenset[int], longest: int) -> list[ReaderInput]:
        room = max(1, longest - len(head) - 1)
        last = max(0, len(body.ids) - room)
        starts = [*range(0, last, max(1, room * 3 // 4)), last]
        return [
            ReaderInput(
                [*head, *body.ids[start : start + room], self._end],
                len(head),
                list(body.offsets[start : start + room]),
                len(asked & set(body.ids[start : start + room])),
            )
            for start in starts
        ]


def _plain(text: str) -> str:
    """The text, of the same length, without what the tokenizer takes for a mark of its own, and without lone
    surrogates, which it refuses."""
    return _SPECIAL.sub("‹", text.encode("utf-8", "replace").decode("utf-8"))
