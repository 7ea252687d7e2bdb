"""Rewrites a follow-up as a standalone question by the chat model: optional, limited in time, one view of several.

The search never depends on it: the original question is searched as well, and the rewriting is left out if the
model fails, gives nothing useful or takes too long.
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
"""Most characters of a rewritten question; a longer output isn't a rewriting."""

TURNS = 3

_log = logging.getLogger(__name__)


def rewrite(
    model: BaseChatModel,
    question: str,
    history: Sequence[Turn],
    settings: Settings,
    language: Language | None = None,
) -> str:
    """The question completed from the history, or "" if the model didn't give one in time."""
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
    except Exception as error:  # of any library: the search continues without it
        _log.info("The question wasn't rewritten: %s", error)
        return ""
    text = said.strip().split("\n")[0].strip().strip('"“”')
    in_time = time.monotonic() <= deadline
    return text if in_time and 0 < len(text) <= LONGEST and text != question else ""


def rewritten(
    models: ChatModels, settings: Settings, question: str, history: Sequence[Turn], language: Language
) -> str:
    """The same by the answering model, opened if needed."""
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
    """The prompt that asks a model to rewrite a follow-up as a standalone question."""
    from langchain_core.messages import HumanMessage

    told = [f"- {turn.question}\n- {unmarked(turn.answer, turn.cited)}" for turn in history]
    words = wording(language or language_of(question))
    return [HumanMessage("\n".join([*told, f"- {question}", "", words.condense]))]
