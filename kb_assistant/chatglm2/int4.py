"""A linear layer over INT4 weights in the official layout: two columns per byte, one scale per row."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from kb_assistant.chatglm2.weights import dequantised, unpacked

_OFFSET = 8  # the kernels' nibbles start at 0; nibble minus this is the weight


class Int4Linear(nn.Module):
    """y = x Wᵀ + b with W = nibbles · scale of the row.

    In bfloat16, torch's own INT4 kernels (tinygemm on CUDA, its counterpart on the CPU) compute the product with
    the bare nibbles, which bfloat16 represents exactly, and each output is then multiplied by its row's scale: the
    only roundings are those of bfloat16 arithmetic. In other types, for shapes that a kernel doesn't support, and
    for training, the weights are unpacked for each product: exact, and slow on a CPU.

    Args:
        packed: int8 [out, in / 2], the high half of each byte the even column.
        scale: [out].
        bias: [out], or None.
        dtype: Type of inputs and outputs.
        device: Device of the layer.
        kernel: Use a kernel where there is one. They have no gradient, and the order in which they keep the
            nibbles can't be read back.
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
        kernel: bool = True,
    ) -> None:
        super().__init__()
        self.out_features, self.in_features = packed.shape[0], 2 * packed.shape[1]
        kernel = kernel and _has_kernel(self.out_features, dtype, device)
        self.group = _group(self.in_features) if kernel else 0
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

    @property
    def qweight(self) -> torch.Tensor:
        """The packed weights, by the name under which peft looks for those of quantised layers."""
        return self.packed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[…, in] to […, out], both of the layer's dtype."""
        if not self.group:
            y: torch.Tensor = _UnpackedProduct.apply(x, self.packed, self.scale, self.bias)  # type: ignore[no-untyped-call]
            return y
        rows = x.reshape(-1, self.in_features)
        kernel = torch.ops.aten._weight_int4pack_mm if x.is_cuda else torch.ops.aten._weight_int4pack_mm_for_cpu
        y = (kernel(rows, self.packed, self.group, self.ones) * self.scale).to(x.dtype)
        y = y if self.bias is None else y + self.bias
        return y.reshape(*x.shape[:-1], self.out_features)


class _UnpackedProduct(torch.autograd.Function):
    """x Wᵀ + b, with W unpacked in each direction anew: autograd alone would keep every unpacked matrix until the
    backward pass, which is the whole model in its large form.

    In bfloat16 the product is that of the bare nibbles, and each output is multiplied by its row's scale in
    float32, as the kernels do it: a model is trained with the numbers that it answers with.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, packed: torch.Tensor, scale: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(packed, scale)
        if x.dtype != torch.bfloat16:
            return nn.functional.linear(x, dequantised(packed, scale, x.dtype), bias)
        y = (nn.functional.linear(x, unpacked(packed).to(x.dtype)) * scale).to(x.dtype)
        return y if bias is None else y + bias

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        packed, scale = ctx.saved_tensors
        (grad,) = grads
        if grad.dtype != torch.bfloat16:
            return grad @ dequantised(packed, scale, grad.dtype), None, None, None
        return (grad * scale).to(grad.dtype) @ unpacked(packed).to(grad.dtype), None, None, None


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
