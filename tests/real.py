"""Real vectors, remembered: the installed embedder's, kept on disk between runs so that each is computed once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from kb_assistant.embedding import local as embed
from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.model_folder import Model

Vectors = NDArray[np.float32]


class RememberedEmbeddings(LocalEmbeddings):
    """LocalEmbeddings whose vectors are kept in `folder`, under a name made of the weights and the room's code.

    So what a test sees is what the model gives; a change of either computes everything again.
    """

    def __init__(self, model: Model, folder: Path) -> None:
        super().__init__(model, device="cpu")
        code = b"".join(file.read_bytes() for file in sorted(Path(embed.__file__).parent.glob("*.py")))
        key = hashlib.sha256(code + model.sha256.encode()).hexdigest()[:16]
        self._file = folder / f"vectors-{key}.npz"
        self._known = self._saved()
        self._fresh = 0

    def encode_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Vectors]]:
        keys = [_key("passage", text) for text in texts]
        missing = [i for i, key in enumerate(keys) if key not in self._known]
        for rows, batch in super().encode_batches([texts[i] for i in missing]):
            self._learn([keys[missing[row]] for row in rows], batch)
        if keys:
            yield list(range(len(keys))), np.stack([self._known[key] for key in keys])

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        keys = [_key("query", text) for text in texts]
        missing = [i for i, key in enumerate(keys) if key not in self._known]
        if missing:
            self._learn([keys[i] for i in missing], super().encode_queries([texts[i] for i in missing]))
        return np.stack([self._known[key] for key in keys])

    def save(self) -> None:
        """Keep what was learnt for the next run, beside what other processes have saved meanwhile."""
        if not self._fresh:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._file.with_suffix(".lock")):
            self._known |= self._saved()
            part = self._file.with_suffix(f".{os.getpid()}.npz")
            np.savez(part, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
            part.replace(self._file)

    def _saved(self) -> dict[str, Vectors]:
        if not self._file.exists():
            return {}
        with np.load(self._file) as saved:
            return dict(zip(saved["keys"].tolist(), saved["vectors"], strict=True))

    def _learn(self, keys: Sequence[str], vectors: Any) -> None:
        self._known.update(zip(keys, np.asarray(vectors, np.float32), strict=True))
        self._fresh += len(keys)


def _key(side: str, text: str) -> str:
    return hashlib.sha256(f"{side}\0{text}".encode("utf-8", "replace")).hexdigest()
