"""The former import path of ChatGLM2, for existing programs; the new one is `kb_assistant.chatglm2`."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

_MOVED = frozenset({"load_model", "load_tokenizer", "render"})


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"{__name__}.{name} has moved: import it from kb_assistant.chatglm2.", DeprecationWarning, stacklevel=2
    )
    return getattr(import_module("kb_assistant.chatglm2"), name)
