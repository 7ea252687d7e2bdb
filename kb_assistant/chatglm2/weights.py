"""The tensors of a ChatGLM2 folder, one at a time. Files are mapped, not read, and never unpickled unsafely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from kb_assistant.chatglm2.checkpoint import Checkpoint
from kb_assistant.errors import ModelError
from kb_assistant.messages import _

_AGAIN = _("Download the folder again, all of its files.")

_FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


class Weights:
    """The tensors of a checkpoint by name, checked for completeness. Only their shapes are in memory.

    Raises:
        ModelError: a file is damaged or would run code, or a tensor is missing or has another shape or type.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._files: dict[str, Any] = {}
        for shard in checkpoint.shards:
            opened = open_weights(shard)
            self._files |= dict.fromkeys(opened.keys(), opened)
        shapes = checkpoint.tensor_shapes()
        for name, shape in shapes.items():
            if name not in self._files and all("prefix_encoder." in held for held in self._files):
                raise ModelError(
                    _("{folder} holds a prefix of P-Tuning v2 alone, no model.", folder=checkpoint.folder),
                    _(
                        "Add the model that it was trained on, and ask with: --adapter {folder}",
                        folder=checkpoint.folder,
                    ),
                )
            if name not in self._files:
                raise ModelError(
                    _("{folder} is incomplete: {name} is missing.", folder=checkpoint.folder, name=name), _AGAIN
                )
            if (found := self._shape(name)) != shape:
                raise ModelError(
                    _(
                        "{folder} is damaged: {name} has the shape {found}, not {shape}.",
                        folder=checkpoint.folder,
                        name=name,
                        found=list(found),
                        shape=list(shape),
                    ),
                    _("Its config.json belongs to other weights, or the download is damaged."),
                )
            kind = self[name].dtype
            if not (kind == torch.int8 if f"{name}_scale" in shapes else kind in _FLOATS):
                raise ModelError(
                    _("{folder} is damaged: {name} holds {kind}.", folder=checkpoint.folder, name=name, kind=kind),
                    _AGAIN,
                )

    def __getitem__(self, name: str) -> torch.Tensor:
        """A tensor, mapped from its file where possible.

        Raises:
            ModelError: the file gives it a type that torch doesn't have.
        """
        from safetensors import SafetensorError

        opened = self._files[name]
        try:
            tensor: torch.Tensor = opened[name] if isinstance(opened, dict) else opened.get_tensor(name)
        except SafetensorError as error:
            raise ModelError(_("{name} can't be read: {reason}.", name=name, reason=error), _AGAIN) from error
        return tensor

    def _shape(self, name: str) -> tuple[int, ...]:
        opened = self._files[name]
        return tuple(opened[name].shape if isinstance(opened, dict) else opened.get_slice(name).get_shape())


def unpacked(packed: torch.Tensor) -> torch.Tensor:
    """The nibbles of packed INT4 weights.

    Args:
        packed: int8 [out, in / 2]; the high half of each byte is the even column, two's complement.

    Returns:
        int8 [out, in], values in [-8, 7].
    """
    high, low = packed >> 4, (packed << 4) >> 4
    return torch.stack((high, low), dim=-1).flatten(-2)


def dequantised(packed: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Packed weights as floats [out, in]: nibble times the scale of its row."""
    return unpacked(packed).to(dtype) * scale.to(dtype)[:, None]


def quantised(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A float matrix in the official INT4 form: one scale per row, absmax / 7.

    Returns:
        int8 [out, in / 2] and the scales, fp16 [out].
    """
    weight = weight.half()  # the official quantiser computes in fp16, so this does too
    scale = weight.abs().amax(dim=1) / 7
    safe = scale.clamp(min=torch.finfo(torch.float16).tiny)
    nibbles = (weight / safe[:, None]).round().clamp(-8, 7).to(torch.int8)
    return (nibbles[:, ::2] << 4) | (nibbles[:, 1::2] & 15), scale


def finite(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, checked.

    Raises:
        ModelError: it contains NaN or infinity, as in damaged files, and for large float32 values in fp16.
    """
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise ModelError(
            _(
                "{name} holds values that are no numbers in {type}: the weights "
                "are damaged, or too large for that type.",
                name=name,
                type=str(tensor.dtype).removeprefix("torch."),
            ),
            _AGAIN,
        )
    return tensor


def open_weights(shard: Path) -> Any:
    """An open safetensors file, or the tensors of a PyTorch file by name.

    Raises:
        ModelError: it is damaged, or would run code.
    """
    return _open_safetensors(shard) if shard.suffix == ".safetensors" else _open_pytorch(shard)


def _open_safetensors(shard: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(shard, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(_("{path} is damaged: {reason}.", path=shard, reason=error), _AGAIN) from error


def _open_pytorch(shard: Path) -> dict[str, torch.Tensor]:
    """A PyTorch file's tensors. `weights_only` refuses everything in it that isn't data."""
    try:
        content = torch.load(shard, map_location="cpu", weights_only=True, mmap=_is_zip(shard))
    except Exception as error:  # pickle, zip, OS errors and torch's own
        if "GLOBAL" in str(error):  # the pickle names something to call; torch's text would advise allowing it
            raise ModelError(
                _("{path} holds more than weights: loading it could run code.", path=shard),
                _("Get it from the official source."),
            ) from error
        raise ModelError(_("{path} is damaged, or no file of weights.", path=shard), _AGAIN) from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelError(_("{path} doesn't hold weights by name.", path=shard), _AGAIN)
    return content


def _is_zip(shard: Path) -> bool:
    """PyTorch's form before 1.6 can't be mapped."""
    with shard.open("rb") as file:
        return file.read(2) == b"PK"
