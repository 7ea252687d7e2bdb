"""What a training tells while it runs: a line for people, lines of JSON for programs, and a plot at its end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

LOG, PLOT = "log.jsonl", "loss.png"
_LOGGED = {  # the Trainer's names, and ours
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "eval_loss": "validation_loss",
}
_BETWEEN_S = 1.0
"""Least seconds between two lines for people."""


class Progress(TrainerCallback):
    """Writes what the Trainer logs, and ends it when asked to.

    Args:
        run: Folder of the log; None writes none, as in all processes but the first.
        tokens: Tokens read so far by all processes.
        say: Called with a line for people.
        stopped: Whether to stop: a checkpoint is written first.
    """

    def __init__(
        self,
        run: Path | None,
        tokens: Callable[[], int],
        say: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._run, self._tokens, self._say, self._stopped = run, tokens, say, stopped
        self._began = self._said = 0.0
        self._first = 0
        self._saving_last = False
        self.ended_early = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        del control, more
        self._began, self._first = time.perf_counter(), state.global_step
        if args.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        del args, more
        if self._stopped() and state.global_step < state.max_steps:
            control.should_save = self._saving_last = True

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        del args, state, more
        if self._saving_last:  # only now: the checkpoint that was written shall not end at once when it goes on
            control.should_training_stop = self.ended_early = True

    def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        del control
        logs = more.get("logs") or {}
        found = {ours: logs[theirs] for theirs, ours in _LOGGED.items() if theirs in logs}
        if self._run is None or not found:
            return
        passed = max(time.perf_counter() - self._began, 1e-9)
        done = state.global_step - self._first
        row = {
            "step": state.global_step,
            "steps": state.max_steps,
            **found,
            "tokens_per_s": round(self._tokens() / passed, 1),
            "seconds_left": round(passed / max(done, 1) * (state.max_steps - state.global_step), 1),
            "peak_bytes": peak_bytes(args.device.type),
        }
        with (self._run / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        last = state.global_step >= state.max_steps or "validation_loss" in row
        if last or time.perf_counter() - self._said >= _BETWEEN_S:
            self._said = time.perf_counter()
            self._say(told(row))


def told(row: dict[str, Any]) -> str:
    """A line of the log, for people."""
    if "validation_loss" in row:
        return f"step {row['step']}/{row['steps']}  validation loss {row['validation_loss']:.4f}"
    left = int(row["seconds_left"])
    return (
        f"step {row['step']}/{row['steps']}  loss {row['loss']:.4f}  rate {row['learning_rate']:.2e}  "
        f"{row['tokens_per_s']:,.0f} tokens/s  {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left  "
        f"{row['peak_bytes'] / 1e9:.2f} GB at most"
    )


def peak_bytes(device: str) -> int:
    """Most memory so far: of the GPU if the training is there ("cuda"), else of this process."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def read_log(run: Path) -> list[dict[str, Any]]:
    """The rows of a log; a last line that is cut doesn't count."""
    rows = []
    try:
        lines = (run / LOG).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def cut_log(run: Path, step: int) -> None:
    """Take out what was logged after a step from which the training goes on."""
    rows = [row for row in read_log(run) if row["step"] <= step]
    (run / LOG).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def plot(rows: Sequence[dict[str, Any]], file: Path) -> bool:
    """Draw the losses by step.

    Returns:
        False without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8, 4.5))
    axes = figure.subplots()
    for key, name in (("loss", "training"), ("validation_loss", "validation")):
        points = [(row["step"], row[key]) for row in rows if key in row]
        if points:
            axes.plot(*zip(*points, strict=True), label=name, marker="o" if key == "validation_loss" else None)
    axes.set(xlabel="step", ylabel="loss of a token", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=120)
    return True
