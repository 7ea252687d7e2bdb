"""How probable texts are to a model without and with its adapter, by torch, from one loaded model.

For models that answer by llama.cpp, which gives no probabilities: the numbers are those that were trained on, so
that they differ a little from those that answer, whose arithmetic is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kb_assistant.chatglm2.lora import CONFIG, WEIGHTS, load_lora, read_shape, set_strength
from kb_assistant.torch_runtime import Device, gpu_errors
from kb_assistant.training.base_model import load_base
from kb_assistant.training.network import Network
from kb_assistant.training.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from kb_assistant.models.adapters import Adapter


class Scorer:
    """A loaded model with its adapter.

    Raises:
        ModelError: the adapter is damaged, doesn't fit, or memory is too small.
    """

    def __init__(self, network: Network, adapter: Adapter, device: Device) -> None:
        for file in (CONFIG, WEIGHTS):
            adapter.path(file)
        self._shape = read_shape(adapter.folder)
        self._model = load_lora(load_base(network, Recipe(), device), adapter.folder)

    def log_probabilities(self, ids: Sequence[int], first: int, adapter_scale: float = 1.0) -> torch.Tensor:
        """What the model expects at each token from place `first` on, given those before it.

        Returns:
            Log-probabilities [len(ids) - first, vocabulary], float32.

        Raises:
            ModelError: memory is too small.
        """
        import torch

        set_strength(self._model, self._shape, adapter_scale)
        with torch.inference_mode(), gpu_errors():
            tokens = torch.tensor([list(ids[:-1])], device=self._model.device)
            logits = self._model(input_ids=tokens, use_cache=False, logits_to_keep=len(ids) - first).logits[0]
        return torch.log_softmax(logits.float(), dim=-1).cpu()
