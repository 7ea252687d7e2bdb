"""Training at full size: peak memory against the estimate of `kb train`, and tokens a second against the machine.

Weights are random, of ChatGLM2-6B's size, and made in place. One line for each way to hold them: INT4, NF4, bf16.
A step reads so many tokens, of which a quarter is learned, and recomputes activations, as `kb train` does.

The limit is a product of large matrices in the same run.

On a CPU two layers and one are measured, on one core and by its processor time, so that other programs don't
count, and scaled to 28. Peak and estimate of memory are there those of two layers.
"""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from measure import report
from synthetic import FULL, SMALL, random_network

from kb_assistant.chatglm2.checkpoint import Checkpoint
from kb_assistant.chatglm2.lora import LoraShape, attach, checkpointing
from kb_assistant.torch_runtime import Device
from kb_assistant.training.loss import IGNORED, answer_loss
from kb_assistant.training.plan import dtype_of, plan
from kb_assistant.training.recipe import Recipe

EIGHT_GB = 8e9


def adapted(checkpoint: Checkpoint, precision: str, dtype: torch.dtype, device: Device) -> Any:
    """The network with random weights, and an adapter."""
    model = random_network(checkpoint, precision, dtype, device, trainable=True)
    model.config.use_cache = False
    whole = attach(model, LoraShape())
    name = checkpointing()
    getattr(whole, f"{name}_enable")(**{f"{name}_kwargs": {"use_reentrant": False}})
    return whole.train()


def measured_steps(
    checkpoint: Checkpoint, precision: str, tokens: int, steps: int, device: Device
) -> tuple[float, int]:
    """Seconds of a step, the best of several, and the most bytes that were held.

    The first step, which prepares the optimizer, counts for the bytes only.
    """
    model = adapted(checkpoint, precision, dtype_of(precision, device), device)
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    ids = torch.randint(3, 500, (1, tokens), device=device)
    labels = torch.full_like(ids, IGNORED)
    labels[:, -(tokens // 4) :] = ids[:, -(tokens // 4) :]
    best = float("inf")
    gc.collect()
    _forget_peak(device)
    for step in range(steps + 1):
        began = _clock(device)
        (answer_loss(model, ids, labels) / (tokens // 4)).backward()
        optimizer.step()
        optimizer.zero_grad()
        best = min(best, _clock(device) - began) if step else best
    return best, _peak(device)


def operations_a_second(dtype: torch.dtype, device: Device, size: int) -> float:
    """The machine's limit: products of square matrices, the best of several."""
    one = torch.randn(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(5):
        began = _clock(device)
        one @ one
        best = min(best, _clock(device) - began)
    return 2 * size**3 / best


def _clock(device: Device) -> float:
    """Seconds, after all work that was begun is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def _forget_peak(device: Device) -> None:
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: Device) -> int:
    """Most bytes since then: of the GPU's allocator, or of this process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    told = Path("/proc/self/status").read_text()
    return int(told.split("VmHWM:")[1].split()[0]) * 1024


def measured(precision: str, checkpoint: Checkpoint, tokens: int, steps: int, device: Device) -> dict[str, Any]:
    """One line of the report."""
    checkpoint = replace(checkpoint, bits=4 if precision == "int4" else 16)
    held = checkpoint if device == "cuda" else replace(checkpoint, layers=2)
    seconds, peak = measured_steps(held, precision, tokens, steps, device)
    if device == "cpu":
        one, _bytes = measured_steps(replace(checkpoint, layers=1), precision, tokens, steps, device)
        seconds = one + max(seconds - one, 0.0) * (checkpoint.layers - 1)
    recipe = Recipe().with_values({"precision": precision, "batch": 1, "accumulation": 1})
    estimates = [plan(size, recipe, [(tokens, tokens // 4)], device) for size in (held, checkpoint)]
    # Forward, forward again, and backward to the inputs: two operations for each weight.
    work = 6 * (checkpoint.parameters - checkpoint.vocabulary * checkpoint.hidden) * tokens
    limit = operations_a_second(dtype_of(precision, device), device, 8192 if device == "cuda" else 2048)
    if device == "cuda":  # its allocator doesn't count the driver's own
        peak += estimates[0].parts["context of the device"]
    row = {
        "weights": precision,
        "tokens": tokens,
        "tokens/s": round(tokens / seconds, 2),
        "of the limit": f"{work / seconds / limit:.0%}",
        "layers": held.layers,
        "peak GB": round(peak / 1e9, 2),
        "estimate GB": round(estimates[0].total / 1e9, 2),
        "estimate of all GB": round(estimates[1].total / 1e9, 2),
    }
    return row if device == "cpu" else row | {"fits 8 GB": "yes" if peak <= EIGHT_GB else "no"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precisions", default="int4,nf4,bf16", help="Ways to hold the weights (fp32 on a CPU).")
    parser.add_argument("--tokens", type=int, help="Tokens of a step (1024; on a CPU 256).")
    parser.add_argument("--steps", type=int, help="Steps that are timed (5; on a CPU 1).")
    parser.add_argument("--dry", action="store_true", help="A small network, to see whether it runs.")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    device: Device = "cuda" if torch.cuda.is_available() else "cpu"
    tokens = given.tokens or (1024 if device == "cuda" else 256)
    steps = given.steps or (5 if device == "cuda" else 1)
    if device == "cpu":
        torch.set_num_threads(1)
    checkpoint = SMALL if given.dry else FULL
    rows = []
    for precision in given.precisions.split(","):
        kind = "fp32" if precision == "bf16" and device == "cpu" else precision
        rows.append(measured(kind, checkpoint, tokens, steps, device))
    name = torch.cuda.get_device_name() if device == "cuda" else "one core of a CPU"
    report(f"LoRA r=8 on ChatGLM2's size, {name}", rows, given.json)


if __name__ == "__main__":
    main()
