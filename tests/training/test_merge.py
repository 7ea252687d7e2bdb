"""Merged weights against those that peft merges into the native network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.chatglm2.lora import LoraShape
from kb_assistant.training.merge import MergedWeights
from tests.chatglm2_data import TINY, TINY_INT4
from tests.lora import random_adapter

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("folder", [TINY, TINY_INT4], ids=["fp32", "int4"])
def test_merged_weights_are_those_of_peft(tmp_path: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    shape = LoraShape(4, 12, ("q_proj", "v_proj", "gate_up_proj", "down_proj"))
    peft = random_adapter(load_model(folder), tmp_path, shape).merge_and_unload()
    merged = MergedWeights(read_checkpoint(folder), tmp_path)
    for i, layer in enumerate(peft.model.layers):
        name, attention = f"transformer.encoder.layers.{i}", layer.self_attn
        parts = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
        for official, expected in (
            ("self_attention.query_key_value", torch.cat(parts)),
            ("self_attention.dense", attention.o_proj.weight),
            ("mlp.dense_h_to_4h", layer.mlp.gate_up_proj.weight),
            ("mlp.dense_4h_to_h", layer.mlp.down_proj.weight),
        ):
            assert torch.allclose(merged[f"{name}.{official}.weight"].float(), expected, atol=1e-6)
    assert 0 < merged.lost("f16") < merged.lost("q8_0") < 1
