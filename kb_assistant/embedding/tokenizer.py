"""A model's tokenizer, loaded once for all that use it: a large vocabulary takes a second, and 100 MB."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kb_assistant.embedding.pieces import PieceTokenizer
from kb_assistant.once import once, one_at_a_time

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_log = logging.getLogger(__name__)

FEW_CHARACTERS = 100_000
"""Up to so many characters a process cuts by pieces: in less time than the whole vocabulary takes to load, and in
more a character than by it."""

LARGE_FILE = 2_000_000
"""Bytes; smaller files load at once."""


class Encoded(Protocol):
    """The tokens of a text: their ids, and where each stands in the text, in characters."""

    @property
    def ids(self) -> list[int]: ...
    @property
    def offsets(self) -> list[tuple[int, int]]: ...
    def __len__(self) -> int: ...


class TextTokenizer:
    """Safe to share between threads.

    Raises:
        Exception: its file is missing or damaged; the library raises no other class.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._cut = 0
        self._pieces = _by_pieces(file)
        if self._pieces is None:
            self.load()

    def encode_batch(
        self, texts: Sequence[str], add_special_tokens: bool = True, placed: bool = True
    ) -> Sequence[Encoded]:
        """The tokens of each text, none cut off and none filled up.

        Args:
            placed: Whether their places in the text are wanted, which takes a fifth longer.
        """
        if (pieces := self._pieces) is not None:
            self._cut += sum(map(len, texts))
            if self._cut <= FEW_CHARACTERS:
                return pieces.encode_batch(texts, add_special_tokens)
            self.load()
        encode = self._whole.encode_batch if placed else self._whole.encode_batch_fast
        encodings: Sequence[Encoded] = encode(texts, add_special_tokens=add_special_tokens)
        return encodings

    def load(self) -> None:
        """Load the whole vocabulary now rather than after many texts."""
        _ = self._whole
        self._pieces = None

    @once
    def _whole(self) -> Tokenizer:
        from tokenizers import Tokenizer

        tokenizer: Tokenizer = Tokenizer.from_file(str(self._file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def load_tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer of a model's folder.

    Raises:
        Exception: its file is missing or damaged; the library raises no other class.
    """
    file = (folder / "tokenizer.json").resolve()
    return _load(file, file.stat().st_mtime_ns)


@one_at_a_time
@lru_cache(maxsize=4)
def _load(file: Path, changed: int) -> TextTokenizer:
    del changed  # a file that has changed is loaded again
    return TextTokenizer(file)


def _by_pieces(file: Path) -> PieceTokenizer | None:
    if file.stat().st_size < LARGE_FILE:
        return None
    try:
        return PieceTokenizer(json.loads(file.read_bytes()))
    except Exception as error:  # of another kind, or damaged, which the library says better
        _log.debug("%s is loaded whole: %s", file, error)
        return None
