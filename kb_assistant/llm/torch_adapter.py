"""What is trained beside a model's weights, on a model that torch runs: LoRA, or a prefix of P-Tuning v2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import DynamicCache, GlmForCausalLM

from kb_assistant.chatglm2.checkpoint import Checkpoint
from kb_assistant.chatglm2.lora import CONFIG, WEIGHTS, load_lora, read_shape, set_strength
from kb_assistant.chatglm2.prefix import read_prefix
from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.models.adapters import Adapter


@dataclass(frozen=True, slots=True)
class Attached:
    """An adapter in place.

    Attributes:
        weigh: Sets its strength: 1 as it was trained, 0 the base alone.
        start: The cache of no tokens at a strength.
    """

    weigh: Callable[[float], None]
    start: Callable[[float], DynamicCache]


def attach_adapter(
    model: GlmForCausalLM,
    checkpoint: Checkpoint,
    adapter: Adapter | None,
    dtype: torch.dtype,
    device: torch.device,
) -> Attached:
    """Put an adapter on a model, in place; or the prefix that a folder has in its own weights.

    Raises:
        ModelError: it doesn't fit the model, or is damaged; or the model has a prefix already.
    """
    if adapter is None and not checkpoint.prefix_tokens:
        return Attached(lambda _strength: None, lambda _strength: DynamicCache())
    if adapter is not None and checkpoint.prefix_tokens:
        raise ModelError(
            _("{folder} has a prefix of P-Tuning v2 of its own.", folder=checkpoint.folder),
            _("Use an adapter on the model without one."),
        )
    if adapter is not None and adapter.method == "lora":
        for file in (CONFIG, WEIGHTS):
            adapter.path(file)
        adapted, shape = load_lora(model, adapter.folder), read_shape(adapter.folder)
        return Attached(lambda strength: set_strength(adapted, shape, strength), lambda _strength: DynamicCache())
    folder = adapter.folder if adapter else checkpoint.folder
    prefix = read_prefix(folder, checkpoint, dtype, device)
    return Attached(_require_whole, lambda strength: prefix.cache() if strength else DynamicCache())


def _require_whole(strength: float) -> None:
    """A prefix is there or not."""
    if strength not in (0, 1):
        raise ModelError(
            _("The strength of a prefix is 0 or 1, not {strength}.", strength=strength),
            _("Only LoRA adapters can be weakened."),
        )
