"""BERT encoders as ONNX graphs (Devlin et al., BERT, 2019; XLM-RoBERTa differs only in its positions).

A graph is built in memory and points into the folder's own model.safetensors, so that the disk needs no second
copy of the weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

_WEIGHTS = "model.safetensors"
_OPSET = 20
_CONTRIBUTED = "com.microsoft"
_NUMPY = {"F16": np.float16, "F32": np.float32}
_LAYER = "encoder.layer.{}.{}"
_DEFAULTS: dict[str, dict[str, Any]] = {
    kind: {
        "hidden_act": "gelu",
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "layer_norm_eps": 1e-12,
        "pad_token_id": pad,
    }
    for kind, pad in (("bert", 0), ("xlm-roberta", 1))
}
"""Defaults for config.json, as in transformers' BertConfig and XLMRobertaConfig."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The description of an encoder, from its folder.

    Attributes:
        first_position: The number of the first token's position.
        mean: Whether the vector is the mean over the tokens; otherwise it is the first token's.
        prefix: Prefix of the names of its tensors.
        tensors: The table of the weights file: dtype, shape, and data_offsets from data_start on, by name.
    """

    layers: int
    heads: int
    epsilon: float
    first_position: int
    mean: bool
    prefix: str
    tensors: dict[str, dict[str, Any]]
    data_start: int

    @classmethod
    def read(cls, folder: Path) -> Shape | None:
        """The shape of a sentence-transformers folder; None if this module can't run it.

        Raises:
            Exception: its files are invalid, in one of many ways.
        """
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
            kinds = [module["type"].rpartition(".")[2] for module in modules]
            pooling = json.loads((folder / modules[1]["path"] / "config.json").read_text(encoding="utf-8"))
            tokens = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
            tensors, start = _header(folder / _WEIGHTS)
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            return None
        config = _DEFAULTS.get(config.get("model_type"), {}) | config
        mean = _pooled_by_mean(pooling)
        plain = (
            config.get("model_type") in _DEFAULTS
            and config.get("hidden_act") == "gelu"
            and config.get("position_embedding_type", "absolute") == "absolute"
            and kinds in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
            and mean is not None
            and not tokens.get("do_lower_case")  # applied before the tokenizer
        )
        found = [name for name in tensors if name.endswith("embeddings.word_embeddings.weight")]
        if not plain or len(found) != 1 or any(tensor["dtype"] not in _NUMPY for tensor in tensors.values()):
            return None
        return cls(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            epsilon=config["layer_norm_eps"],
            first_position=config["pad_token_id"] + 1 if config["model_type"] == "xlm-roberta" else 0,
            mean=bool(mean),
            prefix=found[0].removesuffix("embeddings.word_embeddings.weight"),
            tensors=tensors,
            data_start=start,
        )


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
            self._float(self._node("Gather", [self._weight(f"embeddings.{table}_embeddings.weight"), places]))
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
        weight = self._node("Transpose", [self._float(self._weight(f"{name}.weight"))], perm=[1, 0])
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

    def _weight(self, name: str) -> str:
        """A tensor of the weights file, by its offset there."""
        from onnx import StringStringEntryProto, TensorProto

        told = self._shape.tensors[self._shape.prefix + name]
        start, end = told["data_offsets"]
        place = {"location": _WEIGHTS, "offset": self._shape.data_start + start, "length": end - start}
        self._weights[name] = TensorProto(
            name=name,
            dims=told["shape"],
            data_type=TensorProto.FLOAT16 if told["dtype"] == "F16" else TensorProto.FLOAT,
            data_location=TensorProto.EXTERNAL,
            external_data=[StringStringEntryProto(key=key, value=str(value)) for key, value in place.items()],
        )
        return name

    def _values(self, name: str) -> NDArray[np.float32]:
        """A tensor of the weights file."""
        told = self._shape.tensors[self._shape.prefix + name]
        start, end = told["data_offsets"]
        dtype = np.dtype(_NUMPY[told["dtype"]])
        offset, count = self._shape.data_start + start, (end - start) // dtype.itemsize
        values = np.fromfile(self._folder / _WEIGHTS, dtype, count, offset=offset)
        return values.reshape(told["shape"]).astype(np.float32)

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


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The table of a safetensors file, and the offset of its data (8 bytes of length, JSON, data)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        table = json.loads(file.read(length))
    table.pop("__metadata__", None)
    return table, 8 + length


def _pooled_by_mean(pooling: dict[str, Any]) -> bool | None:
    """True for the mean over all tokens, False for the first one's vector, None for anything else."""
    modes = {
        name.removeprefix("pooling_mode_")
        for name, on in pooling.items()
        if on and name.startswith("pooling_mode_")
    }
    modes |= {pooling["pooling_mode"]} if isinstance(pooling.get("pooling_mode"), str) else set()
    if not pooling.get("include_prompt", True):
        return None
    if modes <= {"mean_tokens", "mean"} and modes:
        return True
    return False if modes <= {"cls_token", "cls"} and modes else None
