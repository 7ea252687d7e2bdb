"""A LoRA adapter as the GGUF file that llama.cpp loads beside a model, of the architecture `chatglm` or `llama`.

In `chatglm` the projections of query, key and value are one matrix, so that their three pairs become one: A
stacked, B along a diagonal of blocks. llama.cpp divides `adapter.lora.alpha` by each tensor's own rank, which is
not the adapter's for that pair; alpha is left out, and B holds the factor. In `llama` each projection has a pair
of its own, and the rows of B for queries and keys have llama.cpp's order. Layout: the GGUF specification, and
llama.cpp's `convert_lora`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.chatglm2.gguf_writer import require_writer
from kb_assistant.chatglm2.lora import PREFIX, read_shape, read_tensors
from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.training.llama_file import ARCHITECTURE, NAMES, LlamaFile, interleaved

if TYPE_CHECKING:
    import torch

    from kb_assistant.chatglm2.checkpoint import Checkpoint
    from kb_assistant.training.network import Network

Pair = tuple["torch.Tensor", "torch.Tensor"]
"""A [rank, in] and B [out, rank]."""

OFFICIAL = {
    "attn_qkv": "self_attention.query_key_value",
    "attn_output": "self_attention.dense",
    "ffn_up": "mlp.dense_h_to_4h",
    "ffn_down": "mlp.dense_4h_to_h",
}
"""The official names of the matrices by those of llama.cpp."""


def write_gguf_adapter(folder: Path, network: Network, file: Path) -> None:
    """Write the adapter of a folder to `file`, in fp16: half of its size in training, and an error far below that
    of the quantised model.

    Args:
        folder: The adapter, in peft's form.
        network: The model that it was trained on.

    Raises:
        ModelError: the adapter is damaged, the package gguf is missing, or the file can't be written.
    """
    require_writer()
    from gguf import GGUFWriter

    pairs = pairs_of(folder)
    part = file.with_name(f"{file.name}.part")
    try:
        writer = GGUFWriter(part, ARCHITECTURE if isinstance(network, LlamaFile) else "chatglm")
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        for layer in range(network.layers):
            for name, (a, b) in _named(network, pairs, layer).items():
                for suffix, tensor in (("lora_a", a), ("lora_b", b)):
                    writer.add_tensor(f"blk.{layer}.{name}.weight.{suffix}", _half(file, tensor).numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ModelError(
            _("{path} can't be written: {reason}.", path=file, reason=error), _("Make room.")
        ) from error


def pairs_of(folder: Path) -> dict[str, Pair]:
    """The pairs of an adapter by layer and name, such as `3.self_attn.q_proj`; B holds the factor."""
    scale, tensors = read_shape(folder).scale, read_tensors(folder)
    names = {name.removeprefix(f"{PREFIX}.").rsplit(".lora_", 1)[0] for name in tensors}
    return {
        name: (
            tensors[f"{PREFIX}.{name}.lora_A.weight"].float(),
            tensors[f"{PREFIX}.{name}.lora_B.weight"].float() * scale,
        )
        for name in names
    }


def _named(network: Network, pairs: Mapping[str, Pair], layer: int) -> dict[str, Pair]:
    """The pairs of one layer by llama.cpp's names."""
    if not isinstance(network, LlamaFile):
        return fused(network, pairs, layer)
    found = {theirs: pairs[f"{layer}.{ours}"] for theirs, ours in NAMES.items() if f"{layer}.{ours}" in pairs}
    for name, heads in (("attn_q", network.heads), ("attn_k", network.groups)):
        if name in found:
            found[name] = (found[name][0], interleaved(found[name][1], heads))
    return found


def fused(checkpoint: Checkpoint, pairs: Mapping[str, Pair], layer: int) -> dict[str, Pair]:
    """The pairs of one layer of ChatGLM2 by llama.cpp's names."""
    found = {}
    if any(f"{layer}.self_attn.{one}_proj" in pairs for one in "qkv"):
        found["attn_qkv"] = _stacked(checkpoint, pairs, layer)
    for ours, theirs in (
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ):
        if pair := pairs.get(f"{layer}.{ours}"):
            found[theirs] = pair
    return found


def _stacked(checkpoint: Checkpoint, pairs: Mapping[str, Pair], layer: int) -> Pair:
    """One pair for query, key and value; the rows of one without an adapter are zero."""
    import torch

    tops, blocks = [], []
    for one, rows in zip("qkv", checkpoint.qkv_rows, strict=True):
        pair = pairs.get(f"{layer}.self_attn.{one}_proj")
        if pair:
            tops.append(pair[0])
        blocks.append(pair[1] if pair else torch.zeros(rows, 0))
    diagonal: torch.Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return torch.cat(tops), diagonal


def _half(file: Path, tensor: torch.Tensor) -> torch.Tensor:
    from kb_assistant.chatglm2.weights import finite

    return finite(file.name, tensor.half()).contiguous()
