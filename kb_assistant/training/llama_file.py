"""A GGUF file of a plain Llama as a network that can be trained: described by its header, loaded into
transformers' own Llama, whatever types its numbers are packed in.

Names and layout of the tensors are those of the GGUF specification. llama.cpp turns neighbouring rows of queries
and keys together, transformers the two halves of each head: `interleaved` and `halved` lead from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kb_assistant.chatglm2.gguf_writer import require_writer
from kb_assistant.errors import ModelError
from kb_assistant.llm.gguf_header import GGUFHeader, read_gguf_header
from kb_assistant.messages import _

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM

ARCHITECTURE = "llama"

NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""The matrices of a layer: transformers' names by those of GGUF."""
_NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
_WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_ONLY = _("Only plain Llama models, such as smollm2-135m-instruct, are trained from a GGUF file.")


@dataclass(frozen=True, slots=True)
class LlamaFile:
    """A GGUF file of the architecture `llama` without experts, biases or stretched positions.

    Attributes:
        parameters: Number of weights; an embedding that is the output layer as well counts once.
        tied: Whether it is.
        bits: 16: the file's own numbers are unpacked for training.
        theta: Base of the angles of its positions.
    """

    path: Path
    layers: int
    hidden: int
    heads: int
    groups: int
    ffn: int
    vocabulary: int
    parameters: int
    context: int
    epsilon: float
    theta: float
    tied: bool
    bits: Literal[16] = 16

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    def layer_shapes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """The linear layers of one decoder layer by transformers' names, with their shapes [out, in]."""
        kv = self.groups * self.head_dim
        yield "q_proj", (self.hidden, self.hidden)
        yield "k_proj", (kv, self.hidden)
        yield "v_proj", (kv, self.hidden)
        yield "o_proj", (self.hidden, self.hidden)
        yield "gate_proj", (self.ffn, self.hidden)
        yield "up_proj", (self.ffn, self.hidden)
        yield "down_proj", (self.hidden, self.ffn)

    def linear_shapes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Those of all layers."""
        for layer in range(self.layers):
            for name, shape in self.layer_shapes():
                yield f"{layer}.{name}", shape

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor that its file must hold, with its shape there: (in, out) of a matrix."""
        shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (self.hidden, self.vocabulary)}
        shapes |= {} if self.tied else {"output.weight": (self.hidden, self.vocabulary)}
        shapes["output_norm.weight"] = (self.hidden,)
        matrices = dict(self.layer_shapes())
        for layer in range(self.layers):
            shapes |= {f"blk.{layer}.{name}.weight": (self.hidden,) for name in _NORMS}
            for theirs, ours in NAMES.items():
                shapes[f"blk.{layer}.{theirs}.weight"] = matrices[ours.rpartition(".")[2]][::-1]
        return shapes


def read_llama(path: Path) -> LlamaFile:
    """The description of a file, from its header alone.

    Raises:
        ModelError: it can't be read, is of another architecture, or of a variant of Llama.
    """
    header = read_gguf_header(path)
    if header.architecture != ARCHITECTURE:
        raise ModelError(
            _(
                "{path} is of the architecture {name!r}, which isn't trained here.",
                path=path,
                name=header.architecture,
            ),
            _ONLY,
        )
    found = LlamaFile(
        path,
        layers=_count(header, "block_count"),
        hidden=_count(header, "embedding_length"),
        heads=(heads := _count(header, "attention.head_count")),
        groups=header.count("attention.head_count_kv", heads),
        ffn=_count(header, "feed_forward_length"),
        vocabulary=header.shapes.get("token_embd.weight", (0, 0))[-1],
        parameters=header.parameters,
        context=_count(header, "context_length"),
        epsilon=_number(header, "attention.layer_norm_rms_epsilon", 1e-5),
        theta=_number(header, "rope.freq_base", 10_000.0),
        tied="output.weight" not in header.shapes,
    )
    other = _difference(header, found)
    if other:
        raise _variant(path, other)
    return found


def _count(header: GGUFHeader, key: str) -> int:
    """A number that there must be.

    Raises:
        ModelError: it is missing, or differs from layer to layer.
    """
    value = header.fields.get(f"{ARCHITECTURE}.{key}")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise _variant(header.path, f"{ARCHITECTURE}.{key}")
    return value


