"""Prefixes of P-Tuning v2, as ChatGLM2's own training writes them: keys and values that stand before every prompt.

A checkpoint holds `transformer.prefix_encoder.embedding.weight` [tokens, layers · 2 · groups · head_dim], with
keys before values in each layer; one trained with a projection also has the two layers of a small network,
`trans.0` and `trans.2`, which makes that matrix (layout: `modeling_chatglm.py` of the release). The prefix takes
no positions: the prompt's are counted from 0 behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from kb_assistant.chatglm2.checkpoint import Checkpoint, weight_files
from kb_assistant.chatglm2.weights import finite, open_weights
from kb_assistant.errors import ModelError
from kb_assistant.messages import _

if TYPE_CHECKING:
    from transformers import DynamicCache

_NAME = "transformer.prefix_encoder."
_AGAIN = _("Take a checkpoint that was trained on this model.")


@dataclass(frozen=True, slots=True)
class Prefix:
    """Keys and values of one prefix.

    Attributes:
        layers: For each layer its keys and its values, each [1, groups, tokens, head_dim].
    """

    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]

    @property
    def tokens(self) -> int:
        """Its length in the cache."""
        return int(self.layers[0][0].shape[2])

    def cache(self) -> DynamicCache:
        """A new cache that begins with it."""
        from transformers import DynamicCache

        cache = DynamicCache()
        for i, (keys, values) in enumerate(self.layers):
            cache.update(keys.clone(), values.clone(), i)
        return cache


def has_prefix(folder: Path) -> bool:
    """Whether the weights of a folder, of a whole model or of a prefix alone, hold one.

    Raises:
        ModelError: a file of weights is damaged.
    """
    return f"{_NAME}embedding.weight" in _tensors(folder)


def read_prefix(folder: Path, checkpoint: Checkpoint, dtype: torch.dtype, device: torch.device | str) -> Prefix:
    """The prefix in the weights of a folder.

    Args:
        checkpoint: The model that it goes before.

    Raises:
        ModelError: there is none, it is damaged, or was trained on a model of another shape.
    """
    tensors = _tensors(folder)
    if f"{_NAME}embedding.weight" not in tensors:
        raise ModelError(_("{folder} holds no prefix of P-Tuning v2.", folder=folder), _AGAIN)
    each = (checkpoint.groups, checkpoint.head_dim)
    width = checkpoint.layers * 2 * each[0] * each[1]
    table = tensors.pop(f"{_NAME}embedding.weight").float()
    _require_shape(folder, "embedding.weight", table, (len(table), width))
    if tensors:
        table = _projected(folder, table, tensors, checkpoint.hidden)
    finite(f"{_NAME}embedding.weight", table.to(dtype))
    # [tokens, layers, key or value, group, dim] to [layer][key or value][1, group, token, dim]
    split = table.view(len(table), checkpoint.layers, 2, *each).permute(1, 2, 3, 0, 4).to(device, dtype)
    return Prefix(tuple((layer[0][None].contiguous(), layer[1][None].contiguous()) for layer in split))


def _projected(folder: Path, table: torch.Tensor, tensors: dict[str, torch.Tensor], hidden: int) -> torch.Tensor:
    """The matrix that the small network makes of the table."""
    width = table.shape[1]
    wanted = {
        "trans.0.weight": (hidden, width),
        "trans.0.bias": (hidden,),
        "trans.2.weight": (width, hidden),
        "trans.2.bias": (width,),
    }
    found = {}
    for name, shape in wanted.items():
        tensor = tensors.get(_NAME + name, torch.empty(0)).float()
        _require_shape(folder, name, tensor, shape)
        found[name] = tensor
    inner = torch.nn.functional.linear(table, found["trans.0.weight"], found["trans.0.bias"]).tanh()
    return torch.nn.functional.linear(inner, found["trans.2.weight"], found["trans.2.bias"])


def _require_shape(folder: Path, name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape or not tensor.numel():
        raise ModelError(
            _(
                "The prefix {folder} doesn't fit the model: {name} has the shape {found}, not {wanted}.",
                folder=folder,
                name=name,
                found=list(tensor.shape),
                wanted=list(shape),
            ),
            _AGAIN,
        )


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of the prefix encoder in a folder's weights; nothing else is read."""
    found: dict[str, torch.Tensor] = {}
    for file in weight_files(folder):
        opened = open_weights(file)
        names = [name for name in opened.keys() if name.startswith(_NAME)]  # noqa: SIM118 - safetensors has no iterator
        found |= {name: opened[name] if isinstance(opened, dict) else opened.get_tensor(name) for name in names}
    return found
