"""What a training takes, said before anything is loaded: bytes by part, steps, hours, and whether it fits.

The coefficients of activations were measured on a network of ChatGLM2's proportions; the speed of a device is a
rough range, from its cores alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kb_assistant.errors import SettingsError
from kb_assistant.llm.memory import free_bytes
from kb_assistant.messages import Message, _
from kb_assistant.torch_runtime import Device, is_installed
from kb_assistant.training.llama_file import LlamaFile
from kb_assistant.training.network import Network, targets
from kb_assistant.training.recipe import Recipe

if TYPE_CHECKING:
    import torch

_PER_ADAPTER_WEIGHT = 16
"""Bytes: the weight, its gradient and Adam's two moments, 32 bits each."""
_LOGIT_BYTES = 16
"""Per token and word of the vocabulary: logits, their float copy, and the gradients of both."""
_WHOLE_LAYER = {2: 68, 4: 87}
"""Bytes that backward needs of a layer, per token and unit of the hidden size, by the width of its numbers."""
_CONTEXT = {"cpu": 1_400_000_000, "cuda": 700_000_000}
_CPU_CORE = (8e9, 40e9)
"""Slowest and fastest operations a second of a core, in products of large matrices."""
_GPU_SHARE = (0.15, 0.5)
_GPU_PER_CLOCK = {7: 1024, 8: 2048, 9: 4096, 10: 8192, 12: 4096}
"""Operations of a multiprocessor's matrix units in 16 bits, by the major number of its capability."""
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training takes.

    Attributes:
        precision: How the base is held: int4, nf4, bf16, fp16 or fp32.
        parts: Bytes by what they are for.
        free: Bytes that are free now on the device.
        steps: Updates of the adapter.
        tokens: Tokens that are read over all epochs.
        seconds: The least and the most that it may take; a rough range.
        longest: Tokens of the longest example.
    """

    device: Device
    precision: str
    parts: Mapping[str, int]
    free: int
    steps: int
    tokens: int
    seconds: tuple[float, float]
    longest: int

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        return self.total <= self.free

    @property
    def takes_days(self) -> bool:
        return self.seconds[0] > _DAY

    def advice(self, recipe: Recipe) -> Iterator[Message]:
        """What could be done where it doesn't fit, or takes days."""
        if not self.fits:
            yield _("It doesn't fit: {needed:.1f} GB are needed, {free:.1f} GB are free.",
                    needed=self.total / 1e9, free=self.free / 1e9)  # fmt: skip
            if not recipe.checkpointing:
                yield _("Set checkpointing = true.")
            if recipe.batch > 1:
                yield _("Set batch = 1 and accumulation = {count}.", count=recipe.batch * recipe.accumulation)
            if self.precision not in ("int4", "nf4"):
                yield _('Train on the INT4 folder, or set precision = "int4".')
            if self.longest > 512:
                yield _("Leave longer examples out: max_tokens = {count}.", count=self.longest // 2)
        if self.takes_days:
            days = [round(seconds / _DAY, 1) for seconds in self.seconds]
            yield _("This takes {least:g} to {most:g} days here: train on a GPU, or with fewer examples.",
                    least=days[0], most=days[1])  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        return {
            "device": self.device, "precision": self.precision, "bytes": dict(self.parts), "total": self.total,
            "free": self.free, "fits": self.fits, "steps": self.steps, "tokens": self.tokens,
            "seconds": [round(one, 1) for one in self.seconds], "longest": self.longest,
        }  # fmt: skip


def plan(network: Network, recipe: Recipe, lengths: Sequence[tuple[int, int]], device: Device = "cpu") -> Plan:
    """What it takes to train an adapter.

    Args:
        lengths: Of each example its tokens, and how many of them are learned.
        device: Where; figures of a GPU are asked of it.
    """
    precision = precision_for(network, recipe, device)
    longest = max((whole for whole, _learned in lengths), default=0)
    batch = min(recipe.batch, len(lengths))
    tokens = math.ceil(sum(whole for whole, _learned in lengths) * recipe.epochs)
    batches = math.ceil(len(lengths) / recipe.batch)
    steps = math.ceil(math.ceil(batches / recipe.accumulation) * recipe.epochs)
    passes = 6 if recipe.checkpointing else 4  # forward, backward to the inputs, and forward again
    work = passes * network.parameters * tokens
    least, most = speed(device)
    return Plan(
        device,
        precision,
        _bytes(network, recipe, precision, device, batch * longest, batch * _logit_places(lengths, batch)),
        free_bytes("GPU memory" if device == "cuda" else "memory"),
        steps,
        tokens,
        (work / most, work / least),
        longest,
    )


def precision_for(network: Network, recipe: Recipe, device: Device) -> str:
    """The meaning of `precision = "auto"` for a model.

    Raises:
        SettingsError: the model can't be held so.
    """
    unpacked = isinstance(network, LlamaFile)
    if unpacked and recipe.precision in ("int4", "nf4"):
        raise SettingsError(
            _("A GGUF file is trained unpacked, not in {precision}.", precision=recipe.precision),
            _("Set precision to auto, bf16, fp16 or fp32."),
        )
    if recipe.precision != "auto":
        return recipe.precision
    if network.bits == 4:
        return "int4"
    if device == "cuda" and unpacked:
        return "bf16"
    if device == "cuda":
        return "nf4" if is_installed("bitsandbytes") else "bf16"
    return "fp32"


def dtype_of(precision: str, device: Device) -> torch.dtype:
    """The type of the arithmetic: 16 bits on a GPU, 32 on a CPU, which is slow in less."""
    import torch

    named = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    if precision in named:
        return named[precision]
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.get_device_capability() >= (8, 0) else torch.float16


def adapter_weights(network: Network, recipe: Recipe) -> int:
    """Number of weights of the adapter."""
    named = targets(network, recipe.targets)
    sizes = {name: sum(shape) for name, shape in network.layer_shapes()}
    return network.layers * recipe.rank * sum(sizes[name] for name in named)


def speed(device: Device) -> tuple[float, float]:
    """Fewest and most operations a second to expect."""
    if device == "cpu":
        cores = os.cpu_count() or 1
        return _CPU_CORE[0] * cores, _CPU_CORE[1] * cores
    import torch

    found = torch.cuda.get_device_properties(0)
    clock = getattr(found, "clock_rate", 1_500_000) * 1e3
    most = found.multi_processor_count * clock * _GPU_PER_CLOCK.get(found.major, 1024)
    return most * _GPU_SHARE[0], most * _GPU_SHARE[1]


def _logit_places(lengths: Sequence[tuple[int, int]], batch: int) -> int:
    """Most places of a batch at which logits are computed: for every row wherever any row has a learned token."""
    learned = max((count for _whole, count in lengths), default=0)
    first = min((whole - count for whole, count in lengths), default=0)
    last = max((whole for whole, _count in lengths), default=0)
    return min(batch * learned, last - first)


def _bytes(
    network: Network, recipe: Recipe, precision: str, device: Device, tokens: int, logits: int
) -> dict[str, int]:
    """Bytes by part, for so many tokens in one batch, with logits at so many."""
    quantized = precision in ("int4", "nf4")
    width = 4 if precision == "fp32" or (quantized and device == "cpu") else 2
    shapes = [rows * columns for _name, (rows, columns) in network.linear_shapes()]
    linear = sum(shapes)
    each = {"int4": 0.5 + 4 / 128, "nf4": 0.5 + 4 / 64}.get(precision, float(width))
    layer = _WHOLE_LAYER[width] * network.hidden * tokens
    kept = network.layers * width * network.hidden * tokens
    return {
        _("weights"): int(linear * each) + (network.parameters - linear) * width,
        _("adapter with its optimizer"): _PER_ADAPTER_WEIGHT * adapter_weights(network, recipe),
        _("activations"): kept + layer if recipe.checkpointing else network.layers * layer,
        _("unpacked matrices"): 2 * width * max(shapes) if quantized else 0,
        _("logits"): _LOGIT_BYTES * network.vocabulary * logits,
        _("context of the device"): _CONTEXT[device],
    }
