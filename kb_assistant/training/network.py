"""The two kinds of chat models that are trained: ChatGLM2's official folders, and GGUF files of plain Llamas."""

from __future__ import annotations

from kb_assistant.chatglm2.checkpoint import Checkpoint, read_checkpoint
from kb_assistant.chatglm2.lora import translated
from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.model_folder import Model
from kb_assistant.training.llama_file import LlamaFile, read_llama

Network = Checkpoint | LlamaFile
"""What is known of a model without its weights. Both tell their sizes by the same names."""

DECODER_LAYERS = {Checkpoint: "GlmDecoderLayer", LlamaFile: "LlamaDecoderLayer"}
"""transformers' classes of a layer."""


def require_trainable(model: Model) -> None:
    """Check that a model is of either kind.

    Raises:
        ModelError: it isn't, or is damaged.
    """
    if model.template:
        return
    if model.path.suffix != ".gguf":
        raise ModelError(
            _("{name!r} isn't a ChatGLM2, and no GGUF file either: it can't be trained here.", name=model.name),
            _("Name a model that kb chat runs: kb models list; or give ChatGLM2's official folder."),
        )
    read_llama(model.path)


def network_of(model: Model) -> Network:
    """The description of an installed model.

    Raises:
        ModelError: it is of neither kind, or damaged.
    """
    return read_checkpoint(model.path) if model.path.is_dir() else read_llama(model.path)


def targets(network: Network, names: tuple[str, ...]) -> tuple[str, ...]:
    """The linear layers that get an adapter, by transformers' names.

    Args:
        names: As people give them: these, or ChatGLM2's.

    Raises:
        ModelError: there is no such layer.
    """
    return translated(names, [name for name, _shape in network.layer_shapes()])
