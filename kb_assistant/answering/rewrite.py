"""A follow-up put as a question of its own by the chat model: optional, bounded, and only one view among others.

The search never relies on it: the question as asked is searched as well, and where the model fails, says nothing
of use or takes too long, it is left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from kb_assistant.llm.capabilities import count_tokens, prompt_tokens, takes_cancelled
from kb_assistant.settings import Settings
from kb_assistant.text.language import Language, language_of
from kb_assistant.text.marks import unmarked
from kb_assistant.text.wording import wording
from kb_assistant.types import Turn

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage

    from kb_assistant.llm.open import ChatModels

LONGEST = 300
"""Characters of a rewritten question; a model that says more is talking, not rewriting."""

TURNS = 3

_log = logging.getLogger(__name__)


def rewrite(
    model: BaseChatModel,
    question: str,
    history: Sequence[Turn],
    settings: Settings,
    language: Language | None = None,
) -> str:
    """The question with what it leaves out, or "" where the model didn't give one in time."""
    deadline = time.monotonic() + settings.rewrite_seconds
    messages = condense(question, history[-TURNS:], language)
    if getattr(model, "model_name", "") == "extract" or count_tokens(model, messages) > prompt_tokens(
        model, settings
    ):
        return ""
    said = ""
    try:
        for piece in _pieces(model, messages, deadline):
            said += piece
            if "\n" in said.strip() or len(said) > LONGEST or time.monotonic() > deadline:
                break
    except Exception as error:  # of whatever library: the search goes on without
        _log.info("The question wasn't rewritten: %s", error)
        return ""
    text = said.strip().split("\n")[0].strip().strip('"“”')
    in_time = time.monotonic() <= deadline
    return text if in_time and 0 < len(text) <= LONGEST and text != question else ""


def rewritten(
    models: ChatModels, settings: Settings, question: str, history: Sequence[Turn], language: Language
) -> str:
    """The same by the model that answers, opened where it wasn't yet."""
    return rewrite(models.answering, question, history, settings, language)


def _pieces(model: BaseChatModel, messages: Sequence[Any], deadline: float) -> Iterator[str]:
    extra: dict[str, Any] = {}
    if takes_cancelled(model):
        extra["cancelled"] = lambda: time.monotonic() > deadline
    with closing(cast("Any", model.stream(list(messages), **extra))) as chunks:
        chunk: AIMessageChunk
        for chunk in chunks:
            yield str(chunk.text)


def condense(question: str, history: Sequence[Turn], language: Language | None = None) -> list[BaseMessage]:
    """What asks a model to put a follow-up as a question of its own."""
    from langchain_core.messages import HumanMessage

    told = [f"- {turn.question}\n- {unmarked(turn.answer, turn.cited)}" for turn in history]
    words = wording(language or language_of(question))
    return [HumanMessage("\n".join([*told, f"- {question}", "", words.condense]))]
