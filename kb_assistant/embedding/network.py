"""Loads a model's folder by sentence-transformers and torch: offline, quietly, and without the folder's code."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.model_folder import Model
from kb_assistant.packed_weights import with_weights
from kb_assistant.torch_runtime import gpu_errors, import_torch, torch_device


def load_network(kind: str, model: Model, device: str, hint: str) -> Any:
    """The network of a model, in float32.

    Args:
        kind: Name of its class in sentence_transformers.
        model: The model.
        device: `auto`, `cpu` or `cuda`.
        hint: What to do if it can't be loaded.

    Raises:
        ModelError: it, or torch, can't be loaded, or there is no such device.
    """
    torch, place = import_torch(), torch_device(device)
    try:
        with gpu_errors(), _quiet():
            import sentence_transformers

            with with_weights(model.path) as folder:
                return getattr(sentence_transformers, kind)(
                    str(folder),
                    device=place,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"dtype": torch.float32, "use_safetensors": True},
                )
    except ModelError:
        raise
    except Exception as error:  # transformers, safetensors and torch have no common error class
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            _("{name} can't be loaded from {path}: {reason}", name=model.name, path=model.path, reason=reason),
            hint,
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the libraries' progress bars, warnings and load reports on stderr."""
    from transformers.utils import logging as transformers_logging

    libraries: Any = transformers_logging  # its functions are not annotated
    loud = logging.getLogger("sentence_transformers")
    level, bars = libraries.get_verbosity(), libraries.is_progress_bar_enabled()
    before = loud.level
    libraries.set_verbosity_error()
    libraries.disable_progress_bar()
    loud.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        libraries.set_verbosity(level)
        loud.setLevel(before)
        if bars:
            libraries.enable_progress_bar()
