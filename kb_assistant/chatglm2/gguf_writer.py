"""ChatGLM2 weights as a GGUF file for llama.cpp, whose own converter can't read them.

Official INT4 weights become Q4_0 without loss: a block of 32 gets the scale of its row and the same nibbles. The
file is written tensor by tensor; an interrupted one is continued. Layout: the GGUF specification.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kb_assistant.chatglm2.checkpoint import TOKENIZER, Checkpoint
from kb_assistant.chatglm2.tokenizer import Pieces, control_tokens
from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.model_folder import require_space

if TYPE_CHECKING:
    import torch
    from gguf import GGMLQuantizationType, GGUFWriter

Precision = Literal["q4_0", "q8_0", "f16", "f32"]

_BLOCK = 32
# A score below every piece's, so that no text is ever merged into a control token.
_NEVER = -1e6
_TOKEN_KINDS = {"normal": 1, "unknown": 2, "control": 3, "unused": 5, "byte": 6}
_FREE_BYTES = 100_000_000


class Tensors(Protocol):
    """The tensors of a checkpoint by their official names."""

    def __getitem__(self, name: str) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One tensor of the file: its name, shape [out, in] or [n], type, and the name of its source."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    source: str

    @property
    def nbytes(self) -> int:
        from gguf import GGML_QUANT_SIZES

        block, size = GGML_QUANT_SIZES[self.kind]
        return int(np.prod(self.shape)) // block * size


def write_gguf(
    checkpoint: Checkpoint,
    file: Path,
    precision: Precision = "q4_0",
    on_progress: Callable[[float], None] = lambda _: None,
    weights: Tensors | None = None,
    mark: str = "",
) -> None:
    """Write the model to `file`. The part already written by an interrupted run is kept.

    The matrices of an INT4 folder stay as they are (Q4_0, no loss) whatever `precision` is; those of an fp16
    folder get that precision. So do embedding and output layer, but Q8_0 for "q4_0": half the memory of F16, and
    an error far below INT4's. A matrix whose rows aren't whole blocks of 32 becomes F16, or F32 if it was INT4.

    Args:
        precision: "f16" is exact for official folders, which contain nothing finer.
        on_progress: Called with the share that is written, from 0 to 1.
        weights: Others than those of the folder, such as with an adapter merged into them.
        mark: Tells what they are.

    Raises:
        ModelError: the weights are incomplete or damaged, a package is missing, or the disk is too full.
    """
    from kb_assistant.chatglm2.weights import Weights

    require_writer()
    weights = weights or Weights(checkpoint)
    tensors = list(_tensors(checkpoint, precision))
    part = file.with_name(f"{file.name}.part")
    head = _head(checkpoint, tensors, file.with_name(f"{file.name}.head"), mark)
    done, size = _done(part, head, tensors)
    wanted = len(head) + sum(_padded(tensor.nbytes) for tensor in tensors)
    require_space(file.parent, wanted - size + _FREE_BYTES)
    with part.open("r+b" if size else "wb") as out:
        out.truncate(size)
        out.seek(size)
        if not size:
            out.write(head)
        for i in range(done, len(tensors)):
            on_progress(i / len(tensors))
            data = _data(weights, checkpoint, tensors[i])
            out.write(data)
            out.write(bytes(_padded(len(data)) - len(data)))
            out.flush()
            os.fsync(out.fileno())
    part.replace(file)
    on_progress(1.0)


def require_writer() -> None:
    """Raises:
    ModelError: the package that writes GGUF files is missing.
    """
    try:
        import gguf  # noqa: F401
    except ImportError as error:
        raise ModelError(_("Package gguf is missing."), _('pip install "kb-assistant[llama]"')) from error


def _tensors(checkpoint: Checkpoint, precision: Precision) -> Iterator[_Tensor]:
    """The tensors of the file, in order."""
    from gguf import GGMLQuantizationType as G

    f32, f16 = G.F32, G.F16
    wanted = {"q4_0": G.Q4_0, "q8_0": G.Q8_0, "f16": G.F16, "f32": G.F32}[precision]
    outer: G = G.Q8_0 if wanted == G.Q4_0 else wanted

    def matrix(columns: int) -> GGMLQuantizationType:
        if checkpoint.bits == 4:
            return G.Q4_0 if columns % _BLOCK == 0 else f32
        return wanted if wanted in (f16, f32) or columns % _BLOCK == 0 else f16

    hidden, vocabulary = checkpoint.hidden, checkpoint.vocabulary
    outer = outer if outer in (f16, f32) or hidden % _BLOCK == 0 else f16
    yield _Tensor("token_embd.weight", (vocabulary, hidden), outer, "transformer.embedding.word_embeddings.weight")
    for i in range(checkpoint.layers):
        ours, theirs = f"blk.{i}", f"transformer.encoder.layers.{i}"
        qkv, heads, ffn = sum(checkpoint.qkv_rows), checkpoint.qkv_rows[0], checkpoint.ffn
        fused = f"{theirs}.self_attention.query_key_value"
        yield _Tensor(f"{ours}.attn_norm.weight", (hidden,), f32, f"{theirs}.input_layernorm.weight")
        yield _Tensor(f"{ours}.attn_qkv.weight", (qkv, hidden), matrix(hidden), f"{fused}.weight")
        yield _Tensor(f"{ours}.attn_qkv.bias", (qkv,), f32, f"{fused}.bias")
        dense = f"{theirs}.self_attention.dense.weight"
        yield _Tensor(f"{ours}.attn_output.weight", (hidden, heads), matrix(heads), dense)
        yield _Tensor(f"{ours}.ffn_norm.weight", (hidden,), f32, f"{theirs}.post_attention_layernorm.weight")
        up, down = f"{theirs}.mlp.dense_h_to_4h.weight", f"{theirs}.mlp.dense_4h_to_h.weight"
        yield _Tensor(f"{ours}.ffn_up.weight", (2 * ffn, hidden), matrix(hidden), up)
        yield _Tensor(f"{ours}.ffn_down.weight", (hidden, ffn), matrix(ffn), down)
    yield _Tensor("output_norm.weight", (hidden,), f32, "transformer.encoder.final_layernorm.weight")
    yield _Tensor("output.weight", (vocabulary, hidden), outer, "transformer.output_layer.weight")


def _data(weights: Tensors, checkpoint: Checkpoint, tensor: _Tensor) -> bytes:
    """A tensor in the file's form."""
    import torch
    from gguf import GGMLQuantizationType, quants

    from kb_assistant.chatglm2.weights import dequantised, finite

    source = finite(tensor.source, weights[tensor.source])
    if checkpoint.bits == 4 and source.dtype == torch.int8:
        scale = finite(tensor.source, weights[f"{tensor.source}_scale"])
        if tensor.kind == GGMLQuantizationType.Q4_0:
            return q4_0(source, scale).tobytes()
        source = dequantised(source, scale, torch.float32)
    if tensor.kind == GGMLQuantizationType.F16:
        return source.half().numpy().tobytes()
    floats: NDArray[np.float32] = source.float().numpy()
    return bytes(quants.quantize(floats, tensor.kind).tobytes())


