"""BERT encoders as ONNX graphs (Devlin et al., BERT, 2019; XLM-RoBERTa differs only in its positions).

A graph is built in memory and points into the folder's own file of weights, so that neither the disk nor memory
needs a second copy of them. Tables are read from there row by row.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kb_assistant.embedding.shape import NUMPY, Shape
from kb_assistant.packed_weights import BLOCK, SCALES, unpacked

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

_OPSET = 21
_CONTRIBUTED = "com.microsoft"
_LAYER = "encoder.layer.{}.{}"


class EncoderGraph:
    """The ONNX graph under construction: every method adds nodes and returns the name of their result.

    Its inputs are "ids", "positions" and "mask", int64 (texts, tokens), the mask 0 where a text is filled up; its
    output is "hidden", float32 (texts, tokens, dimension).
    """

    inputs: tuple[str, ...] = ("ids", "positions", "mask")
    output = "hidden"

    def __init__(self, folder: Path, shape: Shape) -> None:
        self._folder, self._shape = folder, shape
        self._nodes: list[NodeProto] = []
        self._weights: dict[str, TensorProto] = {}

    def serialized(self) -> bytes:
        from onnx import TensorProto, helper

        hidden = self._embedded()
        for number in range(self._shape.layers):
            hidden = self._layer(hidden, number)
        self._nodes.append(helper.make_node("Identity", [self._finished(hidden)], [self.output]))
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "n"]) for name in self.inputs],
            [helper.make_tensor_value_info(self.output, TensorProto.FLOAT, ["b", "n", "d"])],
            list(self._weights.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIBUTED, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return model.SerializeToString()  # type: ignore[no-any-return]

    def _embedded(self) -> str:
        looked_up = [
            self._float(self._rows(f"embeddings.{table}_embeddings.weight", places))
            for table, places in (("word", "ids"), ("position", "positions"), ("token_type", self._zeros()))
        ]
        total = self._node("Add", [self._node("Add", looked_up[:2]), looked_up[2]])
        return self._normalised(total, "embeddings.LayerNorm")

    def _layer(self, hidden: str, number: int) -> str:
        def named(part: str) -> str:
            return _LAYER.format(number, part)

        parts = [self._linear(hidden, named(f"attention.self.{part}")) for part in ("query", "key", "value")]
        attended = self._linear(self._attention(parts), named("attention.output.dense"))
        middle = self._normalised(self._node("Add", [attended, hidden]), named("attention.output.LayerNorm"))
        wide = self._node("Gelu", [self._linear(middle, named("intermediate.dense"))])
        narrow = self._linear(wide, named("output.dense"))
        return self._normalised(self._node("Add", [narrow, middle]), named("output.LayerNorm"))

    def _attention(self, parts: list[str]) -> str:
        from onnx import TensorProto

        if "mask" in self.inputs:
            parts = [*parts, "", self._node("Cast", ["mask"], to=TensorProto.INT32)]
        return self._node("MultiHeadAttention", parts, domain=_CONTRIBUTED, num_heads=self._shape.heads)

    def _finished(self, hidden: str) -> str:
        """What the graph gives, from the last layer's result."""
        return hidden

    def _linear(self, hidden: str, name: str) -> str:
        weight = self._node("Transpose", [self._float(self._whole(f"{name}.weight"))], perm=[1, 0])
        product = self._node("MatMul", [hidden, weight])
        return self._node("Add", [product, self._float(self._weight(f"{name}.bias"))])

    def _normalised(self, hidden: str, name: str) -> str:
        inputs = [hidden, *(self._float(self._weight(f"{name}.{part}")) for part in ("weight", "bias"))]
        return self._node("LayerNormalization", inputs, axis=-1, epsilon=self._shape.epsilon)

    def _zeros(self) -> str:
        """Token types: a single text has only the first."""
        return self._node("Sub", ["ids", "ids"])

    def _float(self, name: str) -> str:
        from onnx import TensorProto

        return self._node("Cast", [name], to=TensorProto.FLOAT)

    def _rows(self, table: str, places: str) -> str:
        """Rows of a table, in the precision in which it is kept or is unpacked to."""
        weight = self._weight(table)
        if not self._is_packed(table):
            return self._node("Gather", [weight, places])
        inputs = [weight, places, self._weight(f"{table}{SCALES}")]
        return self._node("GatherBlockQuantized", inputs, _CONTRIBUTED, quantize_axis=1, block_size=BLOCK)

    def _whole(self, name: str) -> str:
        """A matrix, likewise. The runtime unpacks it once, when the session is opened (see `open_session`)."""
        if not self._is_packed(name):
            return self._weight(name)
        inputs = [self._weight(name), self._weight(f"{name}{SCALES}")]
        return self._node("DequantizeLinear", inputs, axis=1, block_size=BLOCK)

    def _told(self, name: str) -> dict[str, Any]:
        return self._shape.tensors[self._shape.prefix + name]

    def _is_packed(self, name: str) -> bool:
        return f"{self._shape.prefix}{name}{SCALES}" in self._shape.tensors

    def _weight(self, name: str) -> str:
        """A tensor of the weights file, by its offset there."""
        from onnx import StringStringEntryProto, TensorProto

        kinds = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT, "U8": TensorProto.INT4}
        told = self._told(name)
        start, end = told["data_offsets"]
        *outer, inner = told["shape"]
        place = {"location": self._shape.file, "offset": self._shape.data_start + start, "length": end - start}
        self._weights[name] = TensorProto(
            name=name,
            dims=[*outer, 2 * inner if told["dtype"] == "U8" else inner],
            data_type=kinds[told["dtype"]],
            data_location=TensorProto.EXTERNAL,
            external_data=[StringStringEntryProto(key=key, value=str(value)) for key, value in place.items()],
        )
        return name

    def _values(self, name: str) -> NDArray[np.float32]:
        """A tensor of the weights file, unpacked."""
        values = self._kept(name)
        if self._is_packed(name):
            values = unpacked(values, self._kept(f"{name}{SCALES}"))
        return values.astype(np.float32)

    def _kept(self, name: str) -> NDArray[Any]:
        told = self._told(name)
        start, end = told["data_offsets"]
        dtype = np.dtype(NUMPY[told["dtype"]])
        offset, count = self._shape.data_start + start, (end - start) // dtype.itemsize
        return np.fromfile(self._folder / self._shape.file, dtype, count, offset=offset).reshape(told["shape"])

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        """A tensor of its own, under its name once."""
        from onnx import numpy_helper

        self._weights[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def _node(self, kind: str, inputs: list[str], domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = f"{kind} {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **attributes))
        return name
