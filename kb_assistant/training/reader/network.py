"""The reader's network for training: the embedder's encoder with low-rank adapters (Hu et al., LoRA, 2021) in its
upper layers, and linear heads for relevance, for the answer being held, and for the answer's first and last token.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kb_assistant.packed_weights import with_weights

RANK = 32
FROZEN = 4
"""Lower layers without adapters: they are the same for all uses of the encoder, and need no backward pass."""

_LINEAR = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
HEADS = ("relevance", "answer", "first", "last")


class Adapter(nn.Module):
    """A frozen linear layer plus a trained product of two thin matrices."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, hidden: Tensor) -> Tensor:
        changed: Tensor = self.base(hidden) + (hidden @ self.down.T) @ self.up.T
        return changed


class ReaderNetwork(nn.Module):
    """Logits of the reader for a batch.

    Args:
        folder: The embedder's folder.
    """

    def __init__(self, folder: Path, rank: int = RANK, frozen: int = FROZEN) -> None:
        super().__init__()
        from transformers import AutoModel

        with with_weights(folder) as whole:
            self.encoder: Any = AutoModel.from_pretrained(
                str(whole), dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
            )
        self.encoder.pooler = None
        for part in self.encoder.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0  # attention with dropout is slow on a CPU
        self.encoder.requires_grad_(False)
        for number, layer in enumerate(self.encoder.encoder.layer):
            for name in _LINEAR if number >= frozen else ():
                owner, _, leaf = name.rpartition(".")
                parent = layer.get_submodule(owner)
                setattr(parent, leaf, Adapter(getattr(parent, leaf), rank))
        width = self.encoder.config.hidden_size
        self.heads = nn.Linear(width, len(HEADS))
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.zeros_(self.heads.bias)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Args:
            ids: int64 (n, length), filled up with zeros.
            mask: bool (n, length), False where filled up.

        Returns:
            float32: logits of relevance and of the answer (n, 2); of the first and of the last token, (n, length)
            each, where the one at place 0 means "none".
        """
        hidden = self.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        logits = self.heads(hidden).float()
        spans = logits[:, :, 2:].masked_fill(~mask[:, :, None], -1e4)
        return logits[:, 0, :2], spans[:, :, 0], spans[:, :, 1]

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters that are trained, by name."""
        return ((name, value) for name, value in self.named_parameters() if value.requires_grad)
