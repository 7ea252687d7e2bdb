"""torch as all models of this project use it: imported when first needed, its device, its errors in sentences."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from kb_assistant.errors import ModelError
from kb_assistant.lock import in_forked_child
from kb_assistant.messages import _
from kb_assistant.openmp import waiting_asleep

Device = Literal["cpu", "cuda"]

_DRIVERS = ("nvidiactl", "nvmap", "dxg", "kfd")
"""NVIDIA's, Jetson's, Windows' under Linux, and AMD's, which torch also calls CUDA."""


def is_installed(package: str) -> bool:
    """Whether a package can be found; it isn't imported."""
    try:
        return find_spec(package) is not None
    except ImportError:
        return False


def import_torch() -> Any:
    """The module torch, checked together with sentence-transformers.

    Raises:
        ModelError: one of them isn't installed, or can't be loaded.
    """
    try:
        if not is_installed("sentence_transformers"):
            raise ModuleNotFoundError("No module named 'sentence_transformers'")
        # MKL's own allocator, which keeps its blocks by thread, now and then never returns in a forked child: in
        # 3 of 67 that computed in bfloat16. In none of 88 without it, and without it nothing is slower.
        os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")
        with waiting_asleep():
            import torch
    except (ImportError, OSError) as error:  # OSError: one of its libraries is missing
        raise ModelError(
            _("torch, which this model needs, can't be loaded: {reason}", reason=error),
            _('pip install "kb-assistant[torch]"'),
        ) from error
    _make_fork_safe(torch)
    # Libraries import it where it is installed, and on importing it warns of a kernel of the hub's that it lacks.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    return torch


@cache
def _make_fork_safe(torch: Any) -> None:
    """Enable computing in a forked child.

    The forking thread keeps GNU OpenMP's record of its helper threads, which don't exist in the child, and would
    wait for them forever. With one thread it needs none.
    """
    in_forked_child(lambda: torch.set_num_threads(1))


def torch_device(wanted: str) -> Device:
    """The device for a setting: `cpu`, `cuda`, or `auto` for CUDA if available. torch is loaded only where a GPU
    may be there.

    Raises:
        ModelError: torch can't be loaded, or `cuda` is wanted and there is none.
    """
    if wanted == "cpu" or (wanted == "auto" and not (_has_gpu() and is_installed("torch"))):
        return "cpu"
    available = import_torch().cuda.is_available()
    if wanted == "cuda" and not available:
        raise ModelError(_("There is no CUDA device that torch can use."), _('Set device = "cpu" or "auto".'))
    return "cuda" if available else "cpu"


def _has_gpu() -> bool:
    """Whether a driver for a GPU that torch may use is there; True where that can't be told."""
    return sys.platform != "linux" or any(Path("/dev", name).exists() for name in _DRIVERS)


@contextmanager
def gpu_errors() -> Iterator[None]:
    """Report a GPU that is too small or unusable as a user's error, and free its memory."""
    torch = import_torch()
    try:
        with no_gpu_in_a_fork():
            yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise ModelError(
            _("The GPU's memory is too small: {reason}", reason=str(error).splitlines()[0]),
            _(
                "Close other programs on the GPU, lower context_tokens, set quantize to int4 or device to cpu; "
                "`kb doctor --model NAME` estimates what a model takes."
            ),
        ) from error


@contextmanager
def no_gpu_in_a_fork() -> Iterator[None]:
    """Report torch's refusal to use the parent's GPU in a forked process as a user's error."""
    try:
        yield
    except RuntimeError as error:
        if "forked subprocess" not in str(error):  # torch's own wording
            raise
        raise forked_from_gpu() from error


def forked_from_gpu() -> ModelError:
    """The error of a forked process that would use its parent's GPU."""
    return ModelError(
        _("The GPU can't be used in a process that was forked from one that uses it."),
        _('Start processes with multiprocessing\'s "spawn", set device to cpu, or ask first in the child.'),
    )
