"""The kb command with HashEmbeddings for a model: `python -m tests.kb_fake ingest docs --json`.

KB_FAKE_DELAY slows each batch down, in seconds; KB_FAKE_LOG names a file that takes a JSON line for each embedded
text, and `null` when a batch is first asked for; KB_FAKE_POISON is a word that kills the process that embeds it.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_assistant.cli import main
from kb_assistant.open_models import OpenModels
from tests.fakes import HashEmbeddings


class SlowEmbeddings(HashEmbeddings):
    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        _log([None])
        poison = os.environ.get("KB_FAKE_POISON")
        if poison and any(poison in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        for rows, batch in super().encode_batches(texts):
            time.sleep(float(os.environ.get("KB_FAKE_DELAY", "0")))
            _log([texts[row] for row in rows])
            yield rows, batch


def _log(entries: Sequence[str | None]) -> None:
    if name := os.environ.get("KB_FAKE_LOG"):
        with Path(name).open("ab", buffering=0) as file:  # one write in append mode: a kill leaves whole lines
            file.write("".join(json.dumps(entry) + "\n" for entry in entries).encode())


if __name__ == "__main__":
    OpenModels.embedder = SlowEmbeddings(os.environ.get("KB_FAKE_NAME", "hash"), batch=16)  # type: ignore[assignment]
    main()
