"""Capabilities of a chat model: its languages, its context, the length of a prompt in its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kb_assistant.settings import Settings
from kb_assistant.text.token_estimate import estimated_tokens

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from kb_assistant.model_folder import Model

_PER_MESSAGE = 8
# Most tokens of answers by their wanted length; a word, or a Chinese character, takes at most two.
_BRIEF = 256
_LONGEST = {"short": _BRIEF, "medium": 512, "long": 1024}
_PER_WORD = 2
DEFAULT_CONTEXT = 4096
"""Tokens of prompt and answer for models with an unknown context length."""


def model_name(model: BaseChatModel) -> str:
    """What a model is called where it comes from."""
    named = (getattr(model, attribute, None) for attribute in ("model_name", "model"))
    return next((name for name in named if isinstance(name, str) and name), model._llm_type)


def languages(model: BaseChatModel) -> tuple[str, ...]:
    """ISO codes of the languages a model answers in; empty for any or unknown languages."""
    return tuple(getattr(model, "languages", ()))


def native_history(model: BaseChatModel) -> bool:
    """Whether a model understands earlier turns as separate messages.

    Small models lose the meaning of "it"; they need the last turn repeated beside the question. Models of this
    project have an attribute of this name. Any other model, such as a provider's, counts as large.
    """
    return bool(getattr(model, "native_history", True))


def full_answers(model: BaseChatModel) -> bool:
    """Whether a model may answer at the length that the question needs.

    Small models drift off unless they are asked for one short sentence. Models of this project have an attribute
    of this name. Any other model, such as a provider's, counts as large.
    """
    return bool(getattr(model, "full_answers", True))


def plain_questions(model: BaseChatModel) -> bool:
    """Whether a model's adapter was trained with questions as they stand, without the words that a prompt adds."""
    adapter = getattr(model, "adapter", None)
    return adapter is not None and bool(adapter.plain)


def quotes_only(model: BaseChatModel) -> bool:
    """Whether a model only quotes sentences, and can neither summarise nor reword."""
    from kb_assistant.llm.extract import ExtractChat

    return isinstance(model, ExtractChat)


def takes_cancelled(model: BaseChatModel) -> bool:
    """Whether a model's calls take `cancelled=`, which stops them while they wait or read a prompt."""
    from kb_assistant.llm.base import LocalChat

    return isinstance(model, LocalChat)


def count_tokens(model: BaseChatModel, messages: Sequence[BaseMessage]) -> int:
    """Tokens that a prompt takes of the context.

    Exact for the models of this project; 0 for the quoting model, which has no limit. For others a conservative
    estimate, because LangChain's own count would download a tokenizer.
    """
    from kb_assistant.llm.base import LocalChat
    from kb_assistant.llm.extract import ExtractChat

    if isinstance(model, ExtractChat):
        return 0
    if isinstance(model, LocalChat):
        return model.get_num_tokens_from_messages(list(messages))
    return sum(_PER_MESSAGE + estimated_tokens(str(message.text)) for message in messages)


def prompt_tokens(model: BaseChatModel, settings: Settings) -> int:
    """Limit of the prompt in the model's tokens: its context without the answer."""
    return _context(model, settings) - answer_tokens(model, settings)


def answer_tokens(model: BaseChatModel | None, settings: Settings) -> int:
    """Limit of the answer: as set, or by the wanted length and at most half of the context.

    Args:
        model: None for a large model that isn't open yet.
    """
    if settings.max_tokens is not None:
        return settings.max_tokens
    length = settings.answer_length
    if length.isdecimal():
        wanted = max(_BRIEF, int(length) * _PER_WORD)
    elif length == "medium" and model is not None and not full_answers(model):
        wanted = _BRIEF
    else:
        wanted = _LONGEST[length]
    return min(wanted, _context(model, settings) // 2)


def _context(model: BaseChatModel | None, settings: Settings) -> int:
    return int(getattr(model, "context_tokens", None) or settings.context_tokens or DEFAULT_CONTEXT)


def context_of(model: Model, settings: Settings) -> int:
    """Tokens of prompt and answer: the trained length, unless set otherwise, within the model's limit."""
    if not settings.context_tokens:
        return model.context_tokens or DEFAULT_CONTEXT
    return min(settings.context_tokens, model.longest_context or model.context_tokens or settings.context_tokens)
