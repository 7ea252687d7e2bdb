"""An adapter for other programs: a folder that peft loads, and its file for llama.cpp."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kb_assistant.chatglm2.gguf_writer import require_writer
from kb_assistant.errors import ModelError, StoreError
from kb_assistant.messages import _
from kb_assistant.model_folder import Model, file_digest
from kb_assistant.models.adapters import GGUF, WEIGHTS, Adapter
from kb_assistant.small_file import unwritable
from kb_assistant.training.network import network_of
from kb_assistant.training.publish import add_gguf


def export_adapter(adapter: Adapter, folder: Path) -> None:
    """Copy an adapter into a new folder.

    Raises:
        StoreError: something is there already, or it can't be written.
        ModelError: the adapter is damaged.
    """
    sources = [adapter.path(name) for name in adapter.files]
    if not sources:
        raise ModelError(
            _("{name!r} isn't an adapter of this program.", name=adapter.name), _("See: kb train list")
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(_("{path} is in the way.", path=folder), _("Give a new folder."))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy2(source, folder / source.name)
        facts = {name: value for name, value in adapter.facts.items() if name != "data"}  # where it lies here
        replace(adapter, folder=folder, facts=facts).write()
    except OSError as error:
        raise unwritable(folder, error) from error


def with_gguf(adapter: Adapter, base: Model, say: Callable[[str], None]) -> Adapter:
    """The adapter with its file for llama.cpp, written now if it has none.

    Args:
        base: The model that it was trained on.

    Raises:
        ModelError: the package gguf is missing, or the model is another.
    """
    if GGUF in adapter.files:
        return adapter
    require_writer()
    adapter.require_base(base)
    for file in ("adapter_config.json", WEIGHTS):
        adapter.path(file)
    add_gguf(adapter.folder, network_of(base), say)
    whole = replace(adapter, files={**adapter.files, GGUF: file_digest(adapter.folder / GGUF)})
    whole.write()
    return whole
