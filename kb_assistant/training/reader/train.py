"""Trains the reader's adapters and heads, measures them on what they weren't trained on, and writes them.

    python -m kb_assistant.training.reader SET… --embedder FOLDER --pairs 60000 --out FOLDER

The learning rate rises, stays, and falls to zero in the last quarter of the time. The state before the fall is
kept in FOLDER/state.pt, and `--resume` goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kb_assistant.errors import KBError
from kb_assistant.reader.inputs import InputEncoder, ReaderInput
from kb_assistant.training.reader.examples import examples, held_out, tfidf_nearest
from kb_assistant.training.reader.network import ReaderNetwork
from kb_assistant.training.reader.pairs import Group, Pair

_RATE, _HEAD_RATE = 8e-4, 2e-3
_WARMING, _FALLING, _FIRST = 0.03, 0.25, 0.05
_TOKENS = 3072
"""Most tokens of a batch."""
_STATE = "state.pt"
_TOLD = 20
"""Number of steps between two lines of progress."""
_SORTED = 64
"""Number of groups that are sorted by length before they are parted into batches."""


def batches(
    groups: Sequence[Group], encoder: InputEncoder, random_: random.Random
) -> Iterator[list[list[tuple[Pair, ReaderInput]]]]:
    """Batches of encoded groups of like length."""
    order = list(groups)
    random_.shuffle(order)
    for start in range(0, len(order), _SORTED):
        encoded = [encode(group, encoder) for group in order[start : start + _SORTED]]
        encoded.sort(key=_length)
        made: list[list[list[tuple[Pair, ReaderInput]]]] = [[]]
        for group in encoded:
            pairs = sum(map(len, made[-1])) + len(group)
            if made[-1] and pairs * _length(group) > _TOKENS:
                made.append([])
            made[-1].append(group)
        random_.shuffle(made)
        yield from made


def encode(group: Group, encoder: InputEncoder) -> list[tuple[Pair, ReaderInput]]:
    first = group[0]
    windows = encoder.encode(first.question, first.earlier, [(pair.heading, pair.body) for pair in group])
    return [(pair, _window(pair, made)) for pair, made in zip(group, windows, strict=True)]


def _window(pair: Pair, windows: Sequence[ReaderInput]) -> ReaderInput:
    """The window that holds the answer; without one, that with most of the question's words."""
    return max(windows, key=lambda made: (token_span(pair, made) != (0, 0), made.shared))


def _length(group: Sequence[tuple[Pair, ReaderInput]]) -> int:
    return max(len(made.ids) for _, made in group)


def filled(inputs: Sequence[ReaderInput]) -> tuple[Tensor, Tensor]:
    """Token ids and mask of a batch."""
    length = max(len(one.ids) for one in inputs)
    ids = torch.zeros(len(inputs), length, dtype=torch.long)
    mask = torch.zeros(len(inputs), length, dtype=torch.bool)
    for place, one in enumerate(inputs):
        ids[place, : len(one.ids)] = torch.tensor(one.ids)
        mask[place, : len(one.ids)] = True
    return ids, mask


def token_span(pair: Pair, made: ReaderInput) -> tuple[int, int]:
    """Places of the first and the last token of the answer; (0, 0) if the input doesn't hold it."""
    if pair.span is None:
        return 0, 0
    start, end = pair.span
    inside = [place for place, (low, high) in enumerate(made.offsets) if low < end and high > start]
    return (made.body + inside[0], made.body + inside[-1]) if inside else (0, 0)


def loss_of(network: ReaderNetwork, batch: Sequence[Sequence[tuple[Pair, ReaderInput]]], device: str) -> Tensor:
    """The sum of the losses: of relevance, alone and within groups, of the answer, and of its span."""
    flat = [one for group in batch for one in group]
    ids, mask = (one.to(device) for one in filled([made for _, made in flat]))
    kinds, first, last = network(ids, mask)
    relevant = torch.tensor([float(pair.relevant) for pair, _ in flat], device=device)
    total = functional.binary_cross_entropy_with_logits(kinds[:, 0], relevant)
    told = torch.tensor([pair.answered is not None for pair, _ in flat], device=device)
    answered = torch.tensor([float(bool(pair.answered)) for pair, _ in flat], device=device)
    if told.any():
        total = total + functional.binary_cross_entropy_with_logits(kinds[told, 1], answered[told])
    leads, place = [], 0
    for group in batch:
        if len(group) == 2 and group[0][0].relevant and not group[1][0].relevant:
            leads.append(kinds[place, 0] - kinds[place + 1, 0])
        place += len(group)
    if leads:
        total = total - functional.logsigmoid(torch.stack(leads)).mean()
    marked = torch.tensor([pair.span is not None or pair.answered is False for pair, _ in flat], device=device)
    if marked.any():
        spans = torch.tensor([token_span(pair, made) for pair, made in flat], device=device)
        weight = torch.where(spans[:, 0] > 0, 1.0, 0.4)[marked]
        for logits, target in ((first, spans[:, 0]), (last, spans[:, 1])):
            each = functional.cross_entropy(logits[marked], target[marked], reduction="none")
            total = total + 0.5 * (each * weight).sum() / weight.sum()
    return total


