"""The native network against what the original code computes from the same weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import GlmForCausalLM

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.model import nf4_linear
from kb_assistant.chatglm2.weights import dequantised, quantised
from kb_assistant.errors import ModelError
from tests.chatglm2_data import TINY, TINY_INT4, copied, golden, tensors

pytestmark = pytest.mark.engine

# Other sums in another order: observed are 0 and, in batches, 1.2e-5. The least mistake gives 0.1.
CLOSE = 5e-5
FP32, INT4 = golden("golden_fp32"), golden("golden_int4")
MATRICES = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices as small as these gain nothing from two, which wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> GlmForCausalLM:
    return load_model(TINY)


@pytest.fixture(scope="module", params=[None, "int4"], ids=["dequantised", "packed"])
def int4_model(request: pytest.FixtureRequest) -> GlmForCausalLM:
    return load_model(TINY_INT4, quantize=request.param)


@torch.inference_mode()
def logits(model: GlmForCausalLM, ids: torch.Tensor, **options: Any) -> torch.Tensor:
    found: torch.Tensor = model(ids.long(), **options).logits
    return found


def off(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert found.shape == expected.shape
    return float((found.float() - expected.float()).abs().max())


@torch.inference_mode()
def greedy(
    model: GlmForCausalLM, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and logits of each step, one token at a time with the cache of those before."""
    tokens, seen, past = [], [], None
    for _ in range(steps):
        out = model(ids, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=True)
        past = out.past_key_values
        seen.append(out.logits[:, -1])
        ids = out.logits[:, -1:].argmax(-1)
        tokens.append(ids)
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        positions = positions[:, -1:] + 1
    return torch.cat(tokens, dim=1), torch.stack(seen, dim=1)


def in_shards(folder: Path, weights: dict[str, torch.Tensor], kind: str) -> Path:
    """The weights of a folder in two files and an index, as the large releases come."""
    (folder / "model.safetensors").unlink()
    stem, suffix = {"bin": ("pytorch_model", "bin"), "safetensors": ("model", "safetensors")}[kind]
    files = [f"{stem}-{i:05}-of-00002.{suffix}" for i in (1, 2)]
    names = sorted(weights)
    index = {name: files[i % 2] for i, name in enumerate(names)}
    for file in files:
        part = {name: weights[name] for name in names if index[name] == file}
        if kind == "bin":
            torch.save(part, folder / file)
        else:
            save_file(part, folder / file)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


# --- the floating-point folder


def test_logits_and_hidden_states_and_cache_are_those_of_the_original(model: GlmForCausalLM) -> None:
    with torch.inference_mode():
        out = model(FP32["a_input_ids"], output_hidden_states=True, use_cache=True)
    assert off(out.logits, FP32["a_logits"]) <= CLOSE
    # The original's last hidden state is the one before the final norm, transformers' the one after it.
    assert off(torch.stack(out.hidden_states[:-1]), FP32["a_hidden_states"][:-1]) <= CLOSE
    with torch.inference_mode():
        assert off(out.hidden_states[-1], model.model.norm(FP32["a_hidden_states"][-1])) <= CLOSE
    for i, layer in enumerate(out.past_key_values.layers):
        assert off(layer.keys, FP32["a_key_cache"][i]) <= CLOSE
        assert off(layer.values, FP32["a_value_cache"][i]) <= CLOSE


def test_32_greedy_steps_with_a_cache_are_those_of_the_original(model: GlmForCausalLM) -> None:
    ids = FP32["b_prompt_ids"]
    tokens, steps = greedy(model, ids, torch.ones_like(ids), torch.arange(40)[None], 32)
    assert tokens.equal(FP32["b_new_tokens"])
    assert off(steps, FP32["b_step_logits"]) <= CLOSE
    # `generate` sees to positions and end by itself.
    written = model.generate(ids, do_sample=False, max_new_tokens=32)
    assert written[:, 40:].equal(FP32["b_new_tokens"])


def test_a_batch_padded_on_the_left_is_read_as_by_the_original(model: GlmForCausalLM) -> None:
    ids, mask, positions = (FP32[f"c_{name}"] for name in ("input_ids", "attention_mask", "position_ids"))
    found = logits(model, ids, attention_mask=mask, position_ids=positions)
    said = mask.bool()
    assert not said.all()
    assert off(found[said], FP32["c_logits"][said]) <= CLOSE
    tokens, steps = greedy(model, ids, mask, positions, 16)
    assert tokens.equal(FP32["c_new_tokens"])
    assert off(steps, FP32["c_step_logits"]) <= CLOSE
    written = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=16)
    assert written[:, 40:].equal(FP32["c_new_tokens"])


