"""LoRA on the tiny network: gradients against dense weights, and what is refused of an adapter's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.int4 import Int4Linear
from kb_assistant.chatglm2.lora import LoraShape, attach, load_lora, read_shape, set_strength, translated
from kb_assistant.chatglm2.weights import dequantised, quantised
from kb_assistant.errors import ModelError
from tests.chatglm2_data import TINY, TINY_INT4
from tests.lora import IDS, random_adapter

pytestmark = pytest.mark.engine

ONE_THREAD = pytest.fixture(autouse=True, scope="module")(lambda: torch.set_num_threads(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_packed_weights_have_the_gradients_of_dense_ones(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    packed, scale = quantised(torch.randn(48, 64))
    x = torch.randn(5, 64).to(dtype).requires_grad_()
    Int4Linear(packed, scale, None, dtype, torch.device("cpu"), kernel=False)(x).float().square().sum().backward()
    dense = x.detach().double().requires_grad_()
    (dense @ dequantised(packed, scale, torch.float64).T).square().sum().backward()
    assert x.grad is not None
    assert dense.grad is not None
    off = (x.grad.double() - dense.grad).norm() / dense.grad.norm()
    assert off < {torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1.5e-2}[dtype]


def test_nothing_unpacked_is_kept_for_the_backward_pass() -> None:
    packed, scale = quantised(torch.randn(48, 64))
    layer = Int4Linear(packed, scale, None, torch.float32, torch.device("cpu"), kernel=False)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        layer(torch.randn(5, 64, requires_grad=True))
    assert {(one.dtype, tuple(one.shape)) for one in kept} == {(torch.int8, (48, 32)), (torch.float32, (48,))}


@pytest.mark.parametrize(
    ("folder", "dtype", "quantize"),
    [
        (TINY_INT4, torch.float32, "int4"),
        (TINY_INT4, torch.bfloat16, "int4"),
        (TINY, torch.bfloat16, "nf4"),
        (TINY, torch.float16, None),
    ],
)
def test_every_kind_of_weights_trains_and_loads_again(
    tmp_path: Path, folder: Path, dtype: torch.dtype, quantize: Any
) -> None:
    plain = load_model(folder, dtype, quantize)(IDS).logits
    adapted = random_adapter(load_model(folder, dtype, quantize, trainable=True), tmp_path)
    adapted(IDS).logits.float().log_softmax(-1)[0, :, 5].mean().backward()
    trained = {name: one for name, one in adapted.named_parameters() if one.requires_grad}
    assert len(trained) == 2 * 6 * 3
    assert all(one.dtype == torch.float32 and one.grad is not None and one.grad.any() for one in trained.values())
    again = load_lora(load_model(folder, dtype, quantize), tmp_path)
    moved = (again(IDS).logits.float() - plain.float()).abs().max()
    apart = (again(IDS).logits.float() - adapted(IDS).logits.float()).abs().max()
    assert apart < moved / 5  # NF4 on a CPU computes otherwise where gradients are wanted
    set_strength(again, read_shape(tmp_path), 0.0)
    assert torch.equal(again(IDS).logits, plain)


def test_a_new_adapter_changes_nothing() -> None:
    plain = load_model(TINY_INT4, quantize="int4")(IDS).logits
    assert torch.equal(attach(load_model(TINY_INT4, quantize="int4"), LoraShape())(IDS).logits, plain)


def test_layers_by_the_names_of_tutorials() -> None:
    assert translated(["query_key_value"]) == ("q_proj", "k_proj", "v_proj")
    assert translated(["dense_4h_to_h", "q_proj"]) == ("q_proj", "down_proj")
    assert len(translated(["all-linear"])) == 6
    with pytest.raises(ModelError, match="no linear layer 'lm_head'"):
        translated(["lm_head"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "PREFIX_TUNING"}, "peft_type"),
        ({"use_dora": True}, "use_dora"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias"),
        ({"r": 0}, "r = 0"),
        ({"r": 10**9}, "r = 1000000000"),
        ({"lora_alpha": "16"}, "lora_alpha"),
        ({"target_modules": "all-linear"}, "target_modules"),
        ({"r": 4}, "doesn't fit the model"),
    ],
)
def test_a_configuration_that_is_no_plain_lora_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    random_adapter(load_model(TINY_INT4, quantize="int4"), tmp_path)
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ModelError, match=said):
        load_lora(load_model(TINY_INT4, quantize="int4"), tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    random_adapter(load_model(TINY_INT4, quantize="int4"), tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    whole, tensors = path.read_bytes(), load_file(path)
    name = next(iter(tensors))
    save_file(tensors | {name: torch.full_like(tensors[name], torch.nan)}, path)
    with pytest.raises(ModelError, match="values that are no numbers"):
        load_lora(load_model(TINY_INT4, quantize="int4"), tmp_path)
    save_file({key: one for key, one in tensors.items() if key != name}, path)
    with pytest.raises(ModelError, match="doesn't fit the model"):
        load_lora(load_model(TINY_INT4, quantize="int4"), tmp_path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="is damaged"):
        load_lora(load_model(TINY_INT4, quantize="int4"), tmp_path)
    path.unlink()
    with pytest.raises(ModelError, match=r"has no adapter_model\.safetensors"):
        load_lora(load_model(TINY_INT4, quantize="int4"), tmp_path)
