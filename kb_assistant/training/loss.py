"""What training makes small: the cross entropy of the answers' tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""The label of a token that isn't learned; torch's cross entropy leaves it out."""


def answer_loss(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum of the cross entropies of all learned tokens.

    Logits, a megabyte for each token of ChatGLM2, are computed where an answer's token follows, and nowhere else.

    Args:
        ids: Token ids [batch, tokens], int64.
        labels: The ids that are learned, of the same shape; IGNORED elsewhere.
    """
    from torch.nn.functional import cross_entropy

    places = (labels[:, 1:] != IGNORED).any(dim=0).nonzero().flatten()
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=places).logits.float()
    wanted = labels[:, places + 1]
    return cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum")
