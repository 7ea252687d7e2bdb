"""Prefixes of P-Tuning v2 against an oracle that knows nothing of them.

Keys and values that real tokens leave at the positions -n … -1 are written as a checkpoint. Rotary positions count
by distance alone: the model with that prefix must then say what it says after those tokens.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import GlmForCausalLM

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.chatglm2.prefix import has_prefix, read_prefix
from kb_assistant.errors import ModelError
from tests.chatglm2_data import TINY
from tests.prefixes import NAME, TOKENS, prefix_tensors, projected

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def model() -> GlmForCausalLM:
    torch.set_num_threads(1)
    return load_model(TINY)


@pytest.mark.parametrize("projection", [False, True])
@torch.inference_mode()
def test_a_prefix_is_what_its_tokens_would_be(model: GlmForCausalLM, tmp_path: Path, projection: bool) -> None:
    tensors = prefix_tensors(model)
    tensors = projected(tensors, model.config.hidden_size) if projection else tensors
    torch.save({f"{NAME}{key}": one for key, one in tensors.items()}, tmp_path / "pytorch_model.bin")
    assert has_prefix(tmp_path)
    prefix = read_prefix(tmp_path, read_checkpoint(TINY), torch.float32, "cpu")
    assert prefix.tokens == TOKENS.shape[1]
    ids = torch.arange(50, 70)[None]
    expected = model(torch.cat([TOKENS, ids], 1)).logits[:, TOKENS.shape[1] :]
    found = model(ids, position_ids=torch.arange(20)[None], past_key_values=prefix.cache()).logits
    assert (found - expected).abs().max() < (1e-3 if projection else 5e-5)
    shifted = model(ids, past_key_values=prefix.cache()).logits  # positions counted behind the prefix
    assert (shifted - expected).abs().max() > 0.1


def test_prefixes_of_other_models_and_damaged_ones_are_refused(model: GlmForCausalLM, tmp_path: Path) -> None:
    checkpoint, tensors = read_checkpoint(TINY), prefix_tensors(model)
    path = tmp_path / "model.safetensors"

    def refused(changed: dict[str, torch.Tensor]) -> str:
        save_file({f"{NAME}{key}": one.contiguous() for key, one in changed.items()}, path)
        with pytest.raises(ModelError) as caught:
            read_prefix(tmp_path, checkpoint, torch.float32, "cpu")
        return str(caught.value)

    table = tensors["embedding.weight"]
    assert "doesn't fit the model: embedding.weight has the shape" in refused({"embedding.weight": table[:, 1:]})
    assert "doesn't fit" in refused({"embedding.weight": table[:0]})
    assert "no numbers" in refused({"embedding.weight": torch.full_like(table, torch.inf)})
    network = projected(tensors, 128)
    assert "trans.2.bias has the shape [0]" in refused({k: v for k, v in network.items() if k != "trans.2.bias"})
    assert "holds no prefix" in refused({"something": table})
