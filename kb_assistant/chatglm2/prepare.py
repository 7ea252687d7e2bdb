"""Describes an official folder and prepares it for an engine. Loads torch only to read weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from kb_assistant.chatglm2.checkpoint import TOKENIZER, Checkpoint, read_checkpoint
from kb_assistant.chatglm2.gguf_writer import Precision, Tensors, write_gguf
from kb_assistant.chatglm2.tokenizer import build_tokenizer
from kb_assistant.model_folder import Model

GGUF_NAME, TOKENIZER_NAME = "model.gguf", "tokenizer.json"
LICENCE = "ChatGLM model licence"


def describe_folder(folder: Path, digest: Callable[[Path], str]) -> Model:
    """The folder as a chat model for torch.

    Raises:
        ModelError: see read_checkpoint.
    """
    return _model(read_checkpoint(folder), folder, digest(folder))


def prepare(
    checkpoint: Checkpoint,
    folder: Path,
    precision: Precision,
    digest: Callable[[Path], str],
    on_progress: Callable[[float], None],
    weights: Tensors | None = None,
    mark: str = "",
) -> Model:
    """Write the model for llama.cpp into `folder`, continuing an interrupted run.

    Args:
        weights, mark: As `write_gguf` takes them.

    Raises:
        ModelError: see write_gguf.
    """
    build_tokenizer(checkpoint.folder / TOKENIZER, checkpoint.generation).save(str(folder / TOKENIZER_NAME))
    file = folder / GGUF_NAME
    if file.exists():  # from a run interrupted later; write_gguf keeps it for the same source and precision
        file.replace(file.with_name(f"{file.name}.part"))
    write_gguf(checkpoint, file, precision, on_progress, weights, mark)
    return _model(checkpoint, file, digest(file))


def _model(checkpoint: Checkpoint, path: Path, sha256: str) -> Model:
    template: Literal["chatglm2", "chatglm3"] = "chatglm2" if checkpoint.generation == 2 else "chatglm3"
    return Model(
        name=checkpoint.folder.name,
        kind="chat",
        path=path,
        sha256=sha256,
        licence=LICENCE,
        languages=("zh", "en"),
        context_tokens=checkpoint.context,
        longest_context=checkpoint.longest,
        template=template,
    )
