"""A model's tokenizer, loaded once for all that use it: it takes a second, and 100 MB for a large vocabulary."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.once import one_at_a_time

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model's folder. It is shared: leave its settings as they are.

    Raises:
        Exception: its file is missing or damaged; the library raises no other class.
    """
    file = (folder / "tokenizer.json").resolve()
    return _load(file, file.stat().st_mtime_ns)


@one_at_a_time
@lru_cache(maxsize=4)
def _load(file: Path, changed: int) -> Tokenizer:
    from tokenizers import Tokenizer

    del changed  # a file that has changed is loaded again
    tokenizer: Tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
