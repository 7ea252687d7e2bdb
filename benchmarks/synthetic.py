"""A ChatGLM2 folder of full size with random weights, in the official layouts: to measure with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from kb_assistant.chatglm2.checkpoint import Checkpoint, read_checkpoint

# The numbers of chatglm2-6b's config.json.
CONFIG = {
    "_name_or_path": "THUDM/chatglm2-6b",
    "model_type": "chatglm",
    "num_layers": 28,
    "hidden_size": 4096,
    "ffn_hidden_size": 13696,
    "num_attention_heads": 32,
    "multi_query_group_num": 2,
    "kv_channels": 128,
    "padded_vocab_size": 65024,
    "layernorm_epsilon": 1e-5,
    "seq_length": 32768,
}


def make_folder(folder: Path, tokenizer: Path, layers: int, bits: int = 4) -> Checkpoint:
    """Write the folder, one file a layer, unless it is there already; with 28 layers 3.9 GB in INT4, else 12.5.

    Args:
        tokenizer: A tokenizer.model to put beside the weights.
        bits: 4 for the layout of chatglm2-6b-int4, 16 for that of chatglm2-6b.
    """
    config = folder / "config.json"
    if config.exists() and json.loads(config.read_text())["num_layers"] == layers:
        return read_checkpoint(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(tokenizer, folder / "tokenizer.model")
    config.write_text(json.dumps(CONFIG | {"num_layers": layers, "quantization_bit": bits % 16}))
    save_file({}, folder / "empty.safetensors")  # read_checkpoint wants a file of weights to be there
    shapes = read_checkpoint(folder).tensor_shapes()
    (folder / "empty.safetensors").unlink()
    generator = torch.Generator().manual_seed(0)
    files: dict[str, list[str]] = {}
    for name in shapes:
        parts = name.split(".")
        files.setdefault(f"layer-{parts[3]}" if "layers" in parts else "outer", []).append(name)
    for file, names in files.items():
        tensors = {name: _random(name, shapes[name], generator, bits == 4) for name in names}
        save_file(tensors, folder / f"{file}.safetensors")
    return read_checkpoint(folder)


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator, packed: bool) -> torch.Tensor:
    if name.endswith("weight_scale"):
        return torch.full(shape, 0.005, dtype=torch.float16)
    if "layernorm" in name:
        return torch.ones(shape, dtype=torch.float16)
    if packed and len(shape) == 2 and "word_embeddings" not in name and "output_layer" not in name:
        return torch.randint(-128, 128, shape, dtype=torch.int8, generator=generator)
    return (torch.randn(shape, generator=generator) * 0.02).half()
