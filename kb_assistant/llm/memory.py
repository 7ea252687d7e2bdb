"""Estimates a chat model's memory from the headers of its files, before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from kb_assistant.chatglm2.checkpoint import Checkpoint, read_checkpoint
from kb_assistant.llm.capabilities import context_of
from kb_assistant.llm.gguf_header import GGUFHeader, read_gguf_header
from kb_assistant.messages import _
from kb_assistant.model_folder import Model
from kb_assistant.settings import Settings
from kb_assistant.torch_runtime import import_torch, torch_device

# Besides weights and cache: code and buffers of the runtime and of CUDA. For a CPU the value measured by
# benchmarks/chatglm2.py at full size, rounded up; for CUDA a guess.
_WORK = {"llama": 300_000_000, "cpu": 1_400_000_000, "cuda": 700_000_000}
_KV_BYTES = 2  # keys and values have 16 bits


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a model takes while it answers.

    Attributes:
        weights: The weights in memory.
        cache: Keys and values of a full context.
        work: Everything else: code, buffers, the CUDA context.
        place: "memory", or "GPU memory".
    """

    weights: int
    cache: int
    work: int
    place: str

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.work


def estimate(model: Model, settings: Settings) -> Memory | None:
    """The memory of a chat model with these settings; None if its files don't give it.

    Raises:
        ModelError: the model's files are damaged; or it is one for torch, and torch can't be loaded or finds no
            such device.
    """
    context = context_of(model, settings)
    if model.path.is_dir():
        return _by_torch(read_checkpoint(model.path), settings, context) if model.template else None
    cache = _gguf_cache(read_gguf_header(model.path), context)
    return Memory(model.path.stat().st_size, cache, _WORK["llama"], _("memory"))


def _by_torch(checkpoint: Checkpoint, settings: Settings, context: int) -> Memory:
    import_torch()
    from kb_assistant.llm.torch_engine import best_dtype, best_quantize

    device, quantize = torch_device(settings.device), best_quantize(checkpoint, settings.quantize)
    linear = sum(rows * columns for _, (rows, columns) in checkpoint.linear_shapes())
    width = best_dtype(device, quantize).itemsize
    # INT4: half a byte per weight and a scale per row; NF4: also a float per 64 weights.
    bytes_each = {None: float(width), "int4": 0.5 + 4 / 128, "nf4": 0.5 + 4 / 64}[quantize]
    weights = int(linear * bytes_each) + (checkpoint.parameters - linear) * width
    kept = checkpoint.layers * 2 * checkpoint.groups * checkpoint.head_dim * context * width
    return Memory(weights, kept, _WORK[device], _("GPU memory") if device == "cuda" else _("memory"))


def _gguf_cache(header: GGUFHeader, context: int) -> int:
    """Bytes of keys and values; 0 if the file doesn't give them."""
    layers, heads = header.count("block_count"), header.count("attention.head_count", default=1)
    groups = header.total("attention.head_count_kv", layers, default=heads)
    head_dim = header.count("attention.key_length", default=header.count("embedding_length") // heads)
    return 2 * groups * head_dim * context * _KV_BYTES


def free_bytes(place: str) -> int:
    """Memory that is free now, on the machine or the GPU."""
    if place == "GPU memory":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    import psutil

    return int(psutil.virtual_memory().available)