def test_2100_tokens_are_read_as_by_the_original(model: GlmForCausalLM) -> None:
    found = logits(model, FP32["d_input_ids"])
    assert off(found[:, FP32["d_positions"]], FP32["d_logits"]) <= CLOSE


@pytest.mark.parametrize("case", ["e1", "e2"])
def test_far_positions_are_those_of_the_original(model: GlmForCausalLM, case: str) -> None:
    found = logits(model, FP32["a_input_ids"], position_ids=FP32[f"{case}_position_ids"])
    assert off(found[:, -10:], FP32[f"{case}_logits"]) <= CLOSE


@pytest.mark.parametrize("ratio", [4, 16])
def test_the_32k_release_divides_positions(tmp_path: Path, ratio: int) -> None:
    folder = copied(TINY, tmp_path / "m", rope_ratio=ratio)
    found = logits(load_model(folder), FP32["a_input_ids"])
    assert off(found[:, -10:], FP32[f"f{ratio}_logits"]) <= CLOSE
    assert off(found, FP32["a_logits"]) > 1


def test_chatglm3_raises_the_base_of_the_angles_instead(tmp_path: Path) -> None:
    folder = copied(TINY, tmp_path / "m", rope_ratio=4, _name_or_path="THUDM/chatglm3-6b-32k")
    model: Any = load_model(folder)
    expected = 40_000.0 ** (-torch.arange(0, 16, 2) / 16)
    assert torch.allclose(model.model.rotary_emb.inv_freq, expected)
    assert off(logits(model, FP32["a_input_ids"])[:, -10:], FP32["f4_logits"]) > 1


def test_a_rope_ratio_that_could_be_either_is_refused(tmp_path: Path) -> None:
    folder = copied(TINY, tmp_path / "m", rope_ratio=4, _name_or_path="/models/mine")
    with pytest.raises(ModelError, match="rope_ratio = 4, which ChatGLM2 and ChatGLM3 read differently") as caught:
        load_model(folder)
    assert "_name_or_path" in caught.value.hint


def test_a_wrong_epsilon_would_be_noticed(tmp_path: Path) -> None:
    """These tests can fail: transformers' own default for Glm instead of ChatGLM2's 1e-5."""
    folder = copied(TINY, tmp_path / "m", layernorm_epsilon=1.5625e-7)
    assert off(logits(load_model(folder), FP32["a_input_ids"]), FP32["a_logits"]) > 0.05


@pytest.mark.parametrize("kind", ["bin", "safetensors"])
def test_weights_in_several_files_are_the_same_weights(model: GlmForCausalLM, tmp_path: Path, kind: str) -> None:
    folder = in_shards(copied(TINY, tmp_path / "m"), tensors(TINY), kind)
    assert len(list(folder.glob(f"*.{kind}"))) == 2
    assert logits(load_model(folder), FP32["a_input_ids"]).equal(logits(model, FP32["a_input_ids"]))


def test_loading_tells_how_far_it_is() -> None:
    told: list[float] = []
    load_model(TINY, on_progress=told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)


# --- INT4


def test_int4_logits_are_those_of_the_original(int4_model: GlmForCausalLM) -> None:
    assert off(logits(int4_model, FP32["a_input_ids"]), INT4["a_logits"]) <= CLOSE


def test_int4_greedy_steps_are_those_of_the_original(int4_model: GlmForCausalLM) -> None:
    ids = FP32["b_prompt_ids"]
    tokens, steps = greedy(int4_model, ids, torch.ones_like(ids), torch.arange(40)[None], 32)
    assert tokens.equal(INT4["b_new_tokens"])
    assert off(steps, INT4["b_step_logits"]) <= CLOSE


def test_an_int4_batch_padded_on_the_left_is_read_as_by_the_original(int4_model: GlmForCausalLM) -> None:
    ids, mask, positions = (FP32[f"c_{name}"] for name in ("input_ids", "attention_mask", "position_ids"))
    found = logits(int4_model, ids, attention_mask=mask, position_ids=positions)
    assert off(found[mask.bool()], INT4["c_logits"][mask.bool()]) <= CLOSE