def optimizer_of(network: ReaderNetwork, rate: float, head_rate: float) -> torch.optim.AdamW:
    """Args:
    rate, head_rate: Largest learning rates of the adapters and of the heads, which each group keeps as "base".
    """
    named = dict(network.trained())
    heads = [value for name, value in named.items() if name.startswith("heads.")]
    rest = [value for name, value in named.items() if not name.startswith("heads.")]
    groups = [{"params": rest, "lr": rate, "base": rate}, {"params": heads, "lr": head_rate, "base": head_rate}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01)


def taken_step(
    network: ReaderNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Sequence[Sequence[tuple[Pair, ReaderInput]]],
    device: str,
) -> float:
    """Take one step; the loss before it."""
    with torch.autocast(device, torch.bfloat16):
        loss = loss_of(network, batch, device)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([value for _name, value in network.trained()], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


class Schedule:
    """How far a training is, and the share of the full learning rate there: up, level, down.

    Args:
        minutes: It ends after this time,
        pairs: or after so many pairs, if that is earlier.
    """

    def __init__(self, minutes: float, pairs: float) -> None:
        self._start, self._seconds, self._pairs = time.monotonic(), minutes * 60, pairs
        self.passed = 0.0

    def move(self, pairs: int) -> None:
        """Note that so many pairs have been seen."""
        self.passed = max(pairs / self._pairs, (time.monotonic() - self._start) / self._seconds)

    @property
    def rate(self) -> float:
        return max(0.0, min(1.0, self.passed / _WARMING + _FIRST, (1 - self.passed) / _FALLING))


def train(
    network: ReaderNetwork,
    groups: Callable[[int], Sequence[Group]],
    encoder: InputEncoder,
    schedule: Schedule,
    out: Path,
    device: str = "cpu",
    resume: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> None:
    """Train as long as the schedule says.

    Args:
        groups: The groups of an epoch, by its number; each is made anew.
    """
    named = dict(network.trained())
    optimizer = optimizer_of(network, _RATE, _HEAD_RATE)
    state, step, seen, epoch, kept = out / _STATE, 0, 0, 0, False
    if resume:
        saved = torch.load(state, weights_only=True)
        network.load_state_dict(saved["network"], strict=False)
        optimizer.load_state_dict(saved["optimizer"])
        step, seen, epoch = saved["step"], saved["seen"], saved["epoch"] + 1
    before, losses = seen, []
    while schedule.passed < 1:
        random_ = random.Random(f"{seed} {epoch}")
        for batch in batches(groups(epoch), encoder, random_):
            schedule.move(seen - before)
            if schedule.passed >= 1:
                break
            if not kept and schedule.passed > 1 - _FALLING:
                kept = True
                values = {name: value.detach().cpu() for name, value in named.items()}
                torch.save(
                    {"network": values, "optimizer": optimizer.state_dict(), "step": step, "seen": seen,
                     "epoch": epoch}, state
                )  # fmt: skip
            for part in optimizer.param_groups:
                part["lr"] = part["base"] * schedule.rate
            losses.append(taken_step(network, optimizer, batch, device))
            step, seen = step + 1, seen + sum(map(len, batch))
            if step % _TOLD == 0:
                loss_now = np.mean(losses[-200:])
                say(f"{schedule.passed:.3f} step {step} pairs {seen} epoch {epoch} loss {loss_now:.3f}")
        epoch += 1


def write(network: ReaderNetwork, path: Path, told: dict[str, Any]) -> None:
    """Write adapters and heads as float16, with what they were trained on."""
    from safetensors.torch import save_file

    values = {name: value.detach().half().contiguous().cpu() for name, value in network.trained()}
    save_file(values, path, metadata={"reader": json.dumps(told, ensure_ascii=False)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--pairs", type=float, default=60_000, help="ends after so many, or after --minutes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--leave-out", nargs="*", default=[], help="titles that are not used")
    options = parser.parse_args()
    left = frozenset(options.leave_out)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.resume and not (options.out / _STATE).is_file():
        parser.error(f"{options.out} holds no {_STATE} to go on from: leave --resume out")

    def kept(name: str, title: str) -> bool:
        return title not in left and not held_out(name, title)

    def groups(epoch: int) -> list[Group]:
        return list(examples(options.sets, tfidf_nearest, random.Random(epoch), kept))

    torch.manual_seed(0)
    network = ReaderNetwork(options.embedder).to(options.device)
    encoder = InputEncoder(options.embedder)
    try:
        train(
            network, groups, encoder, Schedule(options.minutes, options.pairs), options.out, options.device,
            options.resume, say=lambda line: print(line, flush=True),
        )  # fmt: skip
    except KBError as error:
        parser.error(f"{error.message} {error.hint}")
    write(network, options.out / "weights.safetensors", {"sets": [one.name for one in options.sets]})
