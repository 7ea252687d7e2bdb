"""Adds an official ChatGLM2 or ChatGLM3 folder to a models folder: as it is for torch, converted for llama.cpp."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kb_assistant.errors import ModelError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.model_folder import read_config, weights_digest
from kb_assistant.models.digest_cache import DigestCache
from kb_assistant.models.staging import installing, publish, unfinished
from kb_assistant.torch_runtime import import_torch, is_installed

if TYPE_CHECKING:
    from kb_assistant.chatglm2.checkpoint import Checkpoint
    from kb_assistant.chatglm2.gguf_writer import Precision

Engine = Literal["auto", "llama", "torch"]


def is_chatglm_folder(path: Path) -> bool:
    """Whether the folder declares a ChatGLM, usable or not."""
    from kb_assistant.chatglm2.checkpoint import is_chatglm

    return path.is_dir() and is_chatglm(read_config(path / "config.json"))


def choose_engine(wanted: Engine) -> Literal["llama", "torch"]:
    """The engine for ChatGLM2: torch with a GPU or if llama.cpp isn't installed, else llama.cpp.

    Raises:
        ModelError: the requested engine isn't installed, or torch, which reads the folder for either.
    """
    llama = is_installed("xllamacpp") and is_installed("gguf")
    if wanted == "llama" and not llama:
        raise ModelError(_("llama.cpp is missing."), _('pip install "kb-assistant[llama]"'))
    torch = import_torch()
    if wanted == "auto":
        return "torch" if torch.cuda.is_available() or not llama else "llama"
    return wanted


def add_chatglm2(
    home: Path,
    folder: Path,
    name: str,
    digests: DigestCache,
    *,
    engine: Engine,
    precision: Precision,
    on_message: Callable[[str], None],
    on_progress: Callable[[float], None],
) -> bool:
    """Publish a ChatGLM folder under a name.

    Args:
        home: The models folder.
        folder: The official folder, which stays where it is.
        digests: Caches the digests of its files.
        engine, precision, on_message, on_progress: As for ModelHome.add.

    Returns:
        False if another process has published a model of this name meanwhile.

    Raises:
        ModelError: the folder can't be used, an engine is missing, or the disk is too full.
    """
    from kb_assistant.chatglm2.checkpoint import read_checkpoint

    checkpoint = read_checkpoint(folder)
    on_message(f"{checkpoint.describe()}.")
    on_message(
        _("Its weights have a licence of their own, which limits some uses: read MODEL_LICENSE in its folder.")
    )
    if checkpoint.prefix_tokens and engine == "llama":
        raise ModelError(
            _("{folder} has a prefix of P-Tuning v2, which llama.cpp can't run.", folder=folder),
            _("Add it with: --engine torch"),
        )
    if checkpoint.prefix_tokens or choose_engine(engine) == "torch":
        return _add_in_place(home, checkpoint, name, digests, on_message)
    return _add_converted(home, checkpoint, name, digests, precision, on_message, on_progress)


def _add_in_place(
    home: Path, checkpoint: Checkpoint, name: str, digests: DigestCache, on_message: Callable[[str], None]
) -> bool:
    from kb_assistant.chatglm2.checkpoint import TOKENIZER
    from kb_assistant.chatglm2.prepare import describe_folder
    from kb_assistant.chatglm2.tokenizer import build_tokenizer
    from kb_assistant.chatglm2.weights import Weights

    build_tokenizer(checkpoint.folder / TOKENIZER, checkpoint.generation)
    Weights(checkpoint)  # opened and checked against the configuration, not loaded
    on_message(_("It will be run by torch, from where it lies."))
    with installing(home, name) as work:
        model = describe_folder(checkpoint.folder, digests.weights_digest)
        return publish(replace(model, name=name), work / "model", home)


def _add_converted(
    home: Path,
    checkpoint: Checkpoint,
    name: str,
    digests: DigestCache,
    precision: Precision,
    on_message: Callable[[str], None],
    on_progress: Callable[[float], None],
) -> bool:
    from kb_assistant.chatglm2.prepare import prepare

    work = unfinished(home, name)
    try:
        (work / "model").mkdir(parents=True, exist_ok=True)
        with writing(work, patience=0, what=_("the model {name!r}", name=name)):
            target = home / name
            on_message(
                _("Writing it for llama.cpp into {path}. Broken off, the same command goes on.", path=target)
            )
            model = prepare(checkpoint, work / "model", precision, weights_digest, on_progress)
            source = digests.weights_digest(checkpoint.folder)
            model = replace(model, name=name, source=str(checkpoint.folder), source_sha256=source)
            published = publish(model, work / "model", home)
    except OSError as error:
        raise ModelError(
            _("{name} can't be written: {reason}.", name=name, reason=error),
            _("Look at {path}.", path=home),
        ) from error
    shutil.rmtree(work, ignore_errors=True)
    return published
