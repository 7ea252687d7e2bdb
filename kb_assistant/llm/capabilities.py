"""What a chat model can do: its languages, its context, how long a prompt is for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kb_assistant.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from kb_assistant.model_folder import Model

_NARROW_PER_TOKEN = 3
_PER_MESSAGE = 8
DEFAULT_CONTEXT = 4096
"""Tokens of prompt and answer for models that don't tell what they were trained for."""


def languages(model: BaseChatModel) -> tuple[str, ...]:
    """ISO codes of the languages a model answers in; empty where it takes any, or where that is unknown."""
    return tuple(getattr(model, "languages", ()))


def native_history(model: BaseChatModel) -> bool:
    """Whether a model follows earlier turns that are messages of their own.

    Small models lose what "it" means; they want the last turn repeated beside the question. Models of this project
    tell by an attribute of this name. Any other model, as those of a provider, is taken for a large one.
    """
    return bool(getattr(model, "native_history", True))


def full_answers(model: BaseChatModel) -> bool:
    """Whether a model may answer at the length that the question takes.

    Small models wander off unless they are asked for one short sentence. Models of this project tell by an
    attribute of this name. Any other model, as those of a provider, is taken for a large one.
    """
    return bool(getattr(model, "full_answers", True))


def takes_cancelled(model: BaseChatModel) -> bool:
    """Whether a model's calls take `cancelled=`, to be stopped while they wait or read a prompt."""
    from kb_assistant.llm.base import LocalChat

    return isinstance(model, LocalChat)


def count_tokens(model: BaseChatModel, messages: Sequence[BaseMessage]) -> int:
    """Tokens of the context that a prompt takes up.

    Exact for the models here; 0 for the quoting one, which has no limit. For others a careful estimate,
    because LangChain's own count would download a tokenizer.
    """
    from kb_assistant.llm.base import LocalChat
    from kb_assistant.llm.extract import ExtractChat

    if isinstance(model, ExtractChat):
        return 0
    if isinstance(model, LocalChat):
        return model.get_num_tokens_from_messages(list(messages))
    return sum(_PER_MESSAGE + _estimate(str(message.text)) for message in messages)


def _estimate(text: str) -> int:
    """One token a character outside the alphabets of Europe, one for three others."""
    wide = sum(character >= "\u0600" for character in text)
    return wide - -(len(text) - wide) // _NARROW_PER_TOKEN


def prompt_tokens(model: BaseChatModel, settings: Settings) -> int:
    """Room for the prompt, in tokens of the model: its context without the answer."""
    context = getattr(model, "context_tokens", None) or settings.context_tokens or DEFAULT_CONTEXT
    return int(context) - settings.max_tokens


def context_of(model: Model, settings: Settings) -> int:
    """Tokens of prompt and answer: what the model was trained for, unless told otherwise, within its limit."""
    if not settings.context_tokens:
        return model.context_tokens or DEFAULT_CONTEXT
    return min(settings.context_tokens, model.longest_context or model.context_tokens or settings.context_tokens)