def test_packed_weights_give_exactly_what_dequantised_ones_give() -> None:
    packed, plain = (logits(load_model(TINY_INT4, quantize=how), FP32["a_input_ids"]) for how in ("int4", None))
    assert packed.equal(plain)


def test_the_int4_kernel_in_bfloat16_rounds_no_more_than_bfloat16_does() -> None:
    exact = INT4["a_logits"]
    packed, plain = (
        logits(load_model(TINY_INT4, torch.bfloat16, quantize=how), FP32["a_input_ids"]).float()
        for how in ("int4", None)
    )
    assert not packed.equal(plain)
    rms = exact.square().mean().sqrt()
    assert (packed - exact).square().mean().sqrt() < 0.05 * rms
    assert (packed - exact).square().mean().sqrt() < 1.25 * (plain - exact).square().mean().sqrt()


def test_quantising_gives_the_bytes_of_the_official_quantiser() -> None:
    full, official = tensors(TINY), tensors(TINY_INT4)
    names = [name for name in full if name.endswith(tuple(f".{matrix}.weight" for matrix in MATRICES))]
    assert len(names) == 3 * len(MATRICES)
    for name in names:
        packed, scale = quantised(full[name])
        assert packed.equal(official[name])
        assert scale.equal(official[f"{name}_scale"])


def test_a_float_folder_quantised_at_load_is_the_int4_folder(tmp_path: Path) -> None:
    half = copied(TINY, tmp_path / "half")
    save_file({name: tensor.half() for name, tensor in tensors(TINY).items()}, half / "model.safetensors")
    ours = logits(load_model(half, quantize="int4"), FP32["a_input_ids"])
    assert ours.equal(logits(load_model(TINY_INT4, quantize="int4"), FP32["a_input_ids"]))


def test_every_byte_of_packed_weights_is_two_numbers() -> None:
    every = torch.arange(-128, 128, dtype=torch.int16).to(torch.int8)[None]
    found = dequantised(every, torch.ones(1, dtype=torch.float16), torch.float32)[0].reshape(-1, 2)
    signed = [*range(8), *range(-8, 0)]
    assert found.tolist() == [[signed[(b & 255) >> 4], signed[b & 15]] for b in range(-128, 128)]


def test_a_row_of_zeros_stays_zeros() -> None:
    packed, scale = quantised(torch.zeros(2, 8))
    assert dequantised(packed, scale, torch.float32).equal(torch.zeros(2, 8))


# --- NF4


def test_nf4_answers_on_a_cpu() -> None:
    """Also where bitsandbytes repacks matrices for bfloat16: this folder's don't divide as it then asks."""
    pytest.importorskip("bitsandbytes")
    model = load_model(TINY, torch.bfloat16, quantize="nf4")
    found = logits(model, FP32["a_input_ids"])
    correlation = torch.corrcoef(torch.stack([found.float().flatten(), FP32["a_logits"].flatten()]))[0, 1]
    assert correlation > 0.8
    assert model.generate(FP32["a_input_ids"], do_sample=False, max_new_tokens=4).shape == (1, 44)


@pytest.mark.parametrize("as_without_bfloat16", [False, True])
@pytest.mark.parametrize("columns", [64, 96])
@pytest.mark.parametrize("rows", [32, 33])
def test_an_nf4_matrix_of_any_size_multiplies_as_its_weights_say(
    rows: int, columns: int, as_without_bfloat16: bool
) -> None:
    """bitsandbytes repacks for processors with bfloat16 and multiplies otherwise there; both ways are tried."""
    bitsandbytes = pytest.importorskip("bitsandbytes")
    torch.manual_seed(0)
    inputs = torch.randn(3, columns)
    linear: Any = nf4_linear(torch.randn(rows, columns).bfloat16(), None, torch.device("cpu")).eval()
    weight = bitsandbytes.functional.dequantize_4bit(linear.weight.data, linear.weight.quant_state).float()
    if as_without_bfloat16:
        linear.support_avx512bf16_for_cpu = False
    with torch.inference_mode():
        found = linear(inputs.bfloat16()).float()
    expected = inputs @ weight.T
    assert off(found, expected) < 0.03 * float(expected.abs().max())


def test_int4_weights_are_not_quantised_a_second_time() -> None:
    with pytest.raises(ModelError, match="would be quantised a second time") as caught:
        load_model(TINY_INT4, quantize="nf4")
    assert 'quantize="int4"' in caught.value.hint
