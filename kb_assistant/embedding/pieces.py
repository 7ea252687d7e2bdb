"""Cuts a few texts into tokens of a large Unigram vocabulary (Kudo, Subword Regularization, 2018) without its
tree.

The library builds a tree of all pieces first: two thirds of a second for 250,000, in which no other thread runs.
The best way to cut a text depends only on the pieces that stand in it, and on the lowest score, which sets that of
unknown characters. So a vocabulary of those alone gives the same tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Encoding


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text: their ids, and where each stands in the text, in characters."""

    ids: list[int]
    offsets: list[tuple[int, int]]

    def __len__(self) -> int:
        return len(self.ids)


class PieceTokenizer:
    """Gives the tokens that the library gives with the whole vocabulary. Safe to share between threads.

    Args:
        described: What a tokenizer.json holds; its vocabulary is taken out.

    Raises:
        ValueError: it isn't Unigram without bytes for unknown characters, whose special tokens stand first.
        Exception: the library refuses it.
    """

    def __init__(self, described: dict[str, Any]) -> None:
        from tokenizers import Tokenizer

        model = described["model"]
        if model.get("type") != "Unigram" or model.get("byte_fallback"):
            raise ValueError("not plain Unigram")
        self._pieces: list[tuple[str, float]] = model["vocab"]
        self._numbers = {piece: number for number, (piece, __) in enumerate(self._pieces)}
        self._longest = max(map(len, self._numbers))
        scores = [score for __, score in self._pieces]
        self._lowest = scores.index(min(scores))
        self._unknown: int = model["unk_id"]
        self._special = self._first(described)
        tokens = [
            token | {"id": self._special.index(self._numbers[token["content"]])}
            for token in described["added_tokens"]
        ]
        model = model | {"vocab": [self._pieces[number] for number in self._special]}
        described = described | {"model": model, "added_tokens": tokens, "truncation": None, "padding": None}
        self._tokenizer = Tokenizer.from_str(json.dumps(described))
        self._no_pieces = self._tokenizer.model
        self._lock = Lock()

    def encode_batch(self, texts: Sequence[str], add_special_tokens: bool = True) -> list[Tokens]:
        """The tokens of each text."""
        from tokenizers.models import Unigram

        with self._lock:  # the library's object has one model at a time
            self._tokenizer.model = self._no_pieces
            words = self._words(self._tokenizer.encode_batch(texts, add_special_tokens=False))
            ids = [*self._special, *sorted(self._within(words) - set(self._special))]
            vocabulary = [(piece, score) for piece, score in map(self._pieces.__getitem__, ids)]
            self._tokenizer.model = Unigram(vocabulary, self._unknown, False)
            encodings = self._tokenizer.encode_batch(texts, add_special_tokens=add_special_tokens)
        return [Tokens([ids[token] for token in one.ids], one.offsets) for one in encodings]

    def _first(self, described: dict[str, Any]) -> list[int]:
        """Numbers of the pieces that keep their number, since the file names it, and of the other special ones."""
        after = described.get("post_processor") or {}
        if after.get("type", "TemplateProcessing") != "TemplateProcessing":
            raise ValueError("special tokens are added in a way of its own")
        named = [number for token in after.get("special_tokens", {}).values() for number in token["ids"]]
        first = range(max([self._unknown, *named]) + 1)
        try:
            special = {self._numbers[token["content"]] for token in described["added_tokens"]}
        except KeyError as error:
            raise ValueError("a special token outside the vocabulary") from error
        if not special.issuperset(first):
            raise ValueError("ordinary pieces among the special ones")
        return [*first, *sorted(special.difference(first))]

    def _words(self, encodings: Iterable[Encoding]) -> set[str]:
        """What the library looks for pieces in: each word is one unknown token, as no piece is known."""
        words: set[str] = set()
        for encoding in encodings:
            tokens = encoding.tokens
            # A special token's name may stand within a word.
            words.update(tokens if set(encoding.ids) <= {self._unknown} else ["".join(tokens)])
        return words

    def _within(self, words: Iterable[str]) -> set[int]:
        """Numbers of the pieces that stand in the words, and of the one with the lowest score."""
        numbers, longest = self._numbers, self._longest
        found = {self._lowest}
        for word in words:
            for start in range(len(word)):
                for end in range(start + 1, min(start + longest, len(word)) + 1):
                    if (number := numbers.get(word[start:end])) is not None:
                        found.add(number)
        return found
