"""Tiny ChatGLM2 folders and what the original code says for them; tests/data/chatglm2/README.md has more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests import samples

if TYPE_CHECKING:
    import torch

DATA = samples.DATA / "chatglm2"
TINY = DATA / "tiny-chatglm2"
TINY_INT4 = DATA / "tiny-chatglm2-int4"
OFFICIAL_TOKENIZER: dict[str, Any] = json.loads((DATA / "golden_tokenizer.json").read_text(encoding="utf-8"))
CHAT: dict[str, Any] = json.loads((DATA / "golden_chat_tiny.json").read_text(encoding="utf-8"))


def golden(name: str) -> dict[str, torch.Tensor]:
    """All arrays of a file of recorded results."""
    import torch

    with np.load(DATA / f"{name}.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


def copied(source: Path, target: Path, **changes: Any) -> Path:
    """A copy of a folder, its config.json changed; a key that is to be None goes."""
    shutil.copytree(source, target)
    config = json.loads((target / "config.json").read_text()) | changes
    config = {key: value for key, value in config.items() if value is not None}
    (target / "config.json").write_text(json.dumps(config))
    return target


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a folder, in memory."""
    import torch
    from safetensors.torch import load_file

    if (folder / "model.safetensors").is_file():
        loaded: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
        return loaded
    content: dict[str, torch.Tensor] = torch.load(folder / "pytorch_model.bin", weights_only=True)
    return content


def as_bin(source: Path, target: Path, weights: dict[str, torch.Tensor], **changes: Any) -> Path:
    """A copy of a folder with these weights, in one pytorch_model.bin."""
    import torch

    copied(source, target, **changes)
    (target / "model.safetensors").unlink(missing_ok=True)
    torch.save(weights, target / "pytorch_model.bin")
    return target
