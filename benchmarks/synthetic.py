"""ChatGLM2 with random weights of its full size: a folder in the official layouts, or a network made in place."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import GlmForCausalLM
from transformers.models.glm.modeling_glm import GlmRotaryEmbedding

from kb_assistant.chatglm2.checkpoint import Checkpoint, Rope, read_checkpoint
from kb_assistant.chatglm2.int4 import Int4Linear
from kb_assistant.chatglm2.model import glm_config, nf4_linear

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
FULL = Checkpoint(Path(), 2, 4, 28, 4096, 32, 2, 128, 13696, 65024, 1e-5, Rope(), 8192, 32768, ())
SMALL = replace(FULL, layers=4, hidden=256, heads=8, head_dim=32, ffn=512, vocabulary=1024)


def make_folder(
    folder: Path, tokenizer: Path, layers: int, bits: int = 4, *, same_layers: bool = False, **sizes: int
) -> Checkpoint:
    """Write the folder, one file a layer, unless it is there already; with 28 layers 3.9 GB in INT4, else 12.5.

    Args:
        tokenizer: A tokenizer.model to put beside the weights.
        bits: 4 for the layout of chatglm2-6b-int4, 16 for that of chatglm2-6b.
        same_layers: Write the first layer's weights again for each other one, which takes a fraction of the time.
        sizes: Values of config.json that differ.
    """
    config = folder / "config.json"
    if config.exists() and json.loads(config.read_text())["num_layers"] == layers:
        return read_checkpoint(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(tokenizer, folder / "tokenizer.model")
    config.write_text(json.dumps(CONFIG | {"num_layers": layers, "quantization_bit": bits % 16} | sizes))
    save_file({}, folder / "empty.safetensors")  # read_checkpoint wants a file of weights to be there
    shapes = read_checkpoint(folder).tensor_shapes()
    (folder / "empty.safetensors").unlink()
    generator = torch.Generator().manual_seed(0)
    files: dict[str, list[str]] = {}
    for name in shapes:
        parts = name.split(".")
        files.setdefault(f"layer-{parts[3]}" if "layers" in parts else "outer", []).append(name)
    first: list[torch.Tensor] = []
    for file, names in files.items():
        again = first if same_layers and file.startswith("layer-") else []
        tensors = dict(zip(names, again, strict=False)) or {
            name: _random(name, shapes[name], generator, bits == 4) for name in names
        }
        first = first or (list(tensors.values()) if file == "layer-0" else [])
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


def random_network(
    checkpoint: Checkpoint, precision: str, dtype: torch.dtype, device: str, *, trainable: bool = False
) -> Any:
    """The network with random weights made on the device.

    Args:
        precision: How the layers' matrices are held: "int4", "nf4", or another word for `dtype`.
        trainable: As `load_model` takes it.
    """
    config = glm_config(checkpoint, dtype)
    config.attention_bias = False
    with torch.device("meta"):
        model: Any = GlmForCausalLM(config)

    def matrix(rows: int, columns: int) -> nn.Module:
        return _matrix(rows, columns, precision, dtype, torch.device(device), trainable)

    def ones() -> nn.Parameter:
        return nn.Parameter(torch.ones(checkpoint.hidden, dtype=dtype, device=device), requires_grad=False)

    hidden, (queries, keys, values), ffn = checkpoint.hidden, checkpoint.qkv_rows, checkpoint.ffn
    for layer in model.model.layers:
        own, mlp = layer.self_attn, layer.mlp
        own.q_proj, own.k_proj, own.v_proj = (matrix(rows, hidden) for rows in (queries, keys, values))
        own.o_proj = matrix(hidden, queries)
        mlp.gate_up_proj, mlp.down_proj = matrix(2 * ffn, hidden), matrix(hidden, ffn)
        layer.input_layernorm.weight, layer.post_attention_layernorm.weight = ones(), ones()
    model.model.norm.weight = ones()
    for outer in (model.model.embed_tokens, model.lm_head):
        table = torch.empty(checkpoint.vocabulary, hidden, dtype=dtype, device=device).uniform_(-0.03, 0.03)
        outer.weight = nn.Parameter(table, requires_grad=False)
    model.model.rotary_emb = GlmRotaryEmbedding(config).to(device)
    return model.eval()


def _matrix(
    rows: int, columns: int, precision: str, dtype: torch.dtype, device: torch.device, trainable: bool
) -> nn.Module:
    """A linear layer with random weights."""
    if precision == "int4":
        packed = torch.randint(-128, 128, (rows, columns // 2), dtype=torch.int8, device=device)
        scale = torch.full((rows,), 0.005, device=device)
        return Int4Linear(packed, scale, None, dtype, device, kernel=not trainable)
    weight = torch.empty(rows, columns, dtype=dtype, device=device).uniform_(-0.03, 0.03)
    if precision == "nf4":
        return nf4_linear(weight, None, device)
    linear = nn.Linear(columns, rows, bias=False, device="meta")
    linear.weight = nn.Parameter(weight, requires_grad=False)
    return linear
