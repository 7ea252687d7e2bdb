"""The model that is trained: the base as the recipe wants it, with a new adapter or one to begin with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kb_assistant.chatglm2.lora import LoraShape, attach, load_lora
from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.torch_runtime import Device, gpu_errors
from kb_assistant.training.job import Job
from kb_assistant.training.llama_file import LlamaFile, load_llama
from kb_assistant.training.network import Network, network_of, targets
from kb_assistant.training.plan import dtype_of, precision_for
from kb_assistant.training.recipe import Recipe

if TYPE_CHECKING:
    from peft import PeftModel


def load_base(network: Network, recipe: Recipe, device: Device) -> Any:
    """The base model as the recipe wants it, ready for an adapter.

    Raises:
        ModelError: it can't be loaded, or has a prefix of its own.
    """
    from kb_assistant.chatglm2.model import load_model

    precision = precision_for(network, recipe, device)
    if isinstance(network, LlamaFile):
        with gpu_errors():
            return load_llama(network, dtype_of(precision, device), _own_device(device))
    if network.prefix_tokens:
        raise ModelError(
            _("{folder} has a prefix of P-Tuning v2 of its own.", folder=network.folder),
            _("Train on the model without one."),
        )
    quantize: Any = precision if precision in ("int4", "nf4") else None
    with gpu_errors():
        return load_model(
            network.folder, dtype_of(precision, device), quantize, _own_device(device), trainable=True
        )


def _own_device(device: Device) -> str:
    """The device of this process: of several of torchrun each has a GPU of its own."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else "cpu"


def adapted(job: Job) -> PeftModel:
    """The base with a new adapter, or with the one that it begins with."""
    import torch

    network = network_of(job.base)
    model = load_base(network, job.recipe, job.device)
    model.config.use_cache = False
    torch.manual_seed(job.recipe.seed)  # of the first A
    recipe = job.recipe
    if job.start:
        return load_lora(model, job.start.folder, trainable=True, dropout=recipe.dropout)
    return attach(model, LoraShape(recipe.rank, recipe.alpha, targets(network, recipe.targets), recipe.dropout))
