"""Describes a folder of ChatGLM2 weights from its configuration alone. Reads JSON, no weights, no remote code.

The attributes of the architecture and the configuration's keys are those of THUDM's published release.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.model_folder import damaged_field, read_config

TOKENIZER = "tokenizer.model"
# Chat training used this length; the configuration's seq_length is 32,768.
_CHAT_TRAINED = 8192
_GLM4_VOCABULARY = 100_000
_ROPE_BASE = 10_000.0
_MOST_LAYERS = 1000
_AGAIN = _("Download the folder again, all of its files.")
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Rope:
    """Rotary position embedding: positions are divided by `factor`, angles come from `theta`."""

    theta: float = _ROPE_BASE
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder in the layout of the official release.

    Attributes:
        generation: 2 for ChatGLM2, 3 for ChatGLM3: the same network with another prompt.
        bits: 4 if the linear layers are packed INT4, else 16 (whatever float type they are saved in).
        context: Context length of the chat training, in tokens.
        longest: Largest context that its configuration allows, in tokens.
        shards: Files of weights, in order; all of one kind, safetensors or PyTorch.
        prefix_tokens: Length of the prefix of P-Tuning v2 that goes before every prompt; 0 for none.
    """

    folder: Path
    generation: Literal[2, 3]
    bits: Literal[4, 16]
    layers: int
    hidden: int
    heads: int
    groups: int
    head_dim: int
    ffn: int
    vocabulary: int
    epsilon: float
    rope: Rope
    context: int
    longest: int
    shards: tuple[Path, ...]
    prefix_tokens: int = 0

    @property
    def qkv_rows(self) -> tuple[int, int, int]:
        """Rows of the query, key and value parts of the fused projection."""
        kv = self.groups * self.head_dim
        return self.heads * self.head_dim, kv, kv

    def layer_shapes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """The linear layers of one decoder layer by transformers' names, with their shapes [out, in]."""
        queries, keys, values = self.qkv_rows
        yield "q_proj", (queries, self.hidden)
        yield "k_proj", (keys, self.hidden)
        yield "v_proj", (values, self.hidden)
        yield "o_proj", (self.hidden, queries)
        yield "gate_up_proj", (2 * self.ffn, self.hidden)
        yield "down_proj", (self.hidden, self.ffn)

    def linear_shapes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """Names (without ".weight") and shapes [out, in] of the matrices packed in INT4."""
        for i in range(self.layers):
            layer = f"transformer.encoder.layers.{i}"
            yield f"{layer}.self_attention.query_key_value", (sum(self.qkv_rows), self.hidden)
            yield f"{layer}.self_attention.dense", (self.hidden, self.qkv_rows[0])
            yield f"{layer}.mlp.dense_h_to_4h", (2 * self.ffn, self.hidden)
            yield f"{layer}.mlp.dense_4h_to_h", (self.hidden, self.ffn)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every required tensor, with its shape in the files."""
        shapes: dict[str, tuple[int, ...]] = {
            "transformer.embedding.word_embeddings.weight": (self.vocabulary, self.hidden),
            "transformer.encoder.final_layernorm.weight": (self.hidden,),
            "transformer.output_layer.weight": (self.vocabulary, self.hidden),
        }
        for name, (rows, columns) in self.linear_shapes():
            if self.bits == 4:
                shapes |= {f"{name}.weight": (rows, columns // 2), f"{name}.weight_scale": (rows,)}
            else:
                shapes[f"{name}.weight"] = (rows, columns)
        for i in range(self.layers):
            layer = f"transformer.encoder.layers.{i}"
            shapes |= {
                f"{layer}.input_layernorm.weight": (self.hidden,),
                f"{layer}.post_attention_layernorm.weight": (self.hidden,),
                f"{layer}.self_attention.query_key_value.bias": (sum(self.qkv_rows),),
            }
        return shapes

    @property
    def parameters(self) -> int:
        """Number of weights, counting each packed INT4 weight."""
        packed = 2 if self.bits == 4 else 1
        linear = {f"{name}.weight" for name, _ in self.linear_shapes()}
        return sum(
            math.prod(shape) * (packed if name in linear else 1)
            for name, shape in self.tensor_shapes().items()
            if not name.endswith("weight_scale")
        )

    @property
    def stored_bytes(self) -> int:
        """Size of the weight files."""
        return sum(shard.stat().st_size for shard in self.shards)

    def describe(self) -> str:
        """One line for people."""
        precision = "INT4" if self.bits == 4 else "not quantised"
        return (
            f"ChatGLM{self.generation}, {self.parameters / 1e6:,.0f} million parameters, {precision}, "
            f"{self.stored_bytes / 1e9:.2f} GB, context {self.context:,} tokens (at most {self.longest:,})"
        )


def is_chatglm(config: Mapping[str, Any]) -> bool:
    """Whether a config.json belongs to any ChatGLM, usable or not."""
    return config.get("model_type") == "chatglm"


def read_checkpoint(folder: Path) -> Checkpoint:
    """The description of the folder. Only the first bytes of its weight files are read.

    Raises:
        ModelError: it isn't ChatGLM2 or ChatGLM3 in the official layout, a file is missing, or its
            configuration requires something unsupported; the message says which.
    """
    config = read_config(folder / "config.json")
    if not is_chatglm(config):
        raise ModelError(
            _("{folder} isn't a ChatGLM2 folder: its config.json says otherwise.", folder=folder), _AGAIN
        )
    _refuse_relatives(folder, config)
    _refuse_variants(folder, config)
    if not (folder / TOKENIZER).is_file():
        raise ModelError(_("{folder} has no {file}.", folder=folder, file=TOKENIZER), _AGAIN)
    generation = _generation(folder, config)
    rope = _rope(folder, config, generation)
    longest = _positive(folder, config, "seq_length") if config.get("seq_length") else _CHAT_TRAINED
    shards = weight_files(folder)
    _refuse_pointer(folder / TOKENIZER)
    return Checkpoint(
        folder=folder,
        generation=generation or 2,
        bits=4 if config.get("quantization_bit") == 4 else 16,
        layers=_positive(folder, config, "num_layers", most=_MOST_LAYERS),
        hidden=_positive(folder, config, "hidden_size"),
        heads=_positive(folder, config, "num_attention_heads"),
        groups=_positive(folder, config, "multi_query_group_num"),
        head_dim=_positive(folder, config, "kv_channels"),
        ffn=_positive(folder, config, "ffn_hidden_size"),
        vocabulary=_positive(folder, config, "padded_vocab_size"),
        epsilon=_number(folder, config, "layernorm_epsilon", 1e-5),
        rope=rope,
        context=longest if rope != Rope() else min(longest, _CHAT_TRAINED),
        longest=longest,
        shards=shards,
        prefix_tokens=_positive(folder, config, "pre_seq_len") if config.get("pre_seq_len") else 0,
    )


def _refuse_relatives(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse other models that call themselves "chatglm"."""
    if "position_encoding_2d" in config or "padded_vocab_size" not in config:
        raise ModelError(
            _("{folder} holds ChatGLM-6B, the first generation, which is another network.", folder=folder),
            _("Use chatglm2-6b or chatglm2-6b-int4."),
        )
    if _positive(folder, config, "padded_vocab_size") > _GLM4_VOCABULARY:
        raise ModelError(
            _("{folder} holds GLM-4, not ChatGLM2.", folder=folder),
            _("Use a .gguf file of it: kb models add glm-4.gguf"),
        )


