"""ChatGLM2 weights in transformers' native Glm classes: the same network under other names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import GlmConfig, GlmForCausalLM
from transformers.models.glm.modeling_glm import GlmRotaryEmbedding

from kb_assistant.chatglm2.checkpoint import Checkpoint, read_checkpoint
from kb_assistant.chatglm2.int4 import Int4Linear
from kb_assistant.chatglm2.weights import Weights, dequantised, finite, quantised
from kb_assistant.deprecation import renamed_arguments
from kb_assistant.errors import ModelError
from kb_assistant.messages import _

Quantize = Literal["int4", "nf4"]
Build = Callable[[str, int, int], nn.Module]
"""Makes a linear layer from rows first … last of a matrix of the checkpoint."""

_END_ID, _PAD_ID = 2, 0

_PACKED_ROWS = 32
"""Number of rows that bitsandbytes repacks together."""


@renamed_arguments(say="on_progress")
def load_model(
    folder: Path | str,
    dtype: torch.dtype = torch.float32,
    quantize: Quantize | None = None,
    device: str | torch.device = "cpu",
    on_progress: Callable[[float], None] = lambda _: None,
    *,
    trainable: bool = False,
) -> GlmForCausalLM:
    """The model of an official folder. Its weights are mapped and converted layer by layer.

    Args:
        folder: chatglm2-6b, -int4, -32k, -32k-int4, or chatglm3-6b.
        dtype: Type of everything that isn't quantised, and of the arithmetic.
        quantize: None: plain weights, dequantised if the folder has INT4. "int4": the layers' matrices in packed
            INT4, the folder's own if it has them, else quantised like the official ones. "nf4": bitsandbytes'
            4-bit normal floats, for folders in fp16.
        device: Device of the weights.
        on_progress: Called with the share that is loaded, from 0 to 1.
        trainable: Gradients are to pass through the layers, so that an adapter can be trained; INT4 then does
            without kernels. The weights themselves are never trained.

    Raises:
        ModelError: the folder can't be used, or a package is missing.
    """
    checkpoint = read_checkpoint(Path(folder))
    if quantize == "nf4" and checkpoint.bits == 4:
        raise ModelError(
            _("{folder} holds INT4 weights, which would be quantised a second time.", folder=folder),
            _('Use quantize="int4", or the fp16 folder.'),
        )
    weights = Weights(checkpoint)
    config = glm_config(checkpoint, dtype)
    with torch.device("meta"):
        model: Any = GlmForCausalLM(config)
    model.model.rotary_emb = GlmRotaryEmbedding(config).to(device)
    build = _builder(checkpoint, weights, dtype, quantize, torch.device(device), trainable)

    def plain(name: str) -> nn.Parameter:
        # Copy even if type and device stay: a mapped tensor would keep the file open, and its pages twice.
        tensor = finite(name, weights[name].to(device, dtype, copy=True))
        return nn.Parameter(tensor, requires_grad=False)

    model.model.embed_tokens.weight = plain("transformer.embedding.word_embeddings.weight")
    for i, layer in enumerate(model.model.layers):
        on_progress(i / checkpoint.layers)
        _fill_layer(layer, f"transformer.encoder.layers.{i}", checkpoint, plain, build)
    model.model.norm.weight = plain("transformer.encoder.final_layernorm.weight")
    model.lm_head.weight = plain("transformer.output_layer.weight")
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = _END_ID, _PAD_ID
    on_progress(1.0)
    loaded: GlmForCausalLM = model.eval()
    return loaded


def glm_config(checkpoint: Checkpoint, dtype: torch.dtype) -> GlmConfig:
    """The same architecture in transformers' terms. Every value with a default in Glm is set."""
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": checkpoint.rope.theta}
    if checkpoint.rope.factor != 1:
        rope |= {"rope_type": "linear", "factor": checkpoint.rope.factor}
    return GlmConfig(
        vocab_size=checkpoint.vocabulary,
        hidden_size=checkpoint.hidden,
        intermediate_size=checkpoint.ffn,
        num_hidden_layers=checkpoint.layers,
        num_attention_heads=checkpoint.heads,
        num_key_value_heads=checkpoint.groups,
        head_dim=checkpoint.head_dim,
        attention_bias=True,
        attention_dropout=0.0,
        hidden_act="silu",
        rms_norm_eps=checkpoint.epsilon,
        max_position_embeddings=checkpoint.longest,
        rope_parameters=rope | {"partial_rotary_factor": 0.5},
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=_END_ID,
        pad_token_id=_PAD_ID,
        dtype=dtype,
    )


