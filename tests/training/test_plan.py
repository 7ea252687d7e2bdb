"""What a training takes: the parts against figures of the real network's size, whether it fits, how long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kb_assistant.chatglm2.checkpoint import Checkpoint, Rope, read_checkpoint
from kb_assistant.training.plan import adapter_weights, plan, precision_for
from kb_assistant.training.recipe import Recipe
from tests.chatglm2_data import TINY, TINY_INT4


def six_billion(bits: int) -> Checkpoint:
    """ChatGLM2-6B as its configuration describes it."""
    folder, shape = Path("chatglm2-6b"), (28, 4096, 32, 2, 128, 13696, 65024)
    return Checkpoint(folder, 2, 4 if bits == 4 else 16, *shape, 1e-5, Rope(), 8192, 32768, ())


def test_an_adapter_of_rank_8_on_all_matrices_has_16_7_million_weights() -> None:
    assert adapter_weights(six_billion(4), Recipe()) == 16_658_432
    one = Recipe(rank=16, targets=("query_key_value",))
    assert adapter_weights(six_billion(4), one) == 28 * 16 * (8192 + 2 * (4096 + 256))


def test_int4_with_1024_tokens_takes_the_parts_of_the_published_size() -> None:
    found = plan(six_billion(4), Recipe(precision="bf16"), [(1024, 256)])
    assert found.parts["weights"] == pytest.approx(12.5e9, rel=0.01)
    assert found.parts["activations"] == pytest.approx(0.24e9 + 0.29e9, rel=0.03)
    assert found.parts["logits"] == pytest.approx(0.27e9, rel=0.02)
    assert found.parts["adapter with its optimizer"] == pytest.approx(0.27e9, rel=0.02)
    packed = plan(six_billion(4), Recipe(), [(1024, 256)])
    assert packed.parts["unpacked matrices"] == 2 * 4 * 27392 * 4096
    assert packed.total < found.total


@pytest.mark.engine
def test_logits_are_counted_wherever_any_row_of_a_batch_has_a_learned_token() -> None:
    """As the trainer computes them: for all rows at the union of their places."""
    from kb_assistant.training.encode import Example
    from kb_assistant.training.loss import IGNORED
    from kb_assistant.training.trainer import collated

    lengths = [(100, 20), (60, 20), (160, 20)]
    rows = [Example((7,) * whole, whole - learned) for whole, learned in lengths]
    places = int((collated(rows)["labels"][:, 1:] != IGNORED).any(dim=0).sum())
    assert places == 60
    for batch, union in ((1, 20), (2, 40), (3, places), (8, places)):
        found = plan(six_billion(4), Recipe(batch=batch), lengths)
        assert found.parts["logits"] == 16 * 65024 * min(batch, 3) * union
    near = plan(six_billion(4), Recipe(batch=4), [(100, 20), (110, 20)] * 2)
    assert near.parts["logits"] == 16 * 65024 * 4 * 30


def test_without_checkpointing_all_layers_are_kept() -> None:
    whole = plan(six_billion(4), Recipe(precision="bf16", checkpointing=False), [(1024, 256)])
    assert whole.parts["activations"] == pytest.approx(8.0e9, rel=0.01)


def test_six_billion_weights_on_a_cpu_take_days_and_it_says_so() -> None:
    recipe = Recipe()
    found = replace(plan(six_billion(4), recipe, [(200, 50)] * 1000), free=6 * 10**9)
    assert found.tokens == 600_000
    assert found.steps == 375
    said = " ".join(found.advice(recipe))
    assert found.takes_days == (found.seconds[0] > 86_400)
    assert "6.0 GB are free" in said
    slow = replace(found, seconds=(2 * 86_400.0, 5 * 86_400.0))
    assert "2 to 5 days here" in " ".join(slow.advice(recipe))


def test_advice_says_what_would_make_it_fit() -> None:
    recipe = Recipe(precision="bf16", checkpointing=False, batch=4)
    tight = replace(plan(six_billion(16), recipe, [(1024, 256)]), free=8 * 10**9)
    said = " ".join(tight.advice(recipe))
    for wanted in ("checkpointing = true", "batch = 1 and accumulation = 32", "int4", "max_tokens = 512"):
        assert wanted in said
    assert list(replace(tight, free=10**12, seconds=(1.0, 2.0)).advice(recipe)) == []


def test_precision_of_its_own() -> None:
    assert precision_for(read_checkpoint(TINY_INT4), Recipe(), "cpu") == "int4"
    assert precision_for(read_checkpoint(TINY), Recipe(), "cpu") == "fp32"
    assert precision_for(read_checkpoint(TINY), Recipe(), "cuda") in ("nf4", "bf16")
    assert precision_for(read_checkpoint(TINY), Recipe(precision="fp16"), "cpu") == "fp16"


def test_no_examples_take_no_steps() -> None:
    found = plan(read_checkpoint(TINY), Recipe(), [])
    assert (found.steps, found.tokens, found.longest) == (0, 0, 0)
