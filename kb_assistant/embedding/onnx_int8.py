"""BERT encoders in 8-bit integers: in half the time of float32 where the processor multiplies
such numbers (VNNI, AMX).

Weights are rounded once for each output, activations on the way for each token. So a vector doesn't depend on what
else is in the batch, and one large number costs only its own token's precision. Sums are exact integers. What is
between the products, attention among it, stays float32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.onnx_graph import EncoderGraph

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
    """Inputs and output are the encoder's."""

    _scaled: tuple[str, tuple[str, str]] = ("", ("", ""))

    def _linear(self, hidden: str, name: str) -> str:
        whole, scales = self._rounded_tokens(hidden)
        matrix, scale = rounded(self._matrix(name))
        inputs = [whole, self._constant(f"{name} 8 bit", matrix), self._number("one", 1)]
        inputs += [self._constant(f"{name} scale", scale), self._zero()]
        product = self._node("MatMulIntegerToFloat", inputs, domain=_CONTRIBUTED)
        bias = self._constant(f"{name} bias", self._values(f"{name}.bias"))
        return self._node("Add", [self._node("Mul", [product, scales]), bias])

    def _matrix(self, name: str) -> NDArray[np.float32]:
        """A linear layer's weights (outputs, inputs), of which the caller makes what it likes."""
        return self._values(f"{name}.weight")

    def _rounded_tokens(self, hidden: str) -> tuple[str, str]:
        """Tokens as uint8 around 128, and their scales (texts, tokens, 1). Query, key and value share them."""
        if self._scaled[0] != hidden:
            last = self._constant("last axis", np.array([-1], np.int64))
            largest = self._node("ReduceMax", [self._node("Abs", [hidden]), last], keepdims=1)
            largest = self._node("Max", [largest, self._number("smallest", _SMALLEST)])
            scales = self._node("Div", [largest, self._number("largest", _LARGEST)])
            inputs = [self._node("Div", [hidden, scales]), self._number("one", 1), self._zero()]
            self._scaled = hidden, (self._node("QuantizeLinear", inputs), scales)
        return self._scaled[1]

    def _number(self, name: str, value: float) -> str:
        return self._constant(name, np.array(value, np.float32))

    def _zero(self) -> str:
        return self._constant("zero", np.array(_ZERO, np.uint8))
