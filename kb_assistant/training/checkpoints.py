"""Checkpoints of a training: written whole or passed over, and read without unpickling.

Beside the adapter lies what goes on with it: `optimizer.safetensors`, `state.json` (optimizer, schedule) and for
each process `random-N.json`. `whole.json` comes last, with the size and digest of every other file.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from pathlib import Path
from typing import Any

from kb_assistant.errors import StoreError
from kb_assistant.model_folder import file_digest
from kb_assistant.small_file import write_whole
from kb_assistant.training.shares import shared_as, whole

_SEAL = "whole.json"
_OPTIMIZER, _STATE = "optimizer.safetensors", "state.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def seal(folder: Path) -> None:
    """Flush the files of a checkpoint to the disk, and write down that it is whole.

    Raises:
        StoreError: it can't be written.
        OSError: a file can't be flushed.
    """
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != _SEAL:
            with file.open("rb+") as opened:
                os.fsync(opened.fileno())
            files[file.relative_to(folder).as_posix()] = [file.stat().st_size, file_digest(file)]
    write_whole(folder / _SEAL, json.dumps(files, indent=1))


def is_whole(folder: Path) -> bool:
    """Whether every file of a checkpoint is as it was written."""
    try:
        files = json.loads((folder / _SEAL).read_text(encoding="utf-8"))
        return bool(files) and all(
            (folder / name).stat().st_size == size and file_digest(folder / name) == digest
            for name, (size, digest) in files.items()
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def step_of(checkpoint: Path) -> int:
    """The number of the step after which it was written."""
    found = _NAME.fullmatch(checkpoint.name)
    return int(found[1]) if found else 0


def last_whole(run: Path) -> Path | None:
    """The newest whole checkpoint of a run; those that aren't whole are deleted."""
    found = sorted((one for one in run.glob("checkpoint-*") if step_of(one)), key=step_of, reverse=True)
    whole = [one for one in found if is_whole(one)]
    for cut in set(found) - set(whole):
        shutil.rmtree(cut, ignore_errors=True)
    return whole[0] if whole else None


def whole_state(optimizer: Any) -> dict[str, Any]:
    """The state of an optimizer. All processes take part: each may have a share of it."""
    state: dict[str, Any] = optimizer.state_dict()
    parts = {i: {key: whole(one) for key, one in part.items()} for i, part in state["state"].items()}
    return state | {"state": parts}


def write_optimizer(folder: Path, state: dict[str, Any], scheduler: Any, scaler: Any = None) -> None:
    """Write the whole state of an optimizer, its schedule, and the scaling of fp16 losses.

    Raises:
        StoreError: it can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {f"{i}.{key}": one for i, parts in state["state"].items() for key, one in parts.items()}
    try:
        save_file(tensors, folder / _OPTIMIZER)
    except (SafetensorError, OSError) as error:
        raise StoreError(str(error)) from error
    rest = {"groups": state["param_groups"], "schedule": scheduler.state_dict()}
    rest |= {"scaler": scaler.state_dict()} if scaler is not None else {}
    write_whole(folder / _STATE, json.dumps(rest))


def read_optimizer(folder: Path, optimizer: Any, scheduler: Any, scaler: Any = None) -> None:
    """Put back what `write_optimizer` wrote."""
    from safetensors.torch import load_file

    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    rest = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in load_file(folder / _OPTIMIZER).items():
        i, key = name.split(".", 1)
        state.setdefault(int(i), {})[key] = shared_as(weights[int(i)], tensor) if tensor.ndim else tensor
    groups = [group | {"betas": tuple(group["betas"])} for group in rest["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    scheduler.load_state_dict(rest["schedule"])
    if scaler is not None:
        scaler.load_state_dict(rest["scaler"])


def write_random(folder: Path, process: int) -> None:
    """Write the state of all random numbers of one process.

    Raises:
        StoreError: it can't be written.
    """
    import numpy as np
    import torch

    name, keys, *rest = np.random.get_state()
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": [name, [int(one) for one in keys], *rest],
        "torch": torch.random.get_rng_state().tolist(),
        "cuda": [one.tolist() for one in _cuda_states()],
    }
    write_whole(folder / f"random-{process}.json", json.dumps(state))


def _cuda_states() -> list[Any]:
    import torch

    return torch.cuda.random.get_rng_state_all() if torch.cuda.is_available() else []


def read_random(folder: Path, process: int) -> None:
    """Put back what `write_random` wrote; other numbers of processes begin with those of the first."""
    import numpy as np
    import torch

    path = folder / f"random-{process}.json"
    state = json.loads((path if path.is_file() else folder / "random-0.json").read_text(encoding="utf-8"))
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    torch.random.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.random.set_rng_state_all([torch.tensor(one, dtype=torch.uint8) for one in state["cuda"]])