def _refuse_variants(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse configuration switches that change the network and differ from the release."""
    expected = {
        "rmsnorm": True,
        "post_layer_norm": True,
        "apply_residual_connection_post_layernorm": False,
        "add_bias_linear": False,
        "add_qkv_bias": True,
        "multi_query_attention": True,
        "original_rope": True,
    }
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise ModelError(
                _(
                    "{folder} is a variant that isn't supported: its config.json says {key} = {value}.",
                    folder=folder,
                    key=key,
                    value=repr(config[key]),
                ),
                _("Use the official folder."),
            )
    if config.get("quantization_bit", 0) not in (0, 4):
        raise ModelError(
            _("{folder} is quantised to {bits} bits.", folder=folder, bits=config["quantization_bit"]),
            _("Use chatglm2-6b-int4 or chatglm2-6b."),
        )


def _generation(folder: Path, config: Mapping[str, Any]) -> Literal[2, 3] | None:
    """The generation by name, else by the role tokens that only ChatGLM3's tokenizer has; None if unknown."""
    name = str(config.get("_name_or_path", "")).lower()
    if "chatglm3" in name:
        return 3
    if "chatglm2" in name:
        return 2
    for file in ("tokenizer_config.json", "tokenization_chatglm.py"):
        try:
            if "<|assistant|>" in (folder / file).read_text(encoding="utf-8", errors="replace"):
                return 3
        except OSError:
            continue
    return None


def _rope(folder: Path, config: Mapping[str, Any], generation: int | None) -> Rope:
    """ChatGLM2 divides positions by rope_ratio; ChatGLM3 multiplies the base of the angles by it."""
    ratio = _number(folder, config, "rope_ratio", 1.0)
    if ratio == 1:
        return Rope()
    if generation is None:
        raise ModelError(
            _(
                "{folder} has rope_ratio = {ratio:g}, which ChatGLM2 and ChatGLM3 read differently, and nothing "
                "in the folder tells which of them it is.",
                folder=folder,
                ratio=ratio,
            ),
            _('Put "_name_or_path": "THUDM/chatglm2-6b-32k" (or chatglm3-6b-32k) into its config.json.'),
        )
    return Rope(factor=ratio) if generation == 2 else Rope(theta=_ROPE_BASE * ratio)


def _positive(folder: Path, config: Mapping[str, Any], key: str, most: int = 2**31) -> int:
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise damaged_field(folder / "config.json", key, value, _AGAIN)
    return value


def _number(folder: Path, config: Mapping[str, Any], key: str, default: float) -> float:
    value = config.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise damaged_field(folder / "config.json", key, value, _AGAIN)
    return float(value)


def _refuse_pointer(file: Path) -> None:
    """Refuse a repository cloned without Git LFS, which has a few lines of text in place of large files."""
    try:
        with file.open("rb") as opened:
            start = opened.read(len(_POINTER))
    except OSError as error:
        raise ModelError(_("{path} can't be read: {reason}.", path=file, reason=error), _AGAIN) from error
    if start == _POINTER:
        raise ModelError(
            _("{path} is only a pointer to the file, as git leaves it without Git LFS.", path=file),
            _("Run in {folder}: git lfs pull; or download the files themselves.", folder=file.parent),
        )


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The weight files, safetensors preferred to PyTorch; named by the index if there is one.

    An index may name only files of its own folder.

    Raises:
        ModelError: there are none, some are missing, or are only pointers to files.
    """
    files = _shards(folder)
    for file in files:
        _refuse_pointer(file)
    return files


def _shards(folder: Path) -> tuple[Path, ...]:
    for pattern, index in (
        ("*.safetensors", "model.safetensors.index.json"),
        ("pytorch_model*.bin", "pytorch_model.bin.index.json"),
    ):
        if (folder / index).is_file():
            names = sorted(set(_weight_map(folder / index).values()))
            missing = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
            if not missing:
                return tuple(folder / name for name in names)
            if any(folder.glob(pattern)):
                raise ModelError(
                    _("{folder} is incomplete: {missing} missing.", folder=folder, missing=", ".join(missing)),
                    _AGAIN,
                )
        elif files := sorted(folder.glob(pattern)):
            return tuple(files)
    raise ModelError(
        _("{folder} has no weights: neither *.safetensors nor pytorch_model*.bin.", folder=folder), _AGAIN
    )


def _weight_map(index: Path) -> dict[str, str]:
    try:
        content = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return {str(name): str(file) for name, file in content.items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(_("{path} is damaged: {reason}.", path=index, reason=error), _AGAIN) from error
