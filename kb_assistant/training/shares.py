"""Tensors of which FSDP gives each process a share: put together, and shared out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def whole(tensor: Tensor) -> Tensor:
    """The tensor, whole; if it is shared, all processes take part."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_as(like: Tensor, tensor: Tensor) -> Tensor:
    """This process's share of a whole tensor, if one of its shape is shared; all processes have the same."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)
