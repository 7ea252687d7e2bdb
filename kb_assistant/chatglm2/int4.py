"""A linear layer over INT4 weights in the official layout: two columns per byte, one scale per row."""

from __future__ import annotations

import torch
from torch import nn

from kb_assistant.chatglm2.weights import dequantised, unpacked

_OFFSET = 8  # the kernels' nibbles start at 0; nibble minus this is the weight


class Int4Linear(nn.Module):
    """y = x Wᵀ + b with W = nibbles · scale of the row.

    In bfloat16, torch's own INT4 kernels (tinygemm on CUDA, its counterpart on the CPU) compute the product with
    the bare nibbles, which bfloat16 represents exactly, and each output is then multiplied by its row's scale: the
    only roundings are those of bfloat16 arithmetic. In other types, and for shapes that a kernel doesn't support,
    the weights are unpacked for each product: exact, and slow on a CPU.

    Args:
        packed: int8 [out, in / 2], the high half of each byte the even column.
        scale: [out].
        bias: [out], or None.
        dtype: Type of inputs and outputs.
        device: Device of the layer.
    """

    packed: torch.Tensor
    scale: torch.Tensor
    ones: torch.Tensor | None
    bias: torch.Tensor | None

    def __init__(
        self,
        packed: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = packed.shape[0], 2 * packed.shape[1]
        self.group = _group(self.in_features) if _has_kernel(self.out_features, dtype, device) else 0
        self.register_buffer("scale", scale.to(device, torch.float32, copy=True))
        self.register_buffer("bias", bias)
        ones = None
        if self.group:
            packed = _for_kernel(packed, device)
            ones = torch.zeros(self.in_features // self.group, self.out_features, 2, dtype=dtype, device=device)
            ones[..., 0] = 1
        else:
            packed = packed.to(device, copy=True)
        self.register_buffer("packed", packed)
        self.register_buffer("ones", ones)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[…, in] to […, out], both of the layer's dtype."""
        if not self.group:
            return nn.functional.linear(x, dequantised(self.packed, self.scale, x.dtype), self.bias)
        rows = x.reshape(-1, self.in_features)
        kernel = torch.ops.aten._weight_int4pack_mm if x.is_cuda else torch.ops.aten._weight_int4pack_mm_for_cpu
        y: torch.Tensor = (kernel(rows, self.packed, self.group, self.ones) * self.scale).to(x.dtype)
        y = y if self.bias is None else y + self.bias
        return y.reshape(*x.shape[:-1], self.out_features)


def _has_kernel(rows: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether torch has an INT4 kernel for this; tinygemm needs an Ampere GPU or later."""
    if dtype != torch.bfloat16:
        return False
    if device.type == "cuda":
        return rows % 8 == 0 and torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and rows % 16 == 0


def _group(columns: int) -> int:
    """The largest group size of the kernels that divides the columns, 0 for none."""
    return next((size for size in (256, 128, 64, 32) if columns % size == 0), 0)


def _for_kernel(packed: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The same nibbles in the order that the device's kernel reads."""
    if device.type == "cuda":
        unsigned = packed.to(device).view(torch.uint8) ^ 0x88
        inner = next(size for size in (8, 4, 2) if packed.shape[1] * 2 % (16 * size) == 0)
        ordered: torch.Tensor = torch.ops.aten._convert_weight_to_int4pack(unsigned, inner)
        return ordered
    nibbles = unpacked(packed).to(torch.int32) + _OFFSET
    reordered: torch.Tensor = torch.ops.aten._convert_weight_to_int4pack_for_cpu(nibbles, 1)
    return reordered
