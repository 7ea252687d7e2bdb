"""Goes on from a reader's weights for some steps, whole or not at all, and keeps what its scores mean.

Weights that learn new questions forget some of the old; the mean of both ends of the way keeps more of each
(Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022). What follows in the search was fitted to the
scores of the weights that it began with: the new heads are scaled to give the same ones on the questions of those.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kb_assistant.errors import ModelError, StoreError
from kb_assistant.messages import _
from kb_assistant.reader.inputs import ReaderInput
from kb_assistant.training import checkpoints
from kb_assistant.training.reader.network import ReaderNetwork
from kb_assistant.training.reader.pairs import Pair
from kb_assistant.training.reader.train import filled, optimizer_of, taken_step

Batch = Sequence[Sequence[tuple[Pair, ReaderInput]]]

_WARMING, _FALLING = 0.1, 0.5
_SAVED = 25
"""Number of steps between two checkpoints."""
_WEIGHTS = "weights.safetensors"
_BETWEEN_S = 1.0
_LEAST_SCALE, _LARGEST_SCALE = 0.5, 2.0


def load(network: ReaderNetwork, weights: Path) -> None:
    """Put the weights of a file into the network.

    Raises:
        ModelError: they are of a network of another shape.
    """
    from safetensors.torch import load_file

    values = load_file(weights)
    named = dict(network.trained())
    if {name: one.shape for name, one in values.items()} != {name: one.shape for name, one in named.items()}:
        raise ModelError(_("The weights in {path} are of another reader.", path=weights))
    _put(network, values)


def values_of(network: ReaderNetwork) -> dict[str, Tensor]:
    """A copy of what is trained."""
    return {name: value.detach().clone() for name, value in network.trained()}


def _put(network: ReaderNetwork, values: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in network.trained():
            value.copy_(values[name])


def tune(
    network: ReaderNetwork,
    batches: Sequence[Batch],
    run: Path,
    say: Callable[[str], None] = print,
    stopped: Callable[[], bool] = lambda: False,
    device: str = "cpu",
    rate: float = 2e-4,
) -> bool:
    """Take a step with each batch, or go on with that from the last checkpoint in `run`, which gives the same
    weights bit for bit.

    Returns:
        False if it was stopped: the last step is a checkpoint.

    Raises:
        ModelError: a loss is no number.
        StoreError: a checkpoint can't be written.
    """
    steps = len(batches)
    optimizer = optimizer_of(network, rate, rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, steps))
    done = _resumed(network, optimizer, schedule, run)
    began, told = time.monotonic(), 0.0
    for step, batch in enumerate(batches[done:], start=done + 1):
        loss = taken_step(network, optimizer, batch, device)
        schedule.step()
        if not math.isfinite(loss):
            raise ModelError(_("After {step} steps the loss was no number: the training has stopped.", step=step))
        last, halt = step == steps, stopped()
        if last or halt or not step % _SAVED:
            _save(network, optimizer, schedule, run / f"checkpoint-{step}")
        now = time.monotonic()
        if last or now - told >= _BETWEEN_S:
            told = now
            left = int((now - began) / (step - done) * (steps - step))
            say(f"step {step}/{steps}  loss {loss:.4f}  {left // 60}:{left % 60:02} left")
        if halt and not last:
            return False
    return True


def _share(step: int, steps: int) -> float:
    """The share of the full learning rate: up, level, down."""
    passed = (step + 1) / (steps + 1)
    return min(1.0, passed / _WARMING, (1 - passed) / _FALLING)


def _resumed(network: ReaderNetwork, optimizer: Any, schedule: Any, run: Path) -> int:
    """Put back the last whole checkpoint; its step."""
    from safetensors.torch import load_file

    folder = checkpoints.last_whole(run)
    if not folder:
        return 0
    _put(network, load_file(folder / _WEIGHTS))
    checkpoints.read_optimizer(folder, optimizer, schedule)
    return checkpoints.step_of(folder)


def _save(network: ReaderNetwork, optimizer: Any, schedule: Any, folder: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(values_of(network), folder / _WEIGHTS)
        checkpoints.write_optimizer(folder, checkpoints.whole_state(optimizer), schedule)
        checkpoints.seal(folder)
    except (OSError, SafetensorError, StoreError) as error:
        with suppress(OSError):
            shutil.rmtree(folder)
        raise StoreError(
            _("The checkpoint {path} can't be written: {reason}.", path=folder, reason=error),
            _("Make room. The checkpoint before it is kept; the same command goes on from there."),
        ) from error
    for other in folder.parent.glob("checkpoint-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def put_between(network: ReaderNetwork, before: dict[str, Tensor], usual: Sequence[Batch], device: str) -> None:
    """Put the mean of the weights before and of those of now into the network, with the heads for relevance and
    answer scaled so that they give on the `usual` questions what they gave before.

    Args:
        before: The weights that it began with.
    """
    after = values_of(network)
    _put(network, before)
    wanted = _logits(network, usual, device)
    _put(network, {name: (value + after[name]) / 2 for name, value in before.items()})
    found = _logits(network, usual, device)
    with torch.no_grad():
        for head in range(wanted.shape[1]):
            scale, shift = _line(found[:, head], wanted[:, head])
            network.heads.weight[head] *= scale
            network.heads.bias[head] = network.heads.bias[head] * scale + shift


@torch.no_grad()
def _logits(network: ReaderNetwork, batches: Sequence[Batch], device: str) -> Tensor:
    """Of relevance and of the answer, (pairs, 2)."""
    found = []
    for batch in batches:
        ids, mask = filled([made for group in batch for _pair, made in group])
        found.append(network(ids.to(device), mask.to(device))[0].cpu())
    return torch.cat(found)


def _line(found: Tensor, wanted: Tensor) -> tuple[float, float]:
    """Scale and shift that bring one to the other with least squares."""
    spread = float(found.var())
    scale = float(((found - found.mean()) * (wanted - wanted.mean())).mean()) / spread if spread > 0 else 1.0
    scale = min(max(scale, _LEAST_SCALE), _LARGEST_SCALE)
    return scale, float(wanted.mean()) - scale * float(found.mean())
