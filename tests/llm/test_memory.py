"""What a model of full size is said to take, against what it took (docs/measured.md), and the 6 GB of a card."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kb_assistant.llm import torch_engine
from kb_assistant.llm.memory import Memory, estimate
from kb_assistant.model_folder import Model
from kb_assistant.settings import Settings
from tests.chatglm2_data import TINY_INT4, copied

pytestmark = pytest.mark.engine

FULL = {
    "num_layers": 28,
    "hidden_size": 4096,
    "ffn_hidden_size": 13696,
    "num_attention_heads": 32,
    "kv_channels": 128,
    "padded_vocab_size": 65024,
}


def full_size(folder: Path, settings: Settings) -> Memory:
    """Of a folder whose config.json is that of the official INT4 release; its weights don't count."""
    model = Model("m", "chat", copied(TINY_INT4, folder, **FULL), "", context_tokens=8192, template="chatglm2")
    found = estimate(model, settings)
    assert found is not None
    return found


def test_on_a_cpu_it_is_what_was_measured(tmp_path: Path) -> None:
    found = full_size(tmp_path / "m", Settings(home=tmp_path, device="cpu", context_tokens=1668))
    assert found.total / 5.46e9 == pytest.approx(1, abs=0.1)
    assert found.place == "memory"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_int4_with_2048_tokens_fits_a_card_of_6_gb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch_engine, "best_dtype", lambda *_: dtype)
    found = full_size(tmp_path / "m", Settings(home=tmp_path, device="cuda", context_tokens=2048))
    assert found.total < 6e9
    assert found.place == "GPU memory"


def test_quantisation_and_context_count(tmp_path: Path) -> None:
    int4 = full_size(tmp_path / "a", Settings(home=tmp_path, device="cpu", quantize="int4", context_tokens=2048))
    plain = full_size(tmp_path / "b", Settings(home=tmp_path, device="cpu", quantize="none", context_tokens=4096))
    assert plain.weights == pytest.approx(6.244e9 * 4, rel=0.01)
    assert plain.cache == 28 * 2 * 256 * 4096 * 4
    assert int4.cache == 28 * 2 * 256 * 2048 * 2
