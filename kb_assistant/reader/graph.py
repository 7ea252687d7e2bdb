"""The reader as an ONNX graph: the embedder's encoder with the learned adapters merged into its matrices, which
are rounded to 8 bits, and the heads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.onnx_int8 import Int8Graph
from kb_assistant.embedding.shape import Shape

HEADS = ("relevance", "answer", "first", "last")
"""What the four columns of the logits stand for; the first two are read at the first token."""

_ALONE = 1 << 18
"""Up to so many multiplications OpenBLAS starts no threads for a product of matrices."""


class ReaderGraph(Int8Graph):
    """Inputs are the encoder's but the mask: texts are of one length. The output is "logits", float32 (texts,
    tokens, 4).

    Args:
        folder: The embedder's folder.
        learned: Adapters and heads, by the names that kb_assistant.training.reader.network gives them.
    """

    inputs = ("ids", "positions")
    output = "logits"

    def __init__(self, folder: Path, shape: Shape, learned: Mapping[str, NDArray[np.float16]]) -> None:
        super().__init__(folder, shape)
        self._learned = learned

    def _matrix(self, name: str) -> NDArray[np.float32]:
        matrix = super()._matrix(name)
        down, up = (self._learned.get(f"encoder.{name}.{part}") for part in ("down", "up"))
        if down is not None and up is not None:
            matrix += _product(up.astype(np.float32), down.astype(np.float32))
        return matrix

    def _finished(self, hidden: str) -> str:
        weight = self._constant("heads", self._learned["heads.weight"].astype(np.float32).T)
        bias = self._constant("heads bias", self._learned["heads.bias"].astype(np.float32))
        return self._node("Add", [self._node("MatMul", [hidden, weight]), bias])


def _product(up: NDArray[np.float32], down: NDArray[np.float32]) -> NDArray[np.float32]:
    """The product of two matrices, some rows at a time, so that one thread computes it.

    The sums, and with them what is rounded, then don't depend on the number of processors; and threads that start
    for so little cost five times as much as they compute.
    """
    rows = math.gcd(len(up), 1 << max(0, (_ALONE // down.size).bit_length() - 1))
    product: NDArray[np.float32] = (up.reshape(-1, rows, up.shape[1]) @ down).reshape(len(up), -1)
    return product
