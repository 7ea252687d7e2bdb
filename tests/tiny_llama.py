"""A tiny Llama of random numbers as a GGUF file, whose tokens are bytes, with a chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONTROL = ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
"""Their ids are 0 to 3, those of the bytes 4 to 259; then comes one of two bytes, so that there is a merge."""
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SIZES = {"layers": 2, "hidden": 64, "heads": 4, "groups": 2, "ffn": 128}


def _letters() -> list[str]:
    """The letters by which byte-level BPE writes each byte: printable ones as they are, others from U+0100 on."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = iter(range(256, 512))
    return [chr(byte if byte in shown else next(hidden)) for byte in range(256)]


def write_tiny_llama(file: Path, *, kind: str = "F32", tied: bool = True, seed: int = 0, **fields: Any) -> Path:
    """Write the model.

    Args:
        kind: What its matrices are packed in, such as F16 or Q8_0.
        fields: Other numbers of the architecture, by their names with "_" for ".".
    """
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter, quants

    letters = _letters()
    tokens = [*CONTROL, *letters, letters[ord("t")] + letters[ord("h")]]
    layers, hidden, heads, groups, ffn = SIZES.values()
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(1024)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(hidden // heads)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(tokens))
    for name, value in fields.items():
        writer.add_string(f"llama.{name.replace('_', '.')}", value)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(CONTROL) + [1] * (len(tokens) - len(CONTROL)))
    writer.add_token_merges([f"{letters[ord('t')]} {letters[ord('h')]}"])
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    random, packed = np.random.default_rng(seed), GGMLQuantizationType[kind]

    def add(name: str, *shape: int) -> None:
        numbers = random.standard_normal(shape).astype(np.float32) * (2.0 / shape[-1]) ** 0.5
        writer.add_tensor(f"{name}.weight", quants.quantize(numbers, packed), raw_dtype=packed)

    def add_norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", 1 + 0.1 * random.standard_normal(hidden).astype(np.float32))

    add("token_embd", len(tokens), hidden)
    add_norm("output_norm")
    if not tied:
        add("output", len(tokens), hidden)
    kv = hidden // heads * groups
    for layer in range(layers):
        for name in ("attn_norm", "ffn_norm"):
            add_norm(f"blk.{layer}.{name}")
        for name, rows, columns in (
            ("attn_q", hidden, hidden),
            ("attn_k", kv, hidden),
            ("attn_v", kv, hidden),
            ("attn_output", hidden, hidden),
            ("ffn_gate", ffn, hidden),
            ("ffn_up", ffn, hidden),
            ("ffn_down", hidden, ffn),
        ):
            add(f"blk.{layer}.{name}", rows, columns)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
