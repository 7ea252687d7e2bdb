"""BERT encoders in 8-bit integers: in half to two thirds of the time of float32 where the processor multiplies
such numbers (VNNI, AMX).

Weights are rounded once for each output, activations on the way for each token. So a vector doesn't depend on what
else is in the batch, and one large number costs only its own token's precision. Sums are exact integers. What is
between the products, attention among it, stays float32. Where the processor has no such instructions the weights
are unsigned: of sums of signed 8-bit products AVX2's instructions lose what is too large.

The queries, keys and values of attention lose the most by rounding what they are made of. For vectors that is kept
in two bytes, the second for what the first leaves: a third of the whole error less for a tenth of the time
(docs/measured.md).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.onnx_graph import EncoderGraph
from kb_assistant.embedding.shape import Shape
from kb_assistant.processor import multiplies_int8

_CONTRIBUTED = "com.microsoft"
_LARGEST, _ZERO = 127, 128
_SMALLEST = 1e-8
"""The least scale: a row of zeros has none."""


def rounded(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix (outputs, inputs) for a product from the right: int8 (inputs, outputs), and the outputs' scales.

    The given one is overwritten: in place and row by row takes the least time, which is most of that of loading.
    """
    scale = np.maximum(np.maximum(matrix.max(axis=1), -matrix.min(axis=1)), _SMALLEST) / _LARGEST
    np.rint(np.divide(matrix, scale[:, None], out=matrix), out=matrix)
    return matrix.astype(np.int8).T, scale.astype(np.float32)


class Int8Graph(EncoderGraph):
    """Inputs and output are the encoder's.

    Attributes:
        two_bytes: A part of the names of the linear layers that read two bytes; "" for none.
    """

    two_bytes = ""
    _scaled: tuple[str, tuple[str, str, str]] = ("", ("", "", ""))

    def __init__(self, folder: Path, shape: Shape) -> None:
        super().__init__(folder, shape)
        self._signed = multiplies_int8()

    def _linear(self, hidden: str, name: str) -> str:
        whole, rest, scales = self._rounded_tokens(hidden)
        matrix, scale = rounded(self._matrix(name))
        if not self._signed:
            matrix = matrix.view(np.uint8) ^ _ZERO
        right = [self._constant(f"{name} 8 bit", matrix), self._constant(f"{name} scale", scale)]
        product = self._product(whole, self._number("one", 1), *right)
        if self.two_bytes and self.two_bytes in name:
            product = self._node("Add", [product, self._product(rest, self._part(), *right)])
        bias = self._constant(f"{name} bias", self._values(f"{name}.bias"))
        return self._node("Add", [self._node("Mul", [product, scales]), bias])

    def _matrix(self, name: str) -> NDArray[np.float32]:
        """A linear layer's weights (outputs, inputs), of which the caller makes what it likes."""
        return self._values(f"{name}.weight")

    def _product(self, left: str, scale: str, matrix: str, scales: str) -> str:
        inputs = [left, matrix, scale, scales, self._zero(), *([] if self._signed else [self._zero()])]
        return self._node("MatMulIntegerToFloat", inputs, domain=_CONTRIBUTED)

    def _rounded_tokens(self, hidden: str) -> tuple[str, str, str]:
        """Tokens as uint8 around 128; what that leaves, in parts, likewise; and their scales (texts, tokens, 1).
        Query, key and value share them. What isn't used isn't computed."""
        if self._scaled[0] != hidden:
            last = self._constant("last axis", np.array([-1], np.int64))
            largest = self._node("ReduceMax", [self._node("Abs", [hidden]), last], keepdims=1)
            largest = self._node("Max", [largest, self._number("smallest", _SMALLEST)])
            scales = self._node("Div", [largest, self._number("largest", _LARGEST)])
            scaled = self._node("Div", [hidden, scales])
            whole = self._node("QuantizeLinear", [scaled, self._number("one", 1), self._zero()])
            given = self._node("DequantizeLinear", [whole, self._number("one", 1), self._zero()])
            left = self._node("Sub", [scaled, given])
            rest = self._node("QuantizeLinear", [left, self._part(), self._zero()])
            self._scaled = hidden, (whole, rest, scales)
        return self._scaled[1]

    def _part(self) -> str:
        """The scale of the second byte, whose largest number is half a step of the first."""
        return self._number("part", 1 / (2 * _LARGEST))

    def _number(self, name: str, value: float) -> str:
        return self._constant(name, np.array(value, np.float32))

    def _zero(self) -> str:
        return self._constant("zero", np.array(_ZERO, np.uint8))


class PassageGraph(Int8Graph):
    """For vectors."""

    two_bytes = ".attention.self."
