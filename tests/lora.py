"""Adapters on the tiny network, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from kb_assistant.chatglm2 import load_model
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.chatglm2.lora import LoraShape, attach
from kb_assistant.model_folder import Model, file_digest
from kb_assistant.models.adapters import Adapter, AdapterHome

if TYPE_CHECKING:
    from peft import PeftModel

IDS = torch.arange(10, 40)[None]


def random_adapter(model: Any, folder: Path, shape: LoraShape | None = None) -> PeftModel:
    """The model with an adapter that moves its outputs a good deal, written to a folder."""
    adapted = attach(model, shape or LoraShape())
    torch.manual_seed(0)
    for name, one in adapted.named_parameters():
        if one.requires_grad:
            torch.nn.init.normal_(one, std=0.05 if "lora_A" in name else 0.02)
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()
    return adapted


def installed_adapter(home: Path, name: str, base: Model, source: Path, shape: LoraShape | None = None) -> Adapter:
    """Such an adapter in a home, with its file for llama.cpp."""
    from kb_assistant.training.gguf_adapter import write_gguf_adapter

    folder = AdapterHome(home).folder / name
    folder.mkdir(parents=True)
    random_adapter(load_model(source), folder, shape)
    write_gguf_adapter(folder, read_checkpoint(source), folder / "adapter.gguf")
    files = {file.name: file_digest(file) for file in folder.iterdir()}
    adapter = Adapter(folder, "lora", base.name, base.base_sha256, "chat", files)
    adapter.write()
    return adapter
