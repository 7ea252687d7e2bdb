"""A folder's configuration says which model it is; what can't be used is refused before a weight is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.errors import ModelError
from tests.chatglm2_data import TINY_INT4, copied


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"position_encoding_2d": True}, "holds ChatGLM-6B, the first generation", "Use chatglm2-6b"),
        ({"padded_vocab_size": None}, "holds ChatGLM-6B, the first generation", "Use chatglm2-6b"),
        ({"padded_vocab_size": 151552}, "holds GLM-4", ".gguf"),
        ({"model_type": "llama"}, "isn't a ChatGLM2 folder", "Download the folder again"),
        ({"pre_seq_len": "128"}, "config.json is damaged: pre_seq_len = '128'", "Download"),
        ({"rmsnorm": False}, "rmsnorm = False", "official folder"),
        ({"add_bias_linear": True}, "add_bias_linear = True", "official folder"),
        ({"quantization_bit": 8}, "is quantised to 8 bits", "Use chatglm2-6b-int4"),
        ({"num_layers": True}, "config.json is damaged: num_layers = True", "Download"),
        ({"padded_vocab_size": "640"}, "config.json is damaged: padded_vocab_size = '640'", "Download"),
        ({"seq_length": "long"}, "config.json is damaged: seq_length = 'long'", "Download"),
        ({"layernorm_epsilon": "1e-5"}, "config.json is damaged: layernorm_epsilon = '1e-5'", "Download"),
        ({"rope_ratio": float("nan")}, "config.json is damaged: rope_ratio = nan", "Download"),
        ({"num_layers": 10**9}, "config.json is damaged: num_layers = 1000000000", "Download"),
        ({"num_layers": 0}, "config.json is damaged: num_layers = 0", "Download"),
        ({"hidden_size": "128"}, "config.json is damaged: hidden_size = '128'", "Download"),
        ({"ffn_hidden_size": None}, "config.json is damaged: ffn_hidden_size = None", "Download"),
        ({"rope_ratio": 0}, "config.json is damaged: rope_ratio = 0", "Download"),
        ({"rope_ratio": "16"}, "config.json is damaged: rope_ratio = '16'", "Download"),
    ],
)
def test_a_configuration_of_another_model_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str, hint: str
) -> None:
    folder = copied(TINY_INT4, tmp_path / "m", **changes)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(folder)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", None])
def test_a_damaged_configuration_is_reported(tmp_path: Path, content: str | None) -> None:
    config = copied(TINY_INT4, tmp_path / "m") / "config.json"
    config.unlink()
    if content is not None:
        config.write_text(content)
    with pytest.raises(ModelError, match=r"config\.json") as caught:
        read_checkpoint(config.parent)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("marks", "generation"),
    [
        ({"_name_or_path": "THUDM/chatglm2-6b"}, 2),
        ({"_name_or_path": "THUDM/chatglm3-6b"}, 3),
        ({"_name_or_path": None}, 2),
        ({"_name_or_path": None, "roles": True}, 3),
    ],
)
def test_the_generation_is_told_by_name_or_by_role_tokens(
    tmp_path: Path, marks: dict[str, Any], generation: int
) -> None:
    folder = copied(TINY_INT4, tmp_path / "m", _name_or_path=marks["_name_or_path"])
    if "roles" in marks:
        (folder / "tokenization_chatglm.py").write_text('raise SystemExit("<|assistant|>")')
    assert read_checkpoint(folder).generation == generation
