"""Checks a given question and its history, and converts messages to turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from kb_assistant.errors import QuestionError
from kb_assistant.messages import _
from kb_assistant.types import Turn

History = Sequence[Turn] | Sequence[Mapping[str, Any]]


def asked(question: str) -> str:
    """The question without surrounding blanks.

    Raises:
        QuestionError: nothing is left.
    """
    question = question.strip()
    if not question:
        raise QuestionError(_("The question is empty."), _("Ask something."))
    return question


def turns(history: History) -> tuple[Turn, ...]:
    """Turns unchanged, or made from {"role", "text"} messages.

    Raises:
        QuestionError: the messages have another form.
    """
    if all(isinstance(item, Turn) for item in history):
        return tuple(item for item in history if isinstance(item, Turn))
    return history_from(cast("Sequence[Mapping[str, Any]]", history))


def history_from(messages: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """Turns from a list of {"role": "user" | "assistant", "text": str}, oldest first.

    Raises:
        QuestionError: they have another form; the message gives the place.
    """
    paired: list[Turn] = []
    question: str | None = None
    for number, message in enumerate(messages, start=1):
        role, text = (message.get("role"), message.get("text")) if isinstance(message, Mapping) else (None, None)
        if role not in ("user", "assistant") or not isinstance(text, str):
            raise QuestionError(
                _("Message {number} of the history has the wrong form.", number=number),
                _('Each is {{"role": "user" or "assistant", "text": "…"}}, oldest first.'),
            )
        if role == "user":
            if question is not None:
                paired.append(Turn(question, ""))
            question = text
        else:
            paired.append(Turn(question or "", text))
            question = None
    return (*paired, Turn(question, "")) if question is not None else tuple(paired)