def _fill_layer(
    layer: Any, prefix: str, checkpoint: Checkpoint, plain: Callable[[str], nn.Parameter], build: Build
) -> None:
    """Set the weights of one decoder layer; the fused projection is split into query, key and value."""
    layer.input_layernorm.weight = plain(f"{prefix}.input_layernorm.weight")
    layer.post_attention_layernorm.weight = plain(f"{prefix}.post_attention_layernorm.weight")
    attention, fused = layer.self_attn, f"{prefix}.self_attention.query_key_value"
    first = 0
    for name, rows in zip(("q_proj", "k_proj", "v_proj"), checkpoint.qkv_rows, strict=True):
        setattr(attention, name, build(fused, first, first + rows))
        first += rows
    attention.o_proj = build(f"{prefix}.self_attention.dense", 0, checkpoint.hidden)
    layer.mlp.gate_up_proj = build(f"{prefix}.mlp.dense_h_to_4h", 0, 2 * checkpoint.ffn)
    layer.mlp.down_proj = build(f"{prefix}.mlp.dense_4h_to_h", 0, checkpoint.hidden)


def _builder(
    checkpoint: Checkpoint,
    weights: Weights,
    dtype: torch.dtype,
    quantize: Quantize | None,
    device: torch.device,
    trainable: bool,
) -> Build:
    """The function that makes linear layers from the folder's weights."""

    def bias(name: str, first: int, last: int) -> torch.Tensor | None:
        if not name.endswith("query_key_value"):
            return None
        return finite(name, weights[f"{name}.bias"][first:last].to(device, dtype, copy=True))

    def packed(name: str, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        weight = weights[f"{name}.weight"][first:last]
        if checkpoint.bits == 4:
            return weight, finite(name, weights[f"{name}.weight_scale"])[first:last]
        nibbles, scale = quantised(weight)
        return nibbles, finite(name, scale)

    def full(name: str, first: int, last: int) -> torch.Tensor:
        if checkpoint.bits == 4:
            return dequantised(*packed(name, first, last), dtype)
        return finite(name, weights[f"{name}.weight"][first:last].to(dtype, copy=True))

    def plain_linear(name: str, first: int, last: int) -> nn.Module:
        return _linear(full(name, first, last).to(device), bias(name, first, last))

    def int4_linear(name: str, first: int, last: int) -> nn.Module:
        return Int4Linear(*packed(name, first, last), bias(name, first, last), dtype, device, kernel=not trainable)

    def nf4(name: str, first: int, last: int) -> nn.Module:
        return nf4_linear(full(name, first, last), bias(name, first, last), device)

    return {None: plain_linear, "int4": int4_linear, "nf4": nf4}[quantize]


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    with torch.device("meta"):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        linear.bias = nn.Parameter(bias, requires_grad=False)
    return linear


def nf4_linear(weight: torch.Tensor, bias: torch.Tensor | None, device: torch.device) -> nn.Module:
    """A linear layer whose weights are quantised to NF4 here.

    Args:
        weight: (outputs, inputs), in the type of the arithmetic.
        bias: (outputs,), or None.
        device: Device of the layer.

    Raises:
        ModelError: bitsandbytes is missing.
    """
    try:
        import bitsandbytes
    except ImportError as error:
        raise ModelError(_("Package bitsandbytes is missing."), _('pip install "kb-assistant[nf4]"')) from error
    layers: Any = bitsandbytes.nn  # without types
    with torch.device("meta"):
        linear = layers.Linear4bit(
            weight.shape[1], weight.shape[0], bias=bias is not None, compute_dtype=weight.dtype, quant_type="nf4"
        )
    # It is quantised while it moves to the device.
    packed = layers.Params4bit(weight, requires_grad=False, quant_type="nf4", module=linear)
    linear.weight = packed.to(device)
    if weight.shape[0] % _PACKED_ROWS or weight.shape[1] % packed.blocksize:
        # On processors with bfloat16, bitsandbytes repacks a matrix for a faster product, and asserts that its
        # sizes are such multiples; the plain product takes any size.
        linear.support_avx512bf16_for_cpu = False
    if bias is not None:
        linear.bias = nn.Parameter(bias, requires_grad=False)
    module: nn.Module = linear
    return module
