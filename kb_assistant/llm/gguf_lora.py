"""Checks a GGUF adapter against the model it is to go on: llama.cpp gives no reason for refusing one."""

from __future__ import annotations

from pathlib import Path

from kb_assistant.errors import ModelError
from kb_assistant.llm.gguf_header import GGUFHeader, read_gguf_header
from kb_assistant.messages import Message, _

_A, _B = ".lora_a", ".lora_b"


def check_gguf_lora(path: Path, base: GGUFHeader) -> None:
    """Read the header of an adapter, and compare it with that of a model.

    Raises:
        ModelError: it is damaged, no LoRA, for another architecture, or its tensors have no counterpart in the
            model.
    """
    adapter = read_gguf_header(path)
    kinds = {"general.type": "adapter", "adapter.type": "lora", "general.architecture": base.architecture}
    for key, wanted in kinds.items():
        if (found := adapter.fields.get(key)) != wanted:
            raise _unfit(path, _("{key} is {found}, not {wanted}", key=key, found=repr(found), wanted=wanted))
    targets = {name.removesuffix(_A).removesuffix(_B) for name in adapter.shapes}
    if not targets:
        raise _unfit(path, _("it has no tensors"))
    for target in sorted(targets):
        whole, a, b = base.shapes.get(target), adapter.shapes.get(target + _A), adapter.shapes.get(target + _B)
        if whole is None:
            raise _unfit(path, _("the model has no {name}", name=target))
        if a is None or b is None:
            raise _unfit(path, _("{name} is missing", name=target + (_A if a is None else _B)))
        if len(whole) != 2 or len(a) != 2 or len(b) != 2 or (a[0], b[1]) != whole or a[1] != b[0]:
            raise _unfit(path, _("the shape of {name} isn't that of the model", name=target))


def _unfit(path: Path, reason: Message) -> ModelError:
    return ModelError(
        _("The adapter {path} doesn't fit the model: {reason}.", path=path, reason=reason),
        _("Train it anew, or take another adapter."),
    )
