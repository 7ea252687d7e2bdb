"""Twenty pairs, and the tiny model with an end token of ordinary size: as shipped it could never learn to end."""

from __future__ import annotations

import json
from pathlib import Path

from kb_assistant.models.home import ModelHome
from tests.chatglm2_data import TINY_INT4, copied, tensors

PAIRS = [(f"问题 {i}: what is part {i}?", f"答案 {i}: part {i * 7 % 20} 很好") for i in range(20)]
OVERFIT = {
    "learning_rate": 1e-2,
    "epochs": 70.0,
    "batch": 20,
    "accumulation": 1,
    "warmup": 0.05,
    "checkpointing": False,
}
"""Learns them by heart; a rate a hundred times that of a real training."""
_OUTPUT = "transformer.output_layer.weight"


def with_an_end(target: Path) -> Path:
    """A copy of the INT4 folder whose output row of the end token is as long as the others."""
    import torch
    from safetensors.torch import save_file

    weights = tensors(copied(TINY_INT4, target))
    rows = weights[_OUTPUT]
    row = torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(3))
    rows[2] = (row / row.norm() * rows[50].float().norm()).to(rows.dtype)
    for file in (*target.glob("*.bin"), *target.glob("*.safetensors")):
        file.unlink()
    save_file({name: one.contiguous() for name, one in weights.items()}, target / "model.safetensors")
    return target


def home_with_models(home: Path) -> Path:
    """A home with that model for torch, `tiny`, and for llama.cpp, `tiny-llama`."""
    folder = with_an_end(home / "official")
    models = ModelHome(home / "models")
    models.add(folder, "tiny", engine="torch")
    models.add(folder, "tiny-llama", engine="llama")
    return home


def pairs_file(path: Path, pairs: list[tuple[str, str]] = PAIRS) -> Path:
    rows = [{"content": question, "summary": answer} for question, answer in pairs]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
