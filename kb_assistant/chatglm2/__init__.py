"""ChatGLM2-6B (and ChatGLM3-6B) from the official folders, without their code.

`load_model` gives transformers' own GlmForCausalLM, `load_tokenizer` a fast tokenizer, `render` the exact prompt.
The chat models are in kb_assistant.llm; `kb models add FOLDER` prepares a folder for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kb_assistant.chatglm2.prompt import render
from kb_assistant.chatglm2.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from kb_assistant.chatglm2.model import load_model

__all__ = ["load_model", "load_tokenizer", "render"]


def __getattr__(name: str) -> Any:
    """Import load_model at its first use, because it needs torch."""
    if name == "load_model":
        from kb_assistant.chatglm2.model import load_model

        return load_model
    raise AttributeError(name)
