"""What a sentence-transformers folder of a BERT encoder says of it, its table of weights included."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kb_assistant.packed_weights import PACKED, SCALES, WEIGHTS

NUMPY = {"F16": np.float16, "F32": np.float32, "U8": np.uint8}
"""Types of tensors by their names in a safetensors file; those of U8 are packed."""
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
        file: Name of the file of its weights.
        tensors: The table of that file: dtype, shape, and data_offsets from data_start on, by name.
    """

    layers: int
    heads: int
    epsilon: float
    first_position: int
    mean: bool
    prefix: str
    file: str
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
            file = PACKED if (folder / PACKED).exists() else WEIGHTS
            tensors, start = _header(folder / file)
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
        if not plain or len(found) != 1 or not all(_readable(name, tensors) for name in tensors):
            return None
        return cls(
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            epsilon=config["layer_norm_eps"],
            first_position=config["pad_token_id"] + 1 if config["model_type"] == "xlm-roberta" else 0,
            mean=bool(mean),
            prefix=found[0].removesuffix("embeddings.word_embeddings.weight"),
            file=file,
            tensors=tensors,
            data_start=start,
        )


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The table of a safetensors file, and the offset of its data (8 bytes of length, JSON, data)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        table = json.loads(file.read(length))
    table.pop("__metadata__", None)
    return table, 8 + length


def _readable(name: str, tensors: dict[str, dict[str, Any]]) -> bool:
    kind = tensors[name]["dtype"]
    return kind in NUMPY and (kind != "U8" or f"{name}{SCALES}" in tensors)


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