def q4_0(packed: torch.Tensor, scale: torch.Tensor) -> NDArray[np.uint8]:
    """Official INT4 weights as GGML's Q4_0 blocks, the same numbers.

    A block is the scale in fp16, then 16 bytes: value j in the low half of byte j, value j + 16 in the high half,
    each plus 8.

    Args:
        packed: int8 [out, in / 2], `in` a multiple of 32.
        scale: fp16 [out].

    Returns:
        uint8 [out, in / 32, 18].
    """
    rows, blocks = packed.shape[0], packed.shape[1] * 2 // _BLOCK
    pairs = packed.numpy().view(np.uint8).reshape(rows, blocks, _BLOCK // 2) ^ 0x88
    values = np.empty((rows, blocks, _BLOCK), np.uint8)
    values[..., ::2], values[..., 1::2] = pairs >> 4, pairs & 15
    out = np.empty((rows, blocks, 18), np.uint8)
    out[..., :2] = scale.half().numpy().view(np.uint8).reshape(rows, 1, 2)
    out[..., 2:] = values[..., :16] | (values[..., 16:] << 4)
    return out


def _head(checkpoint: Checkpoint, tensors: list[_Tensor], file: Path, mark: str) -> bytes:
    """Everything before the first tensor, padded: the same bytes for the same source."""
    from gguf import GGUFWriter

    writer = GGUFWriter(file, "chatglm")
    try:
        _add_architecture(writer, checkpoint)
        if mark:
            writer.add_string("kb_assistant.merged", mark)
        _add_vocabulary(writer, checkpoint)
        for tensor in tensors:
            writer.add_tensor_info(
                tensor.name, tensor.shape, np.dtype(np.float32), tensor.nbytes, raw_dtype=tensor.kind
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.close()
        head = file.read_bytes()
    finally:
        file.unlink(missing_ok=True)
    return head + bytes(_padded(len(head)) - len(head))


def _add_architecture(writer: GGUFWriter, checkpoint: Checkpoint) -> None:
    from gguf import RopeScalingType

    writer.add_name(f"ChatGLM{checkpoint.generation}")
    writer.add_string("kb_assistant.source", _source_mark(checkpoint))
    writer.add_context_length(checkpoint.longest)
    writer.add_embedding_length(checkpoint.hidden)
    writer.add_feed_forward_length(checkpoint.ffn)
    writer.add_block_count(checkpoint.layers)
    writer.add_head_count(checkpoint.heads)
    writer.add_head_count_kv(checkpoint.groups)
    writer.add_layer_norm_rms_eps(checkpoint.epsilon)
    writer.add_rope_dimension_count(checkpoint.head_dim // 2)
    writer.add_rope_freq_base(checkpoint.rope.theta)
    if checkpoint.rope.factor != 1:
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(checkpoint.rope.factor)


def _add_vocabulary(writer: GGUFWriter, checkpoint: Checkpoint) -> None:
    """Pieces, control tokens, padding. Control tokens get names that no text is merged into."""
    pieces = Pieces(checkpoint.folder / TOKENIZER)
    control = [f"<|{name.strip('[]<|>')}|>" for name in control_tokens(checkpoint.generation)]
    padding = [f"[PAD{i}]" for i in range(len(pieces.names) + len(control), checkpoint.vocabulary)]
    kinds = [*pieces.kinds, *["control"] * len(control), *["unused"] * len(padding)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*pieces.names, *control, *padding])
    writer.add_token_scores([*pieces.scores, *[_NEVER] * (len(control) + len(padding))])
    writer.add_token_types([_TOKEN_KINDS[kind] for kind in kinds])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(True)


def _source_mark(checkpoint: Checkpoint) -> str:
    """A fingerprint that changes with any file of the source, without reading gigabytes."""
    mark = hashlib.sha256((checkpoint.folder / "config.json").read_bytes())
    for shard in checkpoint.shards:
        state = shard.stat()
        mark.update(f"{shard.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return mark.hexdigest()


def _done(part: Path, head: bytes, tensors: list[_Tensor]) -> tuple[int, int]:
    """Tensors that an earlier run wrote completely, and the bytes up to there; nothing if the source differs.

    The last tensor is written again: after a power cut its end may be missing although the length is right.
    """
    try:
        with part.open("rb") as file:
            if file.read(len(head)) != head:
                return 0, 0
    except FileNotFoundError:
        return 0, 0
    size, whole = part.stat().st_size, [len(head)]
    for tensor in tensors:
        whole.append(whole[-1] + _padded(tensor.nbytes))
    done = max(i for i, end in enumerate(whole) if end <= size)
    kept = max(0, done - 1)
    return kept, whole[kept]


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