def _variant(path: Path, name: str) -> ModelError:
    return ModelError(_("{path} is a variant of Llama: {name} differs.", path=path, name=name), _ONLY)


def _number(header: GGUFHeader, key: str, usual: float) -> float:
    value = header.fields.get(f"{ARCHITECTURE}.{key}", usual)
    return float(value) if isinstance(value, int | float) and 0 < value < 1e12 else usual


def _difference(header: GGUFHeader, found: LlamaFile) -> str:
    """The name of what isn't as in a plain Llama; "" for nothing."""
    expected = {"rope.dimension_count": found.head_dim, "attention.key_length": found.head_dim}
    expected["attention.value_length"] = found.head_dim
    for key, value in expected.items():
        if header.fields.get(f"{ARCHITECTURE}.{key}", value) != value:
            return f"{ARCHITECTURE}.{key}"
    scaling = header.fields.get(f"{ARCHITECTURE}.rope.scaling.type", "none")
    if scaling != "none" or found.hidden % found.heads or found.heads % found.groups or found.head_dim % 2:
        return f"{ARCHITECTURE}.rope.scaling.type" if scaling != "none" else f"{ARCHITECTURE}.attention.head_count"
    shapes = found.tensor_shapes()
    names = sorted(shapes.keys() | header.shapes.keys())
    return next((name for name in names if shapes.get(name) != header.shapes.get(name)), "")


def load_llama(file: LlamaFile, dtype: torch.dtype, device: str) -> LlamaForCausalLM:
    """The model, unpacked. Its weights are never trained.

    Raises:
        ModelError: the package gguf is missing, a tensor is damaged, or of a type that it can't unpack.
    """
    require_writer()
    import torch
    from gguf import GGUFReader, dequantize
    from transformers import LlamaForCausalLM
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    from kb_assistant.chatglm2.weights import finite

    config = _config(file, dtype)
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(config)
    model.model.rotary_emb = LlamaRotaryEmbedding(config).to(device)
    weights = {}
    for tensor in GGUFReader(file.path).tensors:
        try:
            numbers = torch.tensor(dequantize(tensor.data, tensor.tensor_type))
        except (NotImplementedError, ValueError) as error:
            raise ModelError(
                _("{path} can't be unpacked: {reason}.", path=file.path, reason=error),
                _("Take it in another type."),
            ) from error
        name, heads = _ours(file, tensor.name)
        whole = halved(numbers, heads) if heads else numbers
        weights[name] = finite(tensor.name, whole.contiguous().to(device, dtype))
    if file.tied:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights, assign=True)
    loaded: LlamaForCausalLM = model.requires_grad_(False).eval()
    return loaded


def _config(file: LlamaFile, dtype: torch.dtype) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=file.vocabulary,
        hidden_size=file.hidden,
        intermediate_size=file.ffn,
        num_hidden_layers=file.layers,
        num_attention_heads=file.heads,
        num_key_value_heads=file.groups,
        head_dim=file.head_dim,
        hidden_act="silu",
        attention_bias=False,
        mlp_bias=False,
        attention_dropout=0.0,
        rms_norm_eps=file.epsilon,
        max_position_embeddings=file.context,
        rope_parameters={"rope_type": "default", "rope_theta": file.theta},
        tie_word_embeddings=file.tied,
        dtype=dtype,
    )


def _ours(file: LlamaFile, name: str) -> tuple[str, int]:
    """transformers' name of a tensor, and the heads whose rows are in another order there; 0 for none."""
    first, *rest = name.removesuffix(".weight").split(".")
    if not rest:
        return f"{_WHOLE[first]}.weight", 0
    layer, part = rest
    heads = {"attn_q": file.heads, "attn_k": file.groups}.get(part, 0)
    return f"model.layers.{layer}.{(NAMES | _NORMS)[part]}.weight", heads


def halved(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows [out, in] of queries or keys in transformers' order, from llama.cpp's."""
    pairs = rows.reshape(heads, -1, 2, rows.shape[1])
    return pairs.transpose(1, 2).reshape(rows.shape)


def interleaved(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """The other way round."""
    halves = rows.reshape(heads, 2, -1, rows.shape[1])
    return halves.transpose(1, 2).reshape(rows.shape)
